"""Correlations over repeated small samples."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from zcbench.benchmarks.ranking.ranking import rank
from zcbench.benchmarks.ranking.resampling import resample
from zcbench.errors import RankingError, UnknownNameError
from zcbench.streams import numpy_stream

N = 40


@pytest.fixture(scope="module")
def ranking():
    """A noisy proxy, and one that the truth agrees with."""
    stream = np.random.default_rng(0)
    archs = [f"arch {number:02d}" for number in range(N)]
    accuracy = stream.normal(size=N)
    values = {"noisy": accuracy + stream.normal(size=N), "perfect": accuracy}
    rows = [(a, name, 1, 0, v, "ok", "", 0.1) for name, all_ in values.items() for a, v in zip(archs, all_)]
    columns = ["arch", "proxy", "version", "seed", "value", "status", "reason", "seconds"]
    sizes = pd.DataFrame(
        {"arch": archs} | {n: range(1, N + 1) for n in ("params", "macs", "n_convs", "depth", "width")}
    )
    truth = {"truth": pd.DataFrame({"arch": archs, "accuracy": accuracy})}
    return rank(pd.DataFrame(rows, columns=columns), truth, sizes, draws=2)


def test_one_sample_of_all_is_the_ranking(ranking):
    """Invariance: the only sample of all architectures gives the correlations of the ranking, without a spread."""
    rows = resample(ranking, "truth", size=N, repeats=1).set_index("proxy")
    whole = ranking.table.set_index("proxy")
    for name in ("noisy", "perfect", "macs"):
        assert rows.loc[name, "tau"] == pytest.approx(whole.loc[name, "tau"])
        assert rows.loc[name, "rho_min"] == pytest.approx(whole.loc[name, "rho"])
        assert np.isnan(rows.loc[name, "tau_sd"])


def test_means_over_samples_against_scipy(ranking):
    """Slow reference: the samples of the stream, one by one; those of the perfect proxy are perfect."""
    rows = resample(ranking, "truth", size=20, repeats=40, seed=3).set_index("proxy")
    assert rows.loc["perfect", ["tau", "tau_min", "rho_max"]].tolist() == [1, 1, 1]
    stream = numpy_stream("resample", 20, 40, 3)
    samples = [stream.choice(N, 20, replace=False) for _ in range(40)]
    score, accuracy = ranking.scores["noisy"].to_numpy(), ranking.accuracies["truth"].to_numpy()
    for name, correlation in (("tau", stats.kendalltau), ("rho", stats.spearmanr)):
        drawn = [correlation(score[some], accuracy[some]).statistic for some in samples]
        expected = [np.mean(drawn), np.std(drawn, ddof=1), min(drawn), max(drawn)]
        found = rows.loc["noisy", [name, f"{name}_sd", f"{name}_min", f"{name}_max"]].tolist()
        assert found == pytest.approx(expected)


def test_same_seed_same_samples(ranking):
    """Invariance: bits depend on the seed alone."""
    one, again, other = (resample(ranking, "truth", 10, 5, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not one["tau"].equals(other["tau"])


def test_what_lacks_values_is_left_out(ranking):
    """A proxy without a value for a fifth of the architectures would shrink the samples of all others."""
    scores = ranking.scores.copy()
    scores.iloc[: N // 5, scores.columns.get_loc("noisy")] = np.nan
    assert "noisy" not in set(resample(replace(ranking, scores=scores), "truth", 10)["proxy"])


@pytest.mark.parametrize("size", [2, N + 1])
def test_impossible_sizes_are_refused(ranking, size):
    """The message has the number of architectures that there are."""
    with pytest.raises(RankingError, match=f"{N} architectures"):
        resample(ranking, "truth", size)


def test_unknown_truth_is_refused(ranking):
    """The message has the known ones."""
    with pytest.raises(UnknownNameError, match="truth"):
        resample(ranking, "trth")
