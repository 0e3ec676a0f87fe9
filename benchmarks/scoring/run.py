"""The scoring run: architectures x seeds x proxies into one folder, resumable at any moment."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path

import pandas as pd
from rich.console import Console

import zcbench
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.folder import STORE, describe_run, locked
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.session import Session
from zcbench.benchmarks.scoring.shards import NOTE, Shard
from zcbench.benchmarks.scoring.store import Missing, Request, Row, Store
from zcbench.benchmarks.scoring.worker import ScoringJob, Unit
from zcbench.errors import Interrupted, ProtocolError
from zcbench.plugins import load_file
from zcbench.proxies import REGISTRY, NetworkCosts, Proxy, resolve
from zcbench.proxies.signals.table import ANALYTIC
from zcbench.runtime.crew import TRANSIENT
from zcbench.runtime.devices import check_device
from zcbench.runtime.execution import Execution
from zcbench.runtime.executors import Executor
from zcbench.runtime.progress import Bar
from zcbench.runtime.stop import Stop
from zcbench.spaces import Space
from zcbench.spaces.cost import Cost


class RunInterrupted(Interrupted):
    """A run that was stopped by Ctrl-C or SIGTERM; ``result`` is what it has so far."""

    def __init__(self, result: "RunResult") -> None:
        self.result = result
        super().__init__(
            f"Stopped: {sum(result.statuses.values()):,} of {result.total:,} scores are finished and kept in "
            f"{result.out}. Run the same command again, with --out {result.out}, to score the rest."
        )


@dataclass(frozen=True, repr=False)
class RunResult:
    """What a run left behind.

    Attributes:
        out: its folder.
        protocol: under which all its scores were made.
        total: scores asked for.
        statuses: how many of them have each status.
        fresh: how many were computed just now.
    """

    out: Path
    protocol: Protocol
    total: int
    statuses: dict[str, int]
    fresh: int

    def __repr__(self) -> str:
        statuses = ", ".join(f"{n:,} {status}" for status, n in self.statuses.items())
        return f"RunResult({str(self.out)!r}: {statuses or 'nothing'} of {self.total:,} scores, {self.fresh:,} new)"

    def scores(self) -> pd.DataFrame:
        """All scores in the folder, as `Store.scores` gives them."""
        with Store(self.out / STORE) as store:
            return store.scores()


def score_run(
    conditions: Conditions,
    archs: Sequence[str],
    proxies: Sequence[str | Proxy],
    seeds: Sequence[int],
    out: str | Path,
    *,
    shard: Shard | None = None,
    execution: Execution | None = None,
    notes: Mapping[str, object] | None = None,
) -> RunResult:
    """Score every architecture with every proxy under every seed, and keep each score as soon as it is finished.

    What the folder already has is not computed again; architectures, seeds and proxies may be added to it later. A
    proxy that fails, hangs or kills its worker gives a row with a status and stops nothing else.

    Args:
        conditions: space, images, teacher, and how networks are made; they are the protocol of the run.
        archs: architectures; a repeated one counts once.
        proxies: names or `Proxy` objects; all that one architecture and seed lack are computed in one shared pass.
        seeds: each names the streams of one initialisation and of what is random in a proxy.
        out: folder of the run; made if missing.
        shard: part of the architectures to score here; all of them if None. `merge_runs` merges the folders.
        execution: processes, time limit, plug-ins, progress; two workers if None. The scores are the same bits.
        notes: kept in ``run.json`` for people, such as how the architectures were chosen.

    Returns:
        A `RunResult`; its ``scores()`` is the table.

    Raises:
        ArchitectureError: a string that is no architecture of the space.
        UnknownNameError: a proxy that nobody knows.
        ProtocolError: the folder has scores of another protocol, or of a proxy that was edited and kept its version,
            or this request cannot be carried out.
        BatchError: batch, networks and teacher do not fit together.
        TeacherError: the teacher cannot be built for these classes and images, or its checkpoint cannot be used.
        StoreError: the folder is in use, cannot be written, or has a store that is damaged or of another version.
        RunInterrupted: Ctrl-C or SIGTERM; all finished scores are kept.

    Example:
        >>> space = spaces.get("nasbench201")  # doctest: +SKIP
        >>> conditions = Conditions(space, datasets.batch(datasets.load("digits"), 32))  # doctest: +SKIP
        >>> score_run(conditions, space.subset("live")[:100], ["params", "synflow"], [0, 1], "run")  # doctest: +SKIP
    """
    archs, seeds, execution = list(dict.fromkeys(archs)), list(dict.fromkeys(map(int, seeds))), execution or Execution()
    _require_some(archs, "architectures")
    _require_some(seeds, "seeds")
    for arch in archs:
        conditions.space.index(arch)
    own = archs if shard is None else shard.part(archs)
    conditions.space.cards(own, conditions.image_shape)  # refuses unfit networks before the folder is made
    asked = _with_seeds(conditions.space, own, seeds)
    about: dict[str, object] = {"architectures": len(own), "seeds": seeds, "notes": dict(notes or {})}
    if shard is not None:
        scores = sum(len(some) * len(drawn) for some, drawn in asked) * len(set(map(_named, proxies)))
        about[NOTE] = shard.note(archs, seeds, scores)
    with open_run(conditions, proxies, out, execution=execution, notes=about) as run:
        parts = [run.score(some, drawn, execution.console) for some, drawn in asked]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _named(proxy: str | Proxy) -> str:
    return proxy if isinstance(proxy, str) else proxy.name


def _with_seeds(space: Space, archs: Sequence[str], seeds: Sequence[int]) -> list[tuple[list[str], Sequence[int]]]:
    """Architectures, and the seeds that they are scored with: a network that is given as it is has the first alone."""
    drawn = [arch for arch in archs if space.drawn(arch)]
    given = [arch for arch in archs if not space.drawn(arch)]
    return [(some, own) for some, own in ((drawn, seeds), (given, seeds[:1])) if some]


def _joined(parts: Sequence[RunResult]) -> RunResult:
    statuses = sum((Counter(part.statuses) for part in parts), Counter[str]())
    total, fresh = sum(part.total for part in parts), sum(part.fresh for part in parts)
    return replace(parts[0], total=total, statuses=dict(statuses), fresh=fresh)


@dataclass
class OpenRun:
    """A run at work, to which architectures can be given as they come up; made by `open_run`."""

    folder: Path
    protocol: Protocol
    store: Store
    session: Session
    executor: Executor
    retry: tuple[str, ...]
    asked: Request | None = None

    def score(self, archs: Sequence[str], seeds: Sequence[int], console: Console | None = None) -> RunResult:
        """Score what is missing of ``archs`` x ``seeds`` x the proxies of the run.

        Raises:
            StoreError: the folder cannot be written.
            ProtocolError: a network of one's own is another one than that of which the folder has scores.
            RunInterrupted: Ctrl-C or SIGTERM; all finished scores are kept.
        """
        session, fresh, made = self.session, self.session.fresh, self.session.job.conditions
        self.store.adopt_networks(made.space.cards(archs, made.image_shape))
        asked = self.asked = Request(archs, seeds, [(proxy.name, proxy.version) for proxy in session.proxies.values()])
        missing = self.store.missing(asked, self.retry)
        units = _units(missing, session.proxies, session.job)
        done = {status: n for status, n in self.store.tally(asked).items() if status not in self.retry}
        session.weights = {} if console is None else _macs(missing, session)
        cost = sum(session.cost(item.arch, item.proxies) for item in missing)
        with Bar(console, len(asked), done, cost=cost) as session.bar:
            session.carry_out(units, self.executor)
        result = RunResult(self.folder, self.protocol, len(asked), self.store.tally(asked), session.fresh - fresh)
        if session.stop.asked and sum(len(unit.proxies) for unit in units) > result.fresh:
            raise RunInterrupted(result)
        return result

    def rows(self) -> list[Row]:
        """All attempts at what was last asked for, architecture by architecture."""
        return [] if self.asked is None else self.store.rows(self.asked)


@contextmanager
def open_run(
    conditions: Conditions,
    proxies: Sequence[str | Proxy],
    out: str | Path,
    *,
    execution: Execution | None = None,
    notes: Mapping[str, object] | None = None,
) -> Iterator[OpenRun]:
    """Hold a run open, with its workers, for architectures that are not known beforehand.

    The arguments are those of `score_run`; what ``notes`` hold is kept in ``run.json`` with the request.

    Raises:
        UnknownNameError: a proxy that nobody knows.
        ProtocolError: the folder has scores of another protocol, or this request cannot be carried out.
        TeacherError: the teacher cannot be built for these classes and images, or its checkpoint cannot be used.
        StoreError: the folder is in use, cannot be written, or has a store that is damaged or of another version.
    """
    execution, folder = execution or Execution(), Path(out)
    for plugin in execution.plugins:
        load_file(plugin)
    chosen = {proxy.name: proxy for proxy in resolve(proxies)}
    _require(conditions, list(chosen.values()))
    protocol = Protocol.of(conditions)
    job = ScoringJob(
        conditions,
        proxies=tuple(_reference(proxy) for proxy in chosen.values()),
        plugins=tuple(str(Path(plugin).resolve()) for plugin in execution.plugins),
        timeout=execution.timeout,
        contents={name: proxy.content for name, proxy in chosen.items() if proxy.content is not None},
    )
    if any(proxy.needs_teacher for proxy in chosen.values()):
        conditions.build_teacher()  # before anything is scored
    again = TRANSIENT if execution.retry_failed else ()
    with locked(folder), Store(folder / STORE, write=True) as store:
        store.adopt(protocol)
        store.adopt_contents({(proxy.name, proxy.version): job.contents.get(name) for name, proxy in chosen.items()})
        describe_run(folder, protocol, _request(chosen, execution, job, notes or {}))
        with Stop() as stop, Session(store, Bar(None, 0, {}), stop, job, chosen) as session:
            yield OpenRun(folder, protocol, store, session, execution.executor, again)


def _require(conditions: Conditions, proxies: Sequence[Proxy]) -> None:
    _require_some(proxies, "proxies")
    check_device(conditions.device)
    teacher = conditions.teacher
    compare = [proxy.name for proxy in proxies if proxy.needs_teacher]
    if compare and teacher is None:
        raise ProtocolError(
            f"{', '.join(compare)} compare with a teacher, and none is given. Name an architecture as the teacher, or "
            f"leave them out."
        )
    if teacher is not None and teacher.file is None and not teacher.own(conditions.space):
        (teacher.space or conditions.space).index(teacher.arch)


def _require_some(given: Sequence[object], what: str) -> None:
    if not given:
        raise ProtocolError(f"No {what} are given. Expected at least one; name them.")


def _reference(proxy: Proxy) -> str | Proxy:
    """How a worker finds ``proxy``: by name where the registry has it, else as the object itself."""
    return proxy.name if proxy.name in REGISTRY and REGISTRY.get(proxy.name) is proxy else proxy


def _units(missing: Sequence[Missing], proxies: Mapping[str, Proxy], job: ScoringJob) -> list[Unit]:
    """Units of work, with the analytic costs of their architectures where a proxy reads them."""
    reading = {name for name, proxy in proxies.items() if proxy.reads & ANALYTIC}
    archs = list(dict.fromkeys(item.arch for item in missing if not reading.isdisjoint(item.proxies)))
    costs: dict[str, NetworkCosts] = {}
    if archs:
        made = job.conditions
        table = made.space.costs(archs, num_classes=made.num_classes, image_shape=made.image_shape)
        costs = dict(zip(archs, starmap(NetworkCosts, table[list(Cost._fields)].to_numpy().tolist())))
    return [Unit(item.arch, item.seed, item.proxies, costs.get(item.arch)) for item in missing]


def _macs(missing: Sequence[Missing], session: Session) -> dict[str, float]:
    """MACs of the architectures of which a proxy needs the network."""
    archs = list(dict.fromkeys(item.arch for item in missing if session.cost(item.arch, item.proxies)))
    made = session.job.conditions
    if not archs:
        return {}
    table = made.space.costs(archs, num_classes=made.num_classes, image_shape=made.image_shape)
    macs = table["macs"].astype(float)
    return dict(zip(archs, macs.fillna(macs.mean()).fillna(1.0)))


def _request(
    proxies: Mapping[str, Proxy], execution: Execution, job: ScoringJob, notes: Mapping[str, object]
) -> dict[str, object]:
    return {
        **notes,
        "proxies": {name: proxy.version for name, proxy in proxies.items()},
        "higher_is_better": {name: proxy.higher_is_better for name, proxy in proxies.items()},
        "baselines": [name for name, proxy in proxies.items() if proxy.baseline],
        **({"workers": execution.workers} if execution.cluster is None else {"cluster": execution.cluster}),
        "timeout": job.timeout,
        "plugins": list(job.plugins),
        "zcbench": zcbench.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }
