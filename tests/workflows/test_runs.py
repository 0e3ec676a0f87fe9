"""Folders of runs, one network on the command line, and a search over networks of one's own."""

import json
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

import zcbench
from zcbench.errors import DataError
from zcbench.storage.run_folder import named_by_time
from zcbench.workflows.runs import given_options, page, read_run

from ..command import fails, zcbench_command

FILE = """
from functools import partial
from torch import nn


def make(width=6):
    layers = nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
    return nn.Sequential(*layers)


NETWORKS = {f"w{width}": partial(make, width) for width in (4, 6, 8, 10)}
"""
SMALL = ["--dataset", "noise", "--image-size", 8, "--batch-size", 8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of networks, accuracies that are no percents, a run of bench named by time, and a search."""
    home = tmp_path_factory.mktemp("home")
    (home / "nets.py").write_text(FILE)
    pd.DataFrame({"arch": ["w4", "w6", "w8", "w10"], "accuracy": [-3, -2.5, 130, 140]}).to_csv(home / "acc.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        own = ["--truth", home / "acc.csv", *SMALL, "--formats", "svg", "--workers", 0]
        bench = [
            "bench",
            "--networks",
            home / "nets.py:NETWORKS",
            *own,
            "--proxies",
            "synflow,naswot",
            "--draws",
            9,
            "--failures-last",
        ]
        done = zcbench_command(*bench)
        assert done.returncode == 0, done.stderr
        assert "with --out runs/bench-" in done.stderr
        search = ["search", "--space", home / "nets.py:NETWORKS", *own, "--proxies", "naswot", "--out", "runs/search"]
        found = zcbench_command(*search, "--json")
        assert found.returncode == 0, found.stderr
        (home / "document.json").write_text(found.stdout)
    return home


def test_folders_are_named_by_time(tmp_path: Path) -> None:
    """By construction: year to minute; a number where the name is taken."""
    now = datetime(2026, 11, 29, 9, 15)
    first = named_by_time("bench", tmp_path, now)
    first.mkdir()
    assert first.name == "bench-2026-11-29-0915"
    assert named_by_time("bench", tmp_path, now).name == "bench-2026-11-29-0915-2"


def test_every_command_that_makes_a_folder_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: without --out a truth and a distiller search are under runs/, named by command and time."""
    monkeypatch.chdir(tmp_path)
    small = ["--dataset", "digits(images=64,test_images=32)", "--batch-size", 32, "--epochs", 1, "--workers", 0]
    truth = ["truth", "build", "--space", "s0", "--archs", 1, "--settings", "vanilla", "--seeds", 1]
    assert zcbench_command(*truth, *small).returncode == 0
    (found,) = zcbench.runs()
    assert found.kind == "truth" and found.folder.name[:-16] == "truth"
    evolve = ["evolve-distiller", "--student", "resnet:resnet8", "--teacher", "resnet:resnet8", "--preset", "tiny"]
    assert "Folder: runs/evolve-distiller-" in fails(*evolve, *small)  # too few images for a validation split


def test_runs_are_listed_shown_and_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: one run of scores, one search; the page is that of the report."""
    found = {run.kind: run for run in zcbench.runs(folder / "runs")}
    assert found.keys() == {"scores", "search"} and found["scores"].coverage == found["search"].coverage == 1
    assert "4 architectures of networks, 2 proxies" in found["scores"].about
    listed = json.loads(zcbench_command("runs", "list", folder / "runs", "--json").stdout)["rows"]
    assert [row["folder"] for row in listed] == [str(run.folder) for run in zcbench.runs(folder / "runs")]
    assert "batch_seed: 0" in zcbench_command("runs", "show", found["scores"].folder).stdout
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    shown = zcbench_command("runs", "open", found["search"].folder).stdout.strip()
    assert opened == [Path(shown).as_uri()] and Path(shown) == page(found["search"].folder).resolve()
    with pytest.raises(DataError, match="holds no run"):
        read_run(folder)
    assert "There is no folder 'absent'" in fails("runs", "list", "absent")


def test_like_repeats_the_options_of_a_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariance: the protocol of the run, but for what is given; a run without options is refused."""
    run = next(run for run in zcbench.runs(folder / "runs") if run.kind == "scores")
    monkeypatch.chdir(tmp_path)
    again = zcbench_command("bench", "--like", run.folder, "--proxies", "naswot", "--formats", "svg", "--out", "more")
    assert again.returncode == 0, again.stderr
    assert read_run("more").protocol == run.protocol and "1 proxies" in read_run("more").about
    assert given_options("more")["ranking"] == given_options(run.folder)["ranking"]
    assert "has no options to take" in fails("bench", "--like", folder / "runs" / "search")
    assert given_options("more")["ranking"]["failures_last"] is True


def test_objects_are_short_lines_and_tables(folder: Path) -> None:
    """Closed form: what stands in a notebook of a batch, a search and a run; no line is long, and text is escaped."""
    batch = zcbench.datasets.batch(zcbench.datasets.load("noise(side=8)"), 4)
    assert repr(batch) == "Batch(noise: 4 inputs float32 (3, 8, 8), labels int64 ())"
    assert batch._repr_html_().count("<tr>") == 5 and batch.sha256[:12] in batch._repr_html_()
    networks = zcbench.spaces.get(str(folder / "nets.py:NETWORKS"))
    found = zcbench.run_search(
        "params", folder / "plain", zcbench.search.Candidates(networks), scores=zcbench.search.Scoring(dataset="noise")
    )
    assert repr(found) == "Outcome('w10' by params, 4 evaluated)"
    assert found._repr_html_().count("<tr") == 5 and found.to_frame()["arch"].nunique() == 4
    ranking = zcbench.rank(
        next(run for run in zcbench.runs(folder / "runs") if run.kind == "scores").folder, folder / "acc.csv"
    )
    assert "4 architectures by acc.csv" in ranking._repr_html_() and len(repr(ranking)) < 400


def test_any_finite_accuracies_rank_and_search(folder: Path) -> None:
    """By construction: accuracies below 0 and above 100; the search selects the best by naswot of four."""
    run = next(run for run in zcbench.runs(folder / "runs") if run.kind == "scores")
    ranking = zcbench.rank(run.folder, folder / "acc.csv")
    assert ranking.to_frame(wide=True).loc["params", "tau"] == 1
    document = json.loads((folder / "document.json").read_text())
    scores = ranking.scores["naswot"]
    assert document["best"]["arch"] == scores.idxmax() and len(document["rows"]) == 4
    assert (folder / "runs" / "search" / "report" / "index.html").is_file()


def test_one_network_has_the_scores_of_bench(folder: Path) -> None:
    """Invariance: the same network by the same name; a status for each proxy of a pattern."""
    run = next(run for run in zcbench.runs(folder / "runs") if run.kind == "scores")
    (folder / "one.py").write_text(FILE + "\nw6 = make\n")
    shown = zcbench_command("score", folder / "one.py:w6", *SMALL, "--proxies", "synflow,naswot,dss", "--json")
    rows = {row["proxy"]: row for row in json.loads(shown.stdout)["rows"]}
    expected = zcbench.rank(run.folder, folder / "acc.csv").scores.loc["w6"]
    assert {name: rows[name]["value"] for name in ("synflow", "naswot")} == expected[["synflow", "naswot"]].to_dict()
    assert rows["dss"]["status"] == "not_applicable" and rows["dss"]["value"] is None
    told = zcbench_command("score", folder / "one.py:w6", *SMALL, "--proxies", "naswot,kd:*").stdout
    assert "it compares with a teacher, and none is given" in told
    assert "Did you mean 'NETWORKS'" in fails("score", f"{folder / 'nets.py'}:NETWORK", *SMALL)
    assert "Expected one network" in fails("score", f"{folder / 'nets.py'}:NETWORKS", *SMALL)
