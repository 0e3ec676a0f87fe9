"""Boxes, targets and losses of a detector against slow references and closed forms."""

import math

import numpy as np
import pytest
import torch

from zcbench.distill.tasks.assignment import of_anchors, of_locations
from zcbench.distill.tasks.boxes import box_iou, decode, encode, suppressed
from zcbench.distill.tasks.detection_losses import box_loss, focal_loss, giou_of_distances
from zcbench.distill.tasks.precision import average_precision


def drawn(count: int, seed: int, side: float = 40.0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=stream) * side
    return torch.cat([low, low + 1 + torch.rand(count, 2, generator=stream) * side / 2], 1)


def slow_iou(one: list[float], other: list[float]) -> float:
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / (area - wide * high)


def test_iou_and_suppression_equal_loops() -> None:
    """Slow references: IoU of each pair, and greedy suppression box by box within each class."""
    boxes, scores = drawn(60, 0), torch.rand(60, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(60) % 3
    found = box_iou(boxes, boxes)
    expected = [[slow_iou(one, other) for other in boxes.tolist()] for one in boxes.tolist()]
    assert torch.allclose(found, torch.tensor(expected), atol=1e-6)
    kept = list[int]()
    for place in sorted(range(60), key=lambda number: -float(scores[number])):
        if not any(classes[place] == classes[own] and expected[place][own] > 0.3 for own in kept):
            kept.append(place)
    assert suppressed(boxes, scores, classes, 0.3).tolist() == kept and len(kept) < 60


def test_offsets() -> None:
    """Round trip; closed form: a box twice as wide as its anchor, and moved by half of its height."""
    one, other = drawn(50, 2), drawn(50, 3)
    assert torch.allclose(decode(one, encode(one, other)), other, atol=1e-4)
    assert encode(torch.tensor([0.0, 0, 4, 8]), torch.tensor([-2.0, 4, 6, 12])).tolist() == pytest.approx(
        [0, 0.5, math.log(2), 0]
    )
    assert decode(one, torch.full((50, 4), 1e9)).isfinite().all()


def test_focal_loss_equals_its_formula() -> None:
    """Slow reference: the formula for each class and row; the weighted binary cross-entropy for gamma 0."""
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    classes = torch.tensor([0.0, 3, -1, 1, -1], dtype=torch.float64)
    for alpha, gamma in ((0.25, 2.0), (0.6, 0.0), (0.25, 1.5)):
        expected = np.zeros((5, 4))
        for row, label in np.ndindex(5, 4):
            p = 1 / (1 + math.exp(-float(logits[row, label])))
            own = int(classes[row]) == label
            p, weight = (p, alpha) if own else (1 - p, 1 - alpha)
            expected[row, label] = -weight * (1 - p) ** gamma * math.log(p)
        assert np.allclose(focal_loss(logits, classes, alpha, gamma).numpy(), expected)


def test_box_losses() -> None:
    """Slow reference: GIoU of boxes by their corners; closed form: L1; 0 for equal boxes."""
    one, other = torch.rand(20, 4) * 5 + 0.1, torch.rand(20, 4) * 5 + 0.1
    found = giou_of_distances(one, other).tolist()
    for (left, top, right, bottom), (x, y, u, v), value in zip(one.tolist(), other.tolist(), found):
        first, second = [-left, -top, right, bottom], [-x, -y, u, v]
        whole = (max(left, x) + max(right, u)) * (max(top, y) + max(bottom, v))
        iou = slow_iou(first, second)
        union = ((left + right) * (top + bottom) + (x + u) * (y + v)) / (1 + iou)
        assert value == pytest.approx(iou - (whole - union) / whole, abs=1e-5)
    assert torch.allclose(box_loss("fcos", one.log(), one), torch.zeros(20), atol=1e-6)
    assert box_loss("retinanet", torch.zeros(1, 4), torch.tensor([[1.0, -2, 0, 3]])).item() == 6


@pytest.mark.parametrize("seed", range(3))
def test_targets_of_anchors_equal_loops(seed: int) -> None:
    """Slow reference: for each anchor the box of largest IoU, and for each box its best anchors in any case."""
    anchors, count = drawn(80, seed, 30), 4
    labels = torch.full((2, 5, 5), -1.0)
    labels[0, :count, 1:], labels[0, :count, 0] = drawn(count, seed + 10, 30), torch.arange(float(count))
    found = of_anchors(anchors, labels)
    overlap = [[slow_iou(one, own) for own in labels[0, :count, 1:].tolist()] for one in anchors.tolist()]
    best = [max(row[place] for row in overlap) for place in range(count)]
    for place, row in enumerate(overlap):
        forced = [own for own in range(count) if abs(row[own] - best[own]) < 1e-7]
        most = max(row)
        label = forced[0] if forced else row.index(most) if most >= 0.5 else -1 if most < 0.4 else -2
        assert found[0, 0, place] == label
        if label >= 0:
            assert torch.allclose(found[0, 1:5, place], encode(anchors[place], labels[0, label, 1:]), atol=1e-5)
    positives = int((found[0, 0] >= 0).sum())
    assert found[0, 6].unique().tolist() == pytest.approx([1 / (2 * positives)])
    assert found[1, 0].unique().tolist() == [-1] and found[1, 6].unique().tolist() == [0.5]  # an image without a box
    assert of_anchors(anchors, labels[:, :0])[:, 0].unique().tolist() == [-1]


def test_targets_of_locations_by_hand() -> None:
    """By hand: levels of stride 4 (up to 16 pixels) and 8 (beyond), a small box inside a large one."""
    x, y = torch.meshgrid(torch.arange(4) * 4.0 + 2, torch.arange(4) * 4.0 + 2, indexing="xy")
    fine = torch.stack([x, y], -1).view(-1, 2)
    coarse = torch.tensor([[4.0, 4], [12, 4], [4, 12], [12, 12]])
    centres, strides = torch.cat([fine, coarse]), torch.tensor([4.0] * 16 + [8.0] * 4)
    limits = torch.tensor([[0.0, 10.0]] * 16 + [[10.0, torch.inf]] * 4)
    labels = torch.tensor([[[7.0, 0, 0, 16, 16], [3, 8, 8, 12, 12], [-1, -1, -1, -1, -1]]])
    found = of_locations(centres, strides, limits, labels)[0]
    classes = found[0].view(-1).tolist()
    # fine level: at (10, 10) the small box; at (6, 6), (10, 6) and (6, 10) the large one, 10 pixels from an edge
    expected = [-1.0] * 16
    expected[10], expected[5], expected[6], expected[9] = 3.0, 7.0, 7.0, 7.0
    assert classes[:16] == expected
    assert classes[16:] == [7.0] * 4  # 12 pixels from an edge, 4 from the centre
    assert found[1:5, 5].tolist() == [1.5, 1.5, 2.5, 2.5] and found[5, 5].item() == pytest.approx(0.6)
    assert found[1:5, 10].tolist() == [0.5] * 4 and found[5, 10].item() == 1
    assert found[6].unique().tolist() == [1 / 8]
    assert of_locations(centres, strides, limits, labels[:, :0])[:, 0].unique().tolist() == [-1]


def test_average_precision_in_closed_form() -> None:
    """Closed form: IoU .64 counts at .5, .55 and .6 of ten thresholds; a false box above a right one halves it."""
    labels = torch.tensor([[[0.0, 0, 0, 10, 10]], [[1.0, 0, 0, 10, 10]]])
    right = torch.tensor([[[0.0, 0, 0, 10, 10, 0.9]], [[1.0, 0, 0, 8, 8, 0.9]]])
    assert average_precision(right, labels) == {"ap": pytest.approx(65.0), "ap50": pytest.approx(100.0)}
    false = torch.tensor([[[0.0, 20, 20, 30, 30, 0.95], [0, 0, 0, 10, 10, 0.9]], [[-1.0] * 6] * 2])
    assert average_precision(false, labels) == {"ap": pytest.approx(25.0), "ap50": pytest.approx(25.0)}
    assert average_precision(torch.zeros(2, 0, 6), labels) == {"ap": 0.0, "ap50": 0.0}
    assert average_precision(right, torch.full((2, 1, 5), -1.0)) == {"ap": 0.0, "ap50": 0.0}
