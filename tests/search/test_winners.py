"""``top:K@RUN``: the best of a ranking, where they are defined, and how truths and sizes count."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import zcbench
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.ranking.winners import winners
from zcbench.errors import RankingError
from zcbench.proxies import REGISTRY
from zcbench.streams import numpy_stream

from .searching import SHORT, SMALL, SPACE, content


def test_the_best_of_a_ranking(zcbench_command, fails, run, tmp_path):
    """The names are those of the ranking, the criterion is in the trace; another space is taken on demand only."""
    common = [
        "search",
        *SHORT,
        "--dataset",
        "noise",
        "--image-size",
        8,
        "--batch-size",
        8,
        "--no-report",
        "--workers",
        0,
    ]
    own = [*common, "--space", SPACE, "--out", tmp_path / "search", "--proxies"]
    assert zcbench_command(*own, f"top:2@{run}:tau").returncode == 0
    source = content(tmp_path / "search")["request"]["sources"]["rankings"][0]
    assert source["names"][0] == "macs" and source["column"] == "tau" and source["truths"] == ["own.csv"]
    other = [*common, "--space", "s0", "--out", tmp_path / "other", "--proxies", f"top:1@{run}"]
    assert "is about the space nasbench201(channels=4,cells=1), and s0 is searched" in fails(*other)
    assert zcbench_command(*other, "--transfer").returncode == 0
    assert "Did you mean 'tau'" in fails(*own, f"top:2@{run}:tauu")
    assert "There is no ranking in" in fails(*own, f"top:2@{tmp_path}/nowhere")
    assert "Expected top:K@RUN" in fails(*own, "top:none@run")


@pytest.fixture(scope="module")
def plugged(zcbench_command, tmp_path_factory) -> tuple[Path, Path]:
    """A ranked run in which a plug-in's score is best, and the plug-in."""
    folder = tmp_path_factory.mktemp("plugged")
    plugin = folder / "of_the_user.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('of_the_user', reads=('costs', 'gradients'), higher_is_better=True)\n"
        "def of_the_user(signals):\n    return signals.costs.macs + 1e6 * signals.costs.depth\n"
    )
    space = zcbench.spaces.get(SPACE)
    archs = space.sample(numpy_stream("tests"), 12, subset="unique")
    (folder / "archs.txt").write_text("\n".join(archs))
    accuracy = [50 + (space.macs(arch) + 1e6 * space.depth(arch)) / 1e6 for arch in archs]
    pd.DataFrame({"arch": archs, "accuracy": accuracy}).to_csv(folder / "own.csv", index=False)
    made = ["bench", "--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--draws", 2]
    made += ["--proxies", "macs,az_complexity,of_the_user,naswot", "--plugin", plugin, "--seeds", 1, "--workers", 0]
    made += ["--formats", "png", "--archs", folder / "archs.txt", "--truth", folder / "own.csv"]
    result = zcbench_command(*made, "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    return folder / "run", plugin


@pytest.mark.parametrize("column", ["", ":tau:{truth}"])
@pytest.mark.parametrize("ranked", [True, False])
def test_a_winner_of_a_plugin_names_the_plugin(column, ranked, zcbench_command, fails, plugged, tmp_path, monkeypatch):
    """By construction: without its plug-in the winner is unknown here; the message says which file to give."""
    run, plugin = plugged
    truth = run.parent / "own.csv"
    if not ranked:
        shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("ranking"))
        run, column = tmp_path / "run", ":tau:{truth}"
    elif column:
        column = ":tau:own.csv"
    command = ["search", *SMALL, *SHORT, "--workers", 0, "--out", tmp_path / "out"]
    command += ["--proxies", f"top:1@{run}{column.format(truth=truth)}"]
    known = dict(REGISTRY._items)
    monkeypatch.setattr(REGISTRY, "_items", {name: item for name, item in known.items() if name != "of_the_user"})
    message = fails(*command)
    assert "of_the_user" in message and f"--plugin {plugin}" in message and "Did you mean" not in message
    monkeypatch.setattr(REGISTRY, "_items", known)
    assert zcbench_command(*command, "--plugin", plugin).returncode == 0
    assert content(tmp_path / "out")["request"]["sources"]["rankings"][0]["names"] == ["of_the_user"]


def test_sizes_can_be_left_out(zcbench_command, plugged, run, tmp_path):
    """By construction: macs, params and what is made of sizes alone (az_complexity) go, naswot and l2_norm stay."""
    command = ["search", *SMALL, *SHORT, "--workers", 0, "--proxies", f"top:9@{run}"]
    names = {}
    for name, options in (("with", []), ("without", ["--no-sizes"])):
        result = zcbench_command(*command, *options, "--out", tmp_path / name)
        assert result.returncode == 0, result.stderr
        names[name] = content(tmp_path / name)["request"]["sources"]["rankings"][0]["names"]
    assert "macs" in names["with"] and set(names["without"]) == {"l2_norm", "naswot"}
    told = content(tmp_path / "without")["remarks"]
    assert any("top:9@" in line and "has 2 different names" in line for line in told)
    ranked = Ranking.load(plugged[0] / "ranking")
    assert "az_complexity" in set(ranked.table["proxy"])
    found = winners(f"top:9@{plugged[0]}", "nasbench201", sizes=False)
    assert set(found.names) == {"of_the_user", "naswot"} and found.about["sizes"] == "left out"
    with pytest.raises(RankingError, match="beside sizes"):
        winners(f"top:9@{plugged[0]}", "nasbench201", sizes=False, prefix="m")


def test_truths_weigh_alike(run, tmp_path):
    """Slow reference: the mean of tau over the truths by hand; a truth under a second name does not count twice."""
    ranking = Ranking.load(run / "ranking")
    first = ranking.table[ranking.table["subset"] == "all"]
    taus = {"macs": (0.9, 0.1, 0.1), "naswot": (0.5, 0.6, 0.6), "l2_norm": (0.2, 0.7, 0.7)}
    tables, accuracies = [], {}
    for place, truth in enumerate(("a", "b", "b again")):
        rows = first[first["proxy"].isin(list(taus))].assign(truth=truth)
        tables.append(rows.assign(tau=[taus[name][place] for name in rows["proxy"]]))
        accuracies[truth] = ranking.accuracies["own.csv"] * (1.0 if truth == "a" else -1.0)
    made = replace(ranking, table=pd.concat(tables, ignore_index=True), accuracies=pd.DataFrame(accuracies))
    made.save(tmp_path / "ranking")
    found = winners(f"top:3@{tmp_path}", "nasbench201")
    assert found.names == ["naswot", "macs", "l2_norm"]  # .55, .50, .45; with b twice l2_norm were before macs
    assert found.about["truths"] == ["a", "b"]
    assert winners(f"top:1@{tmp_path}:tau:b", "nasbench201").names == ["l2_norm"]


@pytest.mark.parametrize(
    "text", ["top:0@run", "top:inf@run", "top:-1@run", "top:1.5@run", "top:9999999999@run", "top:٣@run", "top:@run"]
)
def test_no_number_of_winners(text, fails, tmp_path):
    """Closed form: K is a whole number of at least 1."""
    message = fails("search", "--proxies", text, "--out", tmp_path / "out")
    assert "Expected top:K@RUN with K of at least 1" in message or "no known proxy" in message
