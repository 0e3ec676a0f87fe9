"""What the first-order proxies cost on a small network, where calls of functions weigh more than arithmetic.

    make benchmark

One thread, NAS-Bench-201 with 8 channels and one cell a stage, 16 images of 16x16, CPU seconds, interleaved in one run.
"""

from collections.abc import Callable
from functools import partial
from time import process_time

import pytest
import torch

from zcbench import spaces
from zcbench.proxies import evaluate

from .test_shared_pass import ARCHS, COUNTS, FIRST_ORDER, plain

PROXIES = [*COUNTS, *(name for name in FIRST_ORDER if not name.startswith("diswot"))]
ROUNDS = 15


@pytest.mark.parametrize("name", ARCHS)
def test_sixteen_proxies(name: str, benchmark) -> None:
    """At most 5 plain forward and backward passes; the goal is 2.5."""
    network = spaces.get("nasbench201(channels=8,cells=1)").build(ARCHS[name], seed=0)
    batch = torch.randn(16, 3, 16, 16), torch.randint(10, (16,))
    works: dict[str, Callable[[], object]] = {
        "plain": partial(plain, network, batch),
        "scored": partial(evaluate, network, batch, PROXIES),
    }

    def least() -> dict[str, float]:
        spent: dict[str, list[float]] = {which: [] for which in works}
        for _ in range(ROUNDS):
            for which, work in works.items():
                start = process_time()
                work()
                spent[which].append(process_time() - start)
        return {which: min(values) for which, values in spent.items()}

    least()
    seconds = benchmark.pedantic(least, rounds=1)
    ratio = seconds["scored"] / seconds["plain"]
    print(f"\n{name}: {len(PROXIES)} proxies {1000 * seconds['scored']:.1f} ms, {ratio:.2f} x plain")
    assert ratio < 5
