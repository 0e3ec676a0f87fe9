"""A genome: which knowledge, through which transforms, by which distance, with which weights."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from zcbench.distill.contract import Distiller
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.errors import nearest
from zcbench.kdzero.genome.errors import GenomeError, UnfitGenome
from zcbench.kdzero.genome.fitting import input_shape, trouble
from zcbench.kdzero.genome.formula import Parts, number, read_formula, write_formula
from zcbench.kdzero.genome.loss import GenomeLoss, LabelledLoss
from zcbench.kdzero.genome.tables import (
    CALIBRATIONS,
    DISTANCES,
    INPUTS,
    TEMPERATURES,
    TRANSFORMS,
    WEIGHTS,
)
from zcbench.specification import write_specification

NAME = "genome"

SOURCE = "KD-Zero, NeurIPS 2023, equation 1 and table 1"


@dataclass(frozen=True)
class Genome:
    """A distillation loss put together from primitive operations.

    Attributes:
        input: the knowledge, one of `INPUTS`.
        transforms: three of `TRANSFORMS`, in the order in which they are applied.
        distance: one of `DISTANCES`.
        weight: factor, one of `WEIGHTS`.
        temperature: what the input is divided by, one of `TEMPERATURES`; its square is a factor.
        calibration: weights of the images, one of `CALIBRATIONS`.

    Raises:
        GenomeError: an operation is not known, or no input has a shape that the operations could take in this order.

    Example:
        >>> str(Genome("logits", ("softmax_C", "no", "no"), "pearson"))
        'pearson(no(no(softmax_C(logits))))'
    """

    input: str = "features"
    transforms: tuple[str, ...] = ("no", "no", "no")
    distance: str = "l2"
    weight: float = 1.0
    temperature: float = 1.0
    calibration: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "transforms", tuple(self.transforms))
        _check_names(self)
        object.__setattr__(self, "weight", float(self.weight))
        object.__setattr__(self, "temperature", float(self.temperature))
        why = trouble(self.transforms, self.distance, INPUTS[self.input].ordinary)
        if why:
            raise GenomeError(f"{self.formula!r} makes no sense for {self.input}: {why}. Choose another operation.")

    @property
    def formula(self) -> str:
        """The genome as text; equal for equal genomes."""
        return write_formula(
            Parts(self.input, self.transforms, self.distance, self.weight, self.temperature, self.calibration)
        )

    def __str__(self) -> str:
        return self.formula

    @classmethod
    def parse(cls, text: object) -> "Genome":
        """The genome of a formula.

        Raises:
            GenomeError: the text cannot be read, an operation is not known, or the operations do not fit each other.

        Example:
            >>> Genome.parse("4^2 kl(no(no(no(logits/4))))").temperature
            4.0
        """
        if not isinstance(text, str):
            raise GenomeError(f"Given a formula of type {type(text).__name__}. Expected a text, as str(genome) gives.")
        return cls(*read_formula(text))

    def operations(self) -> list[tuple[str, str]]:
        """Part and operation, for counting; the three transforms in their order."""
        transforms = [("transform", name) for name in self.transforms]
        numbers = [("weight", number(self.weight)), ("temperature", number(self.temperature))]
        after = [("distance", self.distance), *numbers, ("calibration", self.calibration)]
        return [("input", self.input), *transforms, *after]

    @property
    def distiller(self) -> "GenomeDistiller":
        """The loss, ready to train with; `zcbench.distill.get` gives it back by its name."""
        calibration = CALIBRATIONS[self.calibration]
        compared = [TRANSFORMS[name].over for name in self.transforms] + [DISTANCES[self.distance].over]
        return GenomeDistiller(
            name=write_specification(NAME, {"formula": self.formula}),
            function=LabelledLoss(self) if calibration.labels else GenomeLoss(self),
            reads=frozenset({self.input}) | calibration.reads,
            adapts=INPUTS[self.input].adapts,
            source=SOURCE,
            min_images=2 if "N" in compared else 1,
            settings=(("formula", self.formula),),
        )

    def require_fit(self, student: Shapes, teacher: Shapes) -> None:
        """Refuse networks between which the genome cannot be computed.

        Args:
            student: ``outputs.shapes`` of the student.
            teacher: ``outputs.shapes`` of the teacher.

        Raises:
            UnfitGenome: a network lacks the input, class counts differ, or a map or vector is too small.
        """
        shape = input_shape(self.input, (student, teacher))
        if shape is None:
            whose = "student" if input_shape(self.input, (student, student)) is None else "teacher"
            raise UnfitGenome(f"{self.formula!r} reads {self.input}, which the {whose} does not have. Use another.")
        if None not in (student.classes, teacher.classes) and student.classes != teacher.classes:
            raise UnfitGenome(
                f"The student has {student.classes} classes and the teacher {teacher.classes}. Expected equal counts."
            )
        why = trouble(self.transforms, self.distance, shape)
        if why:
            raise UnfitGenome(f"{self.formula!r} does not fit these networks: {why}. Choose another genome.")


@dataclass(frozen=True)
class GenomeDistiller(Distiller):
    """A genome as a distiller; its hyperparameters are the formula and, where it needs one, the adapter."""

    def configured(self, **hyperparameters: object) -> Distiller:
        """The loss of another formula, or with another adapter.

        Raises:
            GenomeError: the formula makes no genome.
            UnknownNameError: it has no such hyperparameter.
            HyperparameterError: a value of the wrong type.
        """
        if "formula" not in hyperparameters:
            return super().configured(**hyperparameters)
        made: Distiller = Genome.parse(hyperparameters.pop("formula")).distiller
        kept = {name: value for name, value in self.settings if name in made.hyperparameters and name != "formula"}
        return made.configured(**kept | hyperparameters) if kept or hyperparameters else made

    def projectors(self, student: Shapes, teacher: Shapes, seed: int = 0) -> nn.Module | None:
        """The adapter to train with a student of these shapes, or None if none is needed.

        Raises:
            UnfitGenome: the genome cannot be computed between these networks.
        """
        self._genome.require_fit(student, teacher)
        return super().projectors(student, teacher, seed)

    @property
    def _genome(self) -> Genome:
        assert isinstance(self.function, GenomeLoss)
        return self.function.genome

    def _check(self, student: Outputs, teacher: Outputs) -> None:
        super()._check(student, teacher)
        for outputs in (student, teacher):
            outputs.read(self._genome.input)
        self._genome.require_fit(student.shapes, teacher.shapes)

    @property
    def _defaults(self) -> dict[str, object]:
        return {"formula": ""} | super()._defaults

    def _function_hyperparameters(self) -> dict[str, object]:
        return {}


def _check_names(genome: Genome) -> None:
    if len(genome.transforms) != 3:
        raise GenomeError(f"Given {len(genome.transforms)} transforms. Expected three; 'no' does nothing.")
    given: list[tuple[str, str, Iterable[str]]] = [
        ("input", genome.input, INPUTS),
        *(("transform", name, TRANSFORMS) for name in genome.transforms),
        ("distance", genome.distance, DISTANCES),
        ("calibration", genome.calibration, CALIBRATIONS),
    ]
    for kind, name, known in given:
        if name not in known:
            raise GenomeError(f"{name!r} is no known {kind} of a genome. {nearest(str(name), known)}")
    for kind, value, values in (("weight", genome.weight, WEIGHTS), ("temperature", genome.temperature, TEMPERATURES)):
        if value not in values:
            raise GenomeError(f"Given {kind}={value!r}. Expected one of {', '.join(map(number, values))}.")
