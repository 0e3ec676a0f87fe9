"""Reference pages: what they say is what the code declares, and the committed ones are those of this code."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest

from zcbench.benchmarks.ranking.ensembles import ENSEMBLES, Ensemble
from zcbench.errors import DataError
from zcbench.proxies import REGISTRY, SIGNALS, Proxy
from zcbench.reports.reference.docstrings import blocks, inline, parse
from zcbench.reports.reference.pages import INDEX, index_page, page_name, proxy_page, without_numbers, write_reference
from zcbench.reports.wording import interval

COMMITTED = Path(__file__).parents[3] / "docs" / "proxies"
BUILT_IN = [item for item in REGISTRY.usable()[0] if item.function.__module__.startswith("zcbench.")]

DOC = r"""Sum of `a` & <b>.

.. math::  s = \operatorname{tr} K, \qquad
           t = \operatorname*{rank}(K)

Symbols: :math:`\operatorname{tr}`
is a_b*c of ``(B, *)``.

.. math::

    x &= 1 \\
    y &= 2

Args:
    signals: needs ``logits``; two
        lines of it: like this.
    other: :math:`x | y`.

Returns:
    A number, from arXiv:2006.04647v1.

    A second paragraph.

Example:
    >>> 1 + 1
    2
"""


def test_a_docstring_in_parts():
    """Written by hand: formulas become GitHub's, what it refuses is replaced, other characters are kept."""
    found = parse(inspect.cleandoc(DOC))
    assert found.summary == "Sum of `a` &amp; &lt;b&gt;."
    assert found.body.split("\n\n") == [
        "```math\ns = \\mathop{\\text{tr}} K, \\qquad\nt = \\mathop{\\text{rank}}(K)\n```",
        "Symbols: $`\\mathop{\\text{tr}}`$ is a_b\\*c of `(B, *)`.",
        "```math\n\\begin{aligned}\n  x &= 1 \\\\\n  y &= 2\n\\end{aligned}\n```",
    ]
    assert found.sections == {
        "Args": "- **signals**: needs `logits`; two lines of it: like this.\n- **other**: $`x | y`$.",
        "Returns": "A number, from [arXiv:2006.04647v1](https://arxiv.org/abs/2006.04647v1).\n\nA second paragraph.",
        "Example": "```python\n>>> 1 + 1\n2\n```",
    }
    assert parse("") == parse(" \n")
    assert inline("see https://example.org/a_b.") == "see <https://example.org/a_b>."


@pytest.mark.parametrize("item", BUILT_IN, ids=lambda item: item.name)
def test_nothing_of_a_docstring_is_lost(item: Proxy):
    """Invariance: without markup and spaces, the page has every word of the docstring but its example."""
    page, text = proxy_page(item), inspect.getdoc(item.function) or ""
    text = re.sub(r"^Example:\n(?:    .*\n?)+", "", text, flags=re.MULTILINE)
    text = re.sub(r"\.\. math::|:math:|^[A-Z]\w+:$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\operatorname\*?", r"\\mathop\\text", text)
    words = re.findall(r"\w+", text)
    there = re.findall(r"\w+", page)
    lacking = [word for word in words if word not in set(there)]
    assert not lacking
    assert r"\operatorname" not in page


@pytest.mark.parametrize("item", BUILT_IN, ids=lambda item: item.name)
def test_the_example_of_a_page_runs(item: Proxy):
    """The code block gives one finite score for the proxy of the page."""
    code = re.findall(r"```python\n(.*?)```", proxy_page(item), re.DOTALL)[-1]
    *lines, call = code.strip().split("\n")
    names: dict[str, object] = {}
    exec("\n".join(lines), names)
    found = eval(call, names)
    scores = found if isinstance(found, dict) else {score.proxy: score.value for score in found}
    assert list(scores) == [item.name]
    assert abs(scores[item.name]) < float("inf")


def test_a_page_says_what_the_proxy_declares():
    """Closed form: direction, labels, teacher, version and every signal with what it rests on."""
    page = proxy_page(REGISTRY.get("diswot_semantic"))
    for line in (
        "| direction | lower ranks better |",
        "| labels | used |",
        "| teacher | needed |",
        f"| version | {REGISTRY.get('diswot_semantic').version} |",
        f"| `classifier_gradient` | {SIGNALS['classifier_gradient']} | forward, loss backward |",
        "It was not scored.",
    ):
        assert line in page


