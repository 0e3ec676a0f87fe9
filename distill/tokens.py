"""The tokens of a vision transformer as a feature map."""

import math
from collections.abc import Callable
from typing import Any, Self

from torch import Tensor, nn

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


def sequence(inputs: tuple[Any, ...], output: Any) -> Tensor | None:
    """The tokens that a module puts out, with two axes before the channels; None if it does not map tokens to tokens.

    Of a module that returns several things, the first counts.
    """
    first = output[0] if isinstance(output, tuple) and output else output
    taken = inputs[0] if inputs else first
    kept = isinstance(first, Tensor) and first.ndim == 3 and isinstance(taken, Tensor) and taken.ndim == 3
    return first if kept else None


def batch_first(tokens: Tensor, axis: int) -> Tensor:
    """The tokens as ``(B, T, C)``."""
    return tokens if axis == 0 else tokens.transpose(0, 1)


class TokenTap:
    """Within the block keeps the last sequence of at least two tokens that a module other than a linear layer puts out.

    Args:
        network: its modules are listened to.
        images: batch size B.
        heard: what else was heard so far; `marked` is what it was when the tokens came.
    """

    def __init__(self, network: nn.Module, images: int, heard: Callable[[], object]) -> None:
        self.tokens: Tensor | None = None
        self.module: nn.Module | None = None
        self.marked: object = None
        self._network, self._images, self._heard = network, images, heard
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self.tokens, self.module = None, None
        listened = (module for module in self._network.modules() if not isinstance(module, nn.Linear))
        self._handles = [module.register_forward_hook(self._listen) for module in listened]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _listen(self, module: nn.Module, inputs: Any, output: Any) -> None:
        tokens = sequence(inputs, output)
        if tokens is not None and self._images in tokens.shape[:2] and tokens[..., 0].numel() > self._images:
            self.tokens, self.module, self.marked = tokens, module, self._heard()
