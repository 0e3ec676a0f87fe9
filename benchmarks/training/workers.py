"""One training of the truth builder: build a network, train it, evaluate it on the test images."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from zcbench.benchmarks.scoring.checkpoints import load_weights
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher
from zcbench.benchmarks.training.log import Key, TrainingRow
from zcbench.distill.errors import DivergedLoss
from zcbench.distill.training.course import TrainingResult
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.loop import train
from zcbench.distill.training.recipe import LAST, Recipe
from zcbench.distill.training.stored import TeacherOutputs
from zcbench.distill.training.teaching import Teacher
from zcbench.errors import ProtocolError, ZcbenchError
from zcbench.plugins import load_file
from zcbench.proxies.scoring.evaluation import status_of
from zcbench.runtime.devices import own_device
from zcbench.spaces import Space
from zcbench.storage.files import replaced
from zcbench.streams import derive

VANILLA, KD, TEACHER = "vanilla", "kd", "teacher"
SETTINGS = (VANILLA, KD)
CHECKPOINTS = "checkpoints"  # folder of trainings that are under way


@dataclass(frozen=True)
class TruthJob:
    """What all trainings of a truth have in common; sent once to each worker.

    Attributes:
        space: of the students.
        data: training and test images.
        recipe: of the students; its seed is that of each training.
        distillers: losses of the setting ``kd``.
        weights: of ``ce`` and of each distiller; the defaults where not given.
        init: initialisation scheme of the networks.
        device: where to train.
        teacher: of the setting ``kd``.
        teacher_recipe: how the teacher is trained; None for one that comes with a checkpoint.
        outputs: where the teacher's outputs for the training images are stored; in memory if None.
        folder: where the teacher's weights are kept.
        checkpoint_seconds: least seconds between two checkpoints of a student's training.
        plugins: Python files that define distillers, and the SHA-256 that each must have where a training is made.
    """

    space: Space
    data: TrainingData
    recipe: Recipe
    distillers: tuple[str, ...] = ("kd",)
    weights: tuple[tuple[str, float], ...] = ()
    init: str = "default"
    device: str = "cpu"
    teacher: TeacherChoice | None = None
    teacher_recipe: Recipe | None = None
    outputs: TeacherOutputs | None = None
    folder: Path = Path()
    checkpoint_seconds: float = 60.0
    plugins: tuple[tuple[str, str], ...] = ()

    @property
    def teacher_file(self) -> Path:
        """Where the trained teacher's weights are."""
        return self.folder / "teacher.pt"

    def student_file(self, key: Key) -> Path:
        """Where the training of a student is kept while it runs."""
        return self.folder / CHECKPOINTS / f"{derive(*key):016x}.training"


class TruthMaker:
    """Trains networks of one job; an accuracy depends on nothing that was trained before."""

    def __init__(self, job: TruthJob) -> None:
        self._job = job
        for plugin, sha256 in job.plugins:
            load_file(plugin, sha256)
        self._device = own_device(job.device)
        self._data = job.data.to(self._device, job.recipe.layout)

    def __call__(self, key: Key) -> TrainingRow:
        """The row of one training; a failure is a row with its status and reason.

        Raises:
            ZcbenchError: the job cannot be carried out, such as images that do not fit the networks.
        """
        start = perf_counter()

        def failed(status: str, reason: str) -> TrainingRow:
            return TrainingRow(key, status, reason, seconds=_since(start))

        try:
            result = self._teacher_trained() if key.setting == TEACHER else self._student_trained(key)
        except DivergedLoss as error:
            return failed("diverged", str(error))
        except ZcbenchError:
            raise
        except Exception as error:
            return failed(status_of(error), f"{type(error).__name__}: {error}")
        last, kept = result.history[-1], result.kept
        return TrainingRow(
            key,
            "ok",
            accuracy=result.score,
            loss=result.loss,
            train_accuracy=result.train_accuracy,
            train_loss=kept["ce"],
            epochs=int(last["epoch"]),
            steps=result.steps,
            seconds=_since(start),
        )

    def _student_trained(self, key: Key) -> TrainingResult:
        """Train a student, going on from the checkpoint of a worker that ended, if there is one."""
        job, recipe = self._job, replace(self._job.recipe, seed=key.seed)
        network = job.space.build(key.arch, job.data.num_classes, key.seed, job.data.image_shape, job.init)
        under = {"distillers": job.distillers, "weights": dict(job.weights)} if key.setting == KD else {}
        teacher = self._teacher if under else None
        options: dict[str, Any] = {
            **under,
            "device": self._device,
            "evaluate_every": recipe.epochs if recipe.select == LAST else 1,
        }
        if not job.folder.is_dir():  # on another machine, which does not see it
            return train(network, teacher, self._data, recipe, **options)
        file = job.student_file(key)
        options |= {"checkpoint": file, "checkpoint_seconds": job.checkpoint_seconds}
        result = train(network, teacher, self._data, recipe, **options)
        file.unlink(missing_ok=True)
        return result

    def _teacher_trained(self) -> TrainingResult:
        """Train the teacher, going on from its checkpoint if there is one, and keep its weights."""
        job, file = self._job, self._job.teacher_file
        assert job.teacher_recipe is not None
        if not job.folder.is_dir():
            raise ProtocolError(
                f"The folder {job.folder} of the truth is not on this machine, which keeps the teacher there. Expected "
                f"one that all workers see; name a folder on a shared file system, or give --teacher-checkpoint."
            )
        network = self._build_teacher()
        result = train(
            network, None, self._data, job.teacher_recipe, device=self._device, checkpoint=file.with_suffix(".training")
        )
        with replaced(file) as draft:
            torch.save({name: tensor.cpu() for name, tensor in network.state_dict().items()}, draft)
        return result

    def teacher_measured(self, key: Key) -> TrainingRow:
        """The row of a teacher that comes with a checkpoint: what it reaches on the test images."""
        start = perf_counter()
        score, quality = self._teacher.score(self._data), self._teacher.quality(self._data)
        return TrainingRow(key, "ok", accuracy=score, loss=quality.loss, seconds=_since(start))

    def announced(self, reads: frozenset[str]) -> str:
        """A sentence on the stored outputs of the teacher, which need not be trained yet."""
        assert self._job.outputs is not None
        return Teacher(self._build_teacher(), outputs=self._job.outputs).announced(self._data, reads, self._job.recipe)

    @cached_property
    def _teacher(self) -> Teacher:
        network = self._build_teacher()
        if self._job.teacher_recipe is not None:
            load_weights(network, self._job.teacher_file)
        return Teacher(network, outputs=self._job.outputs)

    def _build_teacher(self) -> nn.Module:
        job = self._job
        assert job.teacher is not None
        given = job.data.num_classes, job.data.image_shape
        return build_teacher(job.teacher, job.space, job.init, *given, task=job.data.task)


def prepare(job: TruthJob) -> TruthMaker:
    """Make the present process a worker for ``job``: one thread."""
    torch.set_num_threads(1)
    return TruthMaker(job)


def _since(start: float) -> float:
    return round(perf_counter() - start, 3)
