"""Ranking statistics on arrays: each test names its oracle."""

import math
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import mutual_info_score, ndcg_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from zcbench.benchmarks import statistics
from zcbench.benchmarks.statistics import size_control

# Five architectures, worked by hand: true ranks of the scores 5, 4, 3, 2, 1 are 2, 4, 1, 3, 5.
SCORE = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
ACCURACY = np.array([90.0, 70.0, 94.0, 80.0, 10.0])

ALL = (
    statistics.kendall,
    statistics.spearman,
    statistics.weighted_kendall,
    statistics.ndcg,
    statistics.precision_at_k,
    statistics.ranks_at_k,
    statistics.regret,
    statistics.top_kendall,
)


def columns(n: int, values: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, accuracy and size with ties, from a seeded generator."""
    rng = np.random.default_rng(seed)
    size = rng.integers(0, values, n).astype(float)
    return size + rng.integers(0, values, n), size + rng.integers(0, values, n), size


def slow_tau(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Slow reference: tau-b from its definition, pair by pair; a pair weighs the sum of its members' weights."""
    w = np.full(len(x), 0.5) if weight is None else weight
    top = left = right = 0.0
    for i, j in combinations(range(len(x)), 2):
        top += (w[i] + w[j]) * np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        left += (w[i] + w[j]) * (x[i] != x[j])
        right += (w[i] + w[j]) * (y[i] != y[j])
    return top / np.sqrt(left * right)


def test_kendall_counts_pairs():
    """Slow reference: the definition, with ties in both columns."""
    score, accuracy, _ = columns(60, 6)
    assert statistics.kendall(score, accuracy) == pytest.approx(slow_tau(score, accuracy))


def test_five_architectures_by_hand():
    """Closed form: 7 of 10 pairs agree, so tau = .4; squared rank differences 1, 4, 4, 1, 0 give rho = 1 - 60/120."""
    assert statistics.kendall(SCORE, ACCURACY) == pytest.approx(0.4)
    assert statistics.spearman(SCORE, ACCURACY) == pytest.approx(0.5)
    assert statistics.precision_at_k(SCORE, ACCURACY, 2) == 0.5  # top 2 by score rank 2 and 4
    assert statistics.ranks_at_k(SCORE, ACCURACY, 2) == pytest.approx((2 / 5, 4 / 5))
    assert statistics.regret(SCORE, ACCURACY) == pytest.approx(4.0)
    assert statistics.top_kendall(SCORE, ACCURACY, share=0.6) == pytest.approx(1 / 3)  # accuracies 90, 94, 80


def test_weighted_kendall_weighs_pairs_by_accuracy_rank():
    """Slow reference: hyperbolic weights of the rank by accuracy, equal accuracies ordered by score."""
    score, accuracy, _ = columns(40, 5)
    rank = np.empty(40)
    rank[np.lexsort((-score, -accuracy))] = np.arange(1, 41)
    assert statistics.weighted_kendall(score, accuracy) == pytest.approx(slow_tau(score, accuracy, 1 / rank))


def test_weighted_kendall_cares_for_the_top():
    """Closed form: the same swap costs more among the best than among the worst."""
    accuracy = np.arange(10.0)
    best, worst = accuracy.copy(), accuracy.copy()
    best[[9, 8]], worst[[0, 1]] = [8, 9], [1, 0]
    assert statistics.weighted_kendall(best, accuracy) < statistics.weighted_kendall(worst, accuracy) < 1


def test_ndcg_gain_is_the_scaled_accuracy():
    """Independent reference: scikit-learn on gains 0..1; and the definition written out where no score is tied."""
    gain = (ACCURACY - 10) / 84
    discount = 1 / np.log2(np.arange(2, 7))
    by_hand = (gain[np.argsort(-SCORE)] @ discount) / (np.sort(gain)[::-1] @ discount)
    assert statistics.ndcg(SCORE, ACCURACY) == pytest.approx(by_hand)
    assert statistics.ndcg(SCORE, ACCURACY) == pytest.approx(ndcg_score([gain], [SCORE]))


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_tied_scores_give_the_expected_value(k: int):
    """Slow reference: the mean over all 720 ways to break the ties."""
    score, accuracy = np.array([2.0, 1, 1, 1, 1, 0]), np.array([50.0, 90, 80, 80, 10, 70])
    rank = scipy_stats.rankdata(-accuracy, method="min")
    precision, best, worst, regret = [], [], [], []
    for order in permutations(range(6)):
        picked = sorted(order, key=lambda i: -score[i])[:k]  # stable: ties stay in the order of the permutation
        precision.append(np.mean(accuracy[picked] >= np.sort(accuracy)[-k]))
        best.append(rank[picked].min() / 6)
        worst.append(rank[picked].max() / 6)
        regret.append(accuracy.max() - accuracy[picked[0]])
    assert statistics.precision_at_k(score, accuracy, k) == pytest.approx(np.mean(precision))
    assert statistics.ranks_at_k(score, accuracy, k) == pytest.approx((np.mean(best), np.mean(worst)))
    assert statistics.regret(score, accuracy) == pytest.approx(np.mean(regret))


@pytest.mark.parametrize("drawn", [1, 2, 4, 6])
def test_expected_pick_is_the_mean_over_all_draws(drawn):
    """Slow reference: every subset of six architectures, the best-scored of it picked, ties shared."""
    score, accuracy = np.array([2.0, 1, 1, 1, 1, 0]), np.array([50.0, 90, 80, 80, 10, 70])
    picks = []
    for subset in map(list, combinations(range(6), drawn)):
        best = score[subset] == score[subset].max()
        picks.append(accuracy[subset][best].mean())
    assert statistics.expected_pick(score, accuracy, drawn) == pytest.approx(np.mean(picks))


def test_expected_pick_of_one_and_of_all():
    """Closed form: the mean accuracy of one drawn at random, the accuracy of the pick where all are drawn."""
    score, accuracy = np.random.default_rng(0).normal(50, 10, size=(2, 15_625))
    assert statistics.expected_pick(score, accuracy, 1) == pytest.approx(accuracy.mean())
    assert statistics.expected_pick(score, accuracy, 15_625) == pytest.approx(accuracy[score.argmax()])
    assert accuracy.max() - statistics.expected_pick(score, accuracy, 15_625) == pytest.approx(
        statistics.regret(score, accuracy)
    )


def test_many_ties_do_not_overflow():
    """Closed form: with 9,999 scores tied, the best of 5,000 random picks ranks about 2nd, and BR@K is finite."""
    score, accuracy = np.zeros(10_000), np.arange(10_000.0)
    score[0] = -1.0
    best, worst = statistics.ranks_at_k(score, accuracy, 5_000)
    assert best == pytest.approx(10_000 / 5_001 / 10_000, rel=1e-6)  # smallest of 5,000 of 1..9,999: (N + 1)/(K + 1)
    assert worst == pytest.approx(1 - best, rel=1e-6)


@pytest.mark.parametrize("function", ALL)
def test_monotone_transforms_of_the_score_change_nothing(function):
    """Invariance: ranks only."""
    score, accuracy, _ = columns(50, 30)
    assert function(np.exp(score / 7), accuracy) == pytest.approx(function(score, accuracy), nan_ok=True)


@pytest.mark.parametrize("function", [*ALL, statistics.pearson])
def test_order_of_the_architectures_does_not_matter(function):
    """Invariance: shuffled rows, ties included."""
    score, accuracy, _ = columns(80, 7)
    shuffled = np.random.default_rng(1).permutation(80)
    assert function(score[shuffled], accuracy[shuffled]) == pytest.approx(function(score, accuracy))


@pytest.mark.parametrize("function", [*ALL, statistics.pearson])
def test_constant_columns_are_undefined(function):
    """Invariance: a constant score or accuracy, or two architectures, give NaN and neither zero nor a warning."""
    for score, accuracy in ((np.ones(5), ACCURACY), (SCORE, np.ones(5)), (SCORE[:2], ACCURACY[:2]), (SCORE[:0],) * 2):
        assert np.isnan(function(score, accuracy)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=20))
