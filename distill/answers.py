"""Logits and auxiliary logits in what a network returns."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from zcbench.datasets.outputs import LOGITS, output_of
from zcbench.errors import BatchError

_AUXILIARY = "aux"  # begins the names of auxiliary logits: GoogLeNet's aux_logits1, Inception's aux_logits


class Answer(NamedTuple):
    """Logits ``(B, N)`` of a network for one batch, and those of its auxiliary heads, of the same shape."""

    logits: Tensor
    auxiliary: tuple[Tensor, ...] = ()


def logits_of(returned: object) -> Tensor:
    """The logits in what a network returns, as `answer` finds them.

    Raises:
        BatchError: there are none.
    """
    return answer(returned).logits


def answer(returned: object) -> Answer:
    """Logits and auxiliary logits in what a network returns.

    The logits are those of `zcbench.datasets.outputs.output_of`. Auxiliary logits are attributes or keys that begin
    with ``aux`` beside ``logits``, or the other members of a tuple, if they have the shape of the logits.

    Raises:
        BatchError: there are no logits.

    Example:
        >>> import torch
        >>> answer({"logits": torch.zeros(2, 10), "aux_1": torch.zeros(2, 10)}).auxiliary[0].shape
        torch.Size([2, 10])
    """
    logits = output_of(returned)
    if isinstance(logits, Tensor):
        return _with_auxiliary(logits, _others(returned))
    raise BatchError(
        f"The network returns {type(returned).__name__}. Expected logits (B, classes): a tensor, an object or a "
        f"dictionary with 'logits', or a tuple that begins with them; wrap the network so that it returns one of these."
    )


def _others(returned: object) -> Sequence[object]:
    """What may be auxiliary logits."""
    if isinstance(returned, Tensor):
        return ()
    named = _named(returned)
    if isinstance(named.get(LOGITS, getattr(returned, LOGITS, None)), Tensor):
        return [value for name, value in named.items() if name.startswith(_AUXILIARY)]
    return returned[1:] if isinstance(returned, tuple | list) else ()


def _named(returned: object) -> Mapping[str, object]:
    """Members of a result by name."""
    if isinstance(returned, Mapping):
        return returned
    if isinstance(returned, tuple):
        return {name: getattr(returned, name) for name in getattr(returned, "_fields", ())}  # of a named tuple
    return dict(vars(returned)) if hasattr(returned, "__dict__") else {}


def _with_auxiliary(logits: Tensor, others: Sequence[object]) -> Answer:
    heads = (other for other in others if isinstance(other, Tensor) and other.is_floating_point())
    return Answer(logits, tuple(head for head in heads if head.shape == logits.shape))
