"""Figures: what is drawn is what the table says. The oracle is the ranking's table, read off the artists."""

import dataclasses
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from zcbench.errors import UnknownNameError
from zcbench.reports import cost_quality, proxy_heatmap, ranking_bars, score_panels, size_controlled, top_behaviour
from zcbench.reports.ranking.figures import FIGURES
from zcbench.reports.ranking.selection import front
from zcbench.reports.style import FORMATS, FigureError, figure_of, render, spread

ALL = [figure.draw for figure in FIGURES.values() if figure.each != "pair"]


def rows(ranking, truth="nasbench201/cifar10", subset="all"):
    part = ranking.table[(ranking.table["truth"] == truth) & (ranking.table["subset"] == subset)]
    return part.sort_values(["tau", "proxy"], ascending=[False, True])


def points(axis):
    """All markers of an axis as sorted pairs."""
    drawn = [line.get_xydata() for line in axis.lines if line.get_linestyle() == "None"]
    return sorted(map(tuple, np.concatenate(drawn).tolist()))


@pytest.mark.parametrize("draw", ALL)
def test_returns_a_figure_and_leaves_no_trace(draw, ranking):
    """Invariance: a figure of no pyplot state, and matplotlib's settings as before."""
    before = dict(mpl.rcParams)
    assert isinstance(figure_of(draw(ranking)), Figure)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("draw", ALL)
def test_same_ranking_same_bytes(draw, ranking):
    """Invariance: drawn twice, the files are equal in every format."""
    one, other = draw(ranking), draw(ranking)
    for kind in FORMATS:
        assert render(figure_of(one), kind) == render(figure_of(other), kind)


def test_bars_and_intervals_are_those_of_the_table(ranking):
    """Table: widths of the bars, ends of the intervals, order and names, in each panel."""
    for axis, truth in zip(
        ranking_bars(ranking, "live"), ("nasbench201/cifar10", "nasbench201/cifar100/valid"), strict=True
    ):
        part = rows(ranking, truth, "live")
        known = part.dropna(subset="tau")
        assert [bar.get_width() for bar in axis.patches] == known["tau"].tolist()
        ends = np.array([segment[:, 0] for segment in axis.collections[0].get_segments()])
        np.testing.assert_array_equal(ends, known[["tau_low", "tau_high"]].to_numpy())
        assert [label.get_text() for label in axis.get_yticklabels()] == part["proxy"].tolist()
        best = known.loc[known["kind"] == "baseline", "tau"].max()
        assert best in [line.get_xdata()[0] for line in axis.lines]
        (reason,) = [text for text in axis.texts if text.get_text() == "– constant"]
        assert axis.bbox.x0 <= reason.get_window_extent().x0 < reason.get_window_extent().x1 <= axis.bbox.x1


def test_baselines_have_their_own_colour(ranking):
    """Table: two bars share a colour exactly when they share a kind."""
    known = rows(ranking).dropna(subset="tau")
    colours = [bar.get_facecolor() for bar in ranking_bars(ranking)[0].patches]
    assert len(set(zip(colours, known["kind"]))) == len(set(colours)) == known["kind"].nunique()


@pytest.fixture
def mixed(make_ranking):
    """A ranking with a free ensemble, and with ``zico`` turned into a supervised row that has the best tau."""
    ranking = make_ranking(names=["rank_sum", "zico"])
    learned = ranking.table["proxy"] == "zico"
    table = ranking.table.assign(
        kind=ranking.table["kind"].mask(learned, "supervised"), tau=ranking.table["tau"].mask(learned, 0.99)
    )
    cards = {"ensembles": {"rank_sum": {"rule": "rank_sum", "members": ["snip", "macs"], "baseline": True}}}
    matrices = {name: matrix.drop(index="zico", columns="zico") for name, matrix in ranking.correlations.items()}
    return dataclasses.replace(
        ranking, table=table, correlations=matrices, protocol=ranking.protocol | {"ranking": cards}
    )


