"""The tokens of a vision transformer as a feature map."""

import math

from torch import Tensor

from zcbench.hooks.functions import Args

#: Tokens at the front that stand for no patch: a class token, and one for distillation.
EXTRA = (0, 1, 2)


def token_map(tokens: Tensor) -> Tensor | None:
    """Map ``(B, C, h, h)`` of a sequence ``(B, T, C)``, row by row; None if its patches form no square.

    Up to two tokens at the front stand for no patch and are dropped: as few as leave a square number.
    """
    batch, count, channels = tokens.shape
    for extra in EXTRA:
        side = math.isqrt(max(count - extra, 0))
        if side and side * side == count - extra:
            return tokens[:, extra:].transpose(1, 2).reshape(batch, channels, side, side)
    return None


def sequence(inputs: Args, output: object) -> Tensor | None:
    """The output tokens of a module, with two axes before the channels; None if it does not map tokens to tokens.

    Of a module that returns several things, the first counts.
    """
    first = output[0] if isinstance(output, tuple) and output else output
    taken = inputs[0] if inputs else first
    if not isinstance(first, Tensor) or not isinstance(taken, Tensor):
        return None
    return first if first.ndim == taken.ndim == 3 else None
