"""Logits and auxiliary logits in what a network returns."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from zcbench.errors import BatchError

_LOGITS = "logits"
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

    The logits are the tensor itself, the attribute or the key ``logits``, or the first of a tuple. Auxiliary logits
    are attributes or keys that begin with ``aux``, or the other members of a tuple, if they have the shape of the
    logits.

    Raises:
        BatchError: there are no logits.

    Example:
        >>> import torch
        >>> answer({"logits": torch.zeros(2, 10), "aux_1": torch.zeros(2, 10)}).auxiliary[0].shape
        torch.Size([2, 10])
    """
    if isinstance(returned, Tensor):
        return Answer(returned)
    named = _named(returned)
    logits = named.get(_LOGITS, getattr(returned, _LOGITS, None))
    if isinstance(logits, Tensor):
        return _with_auxiliary(logits, [value for name, value in named.items() if name.startswith(_AUXILIARY)])
    if isinstance(returned, tuple | list) and returned and not isinstance(returned[0], tuple | list):
        return _with_auxiliary(logits_of(returned[0]), returned[1:])
    raise BatchError(
        f"The network returns {type(returned).__name__}. Expected logits (B, classes): a tensor, an object or a "
        f"dictionary with 'logits', or a tuple that begins with them; wrap the network so that it returns one of these."
    )


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
