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
        count: number of images in an epoch.
        padding: pixels on each side.
        black: what is padded with, one value per channel; zero if None.
        seed: names the stream.
    """

    def __init__(self, count: int, padding: int, black: Tensor | None, seed: int) -> None:
        self._count, self._padding, self._black, self._seed = count, padding, black, seed
        self._draws = (-1, torch.empty(0), torch.empty(0))

    def __call__(self, images: Tensor, epoch: int, first: int) -> Tensor:
        """``images``, which take the places ``first`` and on of the epoch, cropped and flipped: ``(B, C, H, W)``."""
        return self.maps(images, epoch, first, torch.zeros(images.shape[1]) if self._black is None else self._black)

    def maps(self, maps: Tensor, epoch: int, first: int, outside: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` of the same images, such as masks, cropped and flipped as these.

        Args:
            maps: of whole or floating numbers.
            epoch: of the images.
            first: place of the first image in the epoch.
            outside: what is padded with, one value per channel.
        """
        corners, flips = (draws[first : first + len(maps)].to(maps.device) for draws in self._drawn(epoch))
        height, width = maps.shape[-2:]
        rows = corners[:, :1] + torch.arange(height, device=maps.device)
        columns = torch.arange(width, device=maps.device).expand(len(maps), -1)
        columns = corners[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)
        places = torch.arange(len(maps), device=maps.device).view(-1, 1, 1, 1)
        channels = torch.arange(maps.shape[1], device=maps.device).view(1, -1, 1, 1)
        return self._padded(maps, outside)[places, channels, rows[:, None, :, None], columns[:, None, None]]

    def _padded(self, maps: Tensor, outside: Tensor) -> Tensor:
        if not self._padding:
            return maps
        level = outside.to(maps).view(1, -1, 1, 1)
        return pad(maps - level, (self._padding,) * 4) + level

    def _drawn(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Upper left corners ``(N, 2)`` and flips ``(N,)`` of an epoch."""
        if self._draws[0] != epoch:
            stream = torch_stream("augmentation", self._seed, epoch)
            corners = torch.randint(2 * self._padding + 1, (self._count, 2), generator=stream)
            self._draws = (epoch, corners, torch.rand(self._count, generator=stream) < 0.5)
        return self._draws[1:]
