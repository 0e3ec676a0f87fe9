"""Random crops and flips of a whole batch at once."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from zcbench.streams import torch_stream


class CropFlip:
    """Crops of the original size from padded images, and horizontal flips of half of them.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2. Each image of an epoch has draws
    of its own, which are a pure function of seed, epoch and the place of the image in the epoch.

    Args:
        images: all training images, ``(N, C, H, W)``.
        padding: pixels on each side.
        black: what is padded with, one value per channel; zero if None.
        seed: names the stream.
    """

    def __init__(self, images: Tensor, padding: int, black: Tensor | None, seed: int) -> None:
        self._size = images.shape[-2:]
        self._padding, self._seed = padding, seed
        level = torch.zeros(images.shape[1]) if black is None else black
        level = level.to(images).view(1, -1, 1, 1)
        self._padded = pad(images - level, (padding,) * 4) + level if padding else images
        self._channels = torch.arange(images.shape[1], device=images.device).view(1, -1, 1, 1)
        self._draws = (-1, torch.empty(0), torch.empty(0))

    def __call__(self, indices: Tensor, epoch: int, first: int) -> Tensor:
        """The images at ``indices``, which take the places ``first`` and on of the epoch: ``(B, C, H, W)``."""
        corners, flips = self._drawn(epoch)
        corners, flips = corners[first : first + len(indices)], flips[first : first + len(indices)]
        height, width = self._size
        rows = corners[:, :1] + torch.arange(height, device=corners.device)
        columns = torch.arange(width, device=corners.device).expand(len(indices), -1)
        columns = corners[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)
        return self._padded[indices.view(-1, 1, 1, 1), self._channels, rows[:, None, :, None], columns[:, None, None]]

    def _drawn(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Upper left corners ``(N, 2)`` and flips ``(N,)`` of an epoch."""
        if self._draws[0] != epoch:
            stream, count = torch_stream("augmentation", self._seed, epoch), len(self._padded)
            corners = torch.randint(2 * self._padding + 1, (count, 2), generator=stream)
            flips = torch.rand(count, generator=stream) < 0.5
            self._draws = (epoch, corners.to(self._padded.device), flips.to(self._padded.device))
        return self._draws[1:]
