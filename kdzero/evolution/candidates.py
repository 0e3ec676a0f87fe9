"""One evaluation of the distiller search: train a student under a genome for a while, and measure it."""

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter

import torch
from torch import nn

from zcbench.benchmarks.scoring.checkpoints import load_weights
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher
from zcbench.benchmarks.training.log import Key, TrainingRow
from zcbench.distill.errors import (
    BadLoss,
    DivergedLoss,
    MissingOutput,
    ShapeMismatch,
    TooFewImages,
    TrainingStopped,
)
from zcbench.distill.outputs import OUTPUTS, Outputs
from zcbench.distill.tasks import CLASSIFICATION
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.objective import CE
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.stored import TeacherOutputs
from zcbench.distill.training.teaching import Teacher
from zcbench.distill.training.training import Training
from zcbench.errors import ZcbenchError
from zcbench.kdzero.evolution.rejection import Recording, Rejection, Stopping
from zcbench.kdzero.evolution.terms import READS, Metrics, measure
from zcbench.kdzero.evolution.untrained import Untrained
from zcbench.kdzero.genome import Genome, GenomeError
from zcbench.proxies.scoring.evaluation import status_of
from zcbench.runtime.devices import own_device
from zcbench.search.algorithms.loop import SearchError
from zcbench.spaces import Space

CANDIDATE, VANILLA = "candidate", "vanilla"
REJECTED, UNFIT, DIVERGED, NOT_FINITE = "rejected", "unfit", "diverged", "nan"
_OWN_FAULT = (GenomeError, BadLoss, MissingOutput, ShapeMismatch, TooFewImages)


@dataclass(frozen=True)
class CandidateRow(TrainingRow):
    """One finished training of a candidate, of the student alone, or of the teacher.

    Attributes:
        proxy: minus the loss of the untrained student.
        losses: of the first steps: total, cross-entropy and distillation.
        terms: `Metrics` on the validation images, by name; None for one that is not finite.
    """

    steps: int = 0
    proxy: float | None = None
    losses: list[list[float]] | None = None
    terms: dict[str, float | None] | None = None

    @property
    def measured(self) -> Metrics:
        """The terms as numbers; NaN where one is not finite or nothing was measured."""
        known = {name: value for name, value in (self.terms or {}).items() if value is not None}
        return Metrics(*(known.get(name, math.nan) for name in Metrics._fields))


@dataclass(frozen=True)
class CandidateJob:
    """What all candidates of a search have in common; sent once to each worker.

    Attributes:
        space: of the student; of a segmentation that of the dense networks, as `Task.space` gives it.
        arch: the student.
        data: training images, and validation images in the place of test images.
        recipe: of a candidate; its seed names the student's initialisation too, so that candidates differ in the
            distiller alone.
        share: of the recipe's steps, after which a candidate is measured.
        rejection: rules of the first steps; none if None.
        teacher: which.
        teacher_file: its trained weights; those of its checkpoint if None.
        init: initialisation scheme of the student.
        device: where to train.
        dataset: what the data set is called.
        teacher_recipe: how the teacher is trained, unless it has a checkpoint; as the candidates, if None.
        outputs: where the teacher's outputs for the training images are stored; in the memory of each worker if None.

    Raises:
        SearchError: a share that is out of range.
        RecipeError: stored outputs, and images that are drawn anew in every epoch.
    """

    space: Space
    arch: str
    data: TrainingData
    recipe: Recipe
    teacher: TeacherChoice
    share: float = 1.0
    rejection: Rejection | None = field(default_factory=Rejection)
    teacher_file: Path | None = None
    init: str = "default"
    device: str = "cpu"
    dataset: str = "images as given"
    teacher_recipe: Recipe | None = None
    outputs: TeacherOutputs | None = None

    def __post_init__(self) -> None:
        if self.outputs is not None:
            self.outputs.require_fit(self.recipe, self.data)
        if not 0 < self.share <= 1:
            raise SearchError(f"A share of {self.share:g} of the epochs was given. Expected above 0 and at most 1.")

    @property
    def steps(self) -> int:
        """Steps of the whole recipe."""
        return self.recipe.epochs * self.recipe.steps_per_epoch(len(self.data))

    @property
    def limit(self) -> int:
        """Steps after which a candidate is measured, at least one."""
        return max(1, math.ceil(self.share * self.steps))

    @property
    def files(self) -> list[Path]:
        """Files of the teacher."""
        return [*self.teacher.files, *([] if self.teacher_file is None else [self.teacher_file])]

    @property
    def teacher_training(self) -> Recipe | None:
        """How the teacher is trained; None for one with a checkpoint."""
        return None if self.teacher.checkpoint is not None else (self.teacher_recipe or self.recipe)

    def build_student(self) -> nn.Module:
        """The student, untrained."""
        return self.space.build(self.arch, self.data.num_classes, self.recipe.seed, self.data.image_shape, self.init)

    def build_teacher(self) -> nn.Module:
        """The teacher with its weights, in evaluation mode."""
        given = self.data.num_classes, self.data.image_shape
        network = build_teacher(self.teacher, self.space, self.init, *given, task=self.data.task)
        if self.teacher_file is not None:
            load_weights(network, self.teacher_file)
        return network.eval()


