"""The page of a leaderboard: what its tables say follows from the files."""

import json
import re

import pytest

from zcbench.benchmarks.leaderboard import Benchmark, Board, Entry
from zcbench.errors import DataError
from zcbench.reports.leaderboard.page import command, write_leaderboard

PROTOCOL = {
    **{"space": "nasbench201(channels=4,cells=1)", "dataset": "noise", "batch": "8 of noise", "batch_size": 8},
    **{"batch_seed": 0, "batch_sha256": "0" * 64, "image_shape": [3, 16, 16], "num_classes": 10, "init": "default"},
    **{"dtype": "float32", "layout": "contiguous", "device": "cpu", "torch": "2.13.0", "schema": 1},
}


def benchmark(name, group, params):
    return Benchmark(
        name=name,
        truth="nasbench201/cifar10-16/test@5",
        group=group,
        archs=["|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"],
        seeds=[0],
        dataset="noise",
        protocol=PROTOCOL,
        sizes={"params": {"tau": params, "coverage": 1.0, "seconds": 0.001}, "macs": {"tau": params - 0.1}},
    )


def entry(name, proxy, tau, low, **more):
    return Entry(
        benchmark=name,
        proxy=proxy,
        version=2,
        kind="proxy",
        higher_is_better=True,
        source="a test",
        scores="bundled:nasbench201",
        scores_sha256="0" * 64,
        plugin=None,
        plugin_sha256=None,
        conformance=[],
        result={"tau": tau, "coverage": 0.5, "seconds": 0.25},
        best_size="params",
        difference=[tau - 0.5, low, 0.9],
        zcbench="0.1.0",
        torch="2.13.0",
        added="2026-11-29",
        **more,
    )


def made_up(folder):
    """Two benchmarks of one space and one of another, and three proxies."""
    board = Board(folder)
    for name, group, params in (("a/one", "a", 0.5), ("a/two", "a", 0.4), ("b/one", "b", 0.3)):
        board.write(benchmark(name, group, params))
        board.write(entry(name, "always<b>", 0.8, 0.1))
    old = [{"version": 1, "added": "2026-01-01", "tau": 0.25}]
    board.write(entry("a/one", "once", 0.6, 0.05, history=old, verified={"date": "2026-11-30", "drawn": 20}))
    board.write(entry("a/two", "once", 0.2, -0.3))
    board.write(entry("b/one", "few", 0.9, 0.5))
    return board


@pytest.fixture
def board(tmp_path):
    return made_up(tmp_path / "board")


def rows(page, statistic):
    """Texts of the cells of one table."""
    part = re.search(rf'class="scroll tall ranking" data-statistic="{statistic}".*?</table>', page, re.DOTALL)[0]
    body = re.search("<tbody>(.*)</tbody>", part, re.DOTALL)[1]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr.*?</tr>", body, re.DOTALL)]


def test_means_are_over_spaces_first(board, tmp_path):
    """By hand: the mean of two benchmarks of one space counts as much as the one of the other space."""
    page = write_leaderboard(board.path, tmp_path / "page").read_text()
    found = {row[0]: row[1:] for row in rows(page, "tau")}
    assert [row[0] for row in rows(page, "tau")] == ["always&lt;b&gt;", "params", "macs", "few", "once"]
    assert found["always&lt;b&gt;"][:6] == ["proxy", ".800", "3 of 3", ".800 ✓", ".800 ✓", ".800 ✓"]
    assert found["params"][1] == ".375"  # ((.5 + .4) / 2 + .3) / 2
    assert found["once"][:6] == ["proxy", ".400", "1 of 2", ".600 ✓", ".200", "–"]
    assert found["once"][6:10] == ["50.0", "250", "not yet", "2"]
    assert {row[0]: row[2] for row in rows(page, "difference")}["macs"] == "−.100"


def test_the_page_says_who_beats_size_everywhere(board, tmp_path):
    """By construction: one proxy stands on all benchmarks and beats the sizes there; its name is escaped."""
    page = write_leaderboard(board.path, tmp_path / "page", title="A <title>").read_text()
    assert "1 of 1 scores that stand on all 3 benchmarks beat the best size baseline there: always&lt;b&gt;." in page
    assert "<h1>A &lt;title&gt;</h1>" in page and "always<b>" not in page
    assert "2026-01-01" in page and ">.250<" in page  # history
    assert len(json.loads((tmp_path / "page" / "entries.json").read_text())) == 6
    assert (tmp_path / "page" / "a-one.archs.txt").read_text().startswith("|none~0|+")


def test_the_command_names_the_protocol(board):
    """By hand: options that give the protocol of the benchmark."""
    told = command(board.benchmarks()["a/one"])
    assert "--space 'nasbench201(channels=4,cells=1)' --archs a-one.archs.txt --seeds 1 --dataset noise" in told
    assert "--batch-size 8 --batch-seed 0 --image-size 16" in told


def test_a_folder_without_a_board_is_refused(tmp_path):
    """Bad input: an empty folder."""
    with pytest.raises(DataError, match="holds no leaderboard"):
        write_leaderboard(tmp_path, tmp_path / "page")
