"""Train several students, or one with several seeds, in workers: the function behind ``zcbench distill --seeds``."""

import multiprocessing
import os
import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pandas as pd
import torch
from rich.console import Console

from zcbench.benchmarks.scoring.teachers import build_teacher, read_teacher
from zcbench.benchmarks.training.log import Key, TrainingLog, TrainingRow
from zcbench.benchmarks.training.student import train_student
from zcbench.benchmarks.training.student_choice import Student, read_student
from zcbench.benchmarks.training.student_job import StudentFiles, Teaching
from zcbench.distill.errors import DivergedLoss, TrainingStopped
from zcbench.distill.tasks.reading import recorded
from zcbench.distill.training.data.images import DataSource, TrainingData
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import Teacher
from zcbench.errors import Interrupted, ProtocolError, ZcbenchError
from zcbench.plugins import load_file, loaded_sha256
from zcbench.proxies.scoring.evaluation import status_of
from zcbench.runtime.crew import TRANSIENT, Crew
from zcbench.runtime.devices import kind_of
from zcbench.runtime.execution import Execution
from zcbench.runtime.progress import Bar
from zcbench.runtime.stop import Stop
from zcbench.storage.run_folder import RunFolder, plain
from zcbench.streams import derive

FILE, TABLE, PROTOCOL = "students.jsonl", "students.csv", "students.json"


class StudentOptions(TypedDict, total=False):
    """What all students have in common, as `zcbench.train_student` takes it.

    Attributes:
        teaching: scenario, teachers and losses; the students are trained alone if omitted.
        init: initialisation scheme.
        device: where to train.
        files: which files are written, and how often.
        baseline: whether each student is also trained alone.
    """

    teaching: Teaching | None
    init: str
    device: str
    files: StudentFiles | None
    baseline: bool


@dataclass(frozen=True)
class StudentRow(TrainingRow):
    """One finished student; ``accuracy`` is the task's metric, ``baseline`` that of the same one alone, if known."""

    baseline: float | None = None


@dataclass(frozen=True)
class StudentsResult:
    """Result of several students.

    Attributes:
        folder: with ``students.csv``, and a folder of each training.
        table: a row for each training: ``student, seed, status, reason, accuracy, baseline, loss, epochs, seconds,
            folder``; the accuracy is the mean IoU of a segmentation.
        statuses: how many trainings have each status.
        fresh: how many were done just now.
    """

    folder: Path
    table: pd.DataFrame = field(repr=False)
    statuses: dict[str, int]
    fresh: int


@dataclass(frozen=True)
class StudentsJob:
    """What all trainings have in common; sent once to each worker."""

    students: dict[str, Student]
    data: TrainingSource
    folder: Path
    recipe: Recipe
    options: StudentOptions
    plugins: tuple[tuple[str, str], ...] = ()

    def home(self, key: Key) -> Path:
        """Folder of one training."""
        word = re.sub(r"[^A-Za-z0-9]+", "-", key.arch).strip("-")[:40].strip("-")
        return self.folder / f"{word}-{derive(key.arch) % 16**6:06x}" / f"seed-{key.seed}"


