"""Inputs without data: ones, or standard normal numbers, of the shape of the batch.

Whole numbers cannot be drawn: they stay those of the batch, and the vectors that an embedding looks up with them are
drawn in the place of its output.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from zcbench.datasets.inputs import Given, Inputs, rebuilt, tensors_of
from zcbench.proxies.signals.errors import NotApplicable


def standard_normal(shape: torch.Size, like: Tensor, stream: torch.Generator) -> Tensor:
    """Standard normal numbers of the type and device of ``like``; the same ones whatever its memory layout."""
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(generator=stream)


def normal_inputs(given: Given, count: int, stream: torch.Generator) -> Given:
    """As many standard normal inputs; whole numbers are those of the batch, over again where there are too few."""

    def drawn(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return standard_normal(torch.Size((count, *tensor.shape[1:])), tensor, stream)
        return tensor[torch.arange(count, device=tensor.device) % len(tensor)]

    return rebuilt(given, [drawn(tensor) for tensor in tensors_of(given)])


def input_of_ones(given: Given) -> Given:
    """One input of ones in float64; whole numbers are those of the first input."""
    ones = [
        torch.ones_like(one[:1], dtype=torch.float64) if one.is_floating_point() else one[:1].clone()
        for one in tensors_of(given)
    ]
    return rebuilt(given, ones)


def moved(given: Given, direction: Given, step: float) -> Given:
    """``given`` plus ``step`` times ``direction``; whole numbers stay."""
    pairs = zip(tensors_of(given), tensors_of(direction))
    return rebuilt(given, [one + step * other if one.is_floating_point() else one for one, other in pairs])


class Lookups:
    """Replaces the vectors that embeddings look up with whole numbers of the inputs.

    Args:
        given: the inputs.
        fill: from the vectors to those in their place.
    """

    def __init__(self, given: Given, fill: Callable[[Tensor], Tensor]) -> None:
        self._fill, self._found = fill, False
        self._whole = isinstance(given, Inputs) and len(given.floating) < len(given.tensors)
        self._alone = isinstance(given, Inputs) and not given.floating

    def __call__(self, vectors: Tensor) -> Tensor:
        """The vectors in place of those that were looked up."""
        if not self._whole:
            return vectors
        self._found = True
        return self._fill(vectors)

    def check(self) -> None:
        """Refuse a network that looks up nothing, and so has no place for drawn numbers.

        Raises:
            NotApplicable: all inputs are whole numbers, and no embedding takes them.
        """
        if self._alone and not self._found:
            raise NotApplicable(
                "The inputs are whole numbers and torch.nn.functional.embedding looks none of them up, so that there "
                "is no place for inputs without data."
            )
