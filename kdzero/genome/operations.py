"""The three kinds of operations of a genome: transforms, distances and calibrations."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from zcbench.distill.outputs import Outputs
from zcbench.kdzero.genome.axes import MEANINGS, Shape, extents
from zcbench.streams import torch_stream

ANY = frozenset({2, 3, 4})
SPATIAL = frozenset({3, 4})
MAPS = frozenset({4})

#: Name of a tensor by its number of axes.
RANKS: dict[int, str] = {2: "vectors (B, D)", 3: "rows (B, C, L)", 4: "maps (B, C, H, W)"}


def same(shape: Shape) -> Shape:
    """The shape as it is."""
    return shape


def summary(function: Callable[..., object]) -> str:
    """First line of the documentation of an operation."""
    written = function.func if isinstance(function, partial) else function
    return (inspect.getdoc(written) or "").partition("\n")[0]


def _lack(over: str, shape: Shape) -> str:
    if over and extents(shape)[over] < 2:
        return f"it compares {MEANINGS[over]}, of which {shape} has {extents(shape)[over]}; expected at least 2"
    return ""


@dataclass(frozen=True)
class Transform:
    """A transform of the tensors of both networks before the comparison; the images stay the first axis.

    Attributes:
        name: in formulas.
        function: from a tensor to a tensor; a random one also takes its generator.
        formula: what it computes.
        guard: measure that keeps its value and its gradient finite; empty where none is needed.
        takes: numbers of axes that it is defined for.
        gives: shape of the result for a shape of the input.
        over: axis along which it compares, a word of `MEANINGS`; it needs at least two entries.
        side: height and width must be multiples of it.
        random: whether it draws; the draw is the same for both networks.
    """

    name: str
    function: Callable[..., Tensor] = field(repr=False)
    formula: str
    guard: str = ""
    takes: frozenset[int] = ANY
    gives: Callable[[Shape], Shape] = field(default=same, repr=False)
    over: str = ""
    side: int = 1
    random: bool = False

    def __call__(self, tensor: Tensor, place: int = 0) -> Tensor:
        """The transformed tensor; ``place`` in the sequence and the shape name the stream of a random one."""
        if not self.random:
            return self.function(tensor)
        return self.function(tensor, torch_stream("genome", self.name, place, tuple(tensor.shape)))

    @property
    def summary(self) -> str:
        """First line of its documentation."""
        return summary(self.function)

    def trouble(self, shape: Shape) -> str:
        """Why it cannot take a tensor of this shape; empty if it can."""
        if len(shape) not in self.takes:
            return f"it takes {' or '.join(RANKS[rank] for rank in sorted(self.takes))}, and {shape} was given"
        if any(size % self.side for size in shape[2:]):
            return f"height and width must be multiples of {self.side}, and {shape} was given"
        return _lack(self.over, shape)


@dataclass(frozen=True)
class Distance:
    """A distance between student and teacher for each image.

    Attributes:
        name: in formulas.
        function: from student and teacher of one shape to ``(B,)``.
        formula: what it computes.
        guard: measure that keeps it finite.
        over: axis along which it compares, a word of `MEANINGS`; it needs at least two entries.
        normalised: whether it is invariant to the scale of its inputs.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor] = field(repr=False)
    formula: str
    guard: str = ""
    over: str = ""
    normalised: bool = False

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The distance of each image, ``(B,)``."""
        return self.function(student, teacher)

    @property
    def summary(self) -> str:
        """First line of its documentation."""
        return summary(self.function)

    def trouble(self, shape: Shape) -> str:
        """Why it cannot compare two tensors of this shape; empty if it can."""
        return _lack(self.over, shape)


@dataclass(frozen=True)
class Calibration:
    """Weights of the images.

    Attributes:
        name: in formulas.
        function: from student, teacher and labels to weights ``(B,)`` without gradient.
        formula: what it computes.
        guard: measure that keeps it finite.
        reads: outputs that it reads.
        labels: whether it needs the labels.
    """

    name: str
    function: Callable[[Outputs, Outputs, Tensor | None], Tensor] = field(repr=False)
    formula: str
    guard: str = ""
    reads: frozenset[str] = frozenset({"logits"})
    labels: bool = False

    def __call__(self, student: Outputs, teacher: Outputs, labels: Tensor | None = None) -> Tensor:
        """The weight of each image, without gradient: ``(B,)``, or one for all."""
        return self.function(student, teacher, labels)

    @property
    def summary(self) -> str:
        """First line of its documentation."""
        return summary(self.function)
