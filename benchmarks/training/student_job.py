"""What is asked of a student's training: the student, who teaches it with which losses, and which files are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from zcbench.benchmarks.training.student_choice import Student
from zcbench.distill.contract import Distiller
from zcbench.distill.errors import WeightError
from zcbench.distill.frames import Frame, framed, read_frame
from zcbench.distill.functions import Loss, as_distillers
from zcbench.distill.training.balancing import BALANCED
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.export import require_exports
from zcbench.distill.training.metrics import Metric
from zcbench.distill.training.objective import CE, MIXTURES, TrainingObjective, checked_weights
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.scenarios import SCENARIOS
from zcbench.distill.training.stored import TeacherOutputs
from zcbench.errors import ProtocolError, unknown
from zcbench.trackers import Tracker

_AMONG_STUDENTS = ("self", "mutual")


@dataclass(frozen=True)
class Teaching:
    """Scenario, teachers and losses of a student's training; by default the student is trained alone.

    Attributes:
        scenario: a name of `SCENARIOS`.
        teachers: architectures of the student's space, ``SPACE:ARCH``, ``largest`` or ``FILE.py:FUNCTION``.
        checkpoints: weights of the teachers; teachers without are trained first.
        recipe: of teachers that are trained first; that of the student if None.
        losses: names, objects or functions; without effect where no network teaches another.
        weights: of ``ce`` and of the losses by name, or ``balanced``, see `balanced_weights`.
        mixture: how several teachers are weighed, a name of `MIXTURES`.
        frame: in which every loss is compared, see `zcbench.distill.frames`; a loss is then called ``FRAME/LOSS``.
        generations: number of networks of the scenarios ``self`` and ``mutual``.
        outputs: where the outputs of teachers for the training images are stored; in memory if None. For the scenario
            ``teacher`` and a recipe without augmentation.

    Raises:
        UnknownNameError: a scenario, mixture or loss is not known.
        ProtocolError: the teachers or checkpoints do not fit the scenario, or the frame needs no teacher.
        WeightError: weights of unknown terms or out of range, or ``balanced`` without a teacher.
    """

    scenario: str = "teacher"
    teachers: Sequence[str] = ()
    checkpoints: Sequence[Path] = ()
    recipe: Recipe | None = None
    losses: Sequence[Loss] = ("kd",)
    weights: Mapping[str, float] | str = field(default_factory=dict)
    mixture: str = "average"
    frame: str | Frame | None = None
    generations: int = 2
    outputs: TeacherOutputs | None = None

    def __post_init__(self) -> None:
        _require_known("scenario", [self.scenario], SCENARIOS)
        _require_known("mixture of teachers", [self.mixture], MIXTURES)
        _require_teachers(self.scenario, self.teachers, len(self.checkpoints))
        if isinstance(self.weights, str) and self.weights != BALANCED:
            raise WeightError(f"Given weights {self.weights!r}. Expected numbers by term, or {BALANCED!r}.")
        if self.balanced and not (self.scenario == "teacher" and self.teachers):
            raise WeightError(
                "Given: weights 'balanced' without a teacher from outside. Expected the scenario 'teacher' and a "
                "teacher (--teacher), whose losses can be measured before the training; or give the weights as numbers."
            )
        if self.outputs is not None and not (self.scenario == "teacher" and self.teachers):
            raise ProtocolError(
                f"Stored teacher outputs were asked for in the scenario {self.scenario!r} with {len(self.teachers)} "
                f"teachers. Expected the scenario 'teacher' and a teacher; leave the stored outputs out."
            )
        if self.frame is not None and read_frame(self.frame).alone:
            raise ProtocolError(
                f"Given: the frame {self.frame!r}, in which a student is its own teacher. Expected a frame between "
                f"student and teacher: ensemble, l2t, n_to_one or review. In Python: zcbench.distill.train(student, "
                f"None, data, distillers=[framed({self.frame!r}, 'kd')])."
            )
        TrainingObjective(self.distillers, self.given_weights)  # refuses unknown names and wrong weights

    def __getstate__(self) -> dict[str, object]:
        """The fields alone: another process makes the losses of their names."""
        return {name: value for name, value in vars(self).items() if name != "distillers"}

    @cached_property
    def distillers(self) -> list[Distiller]:
        """The losses as objects."""
        losses = as_distillers(self.losses)
        return losses if self.frame is None else [framed(self.frame, loss) for loss in losses]

    @property
    def taught(self) -> bool:
        """Whether one network teaches another."""
        return self.scenario in _AMONG_STUDENTS or bool(self.teachers)

    @property
    def balanced(self) -> bool:
        """Whether the weights are computed before the training."""
        return self.weights == BALANCED

    @property
    def given_weights(self) -> dict[str, float]:
        """The weights that are given as numbers."""
        return {} if isinstance(self.weights, str) else dict(self.weights)

    def used_weights(self, given: Mapping[str, float]) -> dict[str, float]:
        """Weight of every term, with the defaults of the scenario; 1 of the cross-entropy alone without a teacher."""
        if self.scenario == "teacher" and not self.teachers:
            return {CE: 1.0}
        names = [loss.name for loss in self.distillers]
        ones = dict.fromkeys([CE, *names], 1.0) if self.scenario == "mutual" else {}
        return checked_weights(names, {**ones, **given})


@dataclass(frozen=True)
class StudentFiles:
    """Files of a student's training, and how often they are written.

    Attributes:
        exports: formats of the trained student, names of `zcbench.distill.training.export.EXPORTS`.
        checkpoint_every: steps between two checkpoints; those of one epoch if None.
        evaluate_every: epochs between two evaluations on test and validation images.
        metrics: beyond accuracy and loss: balanced_accuracy, calibration, top5, or a metric of torchmetrics as
            MulticlassF1Score(average='macro').
        tracker: where the rows of the training are sent: a name of `zcbench.trackers.TRACKERS`, or an object.
        notes: further entries of ``result.json``.

    Raises:
        UnknownNameError: a format is not known.
        CheckpointError: ``onnx`` without its packages.
    """

    exports: Sequence[str] = ("pt",)
    checkpoint_every: int | None = None
    evaluate_every: int = 1
    metrics: Sequence[str | Metric] = ()
    tracker: Tracker | str | None = None
    notes: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_exports(list(self.exports))


@dataclass(frozen=True)
class StudentJob:
    """All that decides one student and its folder.

    Attributes:
        student: architecture and space.
        data: training and test images.
        folder: where to.
        recipe: of the student.
        teaching: scenario, teachers and losses.
        init: initialisation scheme of student and teachers.
        device: where to train.
        files: which are written.
        baseline: whether the student is also trained alone.
    """

    student: Student
    data: TrainingSource
    folder: Path
    recipe: Recipe
    teaching: Teaching
    init: str
    device: str
    files: StudentFiles
    baseline: bool = False

    @property
    def teacher_recipe(self) -> Recipe:
        """Recipe of teachers that are trained first."""
        return self.teaching.recipe or self.recipe

    def used(self, recipe: Recipe) -> dict[str, object]:
        """The values of a recipe that have an effect on these images."""
        used = recipe.used()
        if "padding" in used and recipe.padding is None:
            used["padding"] = self.data.image_shape[1] // 8
        return used | {"batch_size": self.data.batch_size(recipe)}

    @property
    def last_recipe(self) -> Recipe:
        """Recipe of the student itself: the seed goes up by one for each network that is trained before it."""
        last = {"self": self.teaching.generations - 1, "assistant": len(self.teaching.teachers) - 1}
        return replace(self.recipe, seed=self.recipe.seed + last.get(self.teaching.scenario, 0))


def _require_known(what: str, given: Sequence[str], known: Sequence[str] | Mapping[str, str]) -> None:
    for name in given:
        if name not in known:
            raise unknown(what, name, known)


def _require_teachers(scenario: str, teachers: Sequence[str], checkpoints: int) -> None:
    given = len(teachers)
    if scenario in _AMONG_STUDENTS and given:
        raise ProtocolError(
            f"The scenario {scenario!r} was given the teacher {teachers[0]!r}. Expected none: its networks teach each "
            f"other; leave the teacher out, or take the scenario 'teacher' or 'assistant'."
        )
    if scenario == "assistant" and given < 2:
        raise ProtocolError(
            f"The scenario 'assistant' was given {given} teachers. Expected a teacher and at least one assistant, "
            f"from large to small, with commas."
        )
    if scenario == "assistant" and checkpoints > 1:
        raise ProtocolError(
            f"The scenario 'assistant' was given {checkpoints} checkpoints. Expected that of the first teacher, or "
            f"none: the assistants are trained."
        )
    if scenario == "teacher" and checkpoints not in (0, given):
        raise ProtocolError(
            f"{checkpoints} checkpoints were given for {given} teachers. Expected one for each, or none, and they are "
            f"trained first."
        )
