"""One invocation of a scoring run: what its crew of workers gives back is saved."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Self

from zcbench.benchmarks.scoring.store import Row, Store
from zcbench.benchmarks.scoring.worker import ScoringJob, Unit, failed, prepare
from zcbench.proxies import Proxy, needs_network
from zcbench.proxies.passes.plan import PASSES
from zcbench.runtime.crew import OUT_OF_MEMORY, Crew
from zcbench.runtime.executors import Executor, Processes
from zcbench.runtime.pool import Ending
from zcbench.runtime.progress import Bar
from zcbench.runtime.stop import Stop

_GRACE = 10.0  # seconds beyond all time limits inside a worker before it is killed
_CHUNK = 1000  # units per transaction where no network is built


@dataclass
class Session:
    """One invocation of a run; workers live until it is left."""

    store: Store
    bar: Bar
    stop: Stop
    job: ScoringJob
    proxies: Mapping[str, Proxy]
    fresh: int = 0
    suspects: set[str] = field(default_factory=set)
    starved: list[Unit] = field(default_factory=list)
    weights: Mapping[str, float] = field(default_factory=dict)
    _crew: Crew[ScoringJob, Unit] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._crew is not None:
            self._crew.__exit__(kind, error, at)

    def carry_out(self, units: Sequence[Unit], executor: Executor) -> None:
        """Score ``units``; those that need no network in this process, the others where ``executor`` says."""
        light = [unit for unit in units if not needs_network(self._of(unit))]
        heavy = [unit for unit in units if needs_network(self._of(unit))]
        self._work(self._here, light, _CHUNK)
        self._work(self._in(executor), heavy, 1)
        if self.starved:
            self._alone(executor)

    def _alone(self, executor: Executor) -> None:
        """Score once more, one at a time, what had no memory beside other workers; what has none then is kept so."""
        units, self.starved = [one for unit in self.starved for one in unit.split()], []
        self.__exit__(None, None, None)
        self._crew = None
        with self._made(executor.alone()) as crew:
            self._work(crew, units, 1, last=True)

    @cached_property
    def _here(self) -> Crew[ScoringJob, Unit]:
        return Crew(prepare, self.job, Processes(0), self.stop)

    def _in(self, executor: Executor) -> Crew[ScoringJob, Unit]:
        if executor.here:
            return self._here
        self._crew = self._crew or self._made(executor)
        return self._crew

    def _made(self, executor: Executor) -> Crew[ScoringJob, Unit]:
        return Crew(
            prepare,
            self.job,
            executor,
            self.stop,
            limit=self._limit,
            parts=lambda unit: list(unit.split()),
            files=self.job.files,
            watch=lambda workers: self.bar.watch(workers),
        )

    def _work(self, crew: Crew[ScoringJob, Unit], units: Sequence[Unit], chunk: int, *, last: bool = False) -> None:
        """Do ``units`` and save their rows, those of ``chunk`` units or of all that end together at a time."""
        queue, rows = deque(self._apart(units)), list[Row]()
        for done, ending in enumerate(crew.work(queue), 1):
            rows += self._rows(ending, queue) if last or not crew.crowded else self._fed(ending, queue)
            if done % chunk == 0 and not ending.more:
                rows = self._keep(rows)
        self._keep(rows)

    def _fed(self, ending: Ending[Unit], waiting: deque[Unit]) -> list[Row]:
        """The rows of an ended unit but for those that lacked memory, which may be that of its neighbours."""
        rows = self._rows(ending, waiting)
        starved = tuple(row.proxy for row in rows if row.status == OUT_OF_MEMORY)
        if starved:
            self.starved.append(ending.task._replace(proxies=starved))
        return [row for row in rows if row.proxy not in starved]

    def _rows(self, ending: Ending[Unit], waiting: deque[Unit]) -> list[Row]:
        """What an ended unit gives; a proxy that ended its worker is scored apart in all units that wait."""
        if not ending.failure:
            return list(ending.result)
        if not self.suspects.issuperset(ending.task.proxies):
            self.suspects.update(ending.task.proxies)
            units = list(self._apart(waiting))
            waiting.clear()
            waiting.extend(units)
        return failed(ending.task, self._of(ending.task), ending.failure, ending.reason)

    def _apart(self, units: Iterable[Unit]) -> Iterator[Unit]:
        for unit in units:
            yield from unit.split(self.suspects)

    def _limit(self, unit: Unit) -> float | None:
        timeout = self.job.timeout
        return None if timeout is None else timeout * (len(unit.proxies) + len(PASSES)) + _GRACE

    def _keep(self, rows: Sequence[Row]) -> list[Row]:
        """Save rows; none are left to save."""
        if rows:
            self.store.save(rows)
            self.fresh += len(rows)
            cost = sum(self.cost(row.arch, [row.proxy]) for row in rows)
            self.bar.add([row.status for row in rows], cost)
        return []

    def cost(self, arch: str, proxies: Sequence[str]) -> float:
        """Expected cost of scores of one architecture, for an estimate of the time that is left.

        That of a proxy is ``weights[arch]``, as a rule the MACs; one that needs no network costs nothing.
        """
        weight = self.weights.get(arch, 1.0)
        return weight * sum(self.proxies[name].needs_network for name in proxies)

    def _of(self, unit: Unit) -> list[Proxy]:
        return [self.proxies[name] for name in unit.proxies]