def test_ranges(pairs: list[tuple[int, int]]):
    """Invariance: whatever the ties, every statistic stays in its range."""
    score, accuracy = (np.array(column, dtype=float) for column in zip(*pairs))
    if statistics.constant(score, accuracy):
        return
    best, worst = statistics.ranks_at_k(score, accuracy, 3)
    assert 1 / len(pairs) - 1e-9 <= best <= worst + 1e-9 <= 1 + 2e-9
    assert 0 <= statistics.precision_at_k(score, accuracy, 3) <= 1
    assert -1 <= statistics.weighted_kendall(score, accuracy) <= 1 + 1e-12
    assert statistics.regret(score, accuracy) >= 0


def test_partial_spearman_is_the_correlation_of_residuals():
    """Independent reference: regress both columns of ranks on the size's ranks and correlate what remains."""
    x, y, z = (scipy_stats.rankdata(column) for column in columns(200, 20))
    left, right = (column - np.polyval(np.polyfit(z, column, 1), z) for column in (x, y))
    terms = [statistics.spearman(*pair) for pair in ((x, y), (x, z), (y, z))]
    assert statistics.partial(*terms) == pytest.approx(np.corrcoef(left, right)[0, 1])


def test_partial_by_hand():
    """Closed form: (.6 - .5 * .4) / sqrt(.75 * .84); undefined where the size orders like the score."""
    assert statistics.partial(0.6, 0.5, 0.4) == pytest.approx(0.4 / np.sqrt(0.63))
    assert np.isnan(statistics.partial(0.6, 1.0, 0.6))
    assert np.isnan(statistics.partial(0.6, -1.0, -0.6))
    assert np.isnan(statistics.partial(0.6, float("nan"), 0.6))