def test_the_free_ensemble_is_a_line_and_what_has_learned_stands_below(mixed):
    """By construction: a dotted line at the ensemble's tau; the row with the best tau is last, since it has learned."""
    axis = ranking_bars(mixed)[0]
    tau = rows(mixed).set_index("proxy").loc["rank_sum", "tau"]
    assert tau in [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"]
    assert axis.get_yticklabels()[-1].get_text() == "zico"
    words = [text.get_text() for text in figure_of(axis).legends[0].get_texts()]
    assert {"ensemble", "baseline of the ensembles", "supervised regression"} <= set(words)


def test_names_in_the_matrix_have_the_colour_of_their_kind(mixed):
    """Table: two names share a colour exactly when they share a kind; what has learned is not there."""
    kinds = rows(mixed).set_index("proxy")["kind"]
    labels = proxy_heatmap(mixed).get_yticklabels()
    assert "zico" not in [label.get_text() for label in labels]
    pairs = {(label.get_color(), kinds[label.get_text()]) for label in labels}
    assert len(pairs) == len({colour for colour, _ in pairs}) == 3


@pytest.mark.parametrize("draw", ALL)
def test_all_kinds_can_be_drawn(draw, mixed):
    """Invariance: a figure for a ranking with every kind of row."""
    assert render(figure_of(draw(mixed)), "svg")


def test_size_controlled_draws_raw_against_partial(ranking):
    """Table: one point per row that has both; the others are named."""
    for axis, size in zip(size_controlled(ranking), ("params", "macs"), strict=True):
        known = rows(ranking).dropna(subset=["tau", f"tau_given_{size}"])
        assert points(axis) == sorted(map(tuple, known[["tau", f"tau_given_{size}"]].to_numpy().tolist()))
        said = [text.get_text() for text in axis.texts]
        assert f"undefined: {size}, broken" in said
        named = front(known, "tau", f"tau_given_{size}")["proxy"]
        assert set(said) - {f"undefined: {size}, broken"} == set(named) and len(named) < len(known)


def test_cost_against_quality(ranking):
    """Table: points at (seconds, tau), bars at the intervals, one line for each row without a cost."""
    axis = cost_quality(ranking)
    known = rows(ranking).dropna(subset="tau")
    priced = known[known["seconds"] > 0]
    assert axis.get_xscale() == "log"
    assert points(axis) == sorted(map(tuple, priced[["seconds", "tau"]].to_numpy().tolist()))
    ends = np.array([segment[:, 1] for segment in axis.collections[0].get_segments()])
    np.testing.assert_array_equal(ends, priced[["tau_low", "tau_high"]].to_numpy())
    dotted = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == ":"]
    assert sorted(dotted) == sorted(known.loc[known["seconds"].isna(), "tau"])


def test_top_behaviour(ranking):
    """Table: points at (tau, tau within the top tenth)."""
    axis = top_behaviour(ranking)
    known = rows(ranking).dropna(subset=["tau", "tau_top10"])
    assert points(axis) == sorted(map(tuple, known[["tau", "tau_top10"]].to_numpy().tolist()))


def test_heatmap_shows_the_matrix_in_another_order(ranking):
    """Table: each cell is the tau of the two proxies that its row and column name; undefined cells are masked."""
    axis = proxy_heatmap(ranking, "live")
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == [label.get_text() for label in axis.get_xticklabels()]
    expected = ranking.correlations["live"].loc[names, names].to_numpy()
    np.testing.assert_array_equal(axis.images[0].get_array().filled(np.nan), expected)
    assert {"params", "macs"} == set(names[names.index("params") - 1 :][:3]) & {"params", "macs"}


