"""The score store: what goes in comes out, and everything that can be wrong with the file is said."""

import json
import math
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zcbench import spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.store import COLUMNS, Missing, Request, Row, Store
from zcbench.errors import ProtocolError, StoreError


def row(arch="a", proxy="p", version=1, seed=0, value: float | None = 1.0, status="ok", reason="") -> Row:
    return Row(arch, proxy, version, seed, value, status, reason, 0.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scores.sqlite"


@pytest.fixture
def protocol(space, batch):
    return Protocol.of(Conditions(space, batch))


def test_values_keep_their_bits(path):
    """Invariance: doubles at the edges of their range come back bit for bit, a failure as NaN with its reason."""
    values = [0.1, 1 / 3, 0.0, 5e-324, 1.7976931348623157e308, -1e-300]
    with Store(path, write=True) as store:
        store.save([row(arch=f"a{i}", value=value) for i, value in enumerate(values)])
        store.save([row(arch="b", value=None, status="error", reason="ValueError: it broke")])
        scores = store.scores()

    assert tuple(scores.columns) == COLUMNS
    assert scores.value[:-1].to_numpy().tobytes() == np.array(values).tobytes()
    assert math.isnan(scores.value.iloc[-1])
    assert scores.reason.iloc[-1] == "ValueError: it broke"


def test_empty_store_has_the_columns_and_types(path):
    """By construction: no scores is an empty table, not an error."""
    Store(path, write=True).close()
    with Store(path) as store:
        scores = store.scores()
    assert len(scores) == 0
    assert scores.value.dtype == float


def test_reading_while_writing(path):
    """By construction: a reader sees every committed row and nothing stands in the writer's way."""
    with Store(path, write=True) as writer:
        for count in range(1, 4):
            writer.save([row(arch=f"a{count}")])
            with Store(path) as reader:
                assert len(reader.scores()) == count


def test_closed_store_is_one_file(path):
    """By construction: after closing, nothing of the write-ahead log is left, so the file can be copied alone."""
    with Store(path, write=True) as store:
        store.save([row()])
        assert path.with_name("scores.sqlite-wal").exists()
    assert [file.name for file in path.parent.iterdir()] == ["scores.sqlite"]


def test_versions_are_kept_and_not_mixed(path):
    """By construction: the newest version of each proxy is given, the older one on demand."""
    with Store(path, write=True) as store:
        store.save([row(version=1), row(version=2, value=2.0), row(arch="b", version=1), row(proxy="q")])

        assert store.scores()[["arch", "proxy", "version"]].to_numpy().tolist() == [["a", "p", 2], ["a", "q", 1]]
        assert len(store.scores(all_versions=True)) == 4


def test_missing_in_the_order_asked(path):
    """By hand: three architectures, two seeds, two proxies, three rows there, one of them of an older version."""
    with Store(path, write=True) as store:
        store.save([row("b", "p"), row("b", "q", status="timeout", value=None), row("a", "p", version=9)])
        asked = Request(["b", "a"], [0, 7], [("q", 1), ("p", 1)])

        assert store.missing(asked) == [
            Missing("b", 7, ("q", "p")),
            Missing("a", 0, ("q", "p")),
            Missing("a", 7, ("q", "p")),
        ]
        assert store.missing(asked, retry=["timeout"])[0] == Missing("b", 0, ("q",))
        assert store.tally(asked) == {"ok": 1, "timeout": 1}


def test_other_protocol_lists_the_differences(path, protocol):
    """By construction: two fields differ, so two are named, old → new."""
    with Store(path, write=True) as store:
        store.adopt(protocol)
        store.adopt(protocol)
        with pytest.raises(ProtocolError, match=r"\(init: default → xavier; dtype: float32 → float64\)"):
            store.adopt(replace(protocol, init="xavier", dtype="float64"))


def test_protocol_round_trip(protocol):
    """Invariance: to JSON and back; equal protocols hash alike, others do not."""
    assert Protocol.from_json(protocol.to_json()) == protocol
    assert replace(protocol).hash() == protocol.hash()
    assert replace(protocol, batch_sha256="0").hash() != protocol.hash()


def test_a_protocol_from_before_layouts(protocol):
    """By construction: what an older store does not say was contiguous."""
    old = json.loads(protocol.to_json())
    del old["layout"]
    assert Protocol.from_json(json.dumps(old)) == protocol


def test_unknown_dtype(protocol):
    """By construction: integers are no floating type."""
    with pytest.raises(ProtocolError, match="dtype='int8'"):
        replace(protocol, dtype="int8")


@pytest.mark.parametrize("write", [False, True])
def test_store_of_another_version(path, write):
    """By construction: a higher ``user_version`` is refused for reading and writing, and the file stays as it was."""
    Store(path, write=True).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"version 99\. Expected version 2"):
        Store(path, write=write)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "value = 2.0 WHERE arch = 'b'",
        "value = 'high' WHERE arch = 'b'",
        "status = 'ok' WHERE arch = 'c'",
        "seconds = 7 WHERE arch = 'b'",
        "seed = 3 WHERE arch = 'b'",
        "checksum = NULL WHERE arch = 'b'",
    ],
)
def test_a_row_that_another_program_changed(path, change):
    """By construction: one column of one row changed by hand; reading names the row, whoever reads."""
    with Store(path, write=True) as store:
        store.save([row("a"), row("b"), row("c", value=None, status="error", reason="it broke")])
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE scores SET {change}")
    for write in (False, True):
        with (
            Store(path, write=write) as store,
            pytest.raises(StoreError, match=r"damaged or changed: the score of 'p' for '[bc]'"),
        ):
            store.scores()