def train_students(
    students: Sequence[Student | str],
    data: DataSource,
    out: str | Path,
    recipe: Recipe | None = None,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    execution: Execution | None = None,
    **options: Unpack[StudentOptions],
) -> StudentsResult:
    """Train every student with every seed, each in a folder of its own, as `zcbench.train_student` does.

    Each training has one thread. What is finished is not trained again. A training whose worker ends is resumed from
    its last checkpoint by another one, which must see the folder: on a cluster it lies on a shared file system, as do
    the teachers' files.

    Args:
        students: architectures with their spaces, or texts as `read_student` takes them.
        data: training and test images, as `zcbench.distill.train` takes them.
        out: folder; it gets ``students.csv`` and a folder for each training.
        recipe: of the students; each seed takes the place of its seed.
        seeds: one training of each student for each.
        execution: processes or a cluster, time limit, plug-ins, progress; two workers if None. The students are the
            same.
        options: what all students have in common, see `StudentOptions`.

    Raises:
        ProtocolError: nothing to train, a student twice, or the folder has students of another protocol.
        StoreError: the folder is in use or cannot be written.
        Interrupted: Ctrl-C or SIGTERM; what is finished, and the last checkpoints, are kept.
        ZcbenchError: as `zcbench.train_student`.

    Example:
        >>> import tempfile
        >>> from zcbench import Execution, datasets
        >>> digits = datasets.load("digits(images=64,test_images=32)"), datasets.load("digits", split="test")
        >>> found = train_students(
        ...     ["resnet:1-1-1@8-8-8-8"], digits, tempfile.mkdtemp(), Recipe(epochs=1, batch_size=32), seeds=[0, 1],
        ...     execution=Execution(workers=0),
        ... )
        >>> found.statuses, list(found.table["seed"])
        ({'ok': 2}, [0, 1])
    """
    execution, recipe, source = execution or Execution(), recipe or Recipe(), TrainingData.taken(data)
    if (teaching := options.get("teaching")) is not None and teaching.outputs is not None:
        teaching.outputs.require_fit(recipe, source)
    taken = [read_student(one) if isinstance(one, str) else one for one in students]
    names = {_name(one): one for one in taken}
    _require(taken, names, seeds, execution)
    plugins = tuple((str(Path(file).resolve()), loaded_sha256(load_file(file).__name__)) for file in execution.plugins)
    job = StudentsJob(names, source, Path(out).absolute(), recipe, options, plugins)
    scenario = (options.get("teaching") or Teaching()).scenario
    wanted = [Key(name, scenario, seed) for name in names for seed in dict.fromkeys(seeds)]
    folder = RunFolder(job.folder, "students")
    with folder.locked():
        folder.adopt(PROTOCOL, _protocol(job))
        log = TrainingLog(job.folder / FILE, StudentRow)
        fresh = _carry_out(job, log, wanted, execution)
        rows = [log.rows[key] for key in wanted if key in log.rows]
        table = pd.DataFrame([_line(row, job) for row in rows])
        if len(table):
            folder.write_text(TABLE, table.to_csv(index=False))
    if len(rows) < len(wanted):
        raise Interrupted(
            f"Stopped: {len(rows)} of {len(wanted)} students are finished and kept in {out}. Run the same command "
            f"again to train the rest; what had begun goes on from its last checkpoint."
        )
    return StudentsResult(Path(out), table, dict(Counter(row.status for row in rows)), fresh)


class StudentMaker:
    """Trains students of one job."""

    def __init__(self, job: StudentsJob) -> None:
        self._job = job
        for plugin, sha256 in job.plugins:
            load_file(plugin, sha256)

    def __call__(self, key: Key) -> StudentRow:
        """The row of one training; a failure is a row with its status and reason.

        Raises:
            ZcbenchError: the job cannot be carried out.
        """
        job, home = self._job, self._job.home(key)
        if not job.folder.is_dir():
            raise ProtocolError(
                f"The folder {job.folder} of the students is not on this machine, and their checkpoints lie there. "
                f"Expected one that all workers see; name a folder on a shared file system."
            )
        try:
            own = replace(job.recipe, seed=key.seed)
            result = train_student(job.students[key.arch], job.data, home, own, **job.options)
        except DivergedLoss as error:
            return StudentRow(key, "diverged", str(error))
        except TrainingStopped:
            if multiprocessing.parent_process() is None:
                raise
            os._exit(1)  # the machine takes this worker away: another one goes on from the checkpoint
        except ZcbenchError:
            raise
        except Exception as error:
            return StudentRow(key, status_of(error), f"{type(error).__name__}: {error}")
        training = result.training
        return StudentRow(
            key,
            "ok",
            accuracy=result.score,
            loss=training.loss,
            train_accuracy=training.train_accuracy,
            train_loss=training.kept["ce"],
            epochs=len(training.history),
            steps=training.steps,
            seconds=round(training.seconds, 3),
            baseline=result.baseline,
        )


def prepare(job: StudentsJob) -> StudentMaker:
    """Make the present process a worker for ``job``: one thread."""
    torch.set_num_threads(1)
    return StudentMaker(job)


