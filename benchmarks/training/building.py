"""The truth builder: train architectures with and without a teacher, into tables that rankings are compared with."""

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from rich.console import Console

from zcbench.benchmarks.training.conditions import TruthConditions
from zcbench.benchmarks.training.log import FILE, Key, TrainingLog, TrainingRow
from zcbench.benchmarks.training.protocol import TruthProtocol, TruthRequest, adopt, home
from zcbench.benchmarks.training.tables import make_tables
from zcbench.benchmarks.training.workers import (
    CHECKPOINTS,
    KD,
    SETTINGS,
    TEACHER,
    TruthJob,
    TruthMaker,
    prepare,
)
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.teaching import near_chance
from zcbench.errors import Interrupted, ProtocolError, unknown
from zcbench.plugins import load_file, loaded_sha256
from zcbench.runtime.crew import TRANSIENT, Crew
from zcbench.runtime.execution import Execution
from zcbench.runtime.executors import Executor
from zcbench.runtime.messages import say
from zcbench.runtime.pool import Ending
from zcbench.runtime.progress import Bar
from zcbench.runtime.stop import Stop
from zcbench.runtime.threads import one_thread


class TruthInterrupted(Interrupted):
    """A truth builder that was stopped by Ctrl-C or SIGTERM; ``result`` is what it has so far."""

    def __init__(self, result: "TruthResult") -> None:
        self.result = result
        super().__init__(
            f"Stopped: {sum(result.statuses.values()):,} of {result.total:,} trainings are finished and kept in "
            f"{result.folder}. Run the same command again to train the rest."
        )


@dataclass(frozen=True)
class TruthResult:
    """Result of a truth builder.

    Attributes:
        folder: where it is kept.
        tables: for each setting its single runs, and ``gain`` where both settings are there, paired by seed.
        trainings: all rows of the log, those of the teacher and failed ones included.
        total: trainings asked for.
        statuses: how many of them have each status.
        fresh: how many were done just now.
    """

    folder: Path
    tables: dict[str, TruthTable]
    trainings: pd.DataFrame = field(repr=False)
    total: int
    statuses: dict[str, int]
    fresh: int


