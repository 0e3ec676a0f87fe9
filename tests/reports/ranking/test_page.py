"""The page: self-contained, escaped, complete, and the same bytes each time."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.errors import UnknownNameError, ZcbenchError
from zcbench.reports import ReportError, write_report
from zcbench.reports.charts import library
from zcbench.reports.ranking.content import sample_note, shown


class Reader(HTMLParser):
    """Collects what a test asks about: what is loaded, links, cells, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, key):
        return [attrs[key] for name, attrs in self.tags if name == tag and key in attrs]


@pytest.fixture(scope="module")
def ranking(make_ranking):
    return make_ranking(truths=("nasbench201/cifar10",))


@pytest.fixture(scope="module")
def report(ranking, tmp_path_factory):
    return write_report(ranking, tmp_path_factory.mktemp("report"), formats=("png",), title="A & <b>B</b>")


@pytest.fixture(scope="module")
def page(report):
    return report.read_text("utf-8")


def test_nothing_is_loaded_from_elsewhere(page):
    """By reading: every source is inlined, no style sheet or script is linked, and the policy forbids it too."""
    reader = Reader(page)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in reader.all("img", "src"))
    assert {tag for tag, _ in reader.tags}.isdisjoint({"link", "iframe", "object", "embed", "video", "base"})
    assert not reader.all("script", "src")
    text = re.sub(r"data:image/svg\+xml;base64,[\w+/=]+", "", page).replace(library(), "")
    assert page.count(library()) == 1
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import", text)
    assert "default-src 'none'" in page


def test_inlined_figures_load_nothing_either(page):
    """By reading: the pictures refer only to themselves and to data."""
    for source in Reader(page).all("img", "src"):
        svg = base64.b64decode(source.split(",", 1)[1]).decode()
        assert all(target.startswith(("#", "data:")) for target in re.findall(r'href="([^"]+)"', svg))
        assert "<script" not in svg


def test_links_lead_to_files(report, page):
    """By looking: each relative link is a file of the report, each anchor a section of the page."""
    links = Reader(page).all("a", "href")
    assert {"tables/ranking.csv", "tables/protocol.json", "figures/ranking_bars.all.png"} <= set(links)
    for link in links:
        assert f'id="{link[1:]}"' in page if link.startswith("#") else (report.parent / link).is_file()


def test_every_row_is_there(page, ranking):
    """Table: a row for each proxy and each selection, equal orders in one row with all their names; – is undefined."""
    bodies = re.findall(r'<div class="scroll tall ranking".*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert len(bodies) == 2
    for body, (_, part) in zip(bodies, ranking.table.groupby("subset", sort=False)):
        heads = re.findall(r'<th scope="row">(.*?)</th>', body)
        named = [name for head in heads for name in re.split(r" <small>= |, ", head.removesuffix("</small>"))]
        assert sorted(named) == sorted(part["proxy"])
        assert next(head for head in heads if "macs" in head) == "macs <small>= params</small>"
    assert "<td>–</td>" in page


def test_numbers_of_the_charts_are_those_of_the_ranking(page, ranking):
    """Table: tau, rho and intervals to four digits; scores and accuracies by architecture to five and six."""
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])
    table = ranking.table.set_index(["truth", "subset", "proxy"])
    for key, rows in content["rows"].items():
        for row in rows:
            known = table.loc[(*key.split("|"), row["name"])]
            for column in ("tau", "tau_low", "tau_high", "rho", "tau_given_macs"):
                assert np.array(row[column], float) == pytest.approx(known[column], rel=1e-3, nan_ok=True)
    archs = content["architectures"]
    assert archs["name"] == list(ranking.scores.index)
    for name in ranking.scores:
        assert np.array(archs["score"][name], float) == pytest.approx(ranking.scores[name], rel=1e-4, nan_ok=True)
    for name in ranking.accuracies:
        assert np.array(archs["accuracy"][name], float) == pytest.approx(ranking.accuracies[name], rel=1e-5)


def test_the_answer_says_what_beats_size(page, ranking):
    """Oracle: the differences that `size_differences` gives, with the verdict of the sign of their ends."""
    found = size_differences(ranking)
    verdict = re.search(r'class="proxy first" data-subset="all">.*?<td>(\w+)</td>.*?beats-[\w-]+">(.*?)</td>', page)
    low, high = found.loc[verdict[1], ["low", "high"]]
    assert verdict[2] == ("yes" if low > 0 else "no, below it" if high < 0 else "no")


