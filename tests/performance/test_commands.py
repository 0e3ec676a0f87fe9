"""What commands cost that compute no score, in CPU seconds of a process of their own, everything included.

    make benchmark

The yardstick is ``import torch, pandas, scipy.stats`` in such a process. The asserted figures are ratios to it.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence

import pytest

YARDSTICK = ("-c", "import torch, pandas, scipy.stats")
CIFAR = ("nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/imagenet16-120")
LISTS = ("proxies", "data", "scores", "spaces")


def seconds(words: Sequence[str], rounds: int = 3) -> float:
    """Least CPU seconds of ``python WORDS``."""
    spent = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-P", *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


@pytest.fixture(scope="module")
def yardstick() -> float:
    least = seconds(YARDSTICK)
    print(f"\nyardstick {least:.2f} CPU s")
    return least


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str, yardstick: float, benchmark) -> None:
    """A list takes less than half of the yardstick: it imports neither PyTorch nor pandas."""
    spent = benchmark.pedantic(seconds, args=(["-m", "zcbench", name, "list"],), rounds=1)
    print(f"\nzcbench {name} list: {spent:.2f} CPU s")
    assert spent < 0.5 * yardstick


@pytest.mark.data
def test_a_ranking_of_the_whole_space(data_dir, yardstick: float, benchmark) -> None:
    """One truth: at most three times the yardstick."""
    words = ["-m", "zcbench", "rank", "nasbench201", "--truth", CIFAR[1]]
    spent = benchmark.pedantic(seconds, args=(words,), rounds=1)
    print(f"\nzcbench rank nasbench201, one truth: {spent:.2f} CPU s")
    assert spent < 3 * yardstick


@pytest.mark.data
def test_three_truths_on_three_subsets(data_dir, yardstick: float, tmp_path, benchmark) -> None:
    """All subsets of the space are ranked where the ranking is kept: at most nine times the yardstick."""
    words = ["-m", "zcbench", "rank", "nasbench201", "--truth", ",".join(CIFAR), "--out", str(tmp_path / "ranking")]
    spent = benchmark.pedantic(seconds, args=(words, 1), rounds=1)
    print(f"\nzcbench rank nasbench201, three truths, three subsets: {spent:.2f} CPU s")
    assert spent < 9 * yardstick
