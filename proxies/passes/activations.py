"""Outputs of the layers of the shared forward pass: one square matrix of positions and channels from each."""

import torch
from torch import Tensor

from zcbench.hooks.axes import FIRST, Images
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
        output = output.detach()
        matrix = self._of_image(output, number) if axis == 1 and output.ndim == 4 and images == FIRST else None
        if matrix is None:
            moved = output.movedim((images.axis, axis), (0, -1))
            rows = images._replace(axis=0).first(moved, len(moved) // images.outer)
            matrix = self._square(rows, number)
        self._matrices[number] = matrix

    def values(self) -> list[Tensor] | Failure:
        """The matrices, in the order of the calls."""
        if self._mixed:
            return Failure(NotApplicable("A layer works on windows, or on a tensor that mixes the images."))
        return list(self._matrices.values())

    def _of_image(self, output: Tensor, number: int) -> Tensor | None:
        """C rows of ``(B, C, H, W)``, copied, if they are of one image and its positions lie evenly in memory."""
        count, channels, height, width = output.shape
        of_image, of_channel, of_row, of_column = output.stride()
        image, first = divmod(self._start(number, count * height * width, channels, width), height * width)
        if first + channels > height * width or of_row != width * of_column:
            return None
        place = output.storage_offset() + image * of_image + first * of_column
        return output.as_strided((channels, channels), (of_column, of_channel), place).clone()

    def _square(self, output: Tensor, number: int) -> Tensor:
        """C rows of ``(B, ..., W, C)``, copied, since a later layer may overwrite them."""
        channels, width = output.shape[-1], output.shape[-2] if output.ndim > 2 else 1
        per_image, rows = output[0, ..., 0].numel(), output[..., 0].numel()
        image, first = divmod(self._start(number, rows, channels, width), per_image)
        last = image - (-(first + channels) // per_image)
        return output[image:last].reshape(-1, channels)[first : first + channels].clone()

    def _start(self, number: int, rows: int, channels: int, width: int) -> int:
        """The first row of the block of an output, drawn when the output is first met."""
        if number not in self._starts:
            places = max(0, rows - channels) // width + 1
            self._starts[number] = width * int(torch.randint(places, (), generator=self._stream))
        return self._starts[number]