def build_truth(
    conditions: TruthConditions,
    archs: Sequence[str],
    out: str | Path,
    *,
    settings: Sequence[str] = SETTINGS,
    seeds: Sequence[int] = (0, 1),
    execution: Execution | None = None,
    notes: Mapping[str, object] | None = None,
) -> TruthResult:
    """Train every architecture in every setting with every seed, and keep each result as soon as it is there.

    The seed names the initialisation, the order of images and the augmentation, so that two settings of one seed differ
    in the teacher alone. The accuracy is that on all test images after the last epoch; no epoch is chosen by it. What
    the folder has already is not trained again; architectures, settings and seeds may be added to it later.

    Args:
        conditions: space, images, recipe, and the teacher and losses of the setting ``kd``; the protocol of the truth.
        archs: architectures; a repeated one counts once.
        out: folder; it gets ``vanilla.parquet``, ``kd.parquet`` and ``gain.parquet`` (each a truth for ``--truth``),
            ``trainings.csv``, ``trainings.jsonl``, ``truth.json``, ``archs.txt`` with all architectures of the folder,
            the teacher's ``teacher.pt``, and while it runs checkpoints of trainings of more than a minute, from which
            any worker goes on.
        settings: of ``vanilla`` (no teacher) and ``kd``.
        seeds: one training each.
        execution: processes, time limit, plug-ins that define losses (part of the protocol), progress; two workers if
            None. The accuracies are the same.
        notes: kept in ``truth.json`` for people, such as how the architectures were chosen.

    Raises:
        ArchitectureError: a string that is no architecture of the space.
        ProtocolError: the folder has trainings of another protocol, or this request cannot be carried out.
        DistillError: recipe, weights and distillers do not fit together or to the networks.
        PluginError: a plug-in is missing, fails to load, or is edited while the trainings are made.
        StoreError: the folder is in use or cannot be written.
        TruthInterrupted: Ctrl-C or SIGTERM; all finished trainings are kept, the teacher's to its last epoch.
    """
    archs, seeds, folder = list(dict.fromkeys(archs)), list(dict.fromkeys(map(int, seeds))), Path(out)
    settings, execution, kd = list(dict.fromkeys(settings)), execution or Execution(), conditions.kd
    dataset, workers, timeout = conditions.dataset, execution.workers, execution.timeout
    retry_failed, console = execution.retry_failed, execution.console
    _require(conditions, archs, settings, seeds, execution)
    files = tuple(_loaded(plugin) for plugin in execution.plugins)
    known = TrainingObjective(kd.distillers, kd.weights) if kd else TrainingObjective(("kd",))
    conditions.data.steps_per_epoch(conditions.recipe)
    job = TruthJob(
        space=conditions.space,
        data=conditions.data,
        recipe=conditions.recipe,
        distillers=tuple(item.name for item in known.distillers),
        weights=tuple(known.weights.items()),
        init=conditions.init,
        device=conditions.device,
        teacher=None if kd is None else kd.teacher,
        teacher_recipe=None if kd is None or kd.teacher.checkpoint else kd.recipe or conditions.recipe,
        outputs=None if kd is None else kd.outputs,
        folder=folder.absolute(),
        plugins=files,
    )
    with home(folder).locked():
        log = TrainingLog(folder / FILE, TrainingRow)
        asked = TruthRequest(archs, settings, seeds, notes or {})
        about = adopt(folder, TruthProtocol.of(job, dataset), asked, workers)
        wanted = [Key(arch, setting, seed) for arch in archs for seed in seeds for setting in settings]
        builder = _Builder(job, log, retry_failed)
        missing = set(log.missing(wanted, builder.again))
        before = Counter(log.rows[key].status for key in wanted if key not in missing)
        _measure_teacher(job, log, missing, console)
        if job.outputs is not None and console is not None and any(key.setting == KD for key in missing):
            say(console, TruthMaker(job).announced(known.reads))
        builder.costs = costs = _costs(job, sorted(missing))
        cost = sum(map(costs.__getitem__, missing))
        with Bar(console, len(wanted), before, "Training", "trainings", cost=cost) as bar, Stop() as stop:
            finished = builder.carry_out(wanted, execution.executor, timeout, bar, stop)
        with suppress(OSError):  # trainings that were stopped are still there
            (folder / CHECKPOINTS).rmdir()
        result = _result(folder, log, about, wanted, builder.fresh)
    if not finished:
        raise TruthInterrupted(result)
    return result


def _loaded(plugin: str | Path) -> tuple[str, str]:
    """Path and SHA-256 of a plug-in file, which is loaded here."""
    module = load_file(plugin)
    return str(Path(plugin).resolve()), loaded_sha256(module.__name__)


def _measure_teacher(job: TruthJob, log: TrainingLog[TrainingRow], missing: set[Key], console: Console | None) -> None:
    """A row for a teacher that comes with a checkpoint, if there is none yet; a warning where it is near chance."""
    if job.teacher is None or job.teacher.checkpoint is None or all(key.setting != KD for key in missing):
        return
    key = Key(job.teacher.label, TEACHER, job.teacher.seed)
    if key not in log.rows:
        with one_thread():
            log.add(TruthMaker(job).teacher_measured(key))
    accuracy = log.rows[key].accuracy or 0.0
    if near_chance(accuracy, job.data):
        say(
            console,
            f"Warning: the teacher {job.teacher.label} reaches {accuracy:.2f} % on the test images, which is near "
            f"chance; check its checkpoint and its classes.",
            logging.WARNING,
        )


