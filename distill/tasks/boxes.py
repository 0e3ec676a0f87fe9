"""Boxes ``(…, 4)`` as left, top, right and bottom edge in pixels: overlap, offsets from anchors, and suppression."""

import math

import numpy as np
import torch
from torch import Tensor

#: Largest logarithm of a decoded side relative to its anchor.
_MOST = math.log(1000 / 16)


def areas(boxes: Tensor) -> Tensor:
    """Areas ``(…)``, 0 for a box whose edges are exchanged."""
    return (boxes[..., 2] - boxes[..., 0]).clamp_min(0) * (boxes[..., 3] - boxes[..., 1]).clamp_min(0)


def box_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of each pair, ``(…, M, K)``, of boxes ``(…, M, 4)`` and ``(…, K, 4)``; 0 without area.

    Example:
        >>> box_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]]))  # 2 / 6
        tensor([[0.3333]])
    """
    first, second = one[..., :, None, :], other[..., None, :, :]
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    return shared / (areas(first) + areas(second) - shared).clamp_min(1e-9)


def encode(anchors: Tensor, boxes: Tensor) -> Tensor:
    r"""Offsets of boxes from anchors, both ``(…, 4)``.

    .. math::  \left(\frac{x - x_a}{w_a}, \frac{y - y_a}{h_a}, \log\frac{w}{w_a}, \log\frac{h}{h_a}\right)

    of the centres and sides; Girshick et al., "Rich Feature Hierarchies", CVPR 2014, arXiv:1311.2524, appendix C.
    """
    (centre, sides), (own, lengths) = _centred(boxes), _centred(anchors)
    return torch.cat([(centre - own) / lengths, (sides / lengths).log()], -1)


def decode(anchors: Tensor, offsets: Tensor) -> Tensor:
    """Boxes of offsets from anchors: the inverse of `encode`, the logarithms at most log(1000/16)."""
    own, lengths = _centred(anchors)
    centre, sides = own + offsets[..., :2] * lengths, lengths * offsets[..., 2:].clamp_max(_MOST).exp()
    return torch.cat([centre - sides / 2, centre + sides / 2], -1)


def suppressed(boxes: Tensor, scores: Tensor, classes: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression in each class: places of the boxes that are kept, best score first.

    Args:
        boxes: ``(M, 4)``.
        scores: ``(M,)``.
        classes: ``(M,)``.
        overlap: a box is left out if its IoU with a better box of its class that is kept is larger.
    """
    kept = list[Tensor]()
    for label in classes.unique():
        own = (classes == label).nonzero().flatten()
        own = own[scores[own].argsort(descending=True, stable=True)]
        kept.append(own[torch.from_numpy(_unsuppressed(boxes[own], overlap)).to(own.device)])
    places = torch.cat(kept) if kept else torch.zeros(0, dtype=torch.int64, device=boxes.device)
    places = places.sort().values
    return places[scores[places].argsort(descending=True, stable=True)]


def _unsuppressed(boxes: Tensor, overlap: float) -> np.ndarray:
    """Whether each box is kept, of boxes of one class, best first."""
    clash = (box_iou(boxes, boxes) > overlap).cpu().numpy()
    kept = np.ones(len(boxes), dtype=bool)
    for place in range(len(boxes)):
        if kept[place]:
            kept[place + 1 :] &= ~clash[place, place + 1 :]
    return kept


def _centred(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centres and sides."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
