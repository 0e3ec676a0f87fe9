"""The inputs of networks that take something else than one floating tensor: whole numbers, or several tensors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from zcbench.errors import BatchError


class Inputs:
    """The tensors of one batch that a network is called with, by position or by name; the first axis is the batch.

    Scoring calls ``network(*inputs.args, **inputs.kwargs)``. `checked_inputs` makes one where it is needed: one
    floating tensor, such as images, stays the tensor that it is.

    Args:
        tensors: at least one.
        names: keywords of the tensors; None if they are given by position.

    Example:
        >>> inputs = Inputs([torch.zeros(4, 9).long(), torch.ones(4, 9)], ["input_ids", "attention_mask"])
        >>> len(inputs), inputs.kwargs["input_ids"].shape, inputs
        (4, torch.Size([4, 9]), Inputs(input_ids: int64 (4, 9), attention_mask: float32 (4, 9)))
    """

    def __init__(self, tensors: Iterable[Tensor], names: Sequence[str] | None = None) -> None:
        self.tensors = tuple(tensors)
        self.names = None if names is None else tuple(names)

    @property
    def args(self) -> tuple[Tensor, ...]:
        """The tensors that are given by position."""
        return self.tensors if self.names is None else ()

    @property
    def kwargs(self) -> dict[str, Tensor]:
        """The tensors that are given by name."""
        return {} if self.names is None else dict(zip(self.names, self.tensors))

    @property
    def floating(self) -> tuple[Tensor, ...]:
        """The tensors that have a gradient."""
        return tuple(tensor for tensor in self.tensors if tensor.is_floating_point())

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.tensors[0].device

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the tensors; the default one if all are whole numbers."""
        return next((tensor.dtype for tensor in self.floating), torch.get_default_dtype())

    def map(self, change: Callable[[Tensor], Tensor]) -> "Inputs":
        """The same inputs, each tensor changed."""
        return Inputs(map(change, self.tensors), self.names)

    def clone(self) -> "Inputs":
        """Copies of the tensors."""
        return self.map(Tensor.clone)

    def detach(self) -> "Inputs":
        """The tensors without their gradients."""
        return self.map(Tensor.detach)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Inputs":
        """The tensors on a device, those with a gradient in a floating type."""
        return self.map(lambda one: one.to(device, dtype) if one.is_floating_point() else one.to(device))

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, part: slice) -> "Inputs":
        return self.map(lambda tensor: tensor[part])

    def __repr__(self) -> str:
        shown = [f"{_name(one.dtype)} {tuple(one.shape)}" for one in self.tensors]
        if self.names is not None:
            shown = [f"{name}: {text}" for name, text in zip(self.names, shown)]
        return f"Inputs({', '.join(shown)})"


#: What a network is called with: one floating tensor, or several tensors or whole numbers.
Given: TypeAlias = Tensor | Inputs


def tensors_of(given: Given) -> tuple[Tensor, ...]:
    """The tensors that a network is called with."""
    return (given,) if isinstance(given, Tensor) else given.tensors


def rebuilt(given: Given, tensors: Sequence[Tensor]) -> Given:
    """The same inputs with other tensors."""
    return tensors[0] if isinstance(given, Tensor) else Inputs(tensors, given.names)


def checked_inputs(given: object) -> Given:
    """The inputs of a batch, from a tensor, or from a tuple, list or mapping of tensors.

    Raises:
        BatchError: something else, nothing, or tensors of different lengths.
    """
    if isinstance(given, Inputs):
        inputs = given
    elif isinstance(given, Mapping):
        inputs = Inputs(given.values(), [str(name) for name in given])
    elif isinstance(given, tuple | list):
        inputs = Inputs(given)
    else:
        inputs = Inputs([given])  # type: ignore[list-item]  # checked below
    _check(inputs)
    plain = inputs.names is None and len(inputs.tensors) == 1 and inputs.tensors[0].is_floating_point()
    return inputs.tensors[0] if plain else inputs


def _check(inputs: Inputs) -> None:
    odd = next((one for one in inputs.tensors if not isinstance(one, Tensor)), None)
    if odd is not None or not inputs.tensors:
        raise BatchError(
            f"Given inputs of {'nothing' if odd is None else type(odd).__name__}. Expected a tensor, or a tuple or "
            f"mapping of tensors, with the batch on the first axis."
        )
    if any(one.ndim == 0 or len(one) == 0 or one.is_complex() for one in inputs.tensors):
        raise BatchError(
            f"Given {inputs}. Expected tensors of real or whole numbers with at least one input on the first axis."
        )
    if len(inputs.tensors) == 1 and inputs.tensors[0].ndim > 3 and not inputs.floating:
        raise BatchError(
            f"Given {inputs}. Expected floating images: divide pixels by 255 and normalise them as for the training."
        )
    if len({len(one) for one in inputs.tensors}) > 1:
        raise BatchError(
            f"Given {inputs}, whose first axes differ in length. Expected one batch: the first axis of every tensor "
            f"is the batch."
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
