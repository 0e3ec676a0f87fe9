"""JSON, CSV and files of options: the same rows as the table, and bad input in one sentence."""

import csv
import io
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import zcbench
from zcbench.cli.given import configurable
from zcbench.cli.output import emitted, plain, tabular
from zcbench.cli.strict import strict
from zcbench.cli.tables import not_applicable

from ..command import fails, zcbench_command

SEEN: list[object] = []
app = typer.Typer()


@app.callback()
def _group() -> None:
    """Keep ``show`` a command of its own name."""


@app.command()
@tabular
@configurable(like=lambda run: {"rate": 0.5, "names": ["p", "q"]} if run == "runs/one" else {})
def show(rate: float = 1.0, names: str = "a", file: list[Path] | None = None, first_seed: int = 0) -> None:
    """Show what was given."""
    SEEN[:] = [rate, names, file, first_seed]
    emitted([{"rate": rate, "names": names.split(","), "tau": math.nan}], best={"seed": np.int64(first_seed)})


def shown(*arguments: object) -> str:
    result = CliRunner().invoke(strict(app), ["show", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_is_one_document_of_rows() -> None:
    """By construction: version, schema, command, rows and what the command adds; no number is NaN."""
    document = json.loads(shown("--json", "--names", "a,b"))
    assert document["zcbench"] == zcbench.__version__ and document["schema"] == 1
    assert document["rows"] == [{"rate": 1.0, "names": ["a", "b"], "tau": None}] and document["best"] == {"seed": 0}
    assert shown() == ""


def test_csv_is_the_rows() -> None:
    """By the reader of Python: a line for each row, lists as JSON, nothing for a missing number."""
    (row,) = csv.DictReader(io.StringIO(shown("--csv", "--names", "a,b")))
    assert row == {"rate": "1.0", "names": '["a", "b"]', "tau": ""}


def test_plain_values() -> None:
    """By construction: numbers of NumPy, records, sets, paths."""
    given = {"a": np.float32(0.5), "b": np.array([1, 2]), "c": {"y", "x"}, "d": Path("f"), "e": True, "f": -math.inf}
    assert plain(given) == {"a": 0.5, "b": [1, 2], "c": ["x", "y"], "d": "f", "e": True, "f": None}


def test_a_file_of_options(tmp_path: Path) -> None:
    """By construction: options of the command line win over the file, the file over the run, the run over defaults."""
    config = tmp_path / "study.yaml"
    config.write_text("names: [x, y]\nfile: one.py\nfirst-seed: 3\n")
    shown("--config", config)
    assert [1.0, "x,y", [Path("one.py")], 3] == SEEN
    shown("--config", config, "--like", "runs/one", "--first-seed", 4)
    assert [0.5, "x,y", [Path("one.py")], 4] == SEEN
    shown("--like", "runs/one")
    assert SEEN == [0.5, "p,q", None, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sead: 3", "'sead' is no known option in {file}. Did you mean 'shard' or 'seeds'"),
        ("config: a.yaml", "'config' is no known option"),
        ("- a", "holds list. Expected a mapping"),
        ("a: [", "Cannot read '{file}'"),
        ("proxies: [[1]]", "'proxies' in {file} is [[1]]. Expected a text"),
        ("proxies: ''", "'proxies' in {file} is ''"),
    ],
)
def test_bad_files_of_options(content: str, message: str, tmp_path: Path) -> None:
    """One sentence each, before anything is scored."""
    (tmp_path / "c.yaml").write_text(content)
    told = fails("bench", "--config", tmp_path / "c.yaml")
    assert message.format(file=tmp_path / "c.yaml") in told
    assert "Cannot read 'absent.yaml'" in fails("bench", "--config", "absent.yaml")


@pytest.mark.parametrize("command", [["proxies", "list"], ["scores", "list"], ["scores", "show", "nasbench201-1000"]])
def test_lists_in_three_forms(command: list[str]) -> None:
    """Invariance: JSON and CSV have the same rows; the names are those of the table."""
    document = json.loads(zcbench_command(*command, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(zcbench_command(*command, "--csv").stdout)))
    assert document["command"] == " ".join(command[:2]) and len(rows) == len(document["rows"]) > 1
    name = "proxy" if command[1] == "show" else "name"
    table = zcbench_command(*command).stdout
    assert all(str(row[name]) in table for row in document["rows"])
    assert fails(*command, "--json", "--csv", code=2).endswith("Expected one of the two.")


def test_a_ranking_in_json_and_on_the_terminal() -> None:
    """Invariance: the rows of the ranking that Python gives for the same scores; the terminal has the first 15."""
    command = ["rank", "nasbench201-1000", "--truth", "nasbench201/cifar10-16/vanilla", "--draws", 2]
    document = json.loads(zcbench_command(*command, "--ensembles", "none", "--json").stdout)
    options = zcbench.RankingOptions(draws=2)
    expected = zcbench.rank("nasbench201-1000", "nasbench201/cifar10-16/vanilla", ensembles="none", options=options)
    assert {row["proxy"]: row["tau"] for row in document["rows"]} == expected.to_frame(wide=True)["tau"].to_dict()
    assert document["protocol"]["scores"]["space"] == "nasbench201(channels=16,cells=5)"
    told = zcbench_command(*command, "--ensembles", "none").stdout
    shown = [row for row in document["rows"] if re.search(rf"^ *{re.escape(row['proxy'])} ", told, re.MULTILINE)]
    others = sorted((row["tau"] for row in document["rows"] if row["kind"] == "proxy"), reverse=True)
    sizes = [row for row in shown if row["kind"] == "baseline"]
    assert len(shown) == 15 and f"15 of {len(document['rows'])} rows: the best, sizes" in told
    assert len(sizes) == sum(row["kind"] == "baseline" for row in document["rows"])
    assert sorted((row["tau"] for row in shown if row not in sizes), reverse=True) == others[: 15 - len(sizes)]


def test_proxies_that_apply_to_no_architecture() -> None:
    """By construction: every attempt is not applicable; a failure of another kind, or one value, keeps the row."""
    failures = {"proxy": ["a", "b", "b", "c"], "status": ["not_applicable", "not_applicable", "nan", "not_applicable"]}
    table = pd.DataFrame({"proxy": ["a", "b", "c", "d"], "coverage": [0.0, 0.0, 0.5, 1.0]})
    assert not_applicable(SimpleNamespace(failures=pd.DataFrame(failures), table=table)) == ["a"]
