"""Runs on a cluster. The oracle is the same run in processes of this machine: every value, bit for bit."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("distributed")

from zcbench import Execution, datasets, spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.store import Store
from zcbench.datasets import Batch
from zcbench.errors import StoreError
from zcbench.spaces import Space

PLUGIN = """
import os, signal
from pathlib import Path
from zcbench import proxy

@proxy("mean_logit", reads="logits", higher_is_better=True)
def mean_logit(signals):
    return signals.logits.mean().item()

@proxy("crash", reads="logits", higher_is_better=True)
def crash(signals):
    os.kill(os.getpid(), signal.SIGSEGV)
"""


def values(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=["seconds", "reason"]).sort_values(["arch", "seed", "proxy"], ignore_index=True)


def test_scores_of_a_cluster(tmp_path: Path) -> None:
    """Two workers: values of built-in proxies and of a plug-in."""
    space, batch, file = _given(tmp_path)
    archs, names = [space[index] for index in (1462, 6111, 14000)], ["params", "synflow", "naswot", "mean_logit"]
    frames = {}
    for where in ("cluster", "here"):
        execution = Execution(workers=0, plugins=(file,), cluster="local:2" if where == "cluster" else None)
        result = score_run(Conditions(space, batch), archs, names, [0, 1], tmp_path / where, execution=execution)
        frames[where] = values(result.scores())
        assert result.statuses == {"ok": 24}
    pd.testing.assert_frame_equal(frames["cluster"], frames["here"], check_exact=True)
    request = json.loads((tmp_path / "cluster" / "run.json").read_text())["requests"][0]
    assert request["cluster"] == "local:2" and "workers" not in request


@pytest.mark.long
def test_a_proxy_that_crashes_is_charged_alone(tmp_path: Path) -> None:
    """By construction: it ends its process, and the other proxies of the network have their values."""
    space, batch, file = _given(tmp_path)
    crashing, names = Execution(plugins=(file,), cluster="local:2"), ["params", "naswot", "mean_logit", "crash"]
    result = score_run(Conditions(space, batch), [space[1462]], names, [0], tmp_path / "run", execution=crashing)
    assert result.statuses == {"ok": 3, "worker_died": 1}


def _given(folder: Path) -> tuple[Space, Batch, Path]:
    """A small space, a batch and a plug-in."""
    file = folder / "plugin.py"
    file.write_text(PLUGIN)
    return spaces.get("nasbench201", channels=4, cells=1), datasets.batch(datasets.load("digits"), 8), file


BENCH = """
import sys
from zcbench import Execution, datasets, spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.errors import ZcbenchError

NAMES = ["params", "macs", "n_convs", "l2_norm", "grad_norm", "snip", "plain", "fisher", "fisher_channel", "naswot",
         "swap", "swap_reg", "near", "diswot_relation", "diswot_semantic", "jacov", "epe_nas", "synflow", "zen", "meco"]

def main(out, cluster, workers, count):
    from zcbench.benchmarks.scoring.teachers import read_teacher
    space = spaces.get("nasbench201", channels=4, cells=1)
    batch = datasets.batch(datasets.load("digits"), 8)
    archs = [space[50 * index + 7] for index in range(int(count))]
    execution = Execution(workers=int(workers), cluster=cluster or None)
    conditions = Conditions(space, batch, read_teacher("largest", space, 1000))
    result = score_run(conditions, archs, NAMES, [0, 1], out, execution=execution)
    print(result)

if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ZcbenchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


class _Dask:
    """A scheduler and two workers as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, random.randrange(20000, 60000)
        self.scheduler = self._start("scheduler", "--port", str(self.port), "--no-dashboard")
        self.workers = [self.worker() for _ in range(2)]

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--local-directory", "dask")

    def kill(self, which: subprocess.Popen[bytes]) -> None:
        os.killpg(which.pid, signal.SIGKILL)
        which.wait()

    def restart_scheduler(self) -> None:
        self.kill(self.scheduler)
        self.scheduler = self._start("scheduler", "--port", str(self.port), "--no-dashboard")
        for worker in self.workers:
            self.kill(worker)
        self.workers = [self.worker() for _ in range(2)]

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                self.kill(process)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )


def _count(folder: Path) -> int:
    try:
        with Store(folder / "scores.sqlite") as store:
            return sum(store.counts()[0].values())
    except StoreError:
        return 0


@pytest.mark.long
def test_nothing_is_lost_whatever_is_killed(tmp_path: Path) -> None:
    """Two worker processes, 300 networks x 20 proxies x 2 seeds. 20 workers, the scheduler and 5 parents are killed."""
    script = tmp_path / "bench.py"
    script.write_text(BENCH)
    count = os.environ.get("ZCBENCH_CLUSTER_ARCHS", "300")
    local = [sys.executable, str(script), str(tmp_path / "local"), "", "2", count]
    subprocess.run(local, check=True, cwd=tmp_path)
    with Store(tmp_path / "local" / "scores.sqlite") as store:
        expected = values(store.scores())
    total = len(expected)
    draws, folder, dask = random.Random(0), tmp_path / "cluster", _Dask(tmp_path)
    kills = sorted(draws.sample(range(total // 50, total * 49 // 50), 26))
    kinds = [*["worker"] * 20, "scheduler", *["parent"] * 5]
    draws.shuffle(kinds)

    def start() -> subprocess.Popen[bytes]:
        words = [sys.executable, str(script), str(folder), dask.address, "2", count]
        return subprocess.Popen(words, cwd=tmp_path, start_new_session=True)

    parent, killed = start(), []
    try:
        for at, kind in zip(kills, kinds):
            while _count(folder) < at and parent.poll() is None:
                time.sleep(0.05)
            if kind == "parent":
                os.killpg(parent.pid, signal.SIGKILL)
                parent.wait()
                parent = start()
            elif kind == "scheduler":
                dask.restart_scheduler()
            else:
                place = draws.randrange(2)
                dask.kill(dask.workers[place])
                dask.workers[place] = dask.worker()
            killed.append(kind)
            if parent.poll():
                parent = start()
        assert parent.wait(timeout=3600) == 0
    finally:
        if parent.poll() is None:
            os.killpg(parent.pid, signal.SIGKILL)
        dask.close()
    with Store(folder / "scores.sqlite") as store:
        found = values(store.scores())
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    with sqlite3.connect(folder / "scores.sqlite") as db:
        assert db.execute("SELECT count(*) FROM scores").fetchone()[0] == total
    assert sorted(killed) == sorted(kinds)
