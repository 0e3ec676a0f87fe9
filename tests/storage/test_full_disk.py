"""A disk that is full: a file system in memory of a few pages, which a second mount enlarges. Needs root on Linux.

The oracle is the same run on a disk with room: what was finished is kept, and nothing is there twice.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from zcbench import Execution, datasets, spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.store import Store
from zcbench.benchmarks.training.building import build_truth
from zcbench.benchmarks.training.conditions import TruthConditions
from zcbench.benchmarks.training.log import FILE
from zcbench.distill import Recipe
from zcbench.errors import StoreError

from ..distill.training.conftest import make_data

SPACE = spaces.get("nasbench201(channels=2,cells=1)")
PROXIES = ["params", "macs", "n_convs", "l2_norm", "plain", "snip"]


class Disk(NamedTuple):
    folder: Path

    def resize(self, size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True, capture_output=True)

    def fill(self, left: int) -> None:
        """Leave so many pages of 4 KiB."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                size = file.tell()
        with filler.open("r+b") as file:
            file.truncate(size - 4096 * left)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("cluster", [None, pytest.param("local:2", marks=pytest.mark.long)])
def test_scores(disk: Disk, tmp_path: Path, cluster: str | None) -> None:
    """The store of a run, whose writer is this process, with a cluster too."""
    batch, archs = datasets.batch(datasets.load("digits"), 8), [SPACE[300 * index + 7] for index in range(40)]

    def values(out: Path) -> pd.DataFrame:
        with Store(out / "scores.sqlite") as store:
            found = store.scores().drop(columns=["seconds", "reason"])
        return found.sort_values(["arch", "seed", "proxy"], ignore_index=True)

    def run(out: Path, cluster: str | None = None) -> int:
        execution = Execution(workers=0, cluster=cluster)
        return score_run(Conditions(SPACE, batch), archs, PROXIES, [0], out, execution=execution).fresh

    with pytest.raises(StoreError, match=r"full.*finished so far are kept.*same command again"):
        run(disk.folder / "run", cluster)
    disk.resize("20m")
    kept = len(values(disk.folder / "run"))
    assert 0 < kept < 240
    assert run(disk.folder / "run", cluster) == 240 - kept and run(tmp_path / "whole") == 240
    pd.testing.assert_frame_equal(values(disk.folder / "run"), values(tmp_path / "whole"), check_exact=True)


def test_trainings(disk: Disk, tmp_path: Path) -> None:
    """The log of a truth."""
    conditions = TruthConditions(SPACE, make_data(), "noise", Recipe(epochs=1, batch_size=16))

    def build(out: Path, seeds: int) -> pd.DataFrame:
        done = build_truth(
            conditions, [SPACE[6111]], out, settings=["vanilla"], seeds=range(seeds), execution=Execution(workers=0)
        )
        return done.trainings.drop(columns="seconds").sort_values("seed", ignore_index=True)

    build(disk.folder / "truth", 1)
    disk.fill(left=2)
    with pytest.raises(StoreError, match=r"Cannot write to .*All trainings finished so far are kept. Make room"):
        build(disk.folder / "truth", 60)
    kept = (disk.folder / "truth" / FILE).read_text().count("\n")
    assert 1 < kept < 60
    disk.resize("20m")
    pd.testing.assert_frame_equal(build(disk.folder / "truth", 60), build(tmp_path / "whole", 60), check_exact=True)
    assert (disk.folder / "truth" / FILE).read_text().count("\n") == 60
