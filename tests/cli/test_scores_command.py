"""``zcbench scores`` and ``zcbench rank`` on packed files, bundled scores and merged runs."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from zcbench import datasets, spaces
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.cli import app
from zcbench.errors import ProtocolError, StoreError, UnknownNameError
from zcbench.runtime.execution import Execution

from ..benchmarks.scoring import conftest as scoring

run, archs, space, batch, plugin = scoring.run, scoring.archs, scoring.space, scoring.batch, scoring.plugin
MINE = Path(__file__).parents[2] / "examples" / "my_proxy.py"


def command(*arguments: object):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [*map(str, arguments)])


def done(*arguments: object) -> str:
    """Run what must work, and give what it prints."""
    result = command(*arguments)
    assert result.exit_code == 0, result.exception or result.output
    return result.output


@pytest.fixture
def own_proxy(plugin):
    """The plug-in of the examples; forgotten when the test ends."""
    return plugin(MINE.read_text().replace("grad_norm_sq", "my_own"))


@pytest.fixture
def theirs(run, archs, space, tmp_path):
    """A packed run of three proxies on six architectures."""
    run(out=tmp_path / "theirs", archs=[*archs, space[3], space[4]], seeds=[0])
    done("scores", "pack", tmp_path / "theirs", "--out", tmp_path / "theirs.parquet")
    return tmp_path / "theirs.parquet"


@pytest.fixture
def truth(space, archs, tmp_path):
    file = tmp_path / "truth.csv"
    names = [*archs, space[3], space[4]]
    pd.DataFrame({"arch": names, "accuracy": range(50, 50 + len(names))}).to_csv(file, index=False)
    return file


def test_what_ships_is_listed_and_shown():
    """The list has the name, the card protocol and proxies."""
    assert "nasbench201" in done("scores", "list")
    card = done("scores", "show", "nasbench201")
    assert "space: nasbench201(channels=16,cells=5)" in card
    assert "asked: all of the subset 'all'" in card
    assert "naswot" in card


def test_a_run_is_packed_shown_and_unpacked(theirs, tmp_path):
    """18 scores there and back; the second unpacking is refused."""
    assert "18 scores of 6 architectures" in done("scores", "show", theirs)
    said = done(
        "scores", "pack", tmp_path / "theirs", "--out", tmp_path / "one.parquet", "--proxies", "synflow, params"
    )
    assert "12 scores of 6 architectures and 2 proxies" in said
    done("scores", "unpack", theirs, "--out", tmp_path / "back")
    assert (tmp_path / "back" / "run.json").is_file()
    assert isinstance(command("scores", "unpack", theirs, "--out", tmp_path / "back").exception, StoreError)
    assert "in " + str(tmp_path / "named") in done("scores", "unpack", "transnas_macro", "--out", tmp_path / "named")
    assert len(bundled.load(tmp_path / "named")[1]) == len(bundled.scores("transnas_macro")[1])
    assert isinstance(command("scores", "unpack", "nasbench202", "--out", tmp_path / "none").exception, StoreError)


def test_a_file_is_ranked_without_leaving_anything(theirs, truth, tmp_path):
    """Printed; with --out the ranking is there too, and the report is drawn from it."""
    before = set(tmp_path.iterdir())
    assert "synflow" in done("rank", theirs, "--truth", truth)
    assert set(tmp_path.iterdir()) == before
    done("rank", theirs, "--truth", truth, "--out", tmp_path / "out", "--draws", 10)
    assert Ranking.load(tmp_path / "out" / "ranking").table["subset"].nunique() > 1
    done("report", tmp_path / "out", "--formats", "png")
    assert (tmp_path / "out" / "report" / "index.html").is_file()


def test_an_own_proxy_is_ranked_beside_others(run, own_proxy, theirs, truth, archs, tmp_path):
    """End to end with the plug-in of the examples: their proxies on its architectures, its own kept, the page drawn."""
    mine = tmp_path / "mine"
    run(out=mine, proxies=["params", "my_own"], plugins=[own_proxy])
    said = done("rank", mine, "--beside", theirs, "--truth", truth, "--plugin", own_proxy, "--draws", 10)
    assert f"Beside, from {theirs}, seeds 0: naswot, synflow" in said
    assert "not taken: params (here at version 1 already, theirs is 1)" in said
    ranking = Ranking.load(mine / "ranking")
    assert set(ranking.scores.index) == set(archs)
    assert {"my_own", "naswot", "synflow"} <= set(ranking.scores)
    done("report", mine, "--formats", "png")
    assert "my_own" in (mine / "report" / "index.html").read_text()


def test_what_cannot_be_ranked(run, theirs, truth, tmp_path):
    """Another initialisation beside it, an unknown name, an unknown subset: each is one clear error."""
    run(out=tmp_path / "other", init="kaiming", proxies=["params"])
    refused = command("rank", tmp_path / "other", "--beside", theirs, "--truth", truth).exception
    assert isinstance(refused, ProtocolError)
    assert "init: kaiming → default" in str(refused)
    assert isinstance(command("rank", "nasbench202", "--truth", truth).exception, StoreError)
    assert isinstance(command("rank", theirs, "--truth", truth, "--subset", "alive").exception, UnknownNameError)


def test_the_reference_is_written(theirs, run, truth, tmp_path):
    """Pages with the numbers of the scores that are named, the first that has a proxy, and the command for them."""
    run(out=tmp_path / "more", proxies=["params", "zen"])
    both = f"{theirs},{tmp_path / 'more'}"
    options = ["--scores", both, "--truth", truth, "--subsets", "all", "--draws", 5]
    done("proxies", "docs", "--out", tmp_path / "docs", *options)
    page = (tmp_path / "docs" / "naswot.md").read_text()
    assert f"zcbench proxies docs --out {tmp_path / 'docs'} --scores {both} --truth {truth}" in page
    assert "6 architectures of nasbench201(channels=4,cells=1)" in page
    assert "It was not scored." not in (tmp_path / "docs" / "zen.md").read_text()
    assert "It was not scored." in (tmp_path / "docs" / "grasp.md").read_text()
    done("proxies", "docs", "--out", tmp_path / "plain")
    assert "It was not scored." in (tmp_path / "plain" / "naswot.md").read_text()


@pytest.mark.data
def test_an_own_proxy_is_ranked_beside_what_ships(own_proxy, data_dir, tmp_path):
    """End to end on real images: four architectures of the bundled scores, scored with the plug-in of the examples."""
    protocol, frame, _ = bundled.scores("nasbench201")
    images = datasets.batch(datasets.load("cifar10(files=2)", data_dir), 64)
    assert images.sha256 == protocol.batch_sha256
    archs = list(dict.fromkeys(frame["arch"]))[:400:100]
    conditions, how = Conditions(spaces.get("nasbench201"), images), Execution(workers=0, plugins=(own_proxy,))
    score_run(conditions, archs, ["my_own"], [0], tmp_path / "mine", execution=how)
    said = done("rank", tmp_path / "mine", "--beside", "nasbench201", "--plugin", own_proxy, "--data-dir", data_dir)
    assert "my_own" in said and "Beside, from nasbench201" in said
    ranking = Ranking.load(tmp_path / "mine" / "ranking")
    assert len(ranking.scores) == 4
    assert ranking.scores["naswot"].notna().any()