def test_score_panels_keep_ranks_and_n(ranking):
    """Table and order: one panel per row, its points in it and ordered as score and accuracy are, tau and rho above."""
    figure = figure_of(score_panels(ranking, subset="live"))
    part = rows(ranking, subset="live")
    members = list(ranking.subsets["live"])
    cloud = next(axis for axis in figure.axes if len(axis.collections)).collections[0]
    clouds = np.split(np.ma.filled(cloud.get_offsets(), np.nan), len(part))
    for axis, offsets, (_, row) in zip(figure.axes, clouds, part.iterrows()):
        name, numbers = axis.get_title().split("\n")
        assert name == row["proxy"]
        box = axis.get_position()
        known = offsets[~np.isnan(offsets[:, 0])]
        assert (known > box.p0).all() and (known < box.p1).all()
        score = ranking.scores.loc[members, name].to_numpy()
        accuracy = ranking.accuracies.loc[members, row["truth"]].to_numpy()
        np.testing.assert_array_equal(np.isnan(offsets[:, 0]), np.isnan(score))
        seen = ~np.isnan(score)
        assert seen.sum() == row["n"]
        np.testing.assert_array_equal(np.argsort(offsets[seen, 1]), np.argsort(accuracy[seen]))
        np.testing.assert_array_equal(
            np.sign(np.subtract.outer(offsets[seen, 0], offsets[seen, 0])),
            np.sign(np.subtract.outer(score[seen], score[seen])),
        )
        assert ("constant" in numbers) == (name == "broken")


def test_the_front_is_what_no_row_exceeds():
    """Closed form: four rows of which one is exceeded in both columns, and a size that always has a name."""
    table = pd.DataFrame({"x": [1.0, 2, 3, 0.5, 0], "y": [3.0, 2, 1, 0.5, 0], "kind": ["proxy"] * 4 + ["baseline"]})
    assert list(front(table, "x", "y").index) == [0, 1, 2, 4]
    assert list(front(table.drop(index=4), "x", "y", low_x=True).index) == [0, 3]


@pytest.mark.parametrize("draw", [ranking_bars, score_panels])
def test_figures_have_few_rows_unless_told(draw, make_ranking):
    """By construction: of 26 rows the best and all sizes; every row with top=None."""
    ranking = make_ranking(truths=("nasbench201/cifar10",), names=[f"proxy_{i}" for i in range(17)])
    if draw is ranking_bars:
        few, every = (len(draw(ranking, top=top)[0].get_yticklabels()) for top in (15, None))
        names = [label.get_text() for label in draw(ranking)[0].get_yticklabels()]
    else:
        few, every = (len(draw(ranking, top=top)) for top in (12, None))
        names = [axis.get_title().split("\n")[0] for axis in draw(ranking)]
    assert few == (15 if draw is ranking_bars else 12)
    assert every >= len(rows(ranking)) and {"params", "macs", "n_convs"} <= set(names)


@pytest.mark.parametrize("draw", [size_controlled, cost_quality, top_behaviour])
def test_labels_do_not_overlap(draw, make_ranking):
    """Geometry: the boxes of all labels beside a panel, measured by the renderer, are disjoint; few rows are named."""
    figure = figure_of(draw(make_ranking(names=[f"proxy_{i}" for i in range(17)])))
    figure.draw_without_rendering()
    for axis in figure.axes:
        boxes = [Text.get_window_extent(text) for text in axis.texts if not text.get_text().startswith("undefined")]
        tops = sorted((box.y0, box.y1) for box in boxes)
        assert 2 <= len(boxes) <= 15
        assert all(lower[1] <= upper[0] + 0.5 for lower, upper in pairwise(tops))
        assert max(box.x1 for box in boxes) <= figure.bbox.x1


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(0.001, 0.06))
def test_spread_keeps_gap_bounds_and_order(wanted, gap):
    """Invariants of the constrained problem: gaps, bounds, and no move where none is needed."""
    wanted = np.sort(wanted)
    places = spread(wanted, gap, -1.0, 1.0)
    assert np.all(np.diff(places) >= gap - 1e-9)
    assert places[0] >= -1 - 1e-9
    assert places[-1] <= 1 + 1e-9
    if np.all(np.diff(wanted) >= gap):
        np.testing.assert_allclose(places, wanted, atol=1e-9)


