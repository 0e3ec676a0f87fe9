"""Tau given all sizes, and the regret at one size; each test names its oracle."""

from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import zcbench
from zcbench import spaces
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.statistics import controls
from zcbench.benchmarks.statistics.at_size import Windows
from zcbench.benchmarks.statistics.columns import Column, Population
from zcbench.benchmarks.statistics.comparison import GIVEN_ALL, Comparison


def compared(x: np.ndarray, y: np.ndarray, sizes: np.ndarray) -> Comparison:
    """The comparison of a score with an accuracy; sizes of shape (n, 5)."""
    columns = {name: Column(size) for name, size in zip(SIZES, sizes.T)}
    return Comparison(Column(x), Column(y), Population(columns, np.arange(len(x))))


def slow(x: np.ndarray, y: np.ndarray, sizes: np.ndarray, *, products: bool) -> float:
    """Tau-b by all pairs, of residuals from the normal equations with a pseudo-inverse."""
    ranks = np.stack([stats.rankdata(size) for size in sizes.T], axis=1)
    pairs = combinations_with_replacement(range(5), 2) if products else ()
    terms = [ranks, *(ranks[:, [i]] * ranks[:, [j]] for i, j in pairs), *([np.log(ranks)] if products else [])]
    design = np.hstack([np.ones((len(x), 1)), *terms])
    design = design / np.linalg.norm(design, axis=0)
    one, other = (np.round(r - design @ np.linalg.pinv(design, 1e-12) @ r, 5) for r in map(stats.rankdata, (x, y)))
    a, b = (np.sign(z[:, None] - z) for z in (one, other))
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def drawn(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A score and an accuracy that share sizes, curved, and a part of their own; with ties."""
    sizes = rng.integers(1, 30, (n, 5)).astype(float)
    sizes[:, 1] = sizes[:, 0] * 3  # of the same order
    own = rng.normal(size=n)
    base = np.log(sizes[:, 0]) + (sizes[:, 2] / 30) ** 2
    return np.round(base + 0.5 * own, 1), base * 2 + 0.5 * own + 0.3 * rng.normal(size=n), sizes


@pytest.mark.parametrize("n", [30, 120])
def test_tau_given_all_sizes_is_that_of_the_residuals(n: int) -> None:
    """Slow reference: residuals by a pseudo-inverse, and all pairs, with ties and with two sizes of one order."""
    x, y, sizes = drawn(n, np.random.default_rng(n))
    found = compared(x, y, sizes).given_all(0.95)
    assert found["tau_given_all"] == pytest.approx(slow(x, y, sizes, products=False), abs=1e-9)
    assert found["tau_given_all_flexible"] == pytest.approx(slow(x, y, sizes, products=True), abs=1e-9)
    ranks = stats.rankdata(x), stats.rankdata(y)
    control = controls.linear([stats.rankdata(size) for size in sizes.T])
    assert controls.tau_given_all(*ranks, control) == pytest.approx(found["tau_given_all"], abs=1e-12)


def test_one_control_alone_is_the_partial_rank_correlation_of_the_residuals() -> None:
    """Closed form: with one size, the residuals of the linear control are those of a regression of ranks."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 50))
    found = controls.linear([stats.rankdata(z)]).residuals(stats.rankdata(x))
    line = stats.linregress(stats.rankdata(z), stats.rankdata(x))
    np.testing.assert_allclose(found, stats.rankdata(x) - line.intercept - line.slope * stats.rankdata(z), atol=1e-6)


def test_a_size_itself_has_no_tau_given_all() -> None:
    """Closed form: nothing is left of a column that orders as a size, nor with fewer degrees of freedom than three."""
    x, y, sizes = drawn(40, np.random.default_rng(1))
    assert np.isnan(list(compared(sizes[:, 0] ** 2, y, sizes).given_all(0.95).values())).all()
    few = compared(x[:7], y[:7], sizes[:7]).given_all(0.95)
    assert np.isnan(few["tau_given_all_flexible"]) and few.keys() >= set(GIVEN_ALL)
    assert np.isnan(list(compared(x[:2], y[:2], sizes[:2]).given_all(0.95).values())).all()


def test_a_function_of_the_sizes_has_almost_nothing_given_the_flexible_control() -> None:
    """By construction: log_rank of two sizes knows these alone; the accuracy is a curved function of them and noise."""
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sizes = np.exp(rng.normal(size=(300, 1)) + 0.5 * rng.normal(size=(300, 5)))
        shares = np.stack([stats.rankdata(size) / 300 for size in sizes.T[:2]])
        accuracy = np.log(shares + 0.2).sum(axis=0) + 0.3 * rng.normal(size=300)
        found.append(compared(np.log(shares).sum(axis=0), accuracy, sizes).given_all(0.95))
    linear, flexible = (float(np.mean([row[name] for row in found])) for name in GIVEN_ALL)
    assert linear > 0.07 and abs(flexible) < 0.055


def test_log_rank_of_sizes_on_the_published_accuracies_of_s0(data_dir: Path) -> None:
    """Published accuracies: linear control leaves .32 of log_rank(params,macs), the flexible one .05."""
    table = zcbench.truth("s0/cifar100/kd", data_dir)
    costs = spaces.get("s0").costs(table["arch"], 100)
    score = np.log(stats.rankdata(costs["params"])) + np.log(stats.rankdata(costs["macs"]))
    found = compared(score, table["accuracy"].to_numpy(float), costs[list(SIZES)].to_numpy(float)).given_all(0.95)
    assert found["tau_given_all"] == pytest.approx(0.316, abs=1e-3)
    assert found["tau_given_all_flexible"] == pytest.approx(0.053, abs=1e-3)
    assert found["tau_given_all_flexible_low"] < 0 < found["tau_given_all_flexible_high"]


@pytest.mark.parametrize("n", [60, 200])
def test_intervals_given_all_sizes_cover_the_value_of_the_population(n: int) -> None:
    """Slow reference: the statistic of 20,000 architectures; 95 % of the intervals of samples have it."""
    rng = np.random.default_rng(n)
    sizes = np.exp(rng.normal(size=(20_000, 5)) @ (np.eye(5) + 0.5))
    shared, base = rng.normal(size=20_000), np.log(sizes).sum(axis=1)
    x = base + shared + rng.normal(size=20_000)
    y = np.tanh(base / 4) * 4 + shared + rng.normal(size=20_000)
    whole, repeats = compared(x, y, sizes).given_all(0.95), 200
    hits = dict.fromkeys(GIVEN_ALL, 0)
    for _ in range(repeats):
        rows = rng.choice(20_000, n, replace=False)
        found = compared(x[rows], y[rows], sizes[rows]).given_all(0.95)
        for name in GIVEN_ALL:
            hits[name] += found[f"{name}_low"] <= whole[name] <= found[f"{name}_high"]
    assert all(0.91 <= count / repeats <= 0.99 for count in hits.values()), hits


@pytest.mark.parametrize(("n", "values"), [(1, 3), (7, 2), (80, 5), (150, 10**6)])
def test_regret_at_size_is_the_mean_over_all_windows(n: int, values: int) -> None:
    """Slow reference: a loop over the drawn architectures, their windows, and all of the best-scored."""
    rng = np.random.default_rng(n)
    size, score = np.exp(rng.normal(size=n)) * 100, rng.integers(0, values, n).astype(float)
    size[::3] = np.round(size[::3], -1)
    accuracy = rng.uniform(50, 90, n)
    expected, at_random = [], []
    for p in size:
        near = (size >= 0.9 * p) & (size <= 1.1 * p)
        best = near & (score == score[near].max())
        expected.append(accuracy[near].max() - accuracy[best].mean())
        at_random.append(accuracy[near].max() - accuracy[near].mean())
    windows = Windows.of(size)
    assert windows.regret(score, accuracy) == pytest.approx(np.mean(expected), abs=1e-9)
    assert windows.regret_at_random(accuracy) == pytest.approx(np.mean(at_random), abs=1e-9)
    assert windows.chance.sum() == pytest.approx(1)


def test_sizes_at_the_limit_are_in_the_window() -> None:
    """Closed form: 110 is within 10 % of 100, and 100 within 10 % of 110; 112 is in the window of 110 alone."""
    windows = Windows.of(np.array([100.0, 110.0, 112.0]))
    assert list(zip(windows.first.tolist(), windows.last.tolist())) == [(0, 2), (0, 3), (1, 3)]


def test_regret_at_size_of_published_accuracies(data_dir: Path) -> None:
    """Slow reference, written once: at random 5.79 points, by the parameters 4.14, on CIFAR-10 of NAS-Bench-201."""
    table = zcbench.truth("nasbench201/cifar10", data_dir)
    params = spaces.get("nasbench201").costs(table["arch"])["params"].to_numpy(float)
    accuracy, windows = table["accuracy"].to_numpy(float), Windows.of(params)
    assert (windows.regret_at_random(accuracy), windows.regret(params, accuracy)) == pytest.approx(
        (5.792, 4.137), abs=1e-3
    )
