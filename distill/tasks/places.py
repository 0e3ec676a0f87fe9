"""The anchors or locations of a detector: what each is to find, and the boxes that its outputs mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zcbench.distill.tasks import assignment
from zcbench.distill.tasks.boxes import decode, suppressed
from zcbench.spaces.dense.anchors import anchors, level_sizes, locations

_CANDIDATES, _MOST = 1000, 300  # of a level before suppression, and of an image behind it
_FARTHEST = 8.0  # logarithm of the largest distance to an edge, in strides


@dataclass(frozen=True)
class Places:
    """Anchors of ``retinanet``, or locations of ``fcos``, in the order of the columns of a detector.

    Attributes:
        head: ``retinanet`` or ``fcos``.
        levels: strides of the levels.
        size: side of the smallest anchor, or half of the largest distance to an edge, in strides.
        scales: anchor sizes of a level.
        ratios: height by width of anchors.
    """

    head: str
    levels: tuple[int, ...]
    size: int
    scales: int
    ratios: tuple[float, ...]

    @property
    def each(self) -> int:
        """Number at each position."""
        return self.scales * len(self.ratios) if self.head == "retinanet" else 1

    def counts(self, image_size: tuple[int, int]) -> list[int]:
        """Number on each level of images of this height and width."""
        return [height * width * self.each for height, width in level_sizes(image_size, self.levels)]

    def targets(self, labels: Tensor, image_size: tuple[int, int]) -> Tensor:
        """What each is to find, ``(B, 7, A)``, of boxes ``(B, K, 5)``, see `zcbench.distill.tasks.assignment`."""
        if self.head == "retinanet":
            return assignment.of_anchors(self._anchors(image_size).to(labels), labels)
        centres, strides = (values.to(labels) for values in locations(image_size, self.levels))
        return assignment.of_locations(centres, strides, self._limits(strides), labels)

    def boxes(self, offsets: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Boxes ``(B, A, 4)`` of offsets ``(B, 4, A)``, inside the images."""
        offsets = offsets.movedim(1, 2)
        if self.head == "retinanet":
            found = decode(self._anchors(image_size).to(offsets), offsets)
        else:
            centres, strides = (values.to(offsets) for values in locations(image_size, self.levels))
            away = offsets.clamp_max(_FARTHEST).exp() * strides[:, None]
            found = torch.cat([centres - away[..., :2], centres + away[..., 2:]], -1)
        return torch.minimum(found.clamp_min(0), found.new_tensor([image_size[1], image_size[0]]).repeat(2))

    def _anchors(self, image_size: tuple[int, int]) -> Tensor:
        return anchors(image_size, self.levels, self.size, self.scales, self.ratios)

    def _limits(self, strides: Tensor) -> Tensor:
        """Distances to the farthest edge that a location finds; all below on the first level, all above on the last."""
        high = 2 * self.size * strides
        low = torch.where(strides == self.levels[0], 0.0, high / 2)
        return torch.stack([low, high.where(strides != self.levels[-1], torch.inf)], -1)


def best_boxes(boxes: Tensor, scores: Tensor, counts: Sequence[int], overlap: float) -> Tensor:
    """Detections ``(M, 6)`` of one image: class, four edges, score, the best first.

    Of each level the best 1,000 pairs of place and class; of these, boxes of one class with an IoU above ``overlap``
    with a better one are left out, and 300 are kept.

    Args:
        boxes: ``(A, 4)``.
        scores: ``(N, A)``; below 0 where there is no detection.
        counts: places of each level.
        overlap: largest IoU.
    """
    parts = list[Tensor]()
    for own, places in zip(scores.split(list(counts), 1), boxes.split(list(counts))):
        best, which = own.flatten().sort(descending=True, stable=True)
        kept = int((best[:_CANDIDATES] >= 0).sum())
        label, place = which[:kept] // own.shape[1], which[:kept] % own.shape[1]
        parts.append(torch.cat([label.to(boxes)[:, None], places[place], best[:kept, None]], 1))
    found = torch.cat(parts)
    return found[suppressed(found[:, 1:5], found[:, 5], found[:, 0], overlap)[:_MOST]]
