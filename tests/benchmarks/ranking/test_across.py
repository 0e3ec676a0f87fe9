"""Proxies on many truths: the table, the counts, the agreement of truths, and the choice for a space left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare, spearmanr

from zcbench.benchmarks.ranking.across import FIGURES, TruthComparison, compare_rankings
from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.benchmarks.ranking.ranking import Ranking, rank
from zcbench.benchmarks.statistics.stability import kendall_w, taus_between
from zcbench.errors import RankingError, UnknownNameError

N = 80


def _ranking(space: str, weights: dict[str, tuple[float, float]], seed: int, gaps: int = 0) -> Ranking:
    """Ranking of made-up scores ``size * a + quality * b`` on two truths, ``SPACE/one`` and ``SPACE/two``."""
    rng = np.random.default_rng(seed)
    archs = [f"{space}{i:02}" for i in range(N)]
    size, quality = rng.normal(size=(2, N))
    scores = {name: a * size + b * quality for name, (a, b) in weights.items()}
    scores = {name: values + 0.1 * rng.normal(size=N) for name, values in scores.items()}
    scores["lacking"] = np.where(np.arange(N) < gaps, np.nan, size)
    attempts = pd.DataFrame(
        [
            (arch, name, 1, 0, value, "ok" if np.isfinite(value) else "nan", "", 0.1)
            for name, values in scores.items()
            for arch, value in zip(archs, values)
        ],
        columns=["arch", "proxy", "version", "seed", "value", "status", "reason", "seconds"],
    )
    sizes = pd.DataFrame({"arch": archs, "params": np.exp(size), "macs": rng.random(N), "n_convs": size.round(0)})
    sizes = sizes.assign(depth=1.0, width=rng.random(N))
    truths = {
        f"{space}/{name}": pd.DataFrame({"arch": archs, "accuracy": size + quality + noise * rng.normal(size=N)})
        for name, noise in (("one", 0.1), ("two", 0.5))
    }
    return rank(attempts, truths, sizes, protocol={"scores": {"space": f"{space}(option=1)"}})


@pytest.fixture(scope="module")
def rankings() -> dict[str, Ranking]:
    """Proxy ``steady`` knows some quality everywhere; ``lucky`` all of it in a and b, and the reverse in c."""
    steady = (1.0, 0.1)
    return {
        "run a": _ranking("a", {"steady": steady, "lucky": (1.0, 1.0), "reverse": (0.5, -1.0)}, 0),
        "run b": _ranking("b", {"steady": steady, "lucky": (1.0, 1.0), "reverse": (0.5, -1.0)}, 1, gaps=20),
        "run c": _ranking("c", {"steady": steady, "lucky": (1.0, -1.0), "reverse": (0.5, 1.0)}, 2),
    }


@pytest.fixture(scope="module")
def found(rankings: dict[str, Ranking]) -> TruthComparison:
    return compare_rankings(rankings)


def test_rows_are_those_of_the_rankings(rankings, found):
    """Oracle: the tables of the rankings, and their paired differences."""
    own = found.table[found.table["truth"] == "b/two"].set_index("proxy")
    expected = rankings["run b"].to_frame("b/two", "all").set_index("proxy")
    pd.testing.assert_frame_equal(own[list(FIGURES)], expected[list(FIGURES)])
    differences = size_differences(rankings["run b"], "b/two")
    assert own["difference_low"].equals(differences["low"].rename("difference_low"))
    assert set(found.table["family"]) == {"a", "b", "c"}
    assert not own.loc["lacking", "covered"] and own.loc["steady", "covered"]


def test_counts_and_means_of_a_proxy(found):
    """Oracle: counts and means over the table, written out."""
    own = found.table[found.table["proxy"] == "lucky"]
    row = found.proxies.loc["lucky"]
    assert (row["truths"], row["beats"], row["worse"]) == (
        6,
        sum(low > 0 for low in own["difference_low"]),
        sum(high < 0 for high in own["difference_high"]),
    )
    assert row["above"] == 4 and row["below"] == 2
    by_space = [own[own["family"] == space]["tau"].mean() for space in "abc"]
    assert row["tau"] == pytest.approx(sum(by_space) / 3)
    assert row["least_given_all"] == own["tau_given_all"].min()
    assert found.proxies.loc["lacking", "truths"] == 4  # both truths of b are not covered


def test_a_space_with_many_truths_counts_once(rankings):
    """Oracle: the mean of two spaces, one of which has one truth only."""
    one = rankings["run a"]
    short = rank_of_one_truth(rankings["run c"])
    found = compare_rankings({"a": one, "c": short})
    own = found.figures("tau").loc["lucky"]
    assert found.proxies.loc["lucky", "tau"] == pytest.approx((own[["a/one", "a/two"]].mean() + own["c/one"]) / 2)


def rank_of_one_truth(ranking: Ranking) -> Ranking:
    """The ranking, its first truth alone."""
    first = ranking.accuracies.columns[0]
    table = ranking.table[ranking.table["truth"] == first]
    return replace(ranking, table=table, accuracies=ranking.accuracies[[first]])


def test_choice_for_a_space_does_not_see_it(found):
    """Oracle: by construction ``lucky`` is best on a and b, and wrong on c; ``reverse`` is right on c alone."""
    held = found.held_out.set_index("truth")
    assert held.loc["c/one", "chosen"] == "lucky" and held.loc["c/one", "tau_given_all"] < -0.5
    assert held.loc["c/one", "best"] == "reverse"
    elsewhere = found.figures().loc["lucky", ["a/one", "a/two", "b/one", "b/two"]]
    assert held.loc["c/one", "mean_elsewhere"] == pytest.approx(elsewhere.mean())
    assert held.loc["a/one", "chosen"] == "steady"  # right on b and c, where lucky is wrong once
    assert list(found.held_out["family"]) == ["a", "a", "b", "b", "c", "c"]


def test_one_space_has_no_choice(rankings):
    """Closed form: nothing to choose on."""
    assert compare_rankings({"a": rankings["run a"]}).held_out.empty


def test_agreement_of_truths(found):
    """Oracle: SciPy's Friedman statistic, chi2 = m (n - 1) W, and the mean of the taus of all pairs."""
    figures = found.figures("tau").drop(index=["params", "macs", "n_convs", "depth", "width"]).dropna()
    row = found.stability.loc["tau"]
    assert (row["n"], row["truths"]) == (3, 6)
    chi2 = friedmanchisquare(*figures.to_numpy()).statistic
    assert row["w"] == pytest.approx(chi2 / (6 * 2))
    taus = taus_between(figures.to_numpy())
    assert row["tau"] == pytest.approx(taus[np.triu_indices(6, 1)].mean())
    assert row["lowest"] == taus.min()
    assert {row["first"][0], row["second"][0]} & {"c"}


