"""Packed scores: nothing is lost, the same key never has two numbers, and a run goes on from a file."""

import json

import numpy as np
import pandas as pd
import pytest

from zcbench.benchmarks.scoring import packing
from zcbench.benchmarks.scoring.folder import load_run
from zcbench.benchmarks.scoring.packing import Scores, merged, pack, read, unpack
from zcbench.benchmarks.scoring.store import Row, Store
from zcbench.errors import DataError, ProtocolError, StoreError, UnknownNameError

KEY = ["arch", "proxy", "version", "seed"]
HARD = [0.1, 1e308, 5e-324, -1 / 3, float(np.float32(0.1)), 2.0**53 + 2, -7.0]


@pytest.fixture
def folder(run, tmp_path):
    """A finished run of three proxies, two seeds and four architectures."""
    run()
    return tmp_path / "run"


def add(folder, *rows: Row) -> None:
    with Store(folder / "scores.sqlite", write=True) as store:
        store.save(rows)


def equal(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Bit for bit, but for the rounded seconds."""
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)
    np.testing.assert_allclose(one["seconds"], other["seconds"], rtol=5.1e-3)


def test_packed_and_read_is_the_store(folder, archs, tmp_path):
    """Round trip: every key, bit of a value, status and reason; seconds to three digits; rows in the same order."""
    rows = [Row(archs[0], "hard", 1, seed, value, "ok", "", 0.123456) for seed, value in enumerate(HARD)]
    rows += [Row(archs[1], "hard", 1, 0, None, "singular", "two images, “alike”\nand | odd", 12.0)]
    rows += [Row(archs[2], "kd:at@x y", 12, 9, 2.5, "ok", "", 0.0)]
    add(folder, *rows)
    pack([folder], tmp_path / "file.parquet")
    protocol, frame, description = read(tmp_path / "file.parquet")
    expected = load_run(folder)
    assert (protocol, description["requests"]) == (expected[0], expected[2]["requests"])
    equal(frame, expected[1])
    assert frame.dtypes.equals(expected[1].dtypes)
    hard = frame[(frame["proxy"] == "hard") & (frame["status"] == "ok")].sort_values("seed")
    assert hard["value"].to_numpy().tobytes() == np.array(HARD).tobytes()
    assert set(hard["seconds"]) == {0.123}


def test_the_same_scores_are_the_same_bytes(folder, tmp_path):
    """Invariance: packing twice, and packing what was packed."""
    for name, source in (("a", folder), ("b", folder), ("c", tmp_path / "a.parquet")):
        pack([source], tmp_path / f"{name}.parquet")
    files = [(tmp_path / f"{name}.parquet").read_bytes() for name in "abc"]
    assert files[0] == files[1] == files[2]


def test_an_unpacked_run_goes_on(run, folder, archs, space, tmp_path, values):
    """Equal to one uninterrupted run: the second computes only what the file lacks."""
    pack([folder], tmp_path / "file.parquet")
    unpack(tmp_path / "file.parquet", tmp_path / "moved")
    more = [*archs, space[3]]
    again = run(out=tmp_path / "moved", archs=more)
    assert (again.total, again.fresh) == (5 * 2 * 3, 2 * 3)
    straight = run(out=tmp_path / "straight", archs=more)
    pd.testing.assert_frame_equal(values(again.scores()), values(straight.scores()), check_exact=True)
    assert len(json.loads((tmp_path / "moved" / "run.json").read_text())["requests"]) == 2


def test_the_card_says_what_is_inside(folder, archs, tmp_path):
    """Closed form: 4 architectures x 2 seeds, and the failure that was added; no folder of this machine is in it."""
    add(folder, Row(archs[0], "broken", 3, 0, None, "error", "no", 1.0))
    card = pack([folder], tmp_path / "file.parquet")
    assert packing.card(tmp_path / "file.parquet") == card
    entries = {entry["proxy"]: entry for entry in card["proxies"]}
    assert entries["naswot"]["attempts"] == {"0": 4, "1": 4}
    assert entries["broken"] == {
        "proxy": "broken",
        "version": 3,
        "attempts": {"0": 1},
        "statuses": {"error": 1},
        "seconds": 1.0,
    }
    assert (card["architectures"], card["scores"]) == (4, 25)
    assert str(tmp_path) not in json.dumps(card)


def test_older_versions_and_chosen_proxies(folder, archs, tmp_path):
    """Closed form: the newest version unless all are asked for; only the proxies that are named."""
    add(folder, Row(archs[0], "naswot", 0, 0, 1.0, "ok", "", 1.0))
    file = tmp_path / "file.parquet"
    assert len(pack([folder], file)["proxies"]) == 3
    assert len(pack([folder], file, all_versions=True)["proxies"]) == 4
    assert len(read(file)[1]) == 24
    assert len(read(file, all_versions=True)[1]) == 25
    pack([folder], file, proxies=["params"])
    assert set(read(file)[1]["proxy"]) == {"params"}
    with pytest.raises(UnknownNameError, match="Did you mean 'synflow'"):
        pack([folder], file, proxies=["sinflow"])


def test_runs_are_merged(run, folder, archs, tmp_path, values):
    """Equal to one run of everything: two runs that overlap in architectures, seeds and proxies."""
    run(out=tmp_path / "other", archs=archs[:2], seeds=[1, 2], proxies=["naswot", "snip"])
    pack([folder, tmp_path / "other"], tmp_path / "both.parquet")
    frame = read(tmp_path / "both.parquet")[1]
    run(out=folder, archs=archs[:2], seeds=[1, 2], proxies=["naswot", "snip"])
    pd.testing.assert_frame_equal(values(frame), values(load_run(folder)[1]), check_exact=True)
    assert not frame.duplicated(KEY).any()


def part(scores: Scores, **columns: object) -> Scores:
    return scores[0], scores[1].assign(**columns), scores[2]


def test_the_same_key_with_another_number_is_refused(folder):
    """The error names the key and both values; other seconds are no contradiction."""
    one = load_run(folder)
    assert len(merged([one, part(one, seconds=9.0)], ["a", "b"])[1]) == len(one[1])
    values = one[1]["value"].where(one[1]["proxy"] != "synflow", 0.5)
    with pytest.raises(DataError, match=r"disagree on 8 scores, for example synflow@1 of '.*' with seed 0: .* and 0.5"):
        merged([one, part(one, value=values)], ["a", "b"])
    with pytest.raises(DataError, match=r"\(ok\) and nan \(singular\)"):
        merged([one, part(one, value=np.nan, status="singular")], ["a", "b"])


@pytest.mark.parametrize("status", ["timeout", "out_of_memory", "worker_died"])
def test_what_another_attempt_may_mend_gives_way(folder, status):
    """Closed form: whichever comes first, the outcome that is no time-out stays."""
    one = load_run(folder)
    worse = part(one, value=np.nan, status=status)
    for parts in ([one, worse], [worse, one]):
        pd.testing.assert_frame_equal(merged(parts, ["a", "b"])[1], one[1], check_exact=True)


def test_runs_of_two_protocols_are_refused(run, folder, tmp_path):
    """The message lists the field that differs, and nothing is written."""
    run(out=tmp_path / "other", init="kaiming")
    with pytest.raises(ProtocolError, match="init: default → kaiming"):
        pack([folder, tmp_path / "other"], tmp_path / "file.parquet")
    assert not (tmp_path / "file.parquet").exists()


def test_a_run_at_work_is_packed(run, folder, tmp_path):
    """A reader beside the writer: what is committed is there."""
    with Store(folder / "scores.sqlite", write=True):
        assert pack([folder], tmp_path / "file.parquet")["scores"] == 24


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing else", None])
def test_what_is_no_packed_file(content, tmp_path):
    """Empty, damaged, and a Parquet file of something else: each is named, with what to do."""
    file = tmp_path / "file.parquet"
    if content is None:
        pd.DataFrame({"arch": ["a"]}).to_parquet(file)
    else:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"file.parquet.*zcbench scores pack"):
        read(file)


def test_a_flipped_byte_is_noticed(folder, tmp_path):
    """What is read from a damaged file is what was written, or it is refused."""
    file = tmp_path / "file.parquet"
    pack([folder], file)
    healthy, content = read(file)[1], bytearray(file.read_bytes())
    refused = 0
    for place in range(40, len(content) // 3, 211):
        content[place] ^= 0x55
        file.write_bytes(content)
        content[place] ^= 0x55
        try:
            found = read(file)[1]
        except DataError:
            refused += 1
        else:
            equal(found, healthy)
    assert refused


def test_places_that_cannot_be_written(folder, tmp_path):
    """A wrong suffix, a file in the way, and a folder that already holds scores."""
    with pytest.raises(DataError, match=r"ends in \.parquet"):
        pack([folder], tmp_path / "file.csv")
    (tmp_path / "blocked").write_text("")
    with pytest.raises(DataError, match="Nothing was changed"):
        pack([folder], tmp_path / "blocked" / "file.parquet")
    pack([folder], tmp_path / "file.parquet")
    with pytest.raises(StoreError, match="has scores already"):
        unpack(tmp_path / "file.parquet", folder)
    with pytest.raises(ProtocolError, match="No runs"):
        pack([], tmp_path / "file.parquet")
