"""The active units of every ReLU of a pass, image by image."""

import weakref

import numpy as np
import torch
from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.proxies.signals.errors import NotANumber, NotApplicable
from zcbench.proxies.signals.signals import Failure


class ReluCodes:
    """Records the ReLU codes of a pass.

    Args:
        size: number of images B.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._codes: list[Tensor | None] = []
        self._known: dict[int, tuple[weakref.ref[Tensor], int, Tensor | None]] = {}

    def record(self, x: Tensor, images: Images | None, rectified: bool = True) -> None:
        """Record the active units of a ReLU's input; other units are left out.

        A tensor that went through a ReLU before, unchanged since, gives the same object.
        """
        if not rectified:
            return
        known = self._known.get(id(x))
        if known is None or known[0]() is not x or known[1] != x._version:
            known = self._known[id(x)] = (weakref.ref(x), x._version, self._code(x, images))
        self._codes.append(known[2])

    def values(self, logits: Tensor) -> list[Tensor] | Failure:
        """Active units ``(B, D)`` of every call; a unit that is not a number is neither active nor inactive."""
        if not self._codes:
            return Failure(NotApplicable("No ReLU is called in the forward pass."))
        if any(code is None for code in self._codes):
            return Failure(NotApplicable("A ReLU is called on a tensor that does not keep the images apart."))
        if torch.isnan(logits).any():
            return Failure(NotANumber("Units of the network are not a number, so they have no code."))
        return [code for code in self._codes if code is not None]

    def _code(self, x: Tensor, images: Images | None) -> Tensor | None:
        if images is None:
            return None
        active = images.first(positive(x), self._size)
        if active.ndim == 4 and active.is_contiguous(memory_format=torch.channels_last):
            active = active.movedim(1, -1)  # the order of the units does not matter, and this one needs no copy
        return active.reshape(self._size, -1)


def positive(x: Tensor) -> Tensor:
    """``x > 0``, which NumPy computes several times faster than PyTorch 2.13.0 on a CPU."""
    if x.is_cpu and x.layout == torch.strided and x.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.greater(x.detach().numpy(), 0))
    return x > 0
