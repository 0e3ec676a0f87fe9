"""Plug-in files to start from, and the commands that list, show and check spaces and distillers."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zcbench import distill, spaces
from zcbench.distill.contract import Distiller
from zcbench.errors import DataError, DuplicateNameError, RegistrationError, UnknownNameError
from zcbench.spaces.cards import INDEX, write_index
from zcbench.workflows.starting import new_plugin

from ..command import fails, zcbench_command

ROOT = Path(__file__).parents[2]
GROUPS = {"proxy": "proxies", "distiller": "distillers", "space": "spaces"}


def test_new_plugins_pass_as_they_are(tmp_path: Path) -> None:
    """Oracles: the tests that are written with the files, and the style of this project."""
    for kind, group in GROUPS.items():
        result = zcbench_command(group, "new", f"my_{kind}", "--out", tmp_path)
        assert result.returncode == 0 and f"my_{kind}.py" in result.stdout, result.stderr
    assert len(list(tmp_path.glob("test_*.py"))) == 3
    assert (
        pytest.main(["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)]) == 0
    )
    for command in (["check"], ["format", "--check"]):
        style = [sys.executable, "-m", "ruff", *command, "--config", ROOT / "pyproject.toml", tmp_path]
        assert subprocess.run(style, capture_output=True).returncode == 0
    checked = zcbench_command("spaces", "check", "my_space", "--plugin", tmp_path / "my_space.py", "--json")
    assert checked.returncode == 0
    assert {row["passed"] for row in json.loads(checked.stdout)["rows"]} == {True}


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("proxy", "a b", RegistrationError),
        ("proxy", "class", RegistrationError),
        ("proxy", "sum", RegistrationError),
        ("proxy", "kd:mine", RegistrationError),
        ("space", "site", RegistrationError),
        ("space", "random", RegistrationError),
        ("space", "all", RegistrationError),
        ("proxy", "synflow", DuplicateNameError),
        ("distiller", "kd", DuplicateNameError),
        ("space", "pit", DuplicateNameError),
        ("metric", "mine", UnknownNameError),
    ],
)
def test_names_that_cannot_be_new(kind: str, name: str, error: type[Exception], tmp_path: Path) -> None:
    """Closed form: one error, and no file."""
    with pytest.raises(error):
        new_plugin(kind, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    """Closed form: the second call is refused, and the first file is as it was."""
    file, _ = new_plugin("space", "mine", tmp_path)
    file.write_text("mine")
    with pytest.raises(DataError, match="there already"):
        new_plugin("space", "mine", tmp_path)
    assert file.read_text() == "mine"
    assert "Cannot write" in fails("spaces", "new", "other", "--out", file / "folder")


def test_spaces_are_listed_without_pytorch(tmp_path: Path) -> None:
    """Oracle: the index equals that of the registered spaces; a process that lists them has not imported PyTorch."""
    write_index(tmp_path / "index.json")
    assert (tmp_path / "index.json").read_text("utf-8") == INDEX.read_text("utf-8")
    code = "import sys, zcbench.spaces.cards as c; print([one.name for one in c.cards()[0]], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{[line[0] for line in json.loads(INDEX.read_text('utf-8'))]} False"


def test_spaces_are_shown() -> None:
    """Closed form: a row for each, with its number of architectures; the sizes of a named one."""
    rows = list(csv.DictReader(io.StringIO(zcbench_command("spaces", "list", "--csv").stdout)))
    assert {row["name"]: int(row["architectures"]) for row in rows}["s0"] == 64
    shown = zcbench_command("spaces", "show", "s0", "111").stdout
    assert "64 architectures" in shown and f"params {spaces.get('s0').params('111'):,}" in shown
    assert "no known space" in fails("spaces", "show", "s1")


def test_a_space_that_is_wrong(tmp_path: Path) -> None:
    """Closed form: a formula for the parameters that is one too many is found, and the exit code is 1."""
    file, _ = new_plugin("space", "wrong", tmp_path)
    more = """
    def _size(self, values, num_classes, image_shape):
        cost = super()._size(values, num_classes, image_shape)
        return cost._replace(params=cost.params + 1)
"""
    file.write_text(file.read_text() + more)
    result = zcbench_command("spaces", "check", "wrong", "--plugin", file)
    assert result.returncode == 1
    assert "BROKEN sizes are those of the network" in result.stdout and result.stdout.count("BROKEN") == 1


def test_a_loss_that_is_wrong() -> None:
    """Closed form: a loss that writes to the student's logits is found by the check of that, and one that is NaN."""

    def writes(student: distill.Outputs, teacher: distill.Outputs) -> object:
        with_gradient = (student.logits - teacher.logits).square().mean()
        student.logits.data.add_(1)
        return with_gradient

    def is_nan(student: distill.Outputs, teacher: distill.Outputs) -> object:
        return (student.logits - teacher.logits).mean() * float("nan")

    def broken(function: object) -> list[str]:
        loss = Distiller("mine", function, frozenset({"logits"}))  # type: ignore[arg-type]
        return [finding.check for finding in distill.check(loss) if not finding.passed]

    assert broken(writes) == ["the same outputs give the same bits", "the outputs are left as they were"]
    assert broken(is_nan)[:2] == ["the loss is a finite scalar", "its gradient reaches the student"]


def test_losses_are_shown() -> None:
    """Closed form: the hyperparameters of a specification, and a row for each loss."""
    rows = json.loads(zcbench_command("distillers", "list", "--json").stdout)["rows"]
    assert [row["name"] for row in rows] == distill.names()
    assert "temperature=2.0" in zcbench_command("distillers", "show", "kd(temperature=2)").stdout
    assert zcbench_command("distillers", "check", "kd").stdout.count("holds") == 13
