"""Single figures of a ranking on axes of the user's; the oracle is the table that is drawn."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from zcbench.errors import UnknownNameError
from zcbench.reports.ranking.selection import select

mpl.use("Agg")


@pytest.fixture
def axes():
    """Axes of the user's, in his own style."""
    figure, axis = pyplot.subplots()
    yield axis
    pyplot.close(figure)


def test_bars_are_the_best_rows(ranking, axes) -> None:
    """Oracle: the three sizes and the two largest other tau of the table, on the axes that were given."""
    before = dict(mpl.rcParams)
    assert ranking.plot.bars(top=5, ax=axes) is axes and dict(mpl.rcParams) == before
    table = select(ranking)
    sizes = table["kind"] == "baseline"
    rows = pd.concat([table[sizes], table[~sizes].head(2)]).sort_index()
    drawn = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(drawn, rows["tau"])
    assert [label.get_text() for label in axes.get_yticklabels()] == list(rows["proxy"])


def test_a_scatter_has_a_point_for_each_architecture(ranking, axes) -> None:
    """Oracle: ranks in percent of score and accuracy."""
    ranking.plot.scatter("snip", axes)
    points = axes.collections[0].get_offsets()
    score, accuracy = ranking.scores["snip"], ranking.accuracies.iloc[:, 0]
    expected = [100 * (values.rank() - 1) / (len(values) - 1) for values in (score, accuracy)]
    np.testing.assert_allclose(np.asarray(points), np.column_stack(expected))


@pytest.mark.parametrize(("given", "column"), [("params", "tau_given_params"), ("macs", "tau_given_macs")])
def test_size_control_is_drawn_from_the_table(ranking, axes, given: str, column: str) -> None:
    """Oracle: every row with both numbers is a point."""
    ranking.plot.size_controlled(given, axes)
    rows = select(ranking).dropna(subset=["tau", column])
    drawn = np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() != "None"])
    expected = rows[["tau", column]].to_numpy()
    np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])


def test_a_figure_of_its_own(ranking) -> None:
    """By construction: without axes there is a new figure of pyplot."""
    axis = ranking.plot.bars(top=None)
    assert axis.figure.number in pyplot.get_fignums() and len(axis.get_yticklabels()) == len(select(ranking))
    pyplot.close(axis.figure)


def test_unknown_names(ranking, axes) -> None:
    """By construction: the nearest names are suggested."""
    with pytest.raises(UnknownNameError, match="snip"):
        ranking.plot.scatter("snipp", axes)
    with pytest.raises(UnknownNameError, match="params"):
        ranking.plot.size_controlled("parms", axes)


def test_frames_are_parts_of_the_table(ranking) -> None:
    """Oracle: selections of the table; wide has one row per proxy, with a column for each truth and subset."""
    truth, subset = ranking.table["truth"].iloc[0], ranking.table["subset"].iloc[0]
    assert ranking.to_frame().equals(ranking.table.reset_index(drop=True))
    part = ranking.to_frame(truth, subset)
    assert set(part["truth"]) == {truth} and set(part["subset"]) == {subset}
    wide = ranking.to_frame(truth, subset, wide=True)
    assert wide["tau"].to_dict() == part.set_index("proxy")["tau"].to_dict() or wide["tau"].isna().any()
    every = ranking.to_frame(wide=True)
    assert list(every.index) == list(dict.fromkeys(ranking.table["proxy"]))
    columns = every["tau"].columns
    row = ranking.table.iloc[-1]
    keys = tuple(row[name] for name in columns.names)
    found = every["tau"].loc[row["proxy"], keys if len(keys) > 1 else keys[0]]
    assert found == row["tau"] or (np.isnan(found) and np.isnan(row["tau"]))
    with pytest.raises(UnknownNameError):
        ranking.to_frame("absent")


def test_a_ranking_is_a_line_and_a_table(ranking) -> None:
    """By construction: sizes of the study and the best rows, without the frames."""
    best = select(ranking).iloc[0]
    assert repr(ranking).startswith("Ranking of ") and len(repr(ranking)) < 400
    assert f"{best['proxy']} {best['tau']:.2f}" in repr(ranking)
    page = ranking._repr_html_()
    assert "<table" in page and best["proxy"] in page and page.count("<tr") <= 14
