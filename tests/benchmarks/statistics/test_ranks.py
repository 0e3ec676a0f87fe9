"""Ranks and counts of pairs; the oracles are scipy and a count pair by pair."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from zcbench.benchmarks import statistics
from zcbench.benchmarks.statistics.concordance import concordance
from zcbench.benchmarks.statistics.correlations import kendalls_of_ranks
from zcbench.benchmarks.statistics.ranks import smaller_before


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 300, 1000])
def test_smaller_entries_before(n: int) -> None:
    """Oracle: each pair is compared. The sizes lie below, at and above those of one block."""
    several = np.random.default_rng(n).permuted(np.tile(np.arange(n), (3, 1)), axis=1)
    expected = [[int(np.sum(entries[:i] < entries[i])) for i in range(n)] for entries in several]
    assert smaller_before(several).tolist() == expected


def test_pairs_of_several_lengths_at_once() -> None:
    """Oracle: each pair alone, by scipy; of the ranks most are left out; a constant and two values have no tau."""
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, n, n) * 7, rng.integers(0, n // 2 + 1, n) * 5) for n in (2, 3, 40, 700)]
    pairs.append((np.zeros(9, dtype=int), np.arange(9)))
    expected = [np.nan, *(stats.kendalltau(*pair).statistic for pair in pairs[1:])]
    np.testing.assert_allclose(kendalls_of_ranks(pairs), expected, atol=1e-12)


@pytest.mark.parametrize("n", [3, 50, 4000])
@pytest.mark.parametrize("values", [2, 5, 10**6])
def test_correlations_equal_those_of_scipy(n: int, values: int) -> None:
    """Few and many ties, and with 10^6 values hardly any."""
    rng = np.random.default_rng([n, values])
    x = rng.integers(0, values, n).astype(float)
    y = x + rng.integers(0, 2 * values, n)
    x[:3], y[:3] = (0, 1, 1), (2, 0, 1)  # never constant
    rank = np.empty(n, dtype=np.intp)
    rank[np.lexsort((x, y))[::-1]] = np.arange(n)
    for found, expected in (
        (statistics.kendall, stats.kendalltau(x, y)),
        (statistics.spearman, stats.spearmanr(x, y)),
        (statistics.pearson, stats.pearsonr(x, y)),
        (statistics.weighted_kendall, stats.weightedtau(x, y, rank=rank)),
    ):
        assert found(x, y) == pytest.approx(expected.statistic, abs=1e-12)
        assert found(x, x) == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(statistics.mean_ranks(x), stats.rankdata(x))


def test_values_of_any_scale() -> None:
    """Closed form: a straight line has the correlation 1, and exactly so; the squares of these values overflow."""
    x = np.array([1.0, 2, 3, 5])
    assert statistics.pearson(x, x * 1e300) == pytest.approx(1, abs=1e-12)
    assert statistics.pearson(x, x * -1e-300) == pytest.approx(-1, abs=1e-12)
    assert statistics.spearman(x, x * 1e300) == 1


def test_a_large_population() -> None:
    """Half the concordances of all architectures sum to the numerator of scipy's tau without ties."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 70_000))  # more places than 16 bits number
    pairs = len(x) * (len(x) - 1) / 2
    assert concordance(x, y[:, None]).sum() / 2 / pairs == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_a_ranking_imports_neither_torch_nor_scipy_stats() -> None:
    """They take seconds of each command that ranks."""
    code = (
        "import sys, zcbench; zcbench.rank('nasbench201-1000', 'nasbench201/cifar10-16/vanilla'); "
        "print('scipy.stats' in sys.modules, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