def test_repeated_accuracies_count_once(rankings):
    """Oracle: a ranking with one truth under two names is the ranking with one of them."""
    attempts = rankings["run a"]
    both = attempts.accuracies.assign(**{"a/again": attempts.accuracies["a/one"]})
    again = attempts.table[attempts.table["truth"] == "a/one"].assign(truth="a/again")
    doubled = replace(attempts, accuracies=both, table=pd.concat([attempts.table, again], ignore_index=True))
    found = compare_rankings({"a": doubled})
    assert set(found.table["truth"]) == {"a/one", "a/two"}
    assert found.protocol["repeated truths"] == {"a/again": "a/one"}


def test_refusals(rankings):
    """Oracle: the messages."""
    with pytest.raises(RankingError, match="The truth 'a/one' is in several rankings: one, other"):
        compare_rankings({"one": rankings["run a"], "other": rankings["run a"]})
    with pytest.raises(RankingError, match="No ranking"):
        compare_rankings({})
    with pytest.raises(UnknownNameError, match="tau_given_all"):
        compare_rankings(rankings, by="tau_given_al")


def test_w_without_ties_follows_from_rho():
    """Oracle: the mean Spearman's rho of all pairs is (m W - 1) / (m - 1)."""
    columns = np.random.default_rng(0).normal(size=(12, 4))
    rho = spearmanr(columns).statistic[np.triu_indices(4, 1)].mean()
    assert rho == pytest.approx((4 * kendall_w(columns) - 1) / 3)


def test_w_with_ties():
    """Oracle: SciPy's Friedman statistic, which corrects for ties."""
    columns = np.random.default_rng(1).integers(0, 4, size=(9, 5)).astype(float)
    assert kendall_w(columns) == pytest.approx(friedmanchisquare(*columns).statistic / (5 * 8))
    assert np.isnan(kendall_w(columns[:, :1])) and np.isnan(kendall_w(columns[:2]))