def test_a_row_that_another_program_added(path):
    """By construction: a score without its checksum is not one of ours."""
    with Store(path, write=True) as store:
        store.save([row("a")])
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO scores VALUES ('b', 'p', 1, 0, 9.0, 'ok', '', 0.5, NULL)")
    with Store(path) as store, pytest.raises(StoreError, match="for 'b' with seed 0 is not the one that was stored"):
        store.scores()


def old_store(path, protocol):
    """A store as version 1 wrote it, without checksums."""
    with Store(path, write=True) as store:
        store.adopt(protocol)
        store.save([row("a", value=-0.0), row("b", value=0.1), row("c", value=None, status="nan")])
        before = store.scores()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE scores DROP COLUMN checksum")
        db.execute("PRAGMA user_version = 1")
    return before


def test_a_store_without_checksums(path, protocol):
    """Invariance: it is read as it is and left so; a writer adds the checksums, and then a change is noticed."""
    before, untouched = old_store(path, protocol), path.read_bytes()
    with Store(path) as store:
        pd.testing.assert_frame_equal(store.scores(), before)
    assert path.read_bytes() == untouched
    with Store(path, write=True) as store:
        store.save([row("d", value=3.0)])
        pd.testing.assert_frame_equal(store.scores().head(3), before)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE scores SET value = 5 WHERE arch = 'a'")
    with Store(path) as store, pytest.raises(StoreError, match="'a'"):
        store.scores()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"space": 5}', "[" * 5000])
def test_a_damaged_protocol_is_a_sentence(protocol, text):
    """Bad input: no JSON, no dictionary, fields that are missing or of another type."""
    with pytest.raises(ProtocolError, match="stored protocol"):
        Protocol.from_json(text)
    for name in ("space", "batch_size", "image_shape", "dtype"):
        damaged = {**json.loads(protocol.to_json()), name: {"a": 1}}
        with pytest.raises(ProtocolError, match=f"damaged in {name}"):
            Protocol.from_json(json.dumps(damaged))


def test_somebody_elses_database(path):
    """By construction: an SQLite file with other tables is not written to."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE phones (number TEXT)")
    with pytest.raises(StoreError, match="version 0"):
        Store(path, write=True)


@pytest.mark.parametrize("write", [False, True])
def test_no_database_at_all(path, write):
    """By construction: text, and a store whose middle is overwritten, are called damaged."""
    path.write_text("arch,score\n" * 1000)
    with pytest.raises(StoreError, match="damaged or no SQLite file"):
        Store(path, write=write)


def test_damaged_pages(path):
    """By construction: a page in the middle is overwritten; opening for writing notices."""
    with Store(path, write=True) as store:
        store.save([row(arch=f"{i:0500}") for i in range(200)])
    content = bytearray(path.read_bytes())
    content[8192:40960] = bytes(32768)
    path.write_bytes(content)

    with pytest.raises(StoreError, match="damaged"):
        Store(path, write=True)


def test_missing_and_unwritable_places(tmp_path):
    """By construction: nothing there to read; a path below a file, which nobody can write to."""
    with pytest.raises(StoreError, match="No scores at"):
        Store(tmp_path / "none.sqlite")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="unable to open"):
        Store(tmp_path / "file" / "scores.sqlite", write=True)


def test_full_disk_keeps_what_was_finished(path):
    """By construction: SQLite is told that the disk ends at 16 pages; the refused transaction leaves no half."""
    with Store(path, write=True) as store:
        store.save([row(arch="finished")])
        store._db.execute("PRAGMA max_page_count = 16")
        with pytest.raises(StoreError, match=r"full.*finished so far are kept.*same command again"):
            store.save([row(arch=f"{i:01000}") for i in range(200)])

        assert store.scores().arch.tolist() == ["finished"]
        store._db.execute("PRAGMA max_page_count = 100000")
        store.save([row(arch="after")])
        assert len(store.scores()) == 2


def test_stored_scores_are_read_without_pytorch(path, protocol):
    """Invariance: another process reads the rows, and has imported neither PyTorch nor scikit-learn."""
    with Store(path, write=True) as store:
        store.adopt(protocol)
        store.save([Row("a", "snip", 1, 0, 0.5, "ok", "", 0.1)])
    code = (
        "import sys; from zcbench.benchmarks.scoring.store import Store; import zcbench.benchmarks.ranking.study\n"
        f"with Store({str(path)!r}) as store: print(store.scores()['value'].tolist(), store.protocol().batch_size)\n"
        "print(*(name for name in ('torch', 'sklearn') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [f"[0.5] {protocol.batch_size}", ""]


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which tells a process its peak memory")
def test_a_million_rows_in_300_mb(path, protocol):
    """Bound: peak memory of a process that reads the table, Python and pandas included, in units of 2**20 bytes."""
    archs = spaces.get("nasbench201")
    with Store(path, write=True) as store:
        store.adopt(protocol)
        store.save(Row(arch, f"p{k:02}", 1, 0, k + 0.5, "ok", "", 0.25) for arch in archs for k in range(64))
    code = (
        "from zcbench.benchmarks.scoring.store import Store\n"
        f"with Store({str(path)!r}) as store: print(len(store.scores()))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    rows, peak = map(int, done.stdout.split())
    assert rows == 1_000_000
    assert peak < 300 * 2**10