def test_spread_two_points_by_hand():
    """Closed form: two equal wishes part by half the gap each; one at the edge pushes the other."""
    np.testing.assert_allclose(spread(np.array([0.0, 0.0]), 0.2, -1, 1), [-0.1, 0.1])
    np.testing.assert_allclose(spread(np.array([1.0, 1.0]), 0.2, -1, 1), [0.8, 1.0])


@pytest.mark.parametrize("draw", ALL)
def test_undefined_everywhere_still_draws(draw, ranking):
    """Nothing dropped: a table without a single number gives a figure, not an error."""
    empty = ranking.table.assign(**dict.fromkeys(ranking.table.select_dtypes(float), np.nan))
    matrices = {name: matrix * np.nan for name, matrix in ranking.correlations.items()}
    assert render(figure_of(draw(dataclasses.replace(ranking, table=empty, correlations=matrices))), "svg")


@pytest.mark.parametrize("draw", ALL)
def test_names_with_dollars_are_no_formulas(draw, make_ranking):
    """Escaping: a name that would be broken mathematics is drawn as it is."""
    assert render(figure_of(draw(make_ranking(names=["$\\frac{", "<b>&", "a" * 60]))), "svg")


@pytest.mark.parametrize("draw", ALL)
def test_figures_are_drawn_on_axes_that_are_given(draw, ranking):
    """By construction: the same axes come back, in a figure that has no heading, and nothing else is drawn on."""
    own = draw(ranking)
    many = len(own) if isinstance(own, list) else 1
    figure = Figure(figsize=(12, 3 * many), layout="constrained")
    given = figure.subplots(many, 1, squeeze=False)
    other = figure.add_subplot()
    drawn = draw(ranking, ax=given if isinstance(own, list) else given[0, 0])
    assert (drawn if isinstance(drawn, list) else [drawn]) == list(given.ravel())
    assert not figure.texts
    assert not other.has_data()
    assert [axis.get_title() for axis in given.ravel()] == [axis.get_title() for axis in np.ravel(own)]
    assert render(figure, "svg")


@pytest.mark.parametrize("draw", ALL)
def test_all_axes_say_what_they_have(draw, ranking):
    """By construction: the panels at the edges have a label or names at the ticks of both axes."""
    first, *_, last = [*np.ravel(draw(ranking))] * 2
    assert last.get_xlabel() or any(text.get_text().isidentifier() for text in last.get_xticklabels())
    assert first.get_ylabel() or any(text.get_text().isidentifier() for text in first.get_yticklabels())


def test_another_number_of_axes_is_refused(ranking):
    """Error by hand: one pair of axes for a figure of two panels."""
    with pytest.raises(FigureError, match=r"1 axes were given\. Expected 2"):
        size_controlled(ranking, ax=[Figure().add_subplot()])


def test_a_heatmap_has_numbers_up_to_25_names(make_ranking):
    """By construction: 24 proxies, then 29; with top=10, ten, all sizes among them."""
    for extra in (17, 22):
        ranking = make_ranking(truths=("nasbench201/cifar10",), names=[f"proxy_{i}" for i in range(extra)])
        axis = proxy_heatmap(ranking)
        names = len(axis.get_yticklabels())
        assert len(axis.texts) == (names**2 if names <= 25 else 0)
    few = [label.get_text() for label in proxy_heatmap(ranking, top=10).get_yticklabels()]
    assert len(few) == 10
    assert {"params", "macs", "n_convs"} <= set(few)


def test_unknown_subset_is_an_error(ranking):
    """Error by hand: the message has the nearest name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'live'"):
        ranking_bars(ranking, "lives")
