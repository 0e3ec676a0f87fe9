"""Concordance, intervals by the delta method, and all statistics of a comparison; each test names its oracle."""

from math import nan

import numpy as np
import pytest

from zcbench.benchmarks import statistics
from zcbench.benchmarks.statistics import delta
from zcbench.benchmarks.statistics.at_size import Windows
from zcbench.benchmarks.statistics.bootstrap import bootstrap, interval, weighted_correlations
from zcbench.benchmarks.statistics.columns import Column, Population
from zcbench.benchmarks.statistics.comparison import Comparison
from zcbench.benchmarks.statistics.concordance import concordance


def compared(x: np.ndarray, y: np.ndarray, sizes: dict[str, np.ndarray], units: np.ndarray | None = None) -> Comparison:
    """The comparison of a score with one accuracy."""
    columns = {name: Column(size) for name, size in sizes.items()}
    population = Population(columns, np.arange(len(x)) if units is None else units)
    return Comparison(Column(x), Column(y), population)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 57, 300])
@pytest.mark.parametrize("values", [1, 3, 20, 10**6])
def test_concordance_is_the_sum_over_all_pairs(n: int, values: int) -> None:
    """Slow reference: the signs of all differences, for ties in either column, in both, and in none."""
    rng = np.random.default_rng(n + values)
    accuracies = rng.integers(0, values, (n, 3)).astype(float)
    for score in (rng.integers(0, values, n).astype(float), rng.normal(size=n)):
        signs = np.sign(score[:, None] - score)
        expected = [(signs * np.sign(column[:, None] - column)).sum(axis=1) for column in accuracies.T]
        assert concordance(score, accuracies).T.tolist() == np.array(expected).tolist()
        assert Column(score).untied.tolist() == (signs != 0).sum(axis=1).tolist()


@pytest.mark.parametrize("values", [3, 12, 10**9])
def test_influences_are_derivatives(values: int) -> None:
    """Slow reference: the change of tau-b and rho when one architecture of 20,000 copies of the sample is doubled."""
    rng = np.random.default_rng(values)
    n, copies = 14, 20_000
    score = rng.integers(0, values, n).astype(float)
    accuracy = score + rng.integers(0, values, n)
    weights = np.full((n, n + 1), copies) + np.eye(n, n + 1, dtype=int)
    found = compared(score, accuracy, {})
    of_tau = delta.tau_influences(found.concordance, found.score.untied, found.accuracy.untied)
    of_rho = delta.rho_influences(found.score.ranks, found.accuracy.ranks)
    for replicates, influences in zip(
        weighted_correlations(score[:, None], accuracy[:, None], weights), (of_tau, of_rho)
    ):
        changes = (replicates[:-1, 0, 0] - replicates[-1, 0, 0]) * (n * copies + 1)
        np.testing.assert_allclose(influences, changes, atol=2e-3)
        assert np.mean(influences) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [40, 300])
def test_intervals_cover_the_true_values(n: int) -> None:
    """Closed form: for a bivariate normal, tau = 2/pi asin(r) and rho = 6/pi asin(r/2); 95 % of 400 intervals hold."""
    rng = np.random.default_rng(n)
    true = 2 / np.pi * np.arcsin(0.7), 6 / np.pi * np.arcsin(0.35)
    hits = np.zeros(2)
    for _ in range(400):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=n).T
        ends = list(compared(x, y, {}).intervals(0.95).values())
        hits += [ends[0] <= true[0] <= ends[1], ends[2] <= true[1] <= ends[3]]
    assert (np.abs(hits / 400 - 0.95) <= 0.03).all()


def test_intervals_are_those_of_the_bootstrap() -> None:
    """Independent reference: percentile intervals of 2,000 draws, of architectures and of classes, at two levels."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(100), 4)
    shared = rng.normal(size=(100, 2)) @ [[1, 0.6], [0, 0.8]]
    x, y = (shared[classes] + rng.normal(scale=0.5, size=(400, 2))).T
    x = x.round(1)
    for units in (np.arange(400), classes):
        drawn = bootstrap(x[:, None], y[:, None], units, draws=2000)
        for level in (0.8, 0.95):
            expected = [float(end[0, 0]) for replicates in drawn for end in interval(replicates, level)]
            found = list(compared(x, y, {}, units).intervals(level).values())
            np.testing.assert_allclose(found, expected, atol=0.012)


def test_intervals_at_the_limits() -> None:
    """Closed form: a perfect order has no error; two units have no interval; a constant column has none."""
    x = np.arange(8.0)
    assert list(compared(x, x**2, {}).intervals(0.95).values()) == pytest.approx([1.0] * 4)
    assert list(compared(x, -x, {}).intervals(0.95).values()) == pytest.approx([-1.0] * 4)
    two = compared(x, np.roll(x, 1), {}, np.arange(8) // 4)
    assert np.isnan(list(two.intervals(0.95).values())).all()
    assert np.isnan(list(compared(x, np.ones(8), {}).intervals(0.95).values())).all()


@pytest.mark.parametrize(("n", "values"), [(2, 9), (3, 9), (25, 4), (400, 30), (400, 10**9), (60, 1)])
def test_a_comparison_has_the_statistics_of_the_single_functions(n: int, values: int) -> None:
    """Independent reference: each function of the package by itself, with ties and with two truths at once."""
    rng = np.random.default_rng(n + values)
    x = rng.integers(0, values, n).astype(float)
    truths = [x + rng.integers(0, values, n), rng.integers(0, values, n).astype(float)]
    params, macs = x + rng.integers(0, 2 * values, n), rng.integers(0, values, n) * 1e6
    sizes = {"params": params, "macs": macs, "n_convs": np.floor(macs / 3e6)}
    population = Population({name: Column(size) for name, size in sizes.items()}, np.arange(n))
    for y in truths:
        found = Comparison(Column(x), Column(y), population)
        best, worst = statistics.ranks_at_k(x, y, 5)
        tau, rho = statistics.kendall(x, y), statistics.spearman(x, y)
        expected = {
            "tau": tau,
            "rho": rho,
            "pearson": statistics.pearson(x, y),
            "weighted_tau": statistics.weighted_kendall(x, y),
            "ndcg": statistics.ndcg(x, y),
            "precision_at_k": statistics.precision_at_k(x, y, 5),
            "k": statistics.count(5, n),
            "best_rank_at_k": best,
            "worst_rank_at_k": worst,
            "regret": statistics.regret(x, y),
            "tau_top10": statistics.top_kendall(x, y),
            "tau_within_macs_bins": statistics.kendall_within_bins(x, y, macs),
            "information_gain": statistics.information_gain(x, y, macs),
            "rho_given_sizes": statistics.partial_spearman(x, y, params, macs),
            "regret_at_size": nan if statistics.constant(x, y) else Windows.of(params).regret(x, y),
            "regret_at_size_random": nan if statistics.constant(x, y) else Windows.of(params).regret_at_random(y),
        }
        for name, z in sizes.items():
            taus = statistics.kendall(x, z), statistics.kendall(y, z)
            rhos = statistics.spearman(x, z), statistics.spearman(y, z)
            expected[f"tau_given_{name}"] = statistics.partial(tau, *taus)
            expected[f"rho_given_{name}"] = statistics.partial(rho, *rhos)
            assert found.separable(name) == bool(np.isfinite(expected[f"tau_given_{name}"]))
        got = found.statistics(5)
        assert got.keys() == expected.keys()
        np.testing.assert_allclose(list(map(got.get, expected)), list(expected.values()), atol=1e-12)
