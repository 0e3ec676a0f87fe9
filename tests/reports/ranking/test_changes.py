"""Two truths side by side: places, discordant pairs, and the figure that shows them."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from zcbench.benchmarks.statistics.agreement import agreement
from zcbench.reports.ranking import illustrations as registry
from zcbench.reports.ranking.figures import illustrations
from zcbench.reports.ranking.figures.discordance import MOST, rank_change
from zcbench.reports.ranking.selection import truths


def test_agreement_by_hand():
    """Closed form: one neighbouring pair of four is exchanged, and a fifth is unknown to the second truth."""
    first = pd.Series({"a": 90.0, "b": 80.0, "c": 70.0, "d": 60.0, "e": 50.0})
    second = pd.Series({"a": 95.0, "b": 85.0, "c": 88.0, "d": 50.0})
    found = agreement(first, second)
    assert found.pairs() == [("b", "c")]
    assert found.places["place_first"].tolist() == [1, 2, 3, 4]
    assert found.places["place_second"].tolist() == [1, 3, 2, 4]
    assert found.places["discordant"].tolist() == [0, 1 / 3, 1 / 3, 0]
    assert found.tau == pytest.approx(4 / 6)


def test_agreement_against_loops():
    """Slow reference: every pair looked at by itself, ties in neither order; tau from SciPy."""
    stream = np.random.default_rng(1)
    first, second = (pd.Series(stream.integers(0, 6, 20).astype(float), list(map(str, range(20)))) for _ in range(2))
    found = agreement(first, second)
    slow = [{i, j} for i, j in combinations(first.index, 2) if (first[i] - first[j]) * (second[i] - second[j]) < 0]
    assert sorted(map(sorted, found.pairs())) == sorted(map(sorted, slow))
    assert found.tau == pytest.approx(stats.kendalltau(first, second).statistic)
    for arch, share in found.places["discordant"].items():
        assert share == sum(arch in pair for pair in slow) / 19


def test_agreement_of_many_is_counted_in_blocks():
    """Closed form: of 1,201 architectures without ties, tau is one minus twice the share of discordant pairs."""
    rng = np.random.default_rng(0)
    first = pd.Series(np.arange(1201.0), [f"a{n}" for n in range(1201)])
    second = pd.Series(rng.permutation(1201) + 0.0, first.index)
    found = agreement(first, second)
    assert 1 - 2 * found.discordant / (1201 * 1200 / 2) == pytest.approx(found.tau)
    assert found.discordant == len(found.pairs())


def test_figure_joins_every_discordant_pair(ranking):
    """As many lines in the right panel as there are discordant pairs, one per architecture in the left one."""
    first, second = truths(ranking)[:2]
    found = agreement(ranking.accuracies[first], ranking.accuracies[second])
    slopes, cloud = rank_change(ranking, first, second)
    assert len(slopes.collections[0].get_segments()) == len(found.places)
    assert len(cloud.collections[0].get_segments()) == found.discordant > 0


def test_names_are_of_the_largest_changes(ranking):
    """By construction: six rise and two fall by over a tenth; those two and the five that rise most are named."""
    first, second = truths(ranking)[:2]
    places = np.arange(40.0)
    places[[10, 11]] += 20.5
    places[[20, 22, 24, 26, 28, 30]] -= [6.5, 7.5, 8.5, 9.5, 10.5, 11.5]
    archs = [f"a{number:02}" for number in range(40)]
    accuracies = pd.DataFrame({first: 90 - np.arange(40.0), second: 90 - places}, index=archs)
    slopes = rank_change(replace(ranking, accuracies=accuracies), first, second)[0]
    assert {text.get_text() for text in slopes.texts} == {"a10", "a11", "a22", "a24", "a26", "a28", "a30"}


def test_truths_with_nothing_in_common(ranking):
    """By construction: no figure, and the report goes on."""
    first, second = truths(ranking)[:2]
    apart = ranking.accuracies.copy()
    half = len(apart) // 2
    apart.iloc[:half, apart.columns.get_loc(first)] = np.nan
    apart.iloc[half:, apart.columns.get_loc(second)] = np.nan
    few = replace(ranking, accuracies=apart.head(MOST))
    stems = [one.stem for one in illustrations(few)]
    assert not [stem for stem in stems if stem.startswith("rank_change") and second in stem.replace("-", "/")]
    assert stems


def test_report_has_it_where_it_can_be_read(ranking):
    """One figure for the first truth with each other, unless there are more architectures than lines can show."""
    few = [one.stem for one in illustrations(ranking) if one.stem.startswith("rank_change")]
    assert len(few) == (len(truths(ranking)) - 1 if len(ranking.accuracies) <= MOST else 0)
    archs = [f"arch {number}" for number in range(MOST + 1)]
    many = pd.DataFrame(1.0, index=archs, columns=ranking.accuracies.columns)
    crowded = illustrations(replace(ranking, accuracies=many))
    assert not [one.stem for one in crowded if one.stem.startswith("rank_change")]


def test_a_figure_is_added_in_one_place(ranking, monkeypatch):
    """By construction: a decorated function alone is drawn for every truth, with its caption filled in."""
    monkeypatch.setattr(registry, "FIGURES", dict(registry.FIGURES))

    @registry.illustrates("truth", "Mine", "With {intervals}.")
    def mine(ranking, truth):
        return Figure().add_subplot()

    added = [one for one in illustrations(ranking) if one.title == "Mine"]
    assert [one.truth for one in added] == truths(ranking)
    assert added[0].caption.endswith("With 95 % confidence intervals.") and added[0].draw() is not None
