"""One invocation of a run at work: it hands out units and keeps what comes back."""

import pickle
import signal
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType, TracebackType
from typing import Any, Self

from zcbench.benchmarks.scoring.store import Row, Store
from zcbench.benchmarks.scoring.worker import Scorer, ScoringJob, Unit, failed, one_thread, prepare
from zcbench.errors import ProtocolError
from zcbench.proxies import Proxy, needs_network
from zcbench.proxies.passes.plan import PASSES
from zcbench.runtime.parcel import parcel
from zcbench.runtime.pool import Ending, WorkerPool
from zcbench.runtime.progress import Bar

_HEARTBEAT = 0.2  # seconds until a request to stop is noticed
_GRACE = 10.0  # seconds beyond all time limits inside a worker before it is killed
_CHUNK = 1000  # units per transaction where no network is built
_STATUS = {"died": "worker_died", "timeout": "timeout"}


@dataclass
class Session:
    """One invocation at work: hands out units, keeps what comes back; workers live until it is left."""

    store: Store
    bar: Bar
    stop: "Stop"
    job: ScoringJob
    proxies: Mapping[str, Proxy]
    fresh: int = 0
    suspects: set[str] = field(default_factory=set)
    _pool: WorkerPool[Unit] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.__exit__(kind, error, at)

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.job)

    def carry_out(self, units: Sequence[Unit], workers: int) -> None:
        """Score ``units``; those that need no network in this process, the others in ``workers`` processes."""
        light = [unit for unit in units if not needs_network(self._of(unit))]
        heavy = [unit for unit in units if needs_network(self._of(unit))]
        self._here(light, _CHUNK)
        if workers == 0:
            self._here(heavy, 1)
        elif heavy and not self.stop.asked:
            self._in_workers(heavy, workers)

    def _here(self, units: Sequence[Unit], chunk: int) -> None:
        if not units:
            return
        with one_thread():
            for start in range(0, len(units), chunk):
                if self.stop.asked:
                    return
                self._keep([row for unit in units[start : start + chunk] for row in self._scorer(unit)])

    def _in_workers(self, units: Sequence[Unit], workers: int) -> None:
        queue = deque(units)
        pool = self._pool = self._pool or WorkerPool[Unit](prepare, _pickled(self.job), workers)
        while (queue or pool.busy) and not self.stop.asked:
            while queue and pool.room:
                self._hand_out(queue, pool)
            for ending in pool.poll(_HEARTBEAT):
                rows, again = self._settle(ending)
                queue.extendleft(again)
                if rows:
                    self._keep(rows)

    def _hand_out(self, queue: deque[Unit], pool: WorkerPool[Unit]) -> None:
        """Give the next unit to the pool; a proxy that has ended a worker before goes alone."""
        unit = queue.popleft()
        apart = [name for name in unit.proxies if name in self.suspects]
        if apart and len(unit.proxies) > 1:
            rest = tuple(name for name in unit.proxies if name not in self.suspects)
            parts = [(name,) for name in apart] + ([rest] if rest else [])
            queue.extendleft(unit._replace(proxies=part) for part in parts)
            unit = queue.popleft()
        pool.give(unit, self._limit(unit))

    def _limit(self, unit: Unit) -> float | None:
        timeout = self.job.timeout
        return None if timeout is None else timeout * (len(unit.proxies) + len(PASSES)) + _GRACE

    def _settle(self, ending: Ending[Unit]) -> tuple[list[Row], list[Unit]]:
        """Rows to keep and units to try again: first every proxy alone, to spare those that are not to blame."""
        unit = ending.task
        if not ending.failure:
            return ending.result, []
        if len(unit.proxies) > 1:
            return [], [unit._replace(proxies=(name,), attempt=1) for name in reversed(unit.proxies)]
        if ending.failure == "died" and unit.attempt == 0:
            return [], [unit._replace(attempt=1)]
        self.suspects.update(unit.proxies)
        return failed(unit, self._of(unit), _STATUS[ending.failure], ending.reason), []

    def _keep(self, rows: Sequence[Row]) -> None:
        self.store.save(rows)
        self.fresh += len(rows)
        self.bar.add(row.status for row in rows)

    def _of(self, unit: Unit) -> list[Proxy]:
        return [self.proxies[name] for name in unit.proxies]


class Stop:
    """Takes the first Ctrl-C or SIGTERM as a wish to stop, so that no transaction is torn; the second interrupts."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _pickled(job: ScoringJob) -> bytes:
    try:
        return parcel(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ProtocolError(
            f"The run cannot be sent to a worker process: {error}. Expected proxies that another process can import: "
            f"define them in a file and give it as a plug-in, or use workers=0."
        ) from error
