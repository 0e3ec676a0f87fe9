"""A published truth is one record in one file: register it, and every command knows it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import zcbench
from zcbench.benchmarks.truths import data
from zcbench.benchmarks.truths.catalogue import PUBLISHED, SOURCES
from zcbench.benchmarks.truths.sources import PublishedTruth, Source, register
from zcbench.cli.data import app
from zcbench.errors import DuplicateNameError

CONTENT = b"arch,accuracy\na,90\nb,91.5\n"
FILE = Source("mine", "me/my-trainings", "0" * 40, "accuracies.csv", hashlib.sha256(CONTENT).hexdigest(), 27, "MIT")
TRUTH = PublishedTruth("mine/digits/test@30", (FILE,), pd.read_csv, rows=2, notes=(("optimiser", "SGD"),))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder with the file of the registered truth, which is forgotten afterwards."""
    register(TRUTH)
    path = tmp_path / FILE.place
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    yield tmp_path
    del SOURCES["mine"], PUBLISHED["mine/digits/test@30", False]


def test_a_registered_truth_is_known_everywhere(folder: Path) -> None:
    """Closed form: two rows by hand, by name and without its epochs; listed, shown, imported and verified."""
    table = zcbench.truth("mine/digits", folder)
    assert table["accuracy"].tolist() == [90.0, 91.5]
    assert table.protocol["optimiser"] == "SGD"
    listed = data.list_data(folder).set_index("name").loc["mine/digits/test@30"]
    assert (listed["rows"], listed["licence"], listed["where"]) == (2, "MIT", str(folder / "sources"))
    shown = CliRunner().invoke(app, ["show", "mine/digits", "--data-dir", str(folder)], catch_exceptions=False)
    assert "me/my-trainings@0000000:accuracies.csv" in shown.output
    assert data.verify(folder).set_index("name").loc["mine", "status"] == "ok"
    assert data.import_folder(folder, folder / "d")["tables"].tolist() == [1]


def test_one_name_is_one_truth(folder: Path) -> None:
    """Message: the name that was registered before; the same record again changes nothing."""
    register(TRUTH)
    with pytest.raises(DuplicateNameError, match="'mine/digits/test@30' was registered before"):
        register(PublishedTruth("mine/digits/test@30", (FILE,), pd.read_csv, rows=3))
