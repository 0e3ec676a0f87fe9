"""Tables: the numbers survive, the texts are escaped, nothing is dropped."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from zcbench.errors import UnknownNameError
from zcbench.reports import detail_table, failures_table, shared, summary_table, to_latex, to_markdown, write_tables

NASTY = "<script>alert('x')</script>_50%&$x$|`c`~^{b}\\[a](b)"


def parse_markdown(text: str) -> pd.DataFrame:
    """Cells of a pipe table, unescaped by the rule of CommonMark."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    cells = [[re.sub(r"\\([^A-Za-z0-9\s])", r"\1", cell) for cell in line] for line in cells]
    return pd.DataFrame(cells[2:], columns=cells[0])


def test_csv_gives_back_the_same_bits(ranking, tmp_path):
    """Round trip: every number of ranking.csv and scores.csv equals the one in memory."""
    write_tables(ranking, tmp_path)
    table = pd.read_csv(tmp_path / "ranking.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(table.fillna({"note": ""}), ranking.table, check_exact=True, check_dtype=False)
    scores = pd.read_csv(tmp_path / "scores.csv", index_col="arch", float_precision="round_trip")
    pd.testing.assert_frame_equal(scores, ranking.scores, check_exact=True, check_dtype=False)
    matrix = pd.read_csv(tmp_path / "correlations-live.csv", index_col="proxy", float_precision="round_trip")
    np.testing.assert_array_equal(matrix.to_numpy(), ranking.correlations["live"].to_numpy())


def test_markdown_parses_back_to_the_rounded_numbers(ranking, tmp_path):
    """Round trip: tau, its bounds and coverage, parsed from the file, equal the table up to their rounding."""
    write_tables(ranking, tmp_path)
    parsed = parse_markdown((tmp_path / "detail" / "nasbench201-cifar10.all.md").read_text("utf-8")).set_index("proxy")
    rows = ranking.table.query("truth == 'nasbench201/cifar10' and subset == 'all'").set_index("proxy")
    assert set(parsed.index) == set(rows.index)
    for name, row in rows.dropna(subset="tau").iterrows():
        tau, low, high = map(float, re.findall(r"-?\d*\.\d+", parsed.loc[name, "τ"]))
        assert tau == pytest.approx(row["tau"], abs=5.1e-4)
        assert (low, high) == pytest.approx((row["tau_low"], row["tau_high"]), abs=5.1e-3)
        assert float(parsed.loc[name, "coverage %"]) == pytest.approx(100 * row["coverage"], abs=0.1)


def test_undefined_rows_are_dashes_at_the_end(ranking):
    """Nothing dropped: the constant proxy is the last row, with dashes and its reason."""
    last = detail_table(ranking).iloc[-1]
    assert (last["proxy"], last["τ"], last["regret"], last["note"]) == ("broken", "–", "–", "constant")
    assert summary_table(ranking).iloc[-1].tolist() == ["broken", "proxy", "–", "–"]


def test_which_rows_can_be_compared(ranking):
    """By construction: tau over the common architectures stands beside tau, and a sentence says how many they are.

    A ranking of an earlier version has no such column: dashes and no sentence.
    """
    assert set(detail_table(ranking)["τ common"]) == set(detail_table(ranking)["n common"]) == {"–"}
    assert shared(ranking) == ""
    some = dataclasses.replace(ranking, table=ranking.table.assign(tau_common=0.5, n_common=55))
    assert set(detail_table(some)["τ common"]) == {".500"}
    assert shared(some).startswith("τ common is over the 55 of 60 architectures for which all proxies")
    every = dataclasses.replace(ranking, table=ranking.table.assign(n_common=60))
    assert shared(every) == "All proxies of at least 90 % coverage have a value for all 60 architectures."


def test_a_reliability_below_zero_is_a_dash(ranking):
    """By construction: seeds that disagree have no reliability, whatever number the formula gives."""
    odd = dataclasses.replace(ranking, table=ranking.table.assign(reliability=-36.97))
    assert set(detail_table(odd)["reliability"]) == {"–"}


def test_what_has_learned_comes_last_in_every_table(make_ranking):
    """By construction: one row is made supervised and given the best tau; it is last all the same, with its kind."""
    ranking = make_ranking()
    learned = ranking.table["proxy"] == "snip"
    table = ranking.table.assign(
        kind=ranking.table["kind"].mask(learned, "supervised"), tau=ranking.table["tau"].mask(learned, 0.99)
    )
    ranking = dataclasses.replace(ranking, table=table)
    for made in (detail_table(ranking), summary_table(ranking)):
        assert made.iloc[-1][["proxy", "kind"]].tolist() == ["snip", "supervised"]
        assert made.iloc[-2]["proxy"] == "broken"
    assert "supervised" in to_latex(summary_table(ranking), "")


def test_best_comes_first(ranking):
    """Order by hand: tau falls from row to row."""
    tau = detail_table(ranking, "nasbench201/cifar100/valid", "live")["τ"].str.extract(r"^(-?\.\d+)")[0].astype(float)
    assert tau.dropna().is_monotonic_decreasing


def test_markdown_escapes_markup():
    """Round trip: a hostile name is one cell, and comes back as it was once unescaped."""
    text = to_markdown(pd.DataFrame({"a_b": [NASTY], "n": ["1"]}))
    assert "<script" not in text
    parsed = parse_markdown(text)
    assert parsed.iloc[0, 0].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == NASTY
    assert text.splitlines()[1] == "|---|---:|"


def test_latex_escapes_markup():
    """Closed form: without the known commands, no character is left that LaTeX acts on."""
    text = to_latex(pd.DataFrame({"a_b": [NASTY], "n": ["-.5"]}), "50 % & more")
    body = re.search(r"\\midrule\n(.*?) & (.*?) \\\\\n", text)
    assert body is not None
    assert body[2] == "$-$.5"
    rest = re.sub(r"\\text[a-z]+\{\}|\\[{}&%$#_]|\{[\[\]]\}", "", body[1])
    assert not re.search(r"[\\{}&%$#_~^<>|]", rest)
    assert r"a\_b & n \\" in text
    assert r"\caption{50 \% \& more}" in text


def test_failures_say_what_and_why(ranking):
    """Hand-worked: the one failure of the example, its reason on one line."""
    table = failures_table(ranking)
    assert table.columns.tolist() == ["proxy", "status", "count", "example", "reason"]
    assert table.loc[0, ["proxy", "status", "count"]].tolist() == [
        "grasp",
        "singular",
        str(ranking.failures.loc[0, "count"]),
    ]
    assert to_markdown(table.replace("the matrix", "line\nbreak", regex=True)).count("\n") == 3


def test_protocol_is_json(ranking, tmp_path):
    """Round trip: protocol.json is the protocol."""
    write_tables(ranking, tmp_path)
    assert json.loads((tmp_path / "protocol.json").read_text("utf-8")) == ranking.protocol


def test_unknown_truth_names_the_nearest(ranking):
    """Error by hand: what was given and what was meant."""
    with pytest.raises(UnknownNameError, match=r"'nasbench201/cifar1O'.*Did you mean.*'nasbench201/cifar10'"):
        detail_table(ranking, "nasbench201/cifar1O")


def test_truths_that_would_share_a_label_keep_their_names(make_ranking):
    """Nothing dropped: two spaces with the same data set are two columns."""
    table = summary_table(make_ranking(truths=("nasbench201/cifar10", "nasbench101/cifar10")))
    assert table.columns.tolist() == ["proxy", "kind", "nasbench201/cifar10", "nasbench101/cifar10"]