def test_tau_per_bin_weighs_by_pairs():
    """Closed form: 30 architectures of size 1 in perfect order and 60 of size 2 reversed: (435 - 1770) / 2205."""
    size = np.repeat([1.0, 2.0], [30, 60])
    score = np.arange(90.0)
    accuracy = np.concatenate([np.arange(30), np.arange(60)[::-1]]).astype(float)
    table = statistics.kendall_per_bin(score, accuracy, size, bins=3)
    expected = pd.DataFrame({"low": [1.0, 2.0], "high": [1.0, 2.0], "n": [30, 60], "tau": [1.0, -1.0]})
    pd.testing.assert_frame_equal(table, expected)
    assert statistics.kendall_within_bins(score, accuracy, size, bins=3) == pytest.approx((435 - 1770) / 2205)


def test_size_alone_knows_little_within_bins_of_itself():
    """Closed form: a score that is a function of the size is constant within bins of one size each: undefined."""
    size = np.repeat(np.arange(5.0), 20)
    accuracy = np.random.default_rng(0).normal(size=100)
    assert np.isnan(statistics.kendall_within_bins(size**2, accuracy, size, bins=5))


def test_information_gain_of_the_accuracy_itself():
    """Closed form: one size for all, score = accuracy: 2 bits from four equal bins, less the chance of a shuffle."""
    accuracy = np.arange(320.0)
    gain = statistics.information_gain(accuracy, accuracy, np.repeat([0.0, 1.0], 160))
    beyond = statistics.information_gain(accuracy, accuracy, np.random.default_rng(0).normal(size=320))
    assert gain == pytest.approx(1.0, abs=0.05)  # the size has told one of the two bits already
    assert 1.7 < beyond <= 2.0


@pytest.mark.parametrize("labels", [2, 5, 15])
@pytest.mark.parametrize("n", [3, 20, 1000])
def test_expected_mutual_information_is_that_of_scikit_learn(n, labels):
    """Independent reference: scikit-learn, also with labels that are not used."""
    rng = np.random.default_rng(n)
    one, other = rng.integers(labels, size=(2, n))
    table = contingency_matrix(one, other)
    expected = expected_mutual_information(table, n)
    assert size_control.expected_mutual_information(table.sum(1), table.sum(0)) == pytest.approx(expected, abs=1e-12)
    gain = mutual_info_score(one, other) - expected
    assert size_control.gain_of_bins(one, other, np.zeros(n, int)) == pytest.approx(gain / math.log(2), abs=1e-12)


