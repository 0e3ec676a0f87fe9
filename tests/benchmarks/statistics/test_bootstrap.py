"""Clustered bootstrap: each test names its oracle."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from zcbench.benchmarks.statistics.bootstrap import bootstrap, draw_classes, interval, weighted_correlations


def written_out(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Independent reference: scipy on the sample in which every architecture stands as often as its weight says."""
    rows = np.repeat(np.arange(len(x)), weights)
    rows = rows[np.isfinite(x[rows]) & np.isfinite(y[rows])]
    with np.errstate(invalid="ignore"):
        return scipy_stats.kendalltau(x[rows], y[rows]).statistic, scipy_stats.spearmanr(x[rows], y[rows]).statistic


@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
@pytest.mark.parametrize(
    ("n", "values"),
    [(5, 3), (40, 6), (300, 2), (300, 7), (700, 10**9), (900, 300)],
    ids=["tiny", "small", "two-values", "many-ties", "no-ties", "ties-across-blocks"],
)
def test_replicates_equal_scipy_on_the_sample_written_out(n: int, values: int):
    """Independent reference: scipy, for all kinds of ties, blocks and missing values."""
    rng = np.random.default_rng(n + values)
    scores = rng.integers(0, values, (n, 3)).astype(float)
    accuracies = scores[:, :2] + rng.integers(0, values, (n, 2))
    scores[rng.random(n) < 0.1, 1] = np.nan
    accuracies[rng.random(n) < 0.1, 1] = np.nan
    weights = rng.multinomial(n, np.full(n, 1 / n), size=6).T

    tau, rho = weighted_correlations(scores, accuracies, weights)

    for d, p, t in np.ndindex(tau.shape):
        expected = written_out(scores[:, p], accuracies[:, t], weights[:, d])
        np.testing.assert_allclose((tau[d, p, t], rho[d, p, t]), expected, atol=1e-12, rtol=0)


def test_huge_multiplicities_stay_exact():
    """Closed form: weights times 100,000 leave rho's limit and the untied pairs of tau as they are."""
    rng = np.random.default_rng(0)
    score, accuracy = rng.normal(size=(2, 300, 1))
    weights = np.ones((300, 1), dtype=np.int64)
    once, many = (weighted_correlations(score, accuracy, weights * times) for times in (1, 100_000))
    np.testing.assert_allclose(once, many, atol=1e-12)


def test_classes_come_whole():
    """Closed form: with classes of two equal twins, replicates are those of one twin each, drawn as often."""
    rng = np.random.default_rng(0)
    scores, accuracies = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))
    names = np.array([f"class {i:02d}" for i in range(50)])
    _, single = bootstrap(scores, accuracies, names, draws=40, seed=3)
    _, twins = bootstrap(np.repeat(scores, 2, 0), np.repeat(accuracies, 2, 0), np.repeat(names, 2), draws=40, seed=3)
    np.testing.assert_allclose(single, twins, atol=1e-12)


def test_paired_and_independent_of_the_other_columns():
    """Invariance: the same bits alone, beside others, in any order of rows and columns, and for more draws."""
    rng = np.random.default_rng(0)
    scores, accuracies = rng.normal(size=(200, 4)), rng.normal(size=(200, 2))
    names = np.array([f"{i // 2:03d}" for i in range(200)])
    together, _ = bootstrap(scores, accuracies, names, draws=50)
    alone, _ = bootstrap(scores[:, [2]], accuracies[:, [1]], names, draws=50)
    shuffled = rng.permutation(200)
    mixed, _ = bootstrap(scores[shuffled][:, ::-1], accuracies[shuffled], names[shuffled], draws=50)
    more, _ = bootstrap(scores, accuracies, names, draws=80)
    assert (together[:, 2, 1] == alone[:, 0, 0]).all()
    assert (together == mixed[:, ::-1]).all()
    assert (together == more[:50]).all()
    assert (together != bootstrap(scores, accuracies, names, draws=50, seed=1)[0]).any()


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch):
    """Invariance: one chunk of draws or many, the same bits."""
    rng = np.random.default_rng(0)
    scores, accuracies = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))
    whole = bootstrap(scores, accuracies, np.arange(30), draws=20)
    monkeypatch.setattr("zcbench.benchmarks.statistics.bootstrap._ENTRIES", 100)
    np.testing.assert_array_equal(whole, bootstrap(scores, accuracies, np.arange(30), draws=20))


def test_every_replicate_draws_as_many_classes_as_there_are():
    """Closed form: rows of the multinomial sum to the number of classes, and each class is expected once."""
    drawn = draw_classes(40, 2000, np.random.default_rng(0))
    assert (drawn.sum(axis=1) == 40).all()
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.1)


def test_interval_leaves_out_undefined_replicates():
    """Closed form: quantiles of 0..100 with NaN among them; a column of NaN only stays NaN, without a warning."""
    replicates = np.stack([np.append(np.arange(101.0), np.nan), np.full(102, np.nan)], axis=1)
    low, high = interval(replicates, confidence=0.9)
    np.testing.assert_allclose([low, high], [[5, np.nan], [95, np.nan]])


def test_intervals_cover_the_true_tau_when_classes_are_drawn():
    """Closed form: for a bivariate normal, tau = 2/pi asin(rho); of 200 intervals at 95 % about 190 hold it.

    Every point comes as four near-copies, as isomorphic cells do: taking them for independent covers far less.
    """
    rng = np.random.default_rng(0)
    truth = 2 / np.pi * np.arcsin(0.6)
    hits = {"classes": 0, "architectures": 0}
    for trial in range(200):
        points = np.repeat(rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=50), 4, axis=0)
        score, accuracy = (points + rng.normal(scale=1e-6, size=points.shape)).T[:, :, None]
        for name, classes in (("classes", np.arange(200) // 4), ("architectures", np.arange(200))):
            tau, _ = bootstrap(score, accuracy, classes, draws=200, seed=trial)
            low, high = interval(tau[:, 0, 0])
            hits[name] += bool(low <= truth <= high)
    assert 180 <= hits["classes"] <= 199
    assert hits["architectures"] <= 160