def test_a_sample_of_many_architectures_is_shown(make_ranking):
    """By construction: of 1,600 architectures the scatter has 1,500, all different, and says so."""
    ranking = make_ranking(n=1600, truths=("nasbench201/cifar10",), subsets=("all",), names=[])
    assert len(set(shown(ranking))) == len(shown(ranking)) == 1500
    assert sample_note(ranking) == "A random sample of 1,500 of the 1,600 architectures."


def test_protocol_card_says_what_was_done(page):
    """By reading: run, truth and ranking protocol are in the text."""
    text = " ".join(" ".join(Reader(page).words).split())
    for words in (
        "nasbench201(channels=16,cells=5)",
        "image shape 3, 32, 32",
        "mean over 3 runs",
        "draws 1000",
        "teacher none",
    ):
        assert words in text


def test_headings_are_buttons_and_figures_have_words(page):
    """Accessibility by reading: sortable headings take the keyboard, pictures have a text, n is in each caption."""
    reader = Reader(page)
    assert 'scope="col" title=' in page
    assert "aria-sort" in page
    assert all(reader.all("div", "aria-label"))
    assert all(len(text) > 40 and "n = " in text for text in reader.all("img", "alt"))
    assert len(reader.all("img", "alt")) == 2 + 4 + 2


def test_same_ranking_same_bytes(ranking, tmp_path):
    """Invariance: two reports are equal, file by file."""
    digests = []
    for name in ("one", "two"):
        write_report(ranking, tmp_path / name, formats=("svg",))
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        digests.append(
            {str(path.relative_to(tmp_path / name)): hashlib.sha256(path.read_bytes()).digest() for path in files}
        )
    assert digests[0] == digests[1]
    assert {"index.html", "figures/proxy_heatmap.all.svg", "tables/ranking.tex"} <= set(digests[0])


def test_markup_is_shown_not_run(make_ranking, tmp_path):
    """Escaping: a hostile proxy, reason and protocol value add no tag to the page."""
    hostile = "<script>alert(1)</script>"
    ranking = make_ranking(truths=("nasbench201/cifar10",), subsets=("all",), names=[hostile, '"><img src=x>_%&'])
    failures = ranking.failures.assign(reason=hostile, example_arch="<i>")
    protocol = {**ranking.protocol, hostile: {"a": hostile}}
    ranking = dataclasses.replace(ranking, failures=failures, protocol=protocol)
    page = write_report(ranking, tmp_path, formats=(), title=hostile).read_text("utf-8")
    reader = Reader(page)
    assert sum(tag == "script" for tag, _ in reader.tags) == 3
    assert hostile not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert all(source.startswith("data:") for source in reader.all("img", "src"))


def test_title_is_escaped(page):
    """Escaping by hand."""
    assert "<h1>A &amp; &lt;b&gt;B&lt;/b&gt;</h1>" in page


def test_no_failures_is_said(make_ranking, tmp_path):
    """By reading: an empty failures table is a sentence."""
    ranking = make_ranking(truths=("nasbench201/cifar10",), subsets=("all",))
    ranking = dataclasses.replace(ranking, failures=ranking.failures.iloc[:0])
    assert "Every attempt gave a value." in write_report(ranking, tmp_path, formats=()).read_text("utf-8")


def test_folder_that_cannot_be_written(ranking, tmp_path):
    """Error by hand: a folder below a file; the message has the path and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"file/report.*Expected a folder") as caught:
        write_report(ranking, tmp_path / "file" / "report", formats=())
    assert isinstance(caught.value, ZcbenchError)


def test_unknown_format(ranking, tmp_path):
    """Error by hand: nothing is written, the message has the nearest name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'svg'"):
        write_report(ranking, tmp_path / "new", formats=("svgz",))
    assert not (tmp_path / "new").exists()


def test_ranking_without_rows(ranking, tmp_path):
    """Error by hand."""
    with pytest.raises(ReportError, match="no rows"):
        write_report(dataclasses.replace(ranking, table=ranking.table.iloc[:0]), tmp_path)
