"""What runs on each worker of a cluster: it hands the tasks to a process of its own, as a run on one machine does.

A thread of Dask cannot end a task that hangs, and dies with one that crashes. A process of `WorkerPool` has a time
limit and costs its own task alone, so that a worker of the cluster ends only with its machine.
"""

import math
import multiprocessing
import pickle
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Generic

from distributed import Worker, WorkerPlugin, get_worker

from zcbench.errors import ZcbenchError
from zcbench.runtime.cluster.shipment import Shipment, arrived
from zcbench.runtime.cluster.versions import require_same, versions
from zcbench.runtime.pool import Ending, Task, WorkerPool

_HEARTBEAT = 0.2  # seconds until a task that nobody waits for is noticed
_IDLE = 60.0  # seconds after which a process without tasks is ended


@dataclass(frozen=True)
class Report(Generic[Task]):
    """How the tasks of a batch ended.

    Attributes:
        endings: one for each task; none where the worker has not got the job yet.
        seconds: that all of them took; None where a process was started meanwhile.
        refused: why the job cannot be carried out here.
        where: address of the worker.
    """

    endings: Sequence[Ending[Task]] = ()
    seconds: float | None = None
    refused: ZcbenchError | None = None
    where: str = ""


class Site:
    """The processes of one job on one worker of the cluster: one for each thread that has a task."""

    def __init__(self, shipment: Shipment, folder: Path) -> None:
        self._job = shipment.unpack(folder)
        self._idle: deque[tuple[float, WorkerPool[Any]]] = deque()
        self._numbers = count()
        self._starting = threading.Lock()  # of a process: it has other variables of the environment
        self._closed = threading.Event()
        threading.Thread(target=self._reap, daemon=True).start()

    def do(self, key: str, batch: Sequence[tuple[Task, float | None]]) -> tuple[list[Ending[Task]], bool]:
        """Do the tasks of the batch ``key``, each with its time limit; and whether a process was started."""
        try:
            _, pool = self._idle.pop()
            started = False
        except IndexError:
            pool, started = WorkerPool[Any](arrived, self._job, 1, first=next(self._numbers)), True
        try:
            endings = [self._one(key, pool, task, limit) for task, limit in batch]
        except BaseException:
            pool.__exit__(None, None, None)
            raise
        self._idle.append((time.monotonic(), pool))
        if self._closed.is_set():
            self._end(math.inf)
        return endings, started or any(ending.failure for ending in endings)

    def _one(self, key: str, pool: WorkerPool[Any], task: Task, limit: float | None) -> Ending[Task]:
        with self._starting:
            pool.give(task, limit)
        while _wanted(key):
            for ending in pool.poll(_HEARTBEAT):
                return ending
        raise _NotWanted

    def close(self) -> None:
        """End all processes, those with tasks when nobody waits for these any more."""
        self._closed.set()
        self._end(math.inf)

    def _reap(self) -> None:
        while not self._closed.wait(_IDLE / 4):
            self._end(time.monotonic() - _IDLE)

    def _end(self, before: float) -> None:
        """End processes that have had no task since a time."""
        with suppress(IndexError):
            while self._idle[0][0] < before:
                self._idle.popleft()[1].__exit__(None, None, None)


class _NotWanted(Exception):
    """The run was stopped or is gone."""


class Carrier(WorkerPlugin):
    """Brings a shipment to each worker once, also to those that come later.

    Args:
        shipment: of one job.
    """

    def __init__(self, shipment: Shipment) -> None:
        self.sha256, self.packed = shipment.sha256, shipment.packed
        self.name = f"zcbench-{self.sha256}"

    def setup(self, worker: Worker) -> None:
        """Keep the shipment until it is unpacked."""
        _SHIPMENTS[self.sha256] = self.packed
        self.packed = b""

    def teardown(self, worker: Worker) -> None:
        """Forget the shipment, and end the processes of its job."""
        _SHIPMENTS.pop(self.sha256, None)
        if (site := _SITES.pop(self.sha256, None)) is not None:
            site.close()


_SHIPMENTS: dict[str, bytes] = {}
_SITES: dict[str, Site] = {}
_OPENING = threading.Lock()


def work(sha256: str, key: str, batch: Sequence[tuple[Any, float | None]]) -> Report[Any]:
    """Do a batch of tasks of a job; called by Dask in a thread of one of its workers.

    Args:
        sha256: fingerprint of the shipment of the job.
        key: of the batch.
        batch: tasks with their time limits in seconds.
    """
    where = str(get_worker().address)
    begin = time.monotonic()
    if sha256 not in _SHIPMENTS:
        return Report(where=where)
    try:
        endings, started = _site(sha256).do(key, batch)
    except ZcbenchError as error:
        return Report(refused=error, where=where)
    return Report(endings, None if started else time.monotonic() - begin, where=where)


def _site(sha256: str) -> Site:
    with _OPENING:
        if sha256 not in _SITES:
            shipment = pickle.loads(_SHIPMENTS[sha256])
            require_same(shipment.versions, versions(), f"The worker {get_worker().address}")
            multiprocessing.current_process().daemon = False  # a daemon, as Dask makes its workers, has no processes
            _SITES[sha256] = Site(shipment, Path(get_worker().local_directory) / "zcbench")
        return _SITES[sha256]


def _wanted(key: str) -> bool:
    """Whether somebody waits for the batch that this thread does."""
    task = get_worker().state.tasks.get(key)
    return task is not None and task.state != "cancelled"
