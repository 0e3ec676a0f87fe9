"""Random crops and flips of a whole batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from zcbench.streams import torch_stream


@dataclass(frozen=True)
class Cut:
    """Crops and flips of the images of one batch, for images and what belongs to them.

    Attributes:
        corners: row and column of the upper left corner in the padded image, ``(B, 2)``.
        flips: whether an image is flipped, ``(B,)``.
        padding: pixels on each side.
    """

    corners: Tensor
    flips: Tensor
    padding: int

    def maps(self, maps: Tensor, outside: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` of the same images, such as masks, cropped and flipped as these.

        Args:
            maps: of whole or floating numbers.
            outside: what is padded with, one value per channel.
        """
        corners, flips = (draws.to(maps.device) for draws in (self.corners, self.flips))
        height, width = maps.shape[-2:]
        rows = corners[:, :1] + torch.arange(height, device=maps.device)
        columns = torch.arange(width, device=maps.device).expand(len(maps), -1)
        columns = corners[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)
        places = torch.arange(len(maps), device=maps.device).view(-1, 1, 1, 1)
        channels = torch.arange(maps.shape[1], device=maps.device).view(1, -1, 1, 1)
        return self._padded(maps, outside)[places, channels, rows[:, None, :, None], columns[:, None, None]]

    def boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Boxes ``(B, K, 4)`` as left, top, right and bottom edge, moved and flipped as the images; not clipped.

        Args:
            boxes: in pixels.
            size: height and width of the images.
        """
        corners, flips = (draws.to(boxes.device) for draws in (self.corners, self.flips))
        moved = boxes + (self.padding - corners.flip(1)).repeat(1, 2)[:, None]
        left, top, right, bottom = moved.unbind(-1)
        flipped = torch.stack([size[1] - right, top, size[1] - left, bottom], -1)
        return torch.where(flips[:, None, None], flipped, moved)

    def _padded(self, maps: Tensor, outside: Tensor) -> Tensor:
        if not self.padding:
            return maps
        level = outside.to(maps).view(1, -1, 1, 1)
        return pad(maps - level, (self.padding,) * 4) + level


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
        black = torch.zeros(images.shape[1]) if self._black is None else self._black
        return self.cut(epoch, first, len(images)).maps(images, black)

    def cut(self, epoch: int, first: int, count: int) -> Cut:
        """Crops and flips of ``count`` images from the place ``first`` of the epoch on."""
        corners, flips = (draws[first : first + count] for draws in self._drawn(epoch))
        return Cut(corners, flips, self._padding)

    def _drawn(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Upper left corners ``(N, 2)`` and flips ``(N,)`` of an epoch."""
        if self._draws[0] != epoch:
            stream = torch_stream("augmentation", self._seed, epoch)
            corners = torch.randint(2 * self._padding + 1, (self._count, 2), generator=stream)
            self._draws = (epoch, corners, torch.rand(self._count, generator=stream) < 0.5)
        return self._draws[1:]
