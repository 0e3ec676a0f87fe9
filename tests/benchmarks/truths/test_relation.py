"""Two truths of the same architectures, beside how well each agrees with itself."""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from zcbench import spaces
from zcbench.benchmarks.truths.relation import relate
from zcbench.errors import RankingError

from ...command import zcbench_command

SPACE = spaces.get("nasbench201")
ARCHS = SPACE.subset("unique")[:40]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A CSV of accuracies: true values and, for each seed, noise of the given size."""

    def make(name: str, true: np.ndarray, noise: float, seeds: int = 2, archs: list[str] = ARCHS) -> Path:
        rng = np.random.default_rng(len(name))
        runs = [
            pd.DataFrame({"arch": archs, "accuracy": true + noise * rng.normal(size=len(archs)), "seed": seed})
            for seed in range(seeds)
        ]
        frame = pd.concat(runs).assign(space="nasbench201", dataset="x")
        (frame if seeds > 1 else frame.drop(columns="seed")).to_csv(tmp_path / f"{name}.csv", index=False)
        return tmp_path / f"{name}.csv"

    return make


def test_correlations(write: Write) -> None:
    """Independent reference: scipy on the means; Kendall's partial tau by its formula; pairs counted one by one."""
    rng = np.random.default_rng(0)
    true = rng.uniform(50, 90, 40)
    first, second = write("one", true, 3.0, seeds=1), write("second", true, 3.0, seeds=1)
    y, z = (pd.read_csv(file)["accuracy"].to_numpy() for file in (first, second))
    found = relate(first, second, draws=200)
    tau, rho = kendalltau(y, z).statistic, spearmanr(y, z).statistic
    assert (found.n, found.tau[0], found.rho[0]) == (40, pytest.approx(tau), pytest.approx(rho))
    assert found.tau[1] < tau < found.tau[2]
    other = [(y[i] - y[j]) * (z[i] - z[j]) < 0 for i in range(40) for j in range(i)]
    assert found.discordant == pytest.approx(np.mean(other))
    params = [SPACE.params(arch) for arch in ARCHS]
    a, b = (kendalltau(params, column).statistic for column in (y, z))
    assert found.given_params == pytest.approx((tau - a * b) / np.sqrt((1 - a * a) * (1 - b * b)))
    assert np.isnan([found.ceiling, *found.reliability, *astuple(found.single)]).all()


def test_noise_of_one_order(write: Write) -> None:
    """Closed form: true variance 1, noise variance s² a run: reliability of the mean of two is 1 / (1 + s²/2)."""
    archs = SPACE.subset("unique")[:3000]
    true = 70 + np.random.default_rng(1).normal(size=len(archs))
    first, second = write("one", true, 0.5, archs=archs), write("second", true, 1.0, archs=archs)
    found = relate(first, second, draws=1)
    expected = 1 / (1 + 0.125), 1 / (1 + 0.5)
    assert found.reliability == pytest.approx(expected, abs=0.03)
    assert found.ceiling == pytest.approx(np.sqrt(np.prod(expected)), abs=0.03)
    assert found.rho[0] == pytest.approx(found.ceiling, abs=0.03)
    assert found.single.first > found.single.between > found.single.second
    assert found.single.first == pytest.approx(2 / np.pi * np.arcsin(1 / 1.25), abs=0.03)  # tau of a normal pair


def test_runs_of_different_seeds_only(write: Write) -> None:
    """By construction: a table beside itself has tau 1, and its single runs only what other seeds give."""
    file = write("one", np.linspace(50, 90, 40), 5.0)
    found = relate(file, file, draws=1)
    assert found.tau[0] == 1 and found.discordant == 0
    assert found.single.between == found.single.first < 1


def test_too_few_in_common(write: Write) -> None:
    """Bad input: two architectures."""
    first = write("one", np.array([1.0, 2.0, 60.0]), 0.1, archs=ARCHS[:3])
    with pytest.raises(RankingError, match="have 2 architectures in common"):
        relate(first, write("second", np.array([1.0, 2.0, 60.0]), 0.1, archs=ARCHS[1:4]))


@pytest.mark.data
def test_vanilla_beside_distilled(data_dir: Path) -> None:
    """Published numbers, as docs/results/kd.md has them: S0 .836, .490 given parameters; AutoFormer -.27."""
    for space, figure in (("s0", "0.836"), ("autoformer", "-0.266")):
        words = ("data", "compare", f"{space}/cifar100/vanilla", f"{space}/cifar100/kd", "--draws", 10)
        shown = zcbench_command(*words, ZCBENCH_DATA=str(data_dir)).stdout
        assert f"Kendall's τ:   {figure} [" in shown and "unknown within the first" in shown
        assert space != "s0" or "τ | params:    0.490" in shown
