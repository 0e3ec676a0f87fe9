"""What ``zcbench data list`` and ``show`` print, as a narrow terminal and as a pipe."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from zcbench.benchmarks.truths.catalogue import PUBLISHED
from zcbench.cli.data import app
from zcbench.errors import UnknownNameError


def _printed(*arguments: object, width: int = 80) -> list[str]:
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": str(width)}, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_every_name_of_the_list_is_on_one_line(small: Path) -> None:
    """Invariance: each name begins a line of its own, whole, with its number of rows, and no line is too wide."""
    lines = [line.split() for line in _printed("list", "--data-dir", small)]
    begun = {(line[0], line[1]): line for line in lines if len(line) > 3}
    for (name, per_run), published in PUBLISHED.items():
        assert begun[name, "runs" if per_run else "mean"][2] == str(published.rows)
    assert max(map(len, _printed("list", "--data-dir", small))) <= 132
    assert begun["nasbench201/cifar10/test@200", "mean"][3:] == ["source", "none", "stated"]
    assert begun["s0/cifar100/test/kd", "mean"][3:] == ["no", "Apache-2.0"]


def test_show(tmp_path: Path) -> None:
    """Closed form: a table of two rows by hand."""
    file = tmp_path / "mine.csv"
    file.write_text("arch,accuracy\na,90\nb,91.5\n")
    lines = dict(line.split(":", 1) for line in _printed("show", file))
    assert {key: value.strip() for key, value in lines.items()} | {"sha256": ""} == {
        "name": str(file),
        "space": "user",
        "data set": "mine, test images",
        "setting": "vanilla",
        "architectures": "2",
        "lowest": "90.00 (a)",
        "median": "90.75",
        "highest": "91.50 (b)",
        "values": "values as given",
        "source": str(file),
        "licence": "not stated",
        "sha256": "",
    }


def test_show_of_an_unknown_name() -> None:
    """Oracle: the nearest name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'cifar100'"):
        _printed("show", "s0/cifar10")