class _Builder:
    """One invocation at work: what its crew of workers gives back is kept in the log."""

    def __init__(self, job: TruthJob, log: TrainingLog[TrainingRow], retry_failed: bool) -> None:
        self._job, self._log = job, log
        self.again = TRANSIENT if retry_failed else ()
        self.fresh = 0
        self.costs: Mapping[Key, float] = {}

    def carry_out(self, wanted: Sequence[Key], executor: Executor, timeout: float | None, bar: Bar, stop: Stop) -> bool:
        """Train what is missing, the teacher before all that needs it; whether nothing is left to do."""
        self._bar, missing = bar, self._log.missing(wanted, self.again)
        places = {key: place for place, key in enumerate(missing)}
        queue, taught = deque(missing), list[Key]()  # the latter wait for the teacher
        if teacher := self._untrained_teacher(missing):
            queue = deque([teacher, *(key for key in missing if key.setting != KD)])
            taught = [key for key in missing if key.setting == KD]

        def limit(key: Key) -> float | None:
            return None if key.setting == TEACHER else timeout

        files = [] if self._job.teacher is None else self._job.teacher.files
        with Crew(prepare, self._job, executor, stop, limit=limit, files=files, watch=bar.watch) as crew:
            for ending in crew.work(queue):
                self._keep(ending)
                if ending.task.setting == TEACHER:
                    rest = sorted([*queue, *taught], key=places.__getitem__)
                    queue.clear()
                    queue.extend(rest)
        return self.fresh == len(missing)

    def _untrained_teacher(self, missing: Sequence[Key]) -> Key | None:
        """The training of the teacher, where one is needed and not there yet."""
        job = self._job
        if job.teacher_recipe is None or all(key.setting != KD for key in missing):
            return None
        assert job.teacher is not None
        key = Key(job.teacher.label, TEACHER, job.teacher.seed)
        return None if self._log.finished(key) and job.teacher_file.exists() else key

    def _keep(self, ending: Ending[Key]) -> None:
        row = TrainingRow(ending.task, ending.failure, ending.reason) if ending.failure else ending.result
        self._log.add(row)
        if ending.task.setting != TEACHER:
            self.fresh += 1
            self._bar.add([row.status], self.costs[ending.task])
        elif not row.ok:
            raise ProtocolError(
                f"The teacher cannot be trained: {row.status}: {row.reason} Expected a trained teacher; change "
                f"its recipe, or give one with its checkpoint. What is finished is kept."
            )


def _costs(job: TruthJob, keys: Sequence[Key]) -> dict[Key, float]:
    """Expected cost of each training: MACs of one image, a backward pass as two forward passes, a teacher has one."""
    archs = list(dict.fromkeys(key.arch for key in keys))
    if not archs:
        return {}
    task = job.data.num_classes, job.data.image_shape
    macs = dict(zip(archs, job.space.costs(archs, *task)["macs"].astype(float)))
    of_teacher = 0.0
    if job.teacher is not None and job.teacher.file is None:
        home = job.teacher.space or job.space
        of_teacher = float(home.costs([job.teacher.arch], *task)["macs"].iloc[0])
    return {key: 3 * macs[key.arch] + (of_teacher if key.setting == KD else 0.0) for key in keys}


def _require(
    conditions: TruthConditions,
    archs: Sequence[str],
    settings: Sequence[str],
    seeds: Sequence[int],
    execution: Execution,
) -> None:
    for given, what in ((archs, "architectures"), (settings, "settings"), (seeds, "seeds")):
        if not given:
            raise ProtocolError(f"No {what} are given. Expected at least one; name them.")
    for setting in settings:
        if setting not in SETTINGS:
            raise unknown("setting of a training", setting, SETTINGS)
    if min(seeds) < 0:
        raise ProtocolError(f"The seed {min(seeds)} was given. Expected 0 or more.")
    if KD in settings and conditions.kd is None:
        raise ProtocolError("The setting 'kd' needs a teacher, and none is given. Name one, or leave the setting out.")
    if KD in settings and conditions.kd is not None and conditions.kd.outputs is not None:
        conditions.kd.outputs.require_fit(conditions.recipe, conditions.data)
    if execution.timeout is not None and execution.executor.here:
        raise ProtocolError(
            "A time limit was given without workers, and only those can be ended. Expected one or more."
        )
    for arch in archs:
        conditions.space.index(arch)


def _result(
    folder: Path, log: TrainingLog[TrainingRow], about: TruthProtocol, wanted: Sequence[Key], fresh: int
) -> TruthResult:
    """Tables from all that is finished, written into the folder."""
    trainings = log.frame()
    tables = make_tables(trainings, about) if len(trainings) else {}
    for setting, table in tables.items():
        table.write(folder / f"{setting}.parquet")
    done = [key.arch for key in log.rows if key.setting != TEACHER]
    home(folder).write_text("archs.txt", "\n".join(dict.fromkeys([*(key.arch for key in wanted), *done])) + "\n")
    if len(trainings):
        home(folder).write_text("trainings.csv", trainings.to_csv(index=False))
    statuses = Counter(log.rows[key].status for key in wanted if key in log.rows)
    return TruthResult(folder, tables, trainings, len(wanted), dict(statuses), fresh)
