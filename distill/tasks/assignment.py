"""Which anchors or locations of a detector are to find which box.

A target has the columns of `TARGET`: the class, -1 where nothing is to be found and -2 where a place does not count;
four offsets; the centre-ness; and the weight of the place in the loss, 1 / (B max(1, positives of the image)).
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from zcbench.distill.tasks.boxes import areas, box_iou, encode

#: Columns of a target: class, offsets, centre-ness, weight.
TARGET = 7
NOTHING, IGNORED = -1, -2
_POSITIVE, _NEGATIVE = 0.5, 0.4
#: Side of the square around the centre of a box in which a location finds it, in strides, halved.
_RADIUS = 1.5


def of_anchors(anchors: Tensor, labels: Tensor) -> Tensor:
    """Targets ``(B, TARGET, A)`` of anchors, as RetinaNet has them.

    An anchor finds the box with which its IoU is largest, if that is at least .5; nothing below .4; and does not count
    between. The anchor, or anchors, of largest IoU with a box finds it in any case (arXiv:1708.02002, section 4.1).

    Args:
        anchors: ``(A, 4)``.
        labels: boxes ``(B, K, 5)``, the class -1 where there is none.
    """
    labels = pad(labels, (0, 0, 0, 1), value=-1.0)  # one that is not there, for images without any
    there, boxes = labels[..., 0] >= 0, labels[..., 1:]
    overlap = box_iou(anchors.expand(len(labels), -1, -1), boxes).masked_fill(~there[:, None], -1.0)  # (B, A, K)
    best, which = overlap.max(2)
    own = torch.where(best >= _POSITIVE, which, torch.where(best < _NEGATIVE, NOTHING, IGNORED))
    most = overlap.amax(1, keepdim=True)
    closest = (overlap == most) & (most > 0)
    own = torch.where(closest.any(2), closest.long().argmax(2), own)
    found, chosen = own >= 0, _chosen(labels, own)
    offsets = encode(anchors, torch.where(found[..., None], chosen[..., 1:], anchors))
    classes = torch.where(found, chosen[..., 0], own.to(chosen))
    return _stacked(classes, offsets, torch.zeros_like(classes))


def of_locations(centres: Tensor, strides: Tensor, limits: Tensor, labels: Tensor) -> Tensor:
    r"""Targets ``(B, TARGET, A)`` of locations, as FCOS has them.

    A location finds a box in which it lies, at most 1.5 strides from the centre of the box, and whose farthest edge has
    a distance within the limits of its level; the smallest of several. Offsets are the distances to the left, top,
    right and bottom edge in strides, and the centre-ness (arXiv:1904.01355, eq. 3)

    .. math::  \sqrt{\frac{\min(l, r)}{\max(l, r)} \cdot \frac{\min(t, b)}{\max(t, b)}}

    Args:
        centres: ``(A, 2)``.
        strides: ``(A,)``.
        limits: of each location's level in pixels, above the first and up to the second, ``(A, 2)``.
        labels: boxes ``(B, K, 5)``, the class -1 where there is none.
    """
    labels = pad(labels, (0, 0, 0, 1), value=-1.0)  # one that is not there, for images without any
    there, boxes = labels[..., 0] >= 0, labels[..., 1:]
    away = _distances(centres[:, None], boxes[:, None])  # (B, A, K, 4)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    near = (centres[:, None] - middle[:, None]).abs().amax(-1) <= _RADIUS * strides[:, None]
    far = away.amax(-1)
    fits = (away.amin(-1) > 0) & near & (far > limits[:, :1]) & (far <= limits[:, 1:]) & there[:, None]
    size, which = torch.where(fits, areas(boxes)[:, None], torch.inf).min(2)
    which = torch.where(size.isfinite(), which, NOTHING)
    chosen = _chosen(labels, which)
    own = _distances(centres, chosen[..., 1:]).where((which >= 0)[..., None], 1.0)
    (low_x, high_x), (low_y, high_y) = (own[..., axis::2].sort(-1).values.unbind(-1) for axis in (0, 1))
    centred = ((low_x / high_x) * (low_y / high_y)).sqrt()
    classes = torch.where(which >= 0, chosen[..., 0], float(NOTHING))
    return _stacked(classes, own / strides[:, None], centred)


def _distances(centres: Tensor, boxes: Tensor) -> Tensor:
    """From points ``(…, 2)`` to the left, top, right and bottom edges of boxes ``(…, 4)``."""
    return torch.cat([centres - boxes[..., :2], boxes[..., 2:] - centres], -1)


def _chosen(labels: Tensor, which: Tensor) -> Tensor:
    """The boxes ``(B, A, 5)`` at these places; the first where there is none."""
    return labels.gather(1, which.clamp_min(0)[..., None].expand(-1, -1, 5))


def _stacked(classes: Tensor, offsets: Tensor, centred: Tensor) -> Tensor:
    """Targets of classes and centre-ness ``(B, A)`` and offsets ``(B, A, 4)``."""
    positives = (classes >= 0).sum(1, keepdim=True).clamp_min(1)
    weight = (1 / (len(classes) * positives)).expand_as(classes)
    return torch.cat([classes[:, None], offsets.movedim(2, 1), torch.stack([centred, weight], 1)], 1)
