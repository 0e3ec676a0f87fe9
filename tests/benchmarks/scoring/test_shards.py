"""Shards and their merge. The oracle is the same run in one folder, row by row."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest

from zcbench import Sample, Setup, bench, bench_shard, merge_runs, rank
from zcbench.benchmarks.scoring.folder import load_run
from zcbench.benchmarks.scoring.shards import Shard
from zcbench.benchmarks.scoring.store import Row, Store
from zcbench.datasets import Batch
from zcbench.errors import DataError, ProtocolError, StoreError
from zcbench.runtime.execution import Execution

ROOT = Path(__file__).parents[3]
NAMES = "params,naswot,synflow"


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> dict[str, object]:
    """Eight architectures of a small space with accuracies, three proxies and two seeds."""
    from zcbench import datasets, spaces

    space = spaces.get("nasbench201", channels=4, cells=1)
    archs = [space[index] for index in range(1462, 15000, 1800)][:8]
    truth = {"mine": pd.DataFrame({"arch": archs, "accuracy": [float(index) for index in range(len(archs))]})}
    batch: Batch = datasets.batch(datasets.load("digits"), 8)
    return {
        "truth": truth,
        "sample": Sample(archs),
        "setup": Setup(space=space, dataset=batch),
        "proxies": NAMES,
        "seeds": 2,
        "execution": Execution(workers=0),
    }


@pytest.fixture(scope="module")
def folders(asked, tmp_path_factory) -> list[Path]:
    """Three finished shards."""
    home = tmp_path_factory.mktemp("shards")
    for number in (1, 2, 3):
        bench_shard(f"{number}/3", home / str(number), **asked)
    return [home / str(number) for number in (1, 2, 3)]


def rows(folder: Path) -> pd.DataFrame:
    return load_run(folder)[1].drop(columns="seconds")


def test_shards_are_a_partition() -> None:
    """Oracle: every architecture is in exactly one shard, and their sizes differ by one at most."""
    archs = list("abcdefghijk")
    for of in range(1, 12):
        parts = [Shard(number, of).part(archs) for number in range(1, of + 1)]
        assert sorted(chain.from_iterable(parts)) == archs and max(map(len, parts)) - min(map(len, parts)) <= 1
    for text in ("0/3", "4/3", "3", "a/b", "1/0", "-1/3", ""):
        with pytest.raises(ProtocolError, match="Expected I/N"):
            Shard.read(text)
    with pytest.raises(ProtocolError, match="12 shards were asked for, and there are 11"):
        Shard(1, 12).part(archs)


def test_merged_shards_are_the_run(asked, folders, tmp_path) -> None:
    """Oracle: the run in one folder: the same rows, protocol and request; nothing is left for bench to score."""
    whole = bench(tmp_path / "whole", **asked, ensembles="none")
    done = merge_runs(folders, tmp_path / "merged")
    assert (done.scores, done.runs, done.duplicates) == (8 * 3 * 2, 3, 0)
    pd.testing.assert_frame_equal(rows(tmp_path / "merged"), rows(whole.folder), check_exact=True)
    merged, single = load_run(tmp_path / "merged"), load_run(whole.folder)
    assert merged[0] == single[0]
    assert [request["architectures"] for request in merged[2]["requests"]] == [8] and "shard" not in str(merged[2])
    again = bench(tmp_path / "merged", **asked, ensembles="none")
    assert again.run.fresh == 0
    compared = ["proxy", "n", "tau", "tau_low", "tau_high"]
    pd.testing.assert_frame_equal(again.ranking.table[compared], whole.ranking.table[compared])
    assert merge_runs(folders, tmp_path / "merged").duplicates == 48  # merged again: all are there, with equal bits
    assert len(rank(tmp_path / "merged", asked["truth"]).table) == len(whole.ranking.table)


@pytest.mark.long
def test_sixteen_shards_are_the_run(asked, tmp_path) -> None:
    """Oracle: the run in one folder; sizes of 20 architectures, two of them in some shards and one in the others."""
    archs = [asked["setup"].space[700 * index + 7] for index in range(20)]
    truth = {"mine": pd.DataFrame({"arch": archs, "accuracy": [float(index) for index in range(20)]})}
    own = {**asked, "truth": truth, "sample": Sample(archs), "proxies": "params,macs,l2_norm"}
    parts = [bench_shard(f"{number}/16", tmp_path / str(number), **own).out for number in range(1, 17)]
    assert merge_runs(parts, tmp_path / "merged").scores == 20 * 3 * 2
    whole = bench(tmp_path / "whole", **own, ensembles="none")
    pd.testing.assert_frame_equal(rows(tmp_path / "merged"), rows(whole.folder), check_exact=True)


def test_shards_that_do_not_fit_are_named(asked, folders, tmp_path) -> None:
    """By construction: missing, double, unfinished, of another run, of another protocol; the message names each."""
    merged = tmp_path / "merged"
    with pytest.raises(ProtocolError, match="Of 3 shards, shard 2 is missing"):
        merge_runs([folders[0], folders[2]], merged)
    with pytest.raises(ProtocolError, match="shards 1, 3 are missing"):
        merge_runs([folders[1]], merged)
    copy = shutil.copytree(folders[1], tmp_path / "copy")
    with pytest.raises(ProtocolError, match=r"shard 2 of 3 is given 2 times: .*2 and .*copy"):
        merge_runs([*folders, copy], merged)
    with pytest.raises(ProtocolError, match="is given twice"):
        merge_runs([*folders, folders[0]], merged)
    with pytest.raises(ProtocolError, match="is one of the runs"):
        merge_runs(folders, folders[0])
    fewer = {**asked, "sample": Sample(asked["sample"].archs[:6])}
    bench_shard("3/3", tmp_path / "other", **fewer)
    with pytest.raises(ProtocolError, match="of different runs"):
        merge_runs([*folders[:2], tmp_path / "other"], merged)
    bench_shard("3/3", tmp_path / "init", **{**asked, "setup": Setup(**{**vars(asked["setup"]), "init": "xavier"})})
    with pytest.raises(ProtocolError, match=r"another protocol .*init: xavier → default"):
        merge_runs([*folders[:2], tmp_path / "init"], merged)
    with sqlite3.connect(copy / "scores.sqlite") as db:
        db.execute("DELETE FROM scores WHERE proxy = 'naswot' AND seed = 1")
    with pytest.raises(ProtocolError, match=r"shard 2 of 3 in .*copy is not finished: 15 of 18 scores"):
        merge_runs([folders[0], copy, folders[2]], merged)
    with pytest.raises(StoreError, match="No scores"):
        merge_runs([tmp_path / "none"], merged)
    assert not merged.exists()
    assert merge_runs([folders[0], copy], merged, incomplete=True).scores == 18 + 15


def test_duplicates_are_compared_bit_for_bit(folders, tmp_path) -> None:
    """By construction: one bit of one value differs; then a time-out, which gives way whichever run is first."""
    given = [_without_shard(folders[1], tmp_path / name) for name in ("copy", "first")]
    copy = given[0]
    with Store(copy / "scores.sqlite", write=True) as store:
        frame = store.scores()
        first = frame[frame["proxy"] == "naswot"].iloc[0]
        row = Row(first.arch, "naswot", int(first.version), int(first.seed), float(first.value), "ok", "", 1.0)
        store.save([row._replace(value=float(first.value) * (1 + 2**-52))])
    with pytest.raises(DataError, match=r"disagree on naswot@1 of .* with seed 0: .*Expected the same bits"):
        merge_runs(given, tmp_path / "merged")
    with Store(copy / "scores.sqlite", write=True) as store:
        store.save([row._replace(value=None, status="timeout", reason="late")])
    for place, order in enumerate((given, given[::-1])):
        done = merge_runs(order, tmp_path / f"merged{place}")
        assert done.duplicates == done.scores == 18
        pd.testing.assert_frame_equal(rows(done.folder), rows(folders[1]), check_exact=True)


def _without_shard(folder: Path, to: Path) -> Path:
    """A copy of a run that says nothing of a shard."""
    copy = shutil.copytree(folder, to)
    (copy / "run.json").unlink()
    return copy


def test_the_array_script_in_several_processes(tmp_path) -> None:
    """Oracle: the run in one folder. The variables are those that SLURM sets for each task of an array."""
    script = ROOT / "examples" / "slurm_array.sh"
    options = ["--space", "nasbench201(channels=4,cells=1)", "--dataset", "digits", "--batch-size", "8"]
    options += ["--archs", "4", "--seeds", "1", "--proxies", NAMES, "--truth", "nasbench201/cifar10-16/vanilla"]
    common = {**os.environ, "ZCBENCH": f"{sys.executable} -m zcbench", "ZCBENCH_LAUNCHER": ""}
    common |= {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "0"}
    tasks = [
        subprocess.Popen(
            ["bash", str(script), str(tmp_path / "out"), *options, "--subset", "known"],
            env={**common, "SLURM_ARRAY_TASK_ID": str(number)},
        )
        for number in (1, 2)
    ]
    assert [task.wait(timeout=300) for task in tasks] == [0, 0]
    merge_runs(sorted((tmp_path / "out").glob("shard-*")), tmp_path / "all")
    one = bench(
        tmp_path / "one",
        truth="nasbench201/cifar10-16/vanilla",
        sample=Sample(4, "known"),
        setup=Setup(space="nasbench201(channels=4,cells=1)", dataset="digits", batch_size=8),
        proxies=NAMES,
        seeds=1,
        execution=Execution(workers=0),
        ensembles="none",
    )
    pd.testing.assert_frame_equal(rows(tmp_path / "all"), rows(one.folder), check_exact=True)
    alone = {name: value for name, value in common.items() if name != "SLURM_ARRAY_TASK_ID"}
    refused = subprocess.run(["bash", str(script), "out"], env=alone, capture_output=True, text=True)
    assert refused.returncode == 1 and "submit this file with sbatch" in refused.stderr


@pytest.mark.long
def test_a_million_rows_in_two_minutes_and_a_gigabyte(tmp_path) -> None:
    """Bounds of the merge: 16 stores of 62,500 rows, each with its checksum, in a process of its own; 20,000 rows/s."""
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "merge_speed.py"), "1000000", str(tmp_path)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    found = json.loads(done.stdout)
    assert found["rows"] == 1_000_000 and found["merge seconds"] < 120 and found["merge memory MB"] < 1000
    assert found["rows written a second"] > 20_000
