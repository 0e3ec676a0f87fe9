"""Adapters: small modules that map a student's outputs to the shapes of its teacher.

An adapter maps ``(student, teacher)`` to ``(student, teacher)``, both `Outputs`. Its weights come from the stream of a
seed, so a loss with a random adapter is reproducible; they can be trained along with the student.
"""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.errors import unknown
from zcbench.streams import seeded


def _conv1x1(student: int, teacher: int) -> nn.Module:
    return nn.Conv2d(student, teacher, 1, bias=False)


def _conv1x1_bn(student: int, teacher: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(student, teacher, 1, bias=False), nn.BatchNorm2d(teacher))


#: How an adapter maps a channel count to another, for maps and for embeddings.
ADAPTERS: dict[str, Callable[[int, int], nn.Module]] = {
    "conv1x1": _conv1x1,
    "conv1x1_bn": _conv1x1_bn,
    "linear": nn.Linear,
}

#: The outputs that an adapter of each name can change; each output has its default first.
FITS: dict[str, tuple[str, ...]] = {
    "features": ("conv1x1", "conv1x1_bn"),
    "stages": ("conv1x1", "conv1x1_bn"),
    "embedding": ("linear",),
}


class Adapter(nn.Module):
    """Changes some outputs of the student, each by modules of its own.

    Args:
        modules: for each output the modules that its tensors go through, one per tensor.
    """

    def __init__(self, modules: dict[str, list[nn.Module]]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: nn.ModuleList(parts) for name, parts in modules.items()})

    def forward(self, student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
        """The student's outputs at the teacher's channel counts, and the teacher's as they are."""
        changed: dict[str, list[Tensor]] = {}
        for name, parts in self.parts.items():
            assert isinstance(parts, nn.ModuleList)
            changed[name] = [part(tensor) for part, tensor in zip(parts, student.read(name), strict=True)]
        return student.replace(**changed), teacher


def channels(shapes: Shapes, output: str) -> tuple[int, ...] | None:
    """Channel counts of an output, one per tensor; None if it is absent."""
    counts = {
        "features": None if shapes.features is None else shapes.features[:1],
        "stages": None if shapes.stages is None else tuple(stage[0] for stage in shapes.stages),
        "embedding": None if shapes.width is None else (shapes.width,),
    }
    return counts[output]


def build_adapter(name: str | None, outputs: Iterable[str], student: Shapes, teacher: Shapes, seed: int = 0) -> Adapter:
    """Adapter for ``outputs``, with fresh weights; tensors whose channel counts agree are left alone.

    Args:
        name: one of `ADAPTERS`; by default the first that fits each output.
        outputs: which outputs are changed.
        student: shapes of the student.
        teacher: shapes of the teacher.
        seed: names the stream of the weights.

    Raises:
        UnknownNameError: no adapter has this name.
        HyperparameterError: the adapter is not made for these outputs.
        ShapeMismatch: student and teacher have different numbers of stages.
    """
    if name is not None and name not in ADAPTERS:
        raise unknown("adapter", name, ADAPTERS)
    with seeded("adapter", name, seed):
        return Adapter({output: _parts(name, output, student, teacher) for output in sorted(outputs)})


def _parts(name: str | None, output: str, student: Shapes, teacher: Shapes) -> list[nn.Module]:
    chosen = FITS[output][0] if name is None else name
    if chosen not in FITS[output]:
        raise HyperparameterError(
            f"The adapter {chosen!r} cannot change {output}. Expected {' or '.join(FITS[output])}."
        )
    own, other = channels(student, output) or (), channels(teacher, output) or ()
    if len(own) != len(other):
        raise ShapeMismatch(f"The student has {len(own)} {output}, the teacher {len(other)}. Expected as many.")
    return [nn.Identity() if s == t else ADAPTERS[chosen](s, t) for s, t in zip(own, other)]
