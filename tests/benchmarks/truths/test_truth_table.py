"""The schema of trained accuracies and the file it is stored in."""

import errno
import os
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcbench.benchmarks.truths.table import COLUMNS, TruthTable
from zcbench.errors import DataError

ABOUT = {"name": "mine/digits/test@3", "space": "mine", "dataset": "digits", "epochs": 3, "aggregation": "single runs"}
RUNS = [{"arch": arch, "seed": seed, "accuracy": 80.0 + seed} for arch in "ab" for seed in (0, 1, 2)]


def test_protocol_fills_in_the_columns() -> None:
    """Closed form: six rows by hand."""
    table = TruthTable.from_rows(RUNS, ABOUT)
    assert tuple(table.columns) == COLUMNS
    assert table.iloc[1].tolist() == ["mine", "a", "digits", "vanilla", "test", 3, 1, 1, 81.0]
    assert table.protocol["n"] == 2


def test_mean_over_runs() -> None:
    """Closed form: the mean of 80, 81 and 82, over three runs."""
    mean = TruthTable.from_rows(RUNS, ABOUT).averaged()
    assert mean["accuracy"].tolist() == [81.0, 81.0]
    assert mean["n_runs"].tolist() == [3, 3]
    assert mean["seed"].isna().all()
    assert mean.protocol["aggregation"] == "mean over single runs"


def test_protocol_survives_pandas() -> None:
    """Invariance: slicing, sorting and copying keep the type and the protocol."""
    table = TruthTable.from_rows(RUNS, ABOUT)
    for other in (table.copy(), table[table["seed"] == 0], table.sort_values("accuracy"), table.head(1)):
        assert isinstance(other, TruthTable)
        assert other.protocol == table.protocol


def test_a_table_made_of_several_has_a_protocol_only_if_they_agree() -> None:
    """By construction: halves of one table; two tables of different protocols; a table and a plain frame."""
    table = TruthTable.from_rows(RUNS, ABOUT)
    other = TruthTable.from_rows(RUNS, ABOUT | {"source": "elsewhere"})
    assert pd.concat([table.head(2), table.tail(4)]).protocol == table.protocol
    scores = pd.DataFrame({"arch": list("ab"), "score": [1.0, 2.0]})
    for made in (pd.concat([table, other]), table.merge(other, on=["arch", "seed"]), table.merge(scores, on="arch")):
        assert isinstance(made, TruthTable)
        assert made.protocol == {}
    with pytest.raises(DataError, match=r"no protocol.*from_rows"):
        pd.concat([table, other]).write("nowhere.parquet")


def test_protocols_are_not_shared() -> None:
    """Invariance: what is written into the protocol of a selection does not reach the table."""
    table = TruthTable.from_rows(RUNS, ABOUT)
    table.head(1).protocol["name"] = "changed"
    assert table.protocol["name"] == ABOUT["name"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"arch": "c", "accuracy": 100.5}, r"Row 1: accuracy is .*100\.5.*percent"),
        ({"arch": "c", "accuracy": -1}, "Row 1: accuracy"),
        ({"arch": "c", "accuracy": None}, "Row 1: accuracy"),
        ({"arch": "c", "accuracy": "good"}, "Row 1: accuracy is 'good'.*a number"),
        ({"arch": "", "accuracy": 50}, "Row 1: arch"),
        ({"arch": None, "accuracy": 50}, "Row 1: arch"),
        ({"arch": "a", "accuracy": 50}, "Row 1: arch is 'a'.*once"),
        ({"arch": "c", "accuracy": 50, "seed": 1.5}, r"Row 1: seed is 1\.5.*whole"),
        ({"arch": "c", "accuracy": 50, "epochs": "many"}, "Row 1: epochs is 'many'"),
    ],
)
def test_bad_row_is_named(row: dict[str, object], message: str) -> None:
    """Oracle: the message has the row's number, what it holds and what was expected."""
    with pytest.raises(DataError, match=message):
        TruthTable.from_rows([{"arch": "a", "accuracy": 90.0}, row], ABOUT)