@pytest.mark.parametrize("n", [3, 50, 1000])
def test_ndcg_with_ties_is_that_of_scikit_learn(n):
    """Independent reference: scikit-learn."""
    rng = np.random.default_rng(n)
    score, accuracy = rng.integers(5, size=n).astype(float), rng.normal(size=n)
    gain = (accuracy - accuracy.min()) / np.ptp(accuracy)
    assert statistics.ndcg(score, accuracy) == pytest.approx(ndcg_score([gain], [score]))


def test_information_gain_of_noise_is_zero_on_average():
    """Closed form: a score drawn independently of the accuracy tells nothing; the mean of 100 draws is near zero."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=300)
    accuracy = size + rng.normal(size=300)
    gains = [statistics.information_gain(rng.normal(size=300), accuracy, size) for _ in range(100)]
    assert abs(np.mean(gains)) < 3 * np.std(gains) / 10
    assert statistics.information_gain(size, accuracy, size) == pytest.approx(0, abs=1e-12)


def test_reliability_is_spearman_brown():
    """Closed form: three seeds with mean rank correlation r give 3r / (1 + 2r); equal seeds give 1, one seed NaN."""
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(100, 1)) + rng.normal(size=(100, 3)))
    r = np.mean([scipy_stats.spearmanr(values[a], values[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))])
    assert statistics.reliability(values) == pytest.approx(3 * r / (1 + 2 * r))
    assert statistics.reliability(values[[0, 0]]) == pytest.approx(1)
    assert np.isnan(statistics.reliability(values[[0]]))


def test_reliability_skips_failed_seeds():
    """Independent reference: scipy over the architectures that are ok for both seeds."""
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 1)) + np.random.default_rng(1).normal(size=(50, 2)))
    values.iloc[:10, 0] = np.nan
    r = scipy_stats.spearmanr(values[0][10:], values[1][10:]).statistic
    assert statistics.reliability(values) == pytest.approx(2 * r / (1 + r))


@pytest.mark.parametrize(
    ("k", "n", "expected"), [(10, 1000, 10), (0.05, 1000, 50), (10, 4, 4), (0.1, 5, 1), (0.1, 30, 3)]
)
def test_count(k: float, n: int, expected: int):
    """Closed form."""
    assert statistics.count(k, n) == expected


def test_partial_spearman_with_one_control_is_the_formula():
    """Closed form: Spearman's partial correlation of three rank correlations."""
    x, y, z = np.random.default_rng(0).normal(size=(3, 30)).round(1)
    expected = statistics.partial(*(statistics.spearman(*pair) for pair in ((x, y), (x, z), (y, z))))
    assert statistics.partial_spearman(x, y, z) == pytest.approx(expected)


def test_partial_spearman_with_two_controls_is_the_recursion():
    """Closed form: holding z fixed and then w, each correlation replaced by its partial one."""
    x, y, z, w = np.random.default_rng(1).normal(size=(4, 40))
    xy, xw, yw = (
        statistics.partial(statistics.spearman(a, b), statistics.spearman(a, z), statistics.spearman(b, z))
        for a, b in ((x, y), (x, w), (y, w))
    )
    assert statistics.partial_spearman(x, y, z, w) == pytest.approx(statistics.partial(xy, xw, yw))


def test_partial_spearman_with_controls_that_say_the_same():
    """Invariance: a control that orders as another does changes nothing; one that orders as x does leaves nothing."""
    x, y, z = np.random.default_rng(2).normal(size=(3, 25))
    assert statistics.partial_spearman(x, y, z, np.exp(z)) == pytest.approx(statistics.partial_spearman(x, y, z))
    assert np.isnan(statistics.partial_spearman(x, y, z, x))
    assert np.isnan(statistics.partial_spearman(x[:2], y[:2], z[:2]))
