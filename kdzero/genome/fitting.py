"""Which sequences of operations a tensor of some shape can go through."""

from collections.abc import Sequence
from functools import lru_cache

from zcbench.distill.outputs import Shapes
from zcbench.kdzero.genome.axes import Shape
from zcbench.kdzero.genome.tables import DISTANCES, INPUTS, TRANSFORMS


@lru_cache(maxsize=1 << 16)
def after(transform: str, shape: Shape) -> Shape | None:
    """Shape after a transform; None if it cannot take it."""
    item = TRANSFORMS[transform]
    return None if item.trouble(shape) else item.gives(shape)


@lru_cache(maxsize=1 << 16)
def compares(distance: str, shape: Shape) -> bool:
    """Whether a distance can compare two tensors of this shape."""
    return not DISTANCES[distance].trouble(shape)


def trouble(transforms: Sequence[str], distance: str, shape: Shape) -> str:
    """Why the operations cannot take an input of this shape, and which one; empty if they can."""
    for place, name in enumerate(transforms, 1):
        if TRANSFORMS[name].trouble(shape):
            return f"transform {place}, {name!r}, cannot follow: {TRANSFORMS[name].trouble(shape)}"
        shape = TRANSFORMS[name].gives(shape)
    return f"the distance {distance!r} cannot: {why}" if (why := DISTANCES[distance].trouble(shape)) else ""


def input_shape(name: str, pair: tuple[Shapes, Shapes] | None) -> Shape | None:
    """Shape of an input between two networks, or the ordinary one; None if a network lacks it."""
    return INPUTS[name].ordinary if pair is None else INPUTS[name].shape(*pair)
