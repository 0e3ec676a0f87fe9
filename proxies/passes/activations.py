"""Outputs of the layers of the shared forward pass: one square matrix of positions and channels from each."""

import torch
from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Failure
from zcbench.streams import torch_stream


class ActivationRecorder:
    """Keeps C consecutive positions of the output of each layer and activation function, a ``(C, C)`` matrix.

    The output, with channels last, is a matrix with a row per image and position. The C rows start where a row of an
    image starts, at one of all such places, drawn from the pass's stream; an output of fewer rows is kept whole.
    """

    def __init__(self, seed: int) -> None:
        self._matrices: dict[int, Tensor] = {}
        self._places: dict[int, tuple[Images, int]] = {}
        self._starts: dict[int, int] = {}
        self._mixed = False
        self._stream = torch_stream("activation_matrices", seed)

    def record(self, result: Tensor, images: Images | None, channels: int | None, number: int) -> None:
        """Keep a part of an output that has its images on one axis."""
        if result.ndim < 2:
            return
        if images is None or images.inner != 1 or (images.outer != 1 and result.ndim > 2):
            self._mixed = True
            return
        axis = (1 if result.ndim > 3 else result.ndim - 1) if channels is None else channels
        self._places[number] = images, axis
        self._keep(number, result)

    def biased(self, number: int, output: Tensor | None) -> None:
        """Replace the rows of a layer's output by the same rows of the sum with its bias."""
        if output is None:
            self._mixed = True
        elif number in self._places:
            self._keep(number, output)

    def _keep(self, number: int, output: Tensor) -> None:
        images, axis = self._places[number]
        moved = output.detach().movedim((images.axis, axis), (0, -1))
        rows = images._replace(axis=0).first(moved, len(moved) // images.outer)
        self._matrices[number] = self._square(rows, number)

    def values(self) -> list[Tensor] | Failure:
        """The matrices, in the order of the calls."""
        if self._mixed:
            return Failure(NotApplicable("A layer works on windows, or on a tensor that mixes the images."))
        return list(self._matrices.values())

    def _square(self, output: Tensor, number: int) -> Tensor:
        """C rows of ``(B, ..., W, C)``, copied, since a later layer may overwrite them."""
        channels, width = output.shape[-1], output.shape[-2] if output.ndim > 2 else 1
        per_image, rows = output[0, ..., 0].numel(), output[..., 0].numel()
        places = max(0, rows - channels) // width + 1
        if number not in self._starts:
            self._starts[number] = width * int(torch.randint(places, (), generator=self._stream))
        start = self._starts[number]
        first, last = start // per_image, -(-(start + channels) // per_image)
        offset = start - first * per_image
        return output[first:last].reshape(-1, channels)[offset : offset + channels].clone()
