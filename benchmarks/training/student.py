"""Train a student in a folder, alone or under teachers: the function behind ``zcbench distill``."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from torch import nn

from zcbench.benchmarks.training.environment import environment
from zcbench.benchmarks.training.predictions import predictions
from zcbench.benchmarks.training.student_choice import Student, read_student
from zcbench.benchmarks.training.student_job import StudentFiles, StudentJob, Teaching
from zcbench.benchmarks.training.student_networks import TeacherRecord
from zcbench.benchmarks.training.student_scenarios import StudentTraining
from zcbench.distill.training.course import TrainingResult
from zcbench.distill.training.data.images import DataSource, TrainingData
from zcbench.distill.training.export import EXPORTS, export
from zcbench.distill.training.recipe import Recipe
from zcbench.runtime.devices import own_device
from zcbench.runtime.stop import Stop
from zcbench.storage.run_folder import RunFolder, plain
from zcbench.trackers import Recording, recorded

__all__ = ["Student", "StudentFiles", "StudentResult", "Teaching", "read_student", "train_student"]


@dataclass(frozen=True)
class StudentResult:
    """A trained student.

    Attributes:
        student: the network, in evaluation mode.
        accuracy: on the test images after the epoch whose weights are kept, in percent.
        baseline: score of the same architecture trained alone: where it was asked for, the first generation of
            ``self``, or the student itself without a teacher; None elsewhere.
        folder: with ``result.json``, the student's weights, log and checkpoints.
        training: history, losses and number of steps of the student's training.
        teachers: with their test accuracies.
        alone: the training alone, if it was asked for and is none of the above.
        predictions: of a segmentation: test images ``(n, H, W, 3)`` from 0 to 1, then the classes ``(n, H, W)`` of the
            mask and those that each network gives, by title; of a detection likewise boxes; None for another task.
    """

    student: nn.Module = field(repr=False)
    accuracy: float
    baseline: float | None
    folder: Path
    training: TrainingResult = field(repr=False)
    teachers: tuple[TeacherRecord, ...] = ()
    alone: TrainingResult | None = field(default=None, repr=False)
    predictions: dict[str, np.ndarray] | None = field(default=None, repr=False)

    @property
    def score(self) -> float:
        """The metric of the task on the test images: the accuracy, or the mean IoU of a segmentation, in percent."""
        return self.training.score

    @property
    def gain(self) -> float | None:
        """Score above that of the student trained alone, in percentage points; None without a baseline."""
        return None if self.baseline is None else self.score - self.baseline


def train_student(
    student: Student | str,
    data: DataSource,
    out: str | Path,
    recipe: Recipe | None = None,
    *,
    teaching: Teaching | None = None,
    init: str = "default",
    device: str = "cpu",
    files: StudentFiles | None = None,
    baseline: bool = False,
    console: Console | None = None,
) -> StudentResult:
    """Train a student; a training that was stopped or killed is resumed by the same call, to the same bits.

    Args:
        student: an architecture with its space, or a text as `read_student` takes it.
        data: training and test images, as `zcbench.distill.train` takes them.
        out: folder of weights, log, checkpoints and ``result.json``.
        recipe: of the student; the defaults of `Recipe` if omitted.
        teaching: scenario, teachers and losses; the student is trained alone if omitted.
        init: initialisation scheme: default, kaiming, xavier or normal.
        device: where to train.
        files: which files are written, and how often.
        baseline: whether the student is also trained alone, with the same initialisation, recipe and seed, into the
            folder ``baseline``.
        console: for progress and warnings; silent if omitted.

    Raises:
        StoreError: another process writes to ``out``, or it cannot be written.
        CheckpointError: ``out`` holds another training.
        TeacherError: a teacher cannot be built, or its checkpoint does not fit.
        TrainingStopped: Ctrl-C or SIGTERM; the checkpoint is kept.
        TrackerError: the tracker is not installed, or cannot start.
        ZcbenchError: as `zcbench.distill.train`.

    Example:
        >>> import tempfile
        >>> from zcbench import datasets
        >>> digits = datasets.load("digits(images=64,test_images=32)"), datasets.load("digits", split="test")
        >>> cell = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|none~2|"
        >>> result = train_student(
        ...     f"nasbench201(channels=2,cells=1):{cell}", digits, tempfile.mkdtemp(), Recipe(epochs=1, batch_size=32)
        ... )
        >>> result.training.steps, result.baseline == result.accuracy
        (2, True)
    """
    job = StudentJob(
        student=read_student(student) if isinstance(student, str) else student,
        data=TrainingData.taken(data),
        folder=Path(out),
        recipe=recipe or Recipe(),
        teaching=teaching or Teaching(),
        init=init,
        device=own_device(device),
        files=files or StudentFiles(),
        baseline=baseline,
    )
    if job.teaching.outputs is not None:
        job.teaching.outputs.require_fit(job.recipe, job.data)
    folder = RunFolder(job.folder, "a distillation")
    with folder.locked(), Stop() as stop, recorded(job.files.tracker, "distill", job.folder, _asked(job)) as recording:
        training = StudentTraining(job, console or Console(quiet=True), lambda: stop.asked, recording)
        result = training.run()
        _export(job, result.network)
        alone = training.alone() if baseline else None
        about = {**_record(job, training), **job.files.notes, **_figures(result)}
        about |= {} if alone is None else {"baseline": _figures(alone)}
        folder.write_json("result.json", plain(about))
        _send(recording, job, result, alone)
    known = {"self": training.accuracies[:1], "teacher": [] if job.teaching.teachers else [result.score]}
    figures = [alone.score] if alone else known.get(job.teaching.scenario, [])
    return StudentResult(
        result.network,
        result.accuracy,
        next(iter(figures), None),
        job.folder,
        result,
        tuple(training.teachers),
        alone,
        predictions(job.data, _networks(result, alone, training)),
    )


def _networks(result: TrainingResult, alone: TrainingResult | None, training: StudentTraining) -> dict[str, nn.Module]:
    """The trained networks by title."""
    beside = {} if alone is None else {"student alone": alone.network}
    known = training.teacher_networks.values()
    teachers = {f"teacher {number}" if len(known) > 1 else "teacher": one for number, one in enumerate(known, 1)}
    return {**beside, "student": result.network, **teachers}


def _export(job: StudentJob, network: nn.Module) -> None:
    for kind in job.files.exports:
        export(network, job.folder / f"student.{kind}", job.data.image_shape)


def _asked(job: StudentJob) -> dict[str, object]:
    """What was asked for, as a tracker has it."""
    teaching = job.teaching
    return {
        "student": job.student.to_dict(),
        "init": job.init,
        "scenario": teaching.scenario,
        "teachers": list(teaching.teachers),
        "losses": [loss.name for loss in teaching.distillers] if teaching.taught else [],
        "weights": teaching.weights,
        "recipe": job.used(job.recipe),
        "environment": environment(job.device),
        **job.files.notes,
    }


def _send(recording: Recording, job: StudentJob, result: TrainingResult, alone: TrainingResult | None) -> None:
    """Figures of the finished student, and its files."""
    recording.metrics({f"final/{name}": value for name, value in _figures(result).items()})
    if alone is not None:
        recording.metrics({f"final/baseline_{name}": value for name, value in _figures(alone).items()})
    files = ["result.json", "log.csv", *(f"student.{kind}" for kind in EXPORTS)]
    recording.files = [job.folder / name for name in files]


def _record(job: StudentJob, training: StudentTraining) -> dict[str, object]:
    """Student, teachers, losses, recipe and environment, as ``result.json`` has them."""
    teaching = job.teaching
    weights = teaching.used_weights(training.weights)
    return {
        "student": {
            **job.student.to_dict(),
            "seed": job.last_recipe.seed if teaching.scenario == "self" else job.recipe.seed,
            "init": job.init,
        },
        "scenario": teaching.scenario,
        "teachers": list(teaching.teachers),
        "teacher_details": [teacher.to_dict() for teacher in training.teachers],
        "generation_accuracies": training.accuracies,
        "losses": [
            {"name": loss.name, "version": loss.version, "code_sha256": loss.code_sha256}
            for loss in teaching.distillers
            if weights.get(loss.name)
        ],
        "weights": weights,
        "mixture": teaching.mixture if teaching.scenario == "teacher" and len(teaching.teachers) > 1 else None,
        **({} if teaching.outputs is None else {"teacher_outputs": teaching.outputs.dtype}),
        "recipe": job.used(job.last_recipe),
        "environment": environment(job.device),
        "data": job.data.description,
        "task": job.data.task.spec,
        "metric": {"name": job.data.task.metric, "title": job.data.task.title},
        "label_loss": job.data.task.loss_title,
    }


def _figures(result: TrainingResult) -> dict[str, object]:
    return {
        "test_accuracy": result.accuracy,
        "test_loss": result.loss,
        "train_accuracy": result.train_accuracy,
        "steps": result.steps,
        "seconds": result.seconds,
        **{name: value for name, value in result.kept.items() if name.startswith(("test_", "validation_"))},
        **({} if result.epoch == len(result.history) else {"epoch": result.epoch}),
    }
