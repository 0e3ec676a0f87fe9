"""The output in what a network returns."""

from collections.abc import Mapping

from torch import Tensor

LOGITS = "logits"


def output_of(returned: object) -> object:
    """The tensor itself, the attribute or the key ``logits``, or the first of a tuple or list by the same rule.

    Returns:
        The tensor, or ``returned`` where there is none.

    Example:
        >>> import torch
        >>> output_of(({"logits": torch.zeros(2, 3)}, "state")).shape, output_of("text")
        (torch.Size([2, 3]), 'text')
    """
    if isinstance(returned, Tensor):
        return returned
    named = returned.get(LOGITS) if isinstance(returned, Mapping) else getattr(returned, LOGITS, None)
    if isinstance(named, Tensor):
        return named
    if isinstance(returned, tuple | list) and returned:
        first = output_of(returned[0])
        return first if isinstance(first, Tensor) else returned
    return returned
