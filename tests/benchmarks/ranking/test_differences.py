"""Paired differences to the best size baseline."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.benchmarks.ranking.ranking import Ranking, rank

N = 150


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    """A score better than size, one equal to it, one with gaps, a constant one, over 150 made-up architectures."""
    rng = np.random.default_rng(3)
    archs = [f"a{i:03}" for i in range(N)]
    size, extra = rng.normal(size=N).round(1), rng.normal(size=N)
    accuracy = size + extra + 0.5 * rng.normal(size=N)
    scores = {"good": size + 0.8 * extra, "same": 2 * size, "gaps": size + 0.3 * extra, "flat": np.ones(N)}
    scores["gaps"][:30] = np.nan
    attempts = pd.DataFrame(
        [
            (arch, name, 1, 0, value, "ok" if np.isfinite(value) else "nan", "", 0.1)
            for name, values in scores.items()
            for arch, value in zip(archs, values)
        ],
        columns=["arch", "proxy", "version", "seed", "value", "status", "reason", "seconds"],
    )
    sizes = pd.DataFrame(
        {"arch": archs, "params": size, "macs": -size, "n_convs": extra.round(0), "depth": 1.0, "width": 1.0}
    )
    truth = pd.DataFrame({"arch": archs, "accuracy": accuracy})
    return rank(attempts, {"t": truth}, sizes)


def test_differences_are_those_of_two_taus(ranking):
    """Oracle: two calls of SciPy, over the architectures with a score."""
    found = size_differences(ranking)
    best = found["size"].iloc[0]
    for name in ("good", "gaps"):
        score, y = ranking.scores[name].dropna(), ranking.accuracies["t"]
        size = ranking.sizes[best][score.index]
        expected = kendalltau(score, y[score.index])[0] - kendalltau(size, y[score.index])[0]
        assert found.loc[name, "difference"] == pytest.approx(expected, abs=1e-12)
    assert best == "params" or ranking.to_frame(wide=True).loc[best, "tau"] > 0


def test_intervals_agree_with_a_paired_bootstrap(ranking):
    """Oracle: 600 draws of architectures, both taus over the same draw; ends agree within a fifth of the width."""
    found, rng = size_differences(ranking).loc["good"], np.random.default_rng(0)
    score, size, y = ranking.scores["good"].to_numpy(), ranking.sizes[found["size"]].to_numpy(), ranking.accuracies["t"]
    draws = [rng.integers(0, N, N) for _ in range(600)]
    replicates = [kendalltau(score[d], y.to_numpy()[d])[0] - kendalltau(size[d], y.to_numpy()[d])[0] for d in draws]
    low, high = np.percentile(replicates, (2.5, 97.5))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.2 * (high - low))
    assert found["low"] > 0


def test_an_order_equal_to_the_size_differs_by_nothing(ranking):
    """Closed form: the same order gives 0, with an interval of no width; a constant score gives NaN."""
    found = size_differences(ranking)
    same = found.loc["same"] if found["size"].iloc[0] == "params" else found.loc[found["size"].iloc[0]]
    assert tuple(same[["difference", "low", "high"]]) == pytest.approx((0, 0, 0), abs=1e-12)
    assert found.loc["flat", ["difference", "low", "high"]].isna().all()


def test_without_classes_there_are_no_ends(ranking):
    """By hand: a sample of whole classes of a space that is not known has differences without intervals."""
    protocol = {**ranking.protocol, "ranking": {**ranking.protocol["ranking"], "unit": "classes"}}
    found = size_differences(dataclasses.replace(ranking, protocol=protocol)).loc["good"]
    assert np.isfinite(found["difference"]) and np.isnan(found["low"])