def test_missing_column_and_fractions() -> None:
    """Oracle: the two commonest mistakes each have a message of their own."""
    with pytest.raises(DataError, match=r"'accuracy' is missing; there are \['arch', 'acc'\]"):
        TruthTable.from_rows([{"arch": "a", "acc": 1}], ABOUT)
    with pytest.raises(DataError, match="multiply fractions by 100"):
        TruthTable.from_rows([{"arch": "a", "accuracy": 0.93}], ABOUT)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1.5, 100), min_size=1, max_size=20))
def test_parquet_gives_back_the_bits(tmp_path_factory: pytest.TempPathFactory, accuracies: list[float]) -> None:
    """Invariance: write and read give the same values, types and protocol."""
    table = TruthTable.from_rows([{"arch": str(i), "accuracy": a} for i, a in enumerate(accuracies)], ABOUT)
    back = TruthTable.read(table.write(tmp_path_factory.mktemp("t") / "t.parquet"))
    pd.testing.assert_frame_equal(back, table)
    assert back.protocol == table.protocol


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    rows = [{"arch": f"arch-{i}", "accuracy": 50 + i / 100} for i in range(1000)]
    return TruthTable.from_rows(rows, ABOUT).write(tmp_path / "truth.parquet")


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text"])
def test_damaged_parquet_is_named(stored: Path, damage: str) -> None:
    """Oracle: no damage passes; the message names the file and the command that makes it anew."""
    data = stored.read_bytes()
    middle = data.index(b"\x28\xb5\x2f\xfd") + 30  # inside the first zstd frame: a page of values
    flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    stored.write_bytes({"empty": b"", "truncated": data[:-50], "flipped": flipped, "text": b"hello\n" * 99}[damage])
    with pytest.raises(DataError, match=r"truth\.parquet.*zcbench data"):
        TruthTable.read(stored)


def test_future_format_is_refused(stored: Path) -> None:
    """Oracle: a file that says format 99 is not guessed at."""
    table = pq.read_table(stored)
    changed = table.schema.metadata[b"zcbench"].replace(b'"format": 1', b'"format": 99')
    pq.write_table(table.replace_schema_metadata({b"zcbench": changed}), stored)
    with pytest.raises(DataError, match=r"format 99\. Expected 1"):
        TruthTable.read(stored)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_full_or_read_only_disk_keeps_the_old_file(stored: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Invariance: the file before is the file after, no draft is left, and the message says what to do."""
    before = stored.read_bytes()

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(pq, "write_table", refuse)
    with pytest.raises(DataError, match=r"truth\.parquet.*--data-dir"):
        TruthTable.from_rows(RUNS, ABOUT).write(stored)
    assert stored.read_bytes() == before
    assert list(stored.parent.iterdir()) == [stored]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Oracle: a file stands where a folder should be."""
    (tmp_path / "truth").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        TruthTable.from_rows(RUNS, ABOUT).write(tmp_path / "truth" / "t.parquet")


def test_csv_of_your_own(tmp_path: Path) -> None:
    """Closed form: two lines by hand; architectures stay text even where they look like numbers."""
    file = tmp_path / "mine.csv"
    file.write_text("arch,accuracy\n0012,91.5\n0100,90\n")
    table = TruthTable.from_csv(file, "mine/digits@30")
    assert table["arch"].tolist() == ["0012", "0100"]
    assert (table.protocol["space"], table.protocol["epochs"], table.protocol["n"]) == ("mine", 30, 2)
    assert TruthTable.from_csv(file).protocol["dataset"] == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Cannot read"),
        ("arch,accuracy\n", "There is no row"),
        ("arch,accuracy,split\na,90,test\nb,90,\n", "Row 1: split"),
        ("arch,acc\na,1\n", "'accuracy' is missing"),
        ("arch,accuracy\na,90\nb,x\n", "line 2 is row 0.*Row 1: accuracy is 'x'"),
        ("arch,accuracy,dataset\na,90,x\nb,90,y\n", "holds 2 truths"),
    ],
)
def test_bad_csv_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Oracle: the message names the file and the row."""
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=rf"(?s)mine\.csv.*{message}|{message}.*mine\.csv"):
        TruthTable.from_csv(file)
