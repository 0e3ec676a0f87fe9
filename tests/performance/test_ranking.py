"""What a ranking of the whole of NAS-Bench-201 costs on one thread, and what the analytic sizes of all its cells cost.

    make benchmark

Synthetic scores and accuracies over the real space: 40 columns x 15,625 architectures x 3 truths, 1,000 draws of the
5,260 isomorphism classes, everything included that `rank` does. The asserted figures are ratios; seconds are printed.
"""

from time import process_time

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import zcbench
from zcbench.benchmarks.ranking.ensembles import named
from zcbench.benchmarks.ranking.ranking import rank

COLUMNS, SIZES, SEEDED, TRUTHS, DRAWS = 40, 5, 10, 3, 1000


@pytest.fixture(scope="module")
def space():
    return zcbench.spaces.get("nasbench201")


@pytest.fixture(scope="module")
def population(space):
    """Architectures, their classes, and a quality that a class shares."""
    archs = list(space)
    classes = {arch: space.canonical(arch) for arch in archs}
    rng = np.random.default_rng(0)
    of_class = dict.fromkeys(classes.values())
    of_class = dict(zip(of_class, rng.normal(size=len(of_class))))
    quality = np.array([of_class[classes[arch]] for arch in archs])
    return archs, classes, quality + 0.05 * rng.normal(size=len(archs))


def column(archs, quality, place: int, seed: int) -> pd.DataFrame:
    """Scores of one seed; every fourth proxy has many ties, every fifth fails here and there."""
    rng = np.random.default_rng([place, seed])
    value = quality + (1 + place / 10) * rng.normal(size=len(archs))
    value = np.round(value, 1) if place % 4 == 0 else value
    failed = rng.random(len(archs)) < (0.03 if place % 5 == 0 else 0.0)
    attempt = {"arch": archs, "proxy": f"p{place:02}", "version": 1, "seed": seed, "value": value, "seconds": 0.1}
    return pd.DataFrame(attempt | {"status": np.where(failed, "nan", "ok"), "reason": ""})


def test_ranking_of_the_whole_space(space, population, benchmark):
    """At most .6 of what SciPy's tau alone would take for every column, truth and draw."""
    archs, classes, quality = population
    seeds = [(place, seed) for place in range(COLUMNS) for seed in range(3 if place < SEEDED else 1)]
    scores = pd.concat([column(archs, quality, place, seed) for place, seed in seeds])
    rng = np.random.default_rng(1)
    truths = {
        f"truth {i}": pd.DataFrame(
            {"arch": archs, "accuracy": np.round(90 + quality + 0.1 * rng.normal(size=15625), 2)}
        )
        for i in range(TRUTHS)
    }
    sizes = space.costs(archs)

    def work() -> float:
        start = process_time()
        ranking = rank(
            scores,
            truths,
            sizes,
            clusters=classes,
            draws=DRAWS,
            ensembles=[named("rank_sum(macs,p00,p01)", ["p00", "p01"])],
        )
        assert len(ranking.table) == TRUTHS * (COLUMNS + SIZES + 1)
        return process_time() - start

    took = benchmark.pedantic(work, rounds=1)
    tau = min(timed(lambda: kendalltau(quality, truths["truth 0"]["accuracy"])) for _ in range(20))
    pairs = (COLUMNS + SIZES + 1) * TRUTHS * DRAWS
    print(f"\nranking: {took:.1f} s; one tau of SciPy {1000 * tau:.2f} ms, {pairs} of them {tau * pairs:.0f} s\n")
    assert took <= 0.6 * tau * pairs


def test_sizes_of_the_whole_space(space, population, benchmark):
    """All 15,625 cost at most as much as building 100 networks."""
    archs = population[0]
    costs = min(timed(lambda: space.costs(archs)) for _ in range(5))
    benchmark.pedantic(space.costs, args=(archs,), rounds=1)
    build = min(timed(lambda: space.build(archs[-1])) for _ in range(5))
    print(f"\nsizes: {costs:.3f} s for {len(archs)}; one network is built in {build:.4f} s\n")
    assert costs <= 100 * build


def timed(work) -> float:
    start = process_time()
    work()
    return process_time() - start