def _carry_out(job: StudentsJob, log: TrainingLog[StudentRow], wanted: Sequence[Key], execution: Execution) -> int:
    """Train what is missing; how many were trained."""
    missing = log.missing(wanted, TRANSIENT if execution.retry_failed else ())
    left = set(missing)
    before = Counter(log.rows[key].status for key in wanted if key not in left)
    teachers = [] if (teaching := job.options.get("teaching")) is None else teaching.teachers
    space = next(iter(job.students.values())).space
    files = [file for name in teachers for file in read_teacher(name, space).files]
    files += [*(teaching.checkpoints if teaching else ()), *_functions(job)]
    if missing and execution.console is not None:
        _announce(job, execution.console)
    with Bar(execution.console, len(wanted), before, "Training", "students") as bar, Stop() as stop:
        limit = execution.timeout
        crew = Crew(prepare, job, execution.executor, stop, limit=lambda key: limit, files=files, watch=bar.watch)
        with crew:
            for ending in crew.work(deque(missing)):
                row = StudentRow(ending.task, ending.failure, ending.reason) if ending.failure else ending.result
                log.add(row)
                left.discard(ending.task)
                bar.add([row.status])
    return len(missing) - len(left)


def _announce(job: StudentsJob, console: Console) -> None:
    """Say how large stored outputs of trained teachers are."""
    teaching, data = job.options.get("teaching") or Teaching(), job.data
    if teaching.outputs is None or not isinstance(data, TrainingData):
        return
    space, init = next(iter(job.students.values())).space, job.options.get("init", "default")
    reads = frozenset[str]().union(*(loss.reads for loss in teaching.distillers))
    for name, file in zip_longest(teaching.teachers, teaching.checkpoints):
        network = build_teacher(
            read_teacher(name, space, checkpoint=file),
            space,
            init,
            data.num_classes,
            data.image_shape,
            task=data.task,
        )
        said = Teacher(network, outputs=teaching.outputs).announced(data, reads, job.recipe)
        console.print(said, highlight=False, soft_wrap=True)


def _functions(job: StudentsJob) -> list[Path]:
    return [one.function.file for one in job.students.values() if one.function is not None]


def _name(student: Student) -> str:
    return student.label if student.function else f"{student.space.spec}:{student.arch}"


def _line(row: StudentRow, job: StudentsJob) -> dict[str, object]:
    content: dict[str, Any] = {"student": row.key.arch, "seed": row.key.seed}
    names = ("status", "reason", "accuracy", "baseline", "loss", "epochs", "seconds")
    return content | {name: getattr(row, name) for name in names} | {"folder": str(job.home(row.key))}


def _protocol(job: StudentsJob) -> dict[str, object]:
    """All that decides an accuracy but student and seed."""
    teaching = job.options.get("teaching") or Teaching()
    space = next(iter(job.students.values())).space
    choices = [read_teacher(name, space) for name in teaching.teachers]
    found = {
        "data": job.data.description,
        "data_sha256": job.data.sha256,
        **recorded(job.data.task),
        "recipe": {name: value for name, value in job.recipe.to_dict().items() if name != "seed"},
        "init": job.options.get("init", "default"),
        "device": kind_of(job.options.get("device", "cpu")),
        "baseline": job.options.get("baseline", False),
        "scenario": teaching.scenario,
        "teachers": [
            {"name": name, "file_sha256": choice.file_sha256, "checkpoint_sha256": choice.checkpoint_sha256}
            for name, choice in zip(teaching.teachers, choices)
        ],
        "checkpoints": [str(file) for file in teaching.checkpoints],
        "teacher_recipe": None if teaching.recipe is None else teaching.recipe.to_dict(),
        "losses": [[loss.name, loss.version, loss.code_sha256] for loss in teaching.distillers],
        "weights": teaching.weights,
        "mixture": teaching.mixture,
        "generations": teaching.generations,
        "teacher_outputs": None if teaching.outputs is None else teaching.outputs.dtype,
    }
    return plain(found)


def _require(taken: Sequence[Student], names: dict[str, Student], seeds: Sequence[int], execution: Execution) -> None:
    for given, what in ((taken, "students"), (seeds, "seeds")):
        if not given:
            raise ProtocolError(f"No {what} are given. Expected at least one; name them.")
    if len(names) < len(taken):
        raise ProtocolError(
            f"{len(taken)} students were given, and {len(names)} of them differ. Expected each once; leave the "
            f"repeated ones out."
        )
    if min(seeds) < 0:
        raise ProtocolError(f"The seed {min(seeds)} was given. Expected 0 or more.")
    if execution.timeout is not None and execution.executor.here:
        raise ProtocolError(
            "A time limit was given without workers, and only those can be ended. Expected one or more."
        )
