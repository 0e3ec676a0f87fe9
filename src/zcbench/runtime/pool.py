"""Worker processes, each on its own pipe: one may die or hang at any moment, and only its task is affected.

The pools of the standard library, loky and pebble share queues or locks among their workers, so that one worker that is
killed, or leaves by ``os._exit(0)``, can break or stall the rest.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from zcbench.errors import ProtocolError, ZcbenchError
from zcbench.runtime.devices import WORKER

Task = TypeVar("Task")

DIED, TIMEOUT = "worker_died", "timeout"
"""Ways in which a task fails without a result."""

#: One thread each: the machine is filled by processes, and sums are taken in one order.
ENVIRONMENT = {
    **{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS has no deterministic kernels
}
_MOST_FAILED_STARTS = 3
_GROUPS = hasattr(os, "killpg")  # whether a process and its children can be ended together
_SUSPENDED = 2.0  # seconds between two looks at the workers after which this process was stopped, or busy elsewhere
_LONGEST_FAREWELL = 5.0  # seconds between closing the pipe and the end of the process


class WorkerStartError(ZcbenchError):
    """Worker processes that die before they can take a task."""


@dataclass(frozen=True)
class Ending(Generic[Task]):
    """How a task ended: with its ``result``, or with a ``failure``, `DIED` or `TIMEOUT`, and its reason.

    ``more`` says whether others ended at the same time and follow.
    """

    task: Task
    result: Any = None
    failure: str = ""
    reason: str = ""
    more: bool = False


@dataclass
class _Worker(Generic[Task]):
    process: SpawnProcess
    pipe: Connection
    number: int
    ready: bool = False
    task: Task | None = None
    limit: float | None = None
    deadline: float | None = None

    def give(self, task: Task, limit: float | None) -> None:
        self.task, self.limit = task, limit
        if self.ready:
            self.deadline = None if limit is None else time.monotonic() + limit
            self.send(task)

    def send(self, content: object) -> None:
        with suppress(OSError):  # a worker that just died is noticed when its pipe is read
            self.pipe.send(content)

    def kill(self) -> None:
        """End the worker and whatever processes it has started."""
        self.process.kill()
        if _GROUPS and self.process.pid:
            with suppress(OSError):  # it has not yet begun, or nothing is left of it
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.pipe.close()


class WorkerPool(Generic[Task]):
    """Up to ``size`` spawned processes that each do one task at a time.

    A worker calls ``prepare(job)`` once and the callable that this returns for each task. Workers exit when their
    parent process exits. Time in which a worker or this process is stopped, as by a scheduler or Ctrl-Z, counts towards
    no limit.

    Args:
        prepare: importable function, called in the worker.
        job: pickled argument of ``prepare``, sent once to each worker.
        size: most workers at a time; they start as tasks come.
        first: number of the first worker, by which it chooses one of several GPUs.
    """

    def __init__(
        self, prepare: Callable[[Any], Callable[[Task], Any]], job: bytes, size: int, *, first: int = 0
    ) -> None:
        self._prepare, self._job, self._size, self._first = prepare, job, size, first
        self._workers: list[_Worker[Task]] = []
        self._failed_starts, self._looked = 0, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.kill()

    @property
    def room(self) -> bool:
        """Whether another task can be given."""
        return len(self._workers) < self._size or any(worker.task is None for worker in self._workers)

    @property
    def workers(self) -> int:
        """Processes at a time."""
        return self._size

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return any(worker.task is not None for worker in self._workers)

    def give(self, task: Task, limit: float | None = None) -> None:
        """Have ``task`` done by an idle worker, or by a new one; killed after ``limit`` seconds of work."""
        worker = next((worker for worker in self._workers if worker.task is None), None) or self._start()
        worker.give(task, limit)

    def poll(self, seconds: float) -> list[Ending[Task]]:
        """Tasks that ended, as soon as there are any, at the latest after ``seconds``.

        Raises:
            WorkerStartError: workers die while they start.
            ZcbenchError: whatever ``prepare`` or a task raised of this kind.
        """
        self._excuse()
        readable = wait([worker.pipe for worker in self._workers], timeout=self._patience(seconds))
        self._excuse()
        endings = [self._listen(worker) for worker in list(self._workers) if self._has_news(worker, readable)]
        now = time.monotonic()
        late = [worker for worker in self._workers if worker.deadline is not None and worker.deadline < now]
        endings += [self._drop(worker, TIMEOUT, f"Killed after {worker.limit:g} s.") for worker in late]
        return [ending for ending in endings if ending is not None]

    def _has_news(self, worker: _Worker[Task], readable: Collection[object]) -> bool:
        """Whether a worker has sent something or is gone, which its pipe does not tell while a child holds it open."""
        if worker.pipe in readable:
            return True
        if worker.process.is_alive():
            return False
        if not worker.pipe.poll():
            worker.pipe.close()
        return True

    def _excuse(self) -> None:
        """Give workers the time back in which they, or this process, were stopped."""
        now = time.monotonic()
        gone, self._looked = now - self._looked, now
        for worker in self._workers:
            if worker.deadline is not None and (gone > _SUSPENDED or _is_stopped(worker.process.pid)):
                worker.deadline += gone

    def _patience(self, seconds: float) -> float:
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        return min([seconds, *(max(0.0, deadline - time.monotonic()) for deadline in deadlines)])

    def _listen(self, worker: _Worker[Task]) -> Ending[Task] | None:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if kind == "refused":
            raise content
        if kind == "hello":
            with suppress(OSError):
                worker.pipe.send_bytes(self._job)
            return None
        task, worker.task, worker.deadline = worker.task, None, None
        if kind == "ready":
            self._failed_starts, worker.ready = 0, True
            if task is not None:
                worker.give(task, worker.limit)
            return None
        return None if task is None else Ending(task, content)

    def _bury(self, worker: _Worker[Task]) -> Ending[Task] | None:
        worker.process.join(_LONGEST_FAREWELL)
        code = worker.process.exitcode or 0
        how = f"by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"with exit code {code}"
        if worker.ready:
            return self._drop(worker, DIED, f"The worker process was ended {how}.")
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise WorkerStartError(
                f"{self._failed_starts} worker processes in a row ended while they started, the last one {how}. "
                f"Expected them to import the main script and the plug-ins: guard the script with "
                f"if __name__ == '__main__', check the memory, or use workers=0."
            )
        self._drop(worker, DIED, "")
        if worker.task is not None:
            self.give(worker.task, worker.limit)
        return None

    def _drop(self, worker: _Worker[Task], failure: str, reason: str) -> Ending[Task] | None:
        worker.kill()
        self._workers.remove(worker)
        return None if worker.task is None else Ending(worker.task, failure=failure, reason=reason)

    def _start(self) -> _Worker[Task]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._prepare), daemon=True, name="zcbench-worker")
        taken = {worker.number for worker in self._workers}
        number = next(number for number in count(self._first) if number not in taken)
        with _environment({**ENVIRONMENT, WORKER: str(number)}), _interrupts_ignored():
            process.start()
        theirs.close()
        worker: _Worker[Task] = _Worker(process, ours, number)
        self._workers.append(worker)
        return worker


def serve(pipe: Connection, prepare: Callable[[Any], Callable[[Any], Any]]) -> None:
    """Main function of a worker process: prepare, then do one task after the other until the parent exits.

    It leads a group of processes, so that what a task has started ends with it. Of two processes that a task makes of
    one, only the old one goes on.
    """
    if _GROUPS:
        with suppress(OSError):
            os.setpgid(0, 0)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    process = os.getpid()
    try:
        pipe.send(("hello", None))
        work = prepare(pickle.loads(pipe.recv_bytes()))
        pipe.send(("ready", None))
        while True:
            done = work(pipe.recv())
            if os.getpid() != process:
                os._exit(0)
            pipe.send(("done", done))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(1)
    except ZcbenchError as error:
        pipe.send(("refused", error))
    except (AttributeError, ImportError, pickle.UnpicklingError) as error:
        pipe.send(
            (
                "refused",
                ProtocolError(
                    f"A worker process cannot load what it was sent: {error}. Expected proxies and networks that "
                    f"another process can import: define them in a file and give it as a plug-in, or use workers=0."
                ),
            )
        )


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    if _GROUPS and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _is_stopped(pid: int | None) -> bool:
    """Whether a process is stopped by a signal; False where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that a process started in the block inherits."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Have a process started in the block ignore Ctrl-C from its first instruction: its parent decides when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
