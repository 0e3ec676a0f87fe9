"""The pool of a run whose tasks are done by the workers of a Dask cluster."""

import asyncio
import math
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self

from distributed import Future, KilledWorker

from zcbench.errors import ZcbenchError, told
from zcbench.runtime.cluster.connecting import ClusterError, connected
from zcbench.runtime.cluster.shipment import Shipment
from zcbench.runtime.cluster.site import Carrier, Report, work
from zcbench.runtime.cluster.versions import require_same, versions
from zcbench.runtime.pool import DIED, Ending, Task

_BATCH = 2.0  # seconds of work that are sent at a time
_RATE = 100  # batches that all workers together end in a second: a scheduler goes through some hundred
_LARGEST = 256  # tasks of a batch
_AHEAD = 10  # batches for each worker that the scheduler holds, by which an adaptive cluster sees that it may grow
_ALWAYS = 16  # batches that it holds where there are few workers, or none yet
_REFRESH = 1.0  # seconds between two looks at the workers
_PATIENCE = 5.0  # seconds for results of workers that may have gone


@dataclass(frozen=True)
class _Given(Generic[Task]):
    """A task, its time limit, and how often workers of the cluster were lost with it."""

    task: Task
    limit: float | None
    lost: int = 0


class ClusterPool(Generic[Task]):
    """Gives tasks to all workers that a cluster has at a time, in batches of about two seconds.

    The scheduler holds what no worker does yet. What a lost worker did is done again by another one, a batch task by
    task; a task that is lost again when it is alone fails.

    Args:
        name: of the cluster, see `connected`.
        prepare: importable function, called in processes of the workers.
        job: pickled argument of ``prepare``.
        files: that the job names.

    Raises:
        ClusterError: the cluster cannot be reached.
        ProtocolError: its workers have other versions.
    """

    def __init__(
        self, name: str, prepare: Callable[[Any], Callable[[Any], Any]], job: bytes, files: Iterable[Path] = ()
    ) -> None:
        self._name, self._shipment = name, Shipment.of(prepare, job, files)
        self._waiting: deque[_Given[Task]] = deque()
        self._sent: dict[str, tuple[Future[Any], list[_Given[Task]]]] = {}
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._numbers, self._each, self._looked, self.workers = count(), math.inf, -math.inf, 0
        with ExitStack() as opened:
            self._client = opened.enter_context(connected(name))
            self._check_workers()
            self._carrier = Carrier(self._shipment)
            self._ship()
            self._stack = opened.pop_all()
        self._loop: asyncio.AbstractEventLoop = self._client.loop.asyncio_loop  # type: ignore[union-attr]
        self._look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel([future for future, _ in self._sent.values()], force=True)
            self._client.unregister_worker_plugin(self._carrier.name)
        self._sent.clear()
        with suppress(Exception):
            self._stack.close()

    @property
    def room(self) -> bool:
        """Whether another task can be given."""
        most = (_AHEAD * self.workers + _ALWAYS) * self._size
        return len(self._waiting) + sum(len(batch) for _, batch in self._sent.values()) < most

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return bool(self._waiting or self._sent)

    @property
    def _size(self) -> int:
        """Tasks of a batch; one while it is not known how long they take."""
        seconds = max(_BATCH, self.workers / _RATE)
        return max(1, min(_LARGEST, round(seconds / self._each))) if self._each > 0 else _LARGEST

    def give(self, task: Task, limit: float | None = None) -> None:
        """Have ``task`` done; ended after ``limit`` seconds of work."""
        self._waiting.append(_Given(task, limit))

    def poll(self, seconds: float) -> list[Ending[Task]]:
        """Tasks that ended, as soon as there are any, at the latest after ``seconds``.

        Raises:
            ClusterError: the scheduler is gone, or a worker cannot load zcbench.
            ZcbenchError: whatever ``prepare`` or a task raised of this kind.
        """
        self._look()
        self._send()
        return [ending for report, batch in self._reports(seconds) for ending in self._endings(report, batch)]

    def _send(self) -> None:
        """Give all that waits to the scheduler; the last tasks of a run in smaller batches: all end together."""
        last = self.room  # the caller has no more tasks
        while self._waiting:
            size = self._size
            if last:
                size = min(size, math.ceil(len(self._waiting) / (2 * max(1, self.workers))))
            batch = [self._waiting.popleft()]
            while self._waiting and len(batch) < size and not batch[0].lost and not self._waiting[0].lost:
                batch.append(self._waiting.popleft())
            self._submit(batch)

    def _submit(self, batch: list[_Given[Task]]) -> None:
        plain = [(given.task, given.limit) for given in batch]
        key = f"zcbench-{self._carrier.sha256[:8]}-{id(self):x}-{next(self._numbers)}"
        future = self._client.submit(work, self._carrier.sha256, key, plain, key=key, pure=False)
        self._sent[key] = future, batch
        future.add_done_callback(self._ended.put)

    def _reports(self, seconds: float) -> Iterator[tuple[Report[Task] | BaseException, list[_Given[Task]]]]:
        """What the batches that ended have given, or why they have given nothing."""
        ended = {future.key: future for future in self._arrived(seconds) if future.key in self._sent}
        done = [future for future in ended.values() if future.status == "finished"]
        found = dict(zip([future.key for future in done], self._gathered(done)))
        for key, future in ended.items():
            if key in found:
                yield found[key], self._sent.pop(key)[1]
            elif future.status == "error":
                error = future.exception(timeout=_PATIENCE)
                yield error or ClusterError("unknown"), self._sent.pop(key)[1]
            elif future.status != "finished":
                self._submit(self._sent.pop(key)[1])  # a scheduler that was started anew knows nothing of it

    def _arrived(self, seconds: float) -> list[Future[Any]]:
        """Futures that ended; at least one unless the time is over."""
        found: list[Future[Any]] = []
        with suppress(queue.Empty):
            found.append(self._ended.get(timeout=seconds))
            while True:
                found.append(self._ended.get_nowait())
        return found

    def _gathered(self, futures: Sequence[Future[Any]]) -> list[Report[Task]]:
        """Results of finished futures; none where their workers have just gone: they come again."""
        if not futures:
            return []
        asked = self._client.gather(list(futures), errors="skip", asynchronous=True)
        result = asyncio.run_coroutine_threadsafe(_awaited(asked), self._loop)
        try:
            found = result.result(_PATIENCE)
        except Exception:
            result.cancel()
            found = []
        if len(found) == len(futures):
            return list(found)
        for future in futures:
            future.add_done_callback(self._ended.put)
        return []

    def _endings(self, report: Report[Task] | BaseException, batch: Sequence[_Given[Task]]) -> Iterator[Ending[Task]]:
        if isinstance(report, KilledWorker):
            yield from self._lost(report, batch)
        elif isinstance(report, BaseException):
            raise self._broken(report)
        elif report.refused is not None:
            report.refused.args = (f"{report.refused} (Said by the worker {report.where}.)",)
            raise report.refused
        else:
            if report.seconds is not None:
                each = report.seconds / len(batch)
                self._each = each if math.isinf(self._each) else 0.8 * self._each + 0.2 * each
            if not report.endings:  # a scheduler that was started anew has not got the job
                if time.monotonic() - self._shipped > _PATIENCE:
                    self._ship()
                self._waiting.extendleft(batch)
            yield from report.endings

    def _lost(self, error: KilledWorker, batch: Sequence[_Given[Task]]) -> Iterator[Ending[Task]]:
        """Tasks of a batch whose workers ended again and again: each alone once more, or failed if it was alone."""
        if len(batch) == 1 and batch[0].lost:
            reason = f"The workers of the cluster that did it ended, the last one {error.last_worker.address}."
            yield Ending(batch[0].task, failure=DIED, reason=reason)
        else:
            self._waiting.extendleft(_Given(given.task, given.limit, given.lost + 1) for given in batch)

    def _broken(self, error: BaseException) -> ZcbenchError:
        if isinstance(error, ZcbenchError):
            return error
        return ClusterError(
            f"A worker of {self._name} cannot do its tasks: {told(error)}. Expected workers with the same zcbench; "
            f"install it there and run the same command again. What is finished is kept."
        )

    def _look(self) -> None:
        """Count the workers; do again what a scheduler that was started anew has lost."""
        if time.monotonic() - self._looked < _REFRESH:
            return
        self._looked = time.monotonic()
        if self._client.status in ("closed", "closing"):
            raise ClusterError(
                f"The scheduler of {self._name} is gone. What is finished is kept. Expected a running one; start it "
                f"and run the same command again."
            )
        if self._client.status != "running":  # the client tries to reach it again
            self.workers = 0
            return
        with suppress(OSError, asyncio.TimeoutError):
            self.workers = sum(self._client.nthreads().values())
        lost = [key for key, (future, _) in self._sent.items() if future.status in ("lost", "cancelled")]
        for key in lost:
            self._submit(self._sent.pop(key)[1])

    def _check_workers(self) -> None:
        """Compare the versions of the workers that there are; later ones are compared when they come."""
        for address, found in self._client.run(versions, on_error="return").items():
            if isinstance(found, BaseException):
                raise self._broken(found)
            require_same(self._shipment.versions, found, f"The worker {address}")

    def _ship(self) -> None:
        """Send the job to all workers; the scheduler has it for those that come later.

        It is no argument of the tasks: Dask would prefer the workers that have it already.
        """
        self._client.register_plugin(self._carrier, name=self._carrier.name)
        self._shipped = time.monotonic()


async def _awaited(value: Any) -> Any:
    return await value