class CandidateMaker:
    """Evaluates candidates of one job; a result depends on nothing that was evaluated before."""

    def __init__(self, job: CandidateJob) -> None:
        self._job = job
        self._device = own_device(job.device)
        self._data = job.data.to(self._device, job.recipe.layout)
        self._teachers: dict[frozenset[str], Teacher] = {}

    def __call__(self, key: Key) -> CandidateRow:
        """The row of one candidate, or of the student without a teacher; a failure is a row with status and reason.

        Raises:
            ZcbenchError: the job cannot be carried out, such as images that do not fit the networks.
        """
        start = perf_counter()
        try:
            found = self._evaluated(key)
        except _OWN_FAULT as error:
            found = CandidateRow(key, UNFIT, str(error))
        except ZcbenchError:
            raise
        except Exception as error:
            found = CandidateRow(key, status_of(error), f"{type(error).__name__}: {error}")
        return replace(found, seconds=round(perf_counter() - start, 3))

    @cached_property
    def untrained(self) -> Untrained:
        """Student and teacher before any training."""
        teacher = self._teacher_network.to(self._data.images.device)
        return Untrained(self._job.build_student().train(), teacher, self._data, self._job.recipe.seed)

    def teacher_quality(self) -> Metrics:
        """The teacher on the validation images, measured against itself."""
        return self._terms(self._validation)

    def announced(self) -> str:
        """A sentence on the stored outputs of the teacher: those that a genome can read."""
        teacher = Teacher(self._teacher_network, outputs=self._job.outputs)
        for reads in (frozenset(OUTPUTS), frozenset[str]()):
            with suppress(MissingOutput):
                return teacher.announced(self._data, reads, self._job.recipe)
        raise AssertionError("every network has logits")

    def _evaluated(self, key: Key) -> CandidateRow:
        job, genome = self._job, None if key.setting == VANILLA else Genome.parse(key.arch)
        found = CandidateRow(key, "ok")
        if genome is not None:
            genome.require_fit(*self.untrained.shapes)
            found = replace(found, proxy=finite(self.untrained.value(genome)))
        network, recording = job.build_student(), self._recording(genome)
        teachers = [] if genome is None else [self._teacher(recording.reads)]
        training = Training([network], [recording], teachers, self._data, job.recipe, self._device)
        stopping = Stopping(recording, job.rejection, job.limit)
        try:
            training.run(evaluate_every=job.recipe.epochs, stop=stopping)
            stopping()
        except TrainingStopped:
            pass
        except DivergedLoss as error:
            status = DIVERGED if job.rejection is None else REJECTED
            return replace(found, status=status, reason=f"not finite: {error}", steps=training.done)
        found = replace(found, steps=training.done, losses=[list(step) for step in recording.seen])
        if stopping.verdict:
            return replace(found, status=REJECTED, reason=stopping.verdict)
        return self._measured(network, found)

    def _measured(self, network: nn.Module, found: CandidateRow) -> CandidateRow:
        """The row with the terms of the trained student."""
        own = _outputs(network, self._in_place_of_training)
        terms = self._terms(own)
        wrong = [f"{name} is {value}" for name, value in terms._asdict().items() if not math.isfinite(value)]
        found = replace(found, terms={name: finite(value) for name, value in terms._asdict().items()})
        return replace(found, status=NOT_FINITE, reason=", ".join(wrong)) if wrong else found

    def _terms(self, student: Outputs) -> Metrics:
        """The terms of a student on the validation images; the accuracy is the metric of the task."""
        task = self._data.task
        (one,), (other,), labels = task.rows([student], [self._validation], self._data.test_labels)
        terms = measure(one, other, labels)
        own = task.metrics([task.metric], self._data.num_classes) if task != CLASSIFICATION else []
        return terms._replace(accuracy=own[0](one.logits, labels)) if own else terms

    def _recording(self, genome: Genome | None) -> Recording:
        """Cross-entropy plus the genome's loss, both with weight 1: equation 3 of the paper."""
        job, first = self._job, self._job.rejection.steps if self._job.rejection else 0
        distiller = None if genome is None else genome.distiller
        weights = {CE: 1.0} if distiller is None else {CE: 1.0, distiller.name: 1.0}
        return Recording(distiller, weights, job.recipe.label_smoothing, first)

    def _teacher(self, reads: frozenset[str]) -> Teacher:
        """One for each set of outputs, so that each is computed once over the training images, and kept."""
        return self._teachers.setdefault(reads, Teacher(self._teacher_network, outputs=self._job.outputs))

    @cached_property
    def _teacher_network(self) -> nn.Module:
        return self._job.build_teacher()

    @cached_property
    def _in_place_of_training(self) -> TrainingData:
        data = self._data
        return replace(data, images=data.test_images, labels=data.test_labels)

    @cached_property
    def _validation(self) -> Outputs:
        return _outputs(self._teacher_network, self._in_place_of_training)


def prepare(job: CandidateJob) -> CandidateMaker:
    """Make the present process a worker for ``job``: one thread."""
    torch.set_num_threads(1)
    return CandidateMaker(job)


def finite(value: float) -> float | None:
    """The number, or None where JSON has none for it."""
    return value if math.isfinite(value) else None


def _outputs(network: nn.Module, data: TrainingData) -> Outputs:
    """What the terms read, for all training images of ``data``, in evaluation mode; in float32, as accuracies are."""
    teacher, dense = Teacher(network), data.task != CLASSIFICATION
    outputs = teacher.remembered(data, frozenset({"logits", "features"}) if dense else READS, "float32")
    assert outputs is not None, "the outputs for the validation images are small"
    return outputs.replace(embedding=outputs.features.mean((2, 3))) if dense else outputs