def test_numbers_are_those_of_the_ranking(ranking):
    """Round trip: tau, its interval and coverage of every truth and subset stand in the page of the proxy."""
    page = proxy_page(REGISTRY.get("grasp"), [ranking], "zcbench proxies docs --scores x")
    rows = ranking.table[ranking.table["proxy"] == "grasp"]
    assert len(rows) == 4
    for row in rows.itertuples():
        assert interval(row.tau, row.tau_low, row.tau_high) in page
    assert "CIFAR-100 valid | live" in page
    assert "zcbench proxies docs --scores x" in page
    index = index_page([REGISTRY.get("grasp")], [], [ranking])
    best = ranking.table.query("subset == 'all'").groupby("proxy")["tau"].mean().idxmax()
    lines = index.partition("<!-- numbers -->")[2].split("\n")
    first = lines[next(i for i, line in enumerate(lines) if line.startswith("|---")) + 1]
    assert first.startswith(f"| {best.replace('_', chr(92) + '_')} |")
    assert "95 % confidence intervals" in page and "1000 bootstrap draws" in page


def test_a_proxy_has_the_numbers_of_the_first_that_ranks_it(ranking):
    """Two rankings, of which the first lacks grasp: its page has the second's, and the index lists it once, apart."""
    first = replace(ranking, table=ranking.table[ranking.table["proxy"] != "grasp"])
    second = replace(ranking, table=ranking.table.assign(seconds=7.0))
    item, other = REGISTRY.get("grasp"), REGISTRY.get("snip")
    assert "7000 ms per architecture" in proxy_page(item, [first, second])
    assert proxy_page(other, [first, second]) == proxy_page(other, [first])
    numbers = index_page([item, other], [], [first, second]).partition("<!-- numbers -->")[2]
    before, after = numbers.split("What else was scored:")
    assert "| snip |" in before and "| snip |" not in after
    assert "| grasp |" in after and "| grasp |" not in before
    assert "What else" not in index_page([item], [], [ranking, second])


def test_numbers_change_nothing_else(ranking):
    """Invariance: with or without a ranking, the rest of a page is the same; without numbers it is what it was."""
    item = REGISTRY.get("grasp")
    with_numbers, plain = proxy_page(item, [ranking], "another command"), proxy_page(item)
    assert with_numbers != plain
    assert without_numbers(with_numbers) == without_numbers(plain)
    assert "<!-- numbers -->\n<!-- end of numbers -->" in without_numbers(plain)


def test_all_pages_are_written(tmp_path: Path, ranking):
    """A page per proxy and an index that links to each; the same bytes again; a folder that cannot be made."""
    proxies, ensembles = BUILT_IN[:3], [Ensemble("mine", "rank_sum", ("macs", "jacov"), "Two | ranks.")]
    index = write_reference(proxies, ensembles, tmp_path / "docs", [ranking])
    content = {file.name: file.read_bytes() for file in index.parent.iterdir()}
    assert set(content) == {INDEX, *map(page_name, proxies)}
    text = content[INDEX].decode()
    assert all(f"[{item.name}]({page_name(item)})" in text for item in proxies)
    assert "| mine | rank_sum | macs, jacov | Two \\| ranks. |" in text
    write_reference(proxies, ensembles, tmp_path / "docs", [ranking])
    assert content == {file.name: file.read_bytes() for file in index.parent.iterdir()}
    (tmp_path / "blocked").write_text("")
    with pytest.raises(DataError, match="blocked"):
        write_reference(proxies, ensembles, tmp_path / "blocked")


def test_text_that_is_markup_is_shown():
    """A name, formula or sentence of a plug-in cannot break the table that it stands in."""
    item = Proxy("a|b", blocks_of_nothing, frozenset({"logits"}), True, False, source="x | <y> *z*")
    row = next(line for line in index_page([item], []).split("\n") if line.startswith("| [a"))
    assert len(re.split(r"(?<!\\)\|", row)) == 8
    assert "&lt;y&gt; \\*z\\*" in row


def blocks_of_nothing(signals: object) -> float:
    """One | two."""
    return 0.0


@pytest.mark.skipif(not COMMITTED.is_dir(), reason="the pages are in the source tree only")
def test_the_committed_pages_are_those_of_this_code():
    """Regenerated and compared, all but the numbers; 'zcbench proxies docs --out docs/proxies' mends it."""
    expected = {page_name(item): proxy_page(item) for item in BUILT_IN}
    expected[INDEX] = index_page(BUILT_IN, ENSEMBLES.usable()[0])
    there = {file.name: file.read_text("utf-8") for file in COMMITTED.glob("*.md")}
    assert {name: without_numbers(text) for name, text in there.items()} == {
        name: without_numbers(text) for name, text in expected.items()
    }


def test_paragraphs_and_formulas_alternate():
    """Closed form: a formula at the start, at the end, and none."""
    assert blocks("one\n\ntwo\nlines") == "one\n\ntwo lines"
    assert blocks(".. math::  x\n\nend") == "```math\nx\n```\n\nend"
    assert blocks("start\n\n.. math::  x\n") == "start\n\n```math\nx\n```"
