"""The worker pool, on expressions that a worker evaluates: no network, so each process starts at once."""

import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from zcbench.errors import ProtocolError
from zcbench.plugins import PluginError
from zcbench.runtime.pool import Ending, WorkerPool, WorkerStartError

EVALUATE = pickle.dumps("lambda code: eval(code)")
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"


def finish(pool: WorkerPool[str], *tasks: str, limit: float | None = None) -> dict[str, Ending[str]]:
    """Endings of ``tasks`` by task."""
    waiting, endings = list(tasks), []
    while waiting or pool.busy:
        while waiting and pool.room:
            pool.give(waiting.pop(0), limit)
        endings += pool.poll(5)
    return {ending.task: ending for ending in endings}


def test_stopped_time_counts_towards_no_limit() -> None:
    """By construction: a worker that is stopped for longer than its limit, and then ends within it."""
    with WorkerPool[str](eval, EVALUATE, 1) as pool:
        pid = finish(pool, "__import__('os').getpid()")["__import__('os').getpid()"].result
        task = "__import__('time').sleep(1)"
        pool.give(task, 3.0)
        os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            assert pool.poll(0.1) == []
        os.kill(pid, signal.SIGCONT)
        endings = []
        while not endings:
            endings = pool.poll(0.2)
        assert (endings[0].task, endings[0].failure) == (task, "")


def test_results_and_deaths():
    """By construction: each way to die touches only its own task, and the pool goes on to work."""
    tasks = ["1 + 1", KILL, "2 + 2", "__import__('os')._exit(0)", "__import__('os')._exit(3)", "'x' * 3_000_000"]
    with WorkerPool[str](eval, EVALUATE, 2) as pool:
        endings = finish(pool, *tasks)

    assert [endings[task].result for task in ("1 + 1", "2 + 2")] == [2, 4]
    assert len(endings["'x' * 3_000_000"].result) == 3_000_000
    assert [endings[task].failure for task in (tasks[1], tasks[3], tasks[4])] == ["worker_died"] * 3
    assert "signal 9" in endings[KILL].reason
    assert "exit code 0" in endings["__import__('os')._exit(0)"].reason


def test_time_limit():
    """By construction: a task that would sleep for an hour is killed, its neighbour is not."""
    hour = "__import__('time').sleep(3600)"
    with WorkerPool[str](eval, EVALUATE, 2) as pool:
        endings = finish(pool, hour, "1 + 1", limit=0.5)
        assert endings[hour].failure == "timeout"
        assert endings["1 + 1"].result == 2


def test_killed_while_idle_and_while_starting():
    """By construction: workers are killed before they are ready, and between two tasks; every task is still done."""
    with WorkerPool[str](eval, EVALUATE, 2) as pool:
        pool.give("1 + 1")
        os.kill(pool._workers[0].process.pid, signal.SIGKILL)
        assert finish(pool)["1 + 1"].result == 2
        os.kill(pool._workers[0].process.pid, signal.SIGKILL)
        pool._workers[0].process.join()
        assert finish(pool, "2 + 2")["2 + 2"].failure in ("", "worker_died")
        assert finish(pool, "3 + 3")["3 + 3"].result == 6


def test_workers_that_never_start():
    """By construction: preparing ends the process, so after three of them the pool gives up and says so."""
    with WorkerPool[str](eval, pickle.dumps("__import__('os')._exit(5)"), 1) as pool:
        with pytest.raises(WorkerStartError, match=r"3 worker processes in a row.*exit code 5"):
            finish(pool, "1")


def test_errors_on_purpose_reach_the_caller():
    """By construction: an error of zcbench's own kind comes back as itself; what cannot be imported is explained."""
    raising = "__import__('zcbench.plugins', fromlist=['plugins']).load_file('no_such_plugin.py')"
    with WorkerPool[str](eval, EVALUATE, 1) as pool:
        with pytest.raises(PluginError, match=r"No plug-in at 'no_such_plugin.py'"):
            finish(pool, raising)
    with WorkerPool[str](eval, pickle.dumps("__import__('no_such_module')"), 1) as pool:
        with pytest.raises(ProtocolError, match="workers=0"):
            finish(pool, "1")


def test_one_thread_each():
    """By construction: the environment of a worker asks for one thread; that of this process is as before."""
    before = dict(os.environ)
    with WorkerPool[str](eval, EVALUATE, 1) as pool:
        assert finish(pool, "__import__('os').environ['OMP_NUM_THREADS']").popitem()[1].result == "1"
    assert dict(os.environ) == before


ORPHANS = """
import os, pickle, time
from zcbench.runtime.pool import WorkerPool
pool = WorkerPool(eval, pickle.dumps("lambda code: eval(code)"), 2)
for _ in range(2):
    pool.give("__import__('time').sleep(3600)")
while not all(worker.ready for worker in pool._workers):
    pool.poll(1)
print(*(worker.process.pid for worker in pool._workers), flush=True)
time.sleep(3600)
"""


def test_workers_end_when_their_parent_is_killed():
    """By construction: kill -9 of the parent while both workers are in the middle of an hour's task."""
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True)
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert len(workers) == 2
    assert all(gone(pid) for pid in workers)


def gone(pid: int, patience: float = 20.0) -> bool:
    """Whether a process ends within ``patience`` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False
