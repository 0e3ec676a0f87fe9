"""All operations of genomes, by name.

Li et al., "KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs", NeurIPS 2023, table 1. The paper gives
the names; the formulas are our interpretation, and each operation notes where the paper leaves a choice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from zcbench.distill.outputs import Shapes
from zcbench.kdzero.genome.activations import ACTIVATIONS
from zcbench.kdzero.genome.attention import ATTENTION
from zcbench.kdzero.genome.axes import IMAGES, Shape
from zcbench.kdzero.genome.calibrations import CALIBRATIONS
from zcbench.kdzero.genome.distances import DISTANCES
from zcbench.kdzero.genome.matrices import MATRICES
from zcbench.kdzero.genome.normalisation import NORMALISATION
from zcbench.kdzero.genome.operations import Transform
from zcbench.kdzero.genome.scales import SCALES

__all__ = ["CALIBRATIONS", "DISTANCES", "INPUTS", "PARTS", "TEMPERATURES", "TRANSFORMS", "WEIGHTS", "Input"]


@dataclass(frozen=True)
class Input:
    """The knowledge that a genome compares.

    Attributes:
        name: the output of a network that it is.
        adapts: how student and teacher are brought together before the transforms, words of `zcbench.distill.ADAPTS`.
        shape: of what goes into the transforms, for student and teacher of given shapes; None if one lacks it.
        ordinary: shape that a genome is checked with where no networks are given.
    """

    name: str
    adapts: frozenset[str]
    shape: Callable[[Shapes, Shapes], Shape | None] = field(repr=False)
    ordinary: Shape


def _map(student: Shapes, teacher: Shapes) -> Shape | None:
    if student.features is None or teacher.features is None:
        return None
    return (IMAGES, teacher.features[0], *map(min, student.features[1:], teacher.features[1:]))


def _width(student: Shapes, teacher: Shapes) -> Shape | None:
    return None if student.width is None or teacher.width is None else (IMAGES, teacher.width)


def _classes(student: Shapes, teacher: Shapes) -> Shape | None:
    return None if student.classes is None or teacher.classes is None else (IMAGES, teacher.classes)


#: The three inputs by name.
INPUTS: dict[str, Input] = {
    "features": Input("features", frozenset({"channels", "spatial"}), _map, (IMAGES, 64, 64, 64)),
    "embedding": Input("embedding", frozenset({"width"}), _width, (IMAGES, 64)),
    "logits": Input("logits", frozenset(), _classes, (IMAGES, 10)),
}

#: All transforms by name, in the order of the paper's table 1.
TRANSFORMS: dict[str, Transform] = {
    item.name: item for item in (*NORMALISATION, *ACTIVATIONS, *SCALES, *ATTENTION, *MATRICES)
}

#: Factors of the loss; the paper gives the ends.
WEIGHTS: tuple[float, ...] = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0)

#: Temperatures.
TEMPERATURES: tuple[float, ...] = (1.0, 4.0, 8.0)

#: The parts of a genome; there are three transforms.
PARTS: tuple[str, ...] = ("input", "transform", "distance", "weight", "temperature", "calibration")
