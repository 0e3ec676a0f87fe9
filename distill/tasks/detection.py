"""Object detection: boxes with a class each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from zcbench.datasets.forms import BOXES, LabelForm
from zcbench.datasets.items import Pair
from zcbench.distill.answers import logits_of
from zcbench.distill.contract import Distiller
from zcbench.distill.errors import RecipeError
from zcbench.distill.outputs import Outputs, Shapes
from zcbench.distill.tasks import assignment
from zcbench.distill.tasks.base import Task
from zcbench.distill.tasks.detection_losses import box_loss, focal_loss
from zcbench.distill.tasks.places import Places, best_boxes
from zcbench.distill.tasks.precision import average_precision, require_pycocotools
from zcbench.distill.training.data.augmentation import Cut
from zcbench.distill.training.metrics import Metric
from zcbench.errors import BatchError, unknown
from zcbench.hooks.modes import evaluating
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape
from zcbench.spaces.dense import EXTRA, DetectionHead, build_detector
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.options import positive

AP = Metric("ap", lambda found, labels: average_precision(found, labels)["ap"])
"""COCO average precision of detections ``(N, M, 6)`` and labels ``(N, K, 5)``, in percent."""
AP50 = Metric("ap50", lambda found, labels: average_precision(found, labels)["ap50"])
"""That at an IoU of .5."""


@dataclass(frozen=True)
class Detection(Task):
    """Boxes ``(N, K, 5)``, outputs ``(B, N + 4 or 5, A)``, focal loss and a loss of boxes, and COCO average precision.

    The outputs have a column for each anchor or location: N class logits, each that of a sigmoid, and four offsets; for
    ``fcos`` also the centre-ness. The loss, ``ce`` in rows and files, is that of the paper of the head. Losses of
    logits, such as ``kd``, are computed with each class of each anchor that counts as a row of two classes, with the
    logits 0 and z: the softmax of a row is the sigmoid of z, and ``kd`` is the binary divergence, mean over the rows.
    Losses of ``stages`` read the levels of the pyramid, those of ``features`` the finest one.

    Attributes:
        head: ``fcos`` (anchor-free; Tian et al., arXiv:1904.01355) or ``retinanet`` (anchors; Lin et al.,
            arXiv:1708.02002), on a feature pyramid over a backbone of a space.
        levels: strides of the levels of the pyramid, each twice the one before; (8, 16, 32, 64, 128) in the papers.
        width: channels of levels and towers; 256 in the papers.
        depth: convolutions of a tower; 4 in the papers.
        size: side of the smallest anchor of a level, in strides; for ``fcos`` half of the largest distance to an edge.
            4 in the papers.
        scales: anchor sizes of a level.
        ratios: height by width of anchors.
        beyond: what the first level beyond the backbone is made of: ``pyramid`` or ``backbone``.
        alpha: weight of the places that find a box in the focal loss; 1 - alpha that of the others.
        gamma: exponent of the focal loss.
        box: weight of the loss of boxes.
        score: least probability of the class of a detection.
        overlap: largest IoU of two detections of one class.

    Raises:
        UnknownNameError: no head, or nothing to be beyond, has the name.
        SpaceError: a number is out of range.

    Example:
        >>> Detection().logits_shape(10, (3, 32, 32))  # 64 + 16 + 4 locations
        (15, 84)
        >>> Detection("retinanet").logits_shape(10, (3, 32, 32))  # 9 anchors at each
        (14, 756)
    """

    head: str = "fcos"
    levels: tuple[int, ...] = (4, 8, 16)
    width: int = 32
    depth: int = 2
    size: int = 2
    scales: int = 3
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    beyond: str = "pyramid"
    alpha: float = 0.25
    gamma: float = 2.0
    box: float = 1.0
    score: float = 0.05
    overlap: float = 0.5

    name: ClassVar[str] = "detection"
    labels: ClassVar[LabelForm] = BOXES
    metric: ClassVar[str] = "ap"
    title: ClassVar[str] = "average precision"
    loss_title: ClassVar[str] = "focal and box loss"
    dataset: ClassVar[str] = "digits_scenes"

    def __post_init__(self) -> None:
        DetectionHead(self.head, self.levels, self.width, self.depth, 1, self.beyond)
        positive("size", self.size)
        positive("scales", self.scales)
        ratios = tuple(self.ratios) if isinstance(self.ratios, list | tuple) else ()
        if not ratios or not all(isinstance(ratio, int | float) and ratio > 0 for ratio in ratios):
            raise SpaceError(f"Given: ratios={self.ratios!r}. Expected: numbers above 0, such as (.5, 1, 2).")
        object.__setattr__(self, "ratios", tuple(map(float, ratios)))
        object.__setattr__(self, "levels", tuple(self.levels))
        for name, most in (("alpha", 1.0), ("gamma", 100.0), ("box", 1e6), ("score", 1.0), ("overlap", 1.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise SpaceError(f"Given: {name}={value!r}. Expected: a number from 0 to {most:g}.")

    @property
    def _head(self) -> DetectionHead:
        return DetectionHead(self.head, self.levels, self.width, self.depth, self._places.each, self.beyond)

    @cached_property
    def _places(self) -> Places:
        return Places(self.head, self.levels, self.size, self.scales, self.ratios)

    @cached_property
    def _extra(self) -> int:
        """Outputs of an anchor beside its class logits."""
        return EXTRA[self.head]

    def build(
        self, space: Space, arch: str, num_classes: int, seed: int, image_shape: ImageShape, init: str
    ) -> nn.Module:
        """The backbone of the space, with pyramid and towers."""
        return build_detector(space, arch, self._head, num_classes, seed, image_shape, init)

    def logits_shape(self, num_classes: int, image_shape: ImageShape) -> tuple[int, ...]:
        """Class logits and offsets of each anchor."""
        return (num_classes + self._extra, sum(self._places.counts(_size(image_shape))))

    def check(self, split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
        """Refuse all but boxes inside their images, each with a class; an image may have no box."""
        if images.ndim != 4 or not images.is_floating_point() or labels.ndim != 3 or labels.shape[2] != 5:
            raise BatchError(
                f"Given {split} images of {images.dtype} {tuple(images.shape)} and labels of shape "
                f"{tuple(labels.shape)}. Expected floating images (N, C, H, W) and boxes (N, K, 5)."
            )
        if len(labels) == 0 or len(labels) != len(images):
            raise BatchError(
                f"Given {len(images):,} {split} images and boxes of {len(labels):,}. Expected boxes for each of at "
                f"least one image."
            )
        if not labels.is_floating_point() or not bool(labels.isfinite().all()):
            raise BatchError(f"Given {split} boxes of {labels.dtype}. Expected finite floating numbers.")
        classes = labels[..., 0]
        wrong = classes[(classes < -1) | (classes >= num_classes) | (classes != classes.round())]
        if len(wrong):
            raise BatchError(
                f"Given {split} boxes with the class {wrong[0].item():g}. Expected class indices from 0 to "
                f"{num_classes - 1}, and -1 where an image has fewer boxes."
            )
        _check_inside(split, labels, images.shape[3], images.shape[2])

    def check_losses(self, losses: Sequence[Distiller]) -> None:
        """Refuse losses that read one embedding for each image, or logits of an image beside its maps."""
        for loss in losses:
            if loss.reads & {"embedding", "classifier"} or ("logits" in loss.reads and len(loss.reads) > 1):
                raise RecipeError(
                    f"The distiller {loss.name!r} reads {', '.join(sorted(loss.reads))}, which a network for detection "
                    f"does not have for each image. Expected a loss of logits, per class and anchor, such as kd, or of "
                    f"features or stages, the levels of the pyramid, such as cwd or at."
                )

    def classes(self, labels: Tensor) -> Tensor:
        """The class of every box."""
        return labels[..., 0][labels[..., 0] >= 0].long()

    def strata(self, labels: Tensor, num_classes: int) -> tuple[Tensor, int]:
        """One stratum: a share of all images is held out."""
        return torch.zeros(len(labels), dtype=torch.int64), 1

    def cropped(self, labels: Tensor, cut: Cut, size: tuple[int, int]) -> Tensor:
        """Boxes with the crops and flips of their images; one whose centre is outside is left out."""
        classes, boxes = labels[..., :1], cut.boxes(labels[..., 1:], size)
        middle, high = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes.new_tensor([size[1], size[0]])
        inside = ((middle > 0) & (middle < high) & (classes >= 0)).all(-1, keepdim=True)
        clipped = torch.minimum(boxes.clamp_min(0), high.repeat(2))
        return torch.where(inside, torch.cat([classes, clipped], -1), -1.0)

    def targets(self, labels: Tensor, image_shape: ImageShape) -> Tensor:
        """What each anchor is to find, ``(B, 7, A)``, see `zcbench.distill.tasks.assignment`."""
        return self._places.targets(labels, _size(image_shape))

    def rows(
        self, students: Sequence[Outputs], teachers: Sequence[Outputs], labels: Tensor
    ) -> tuple[Sequence[Outputs], Sequence[Outputs], Tensor]:
        """The outputs of each anchor that counts as a row, and its target, ``(P, 7)``; maps as they are."""
        kept = labels[:, 0] != assignment.IGNORED
        own, others = (
            [outputs.replace(logits=_by_anchor(outputs.logits, kept)) for outputs in some]
            for some in (students, teachers)
        )
        return own, others, _by_anchor(labels, kept)

    def compared(self, outputs: Outputs, labels: Tensor) -> tuple[Outputs, Tensor]:
        """Each class of each row as a row of two classes, ``(P·N, 2)``, and whether it is the class of the row."""
        scores = outputs.logits[:, : -self._extra].reshape(-1)
        is_it = torch.arange(outputs.logits.shape[1] - self._extra, device=labels.device) == labels[:, :1]
        return outputs.replace(logits=torch.stack([torch.zeros_like(scores), scores], 1)), is_it.flatten().long()

    def shapes(self, shapes: Shapes) -> Shapes:
        """Two classes."""
        return shapes._replace(classes=2)

    def judged(self, logits: Tensor, labels: Tensor) -> Pair:
        """Class logits and class of the anchors that find a box."""
        found = labels[:, 0] >= 0
        return logits[found, : -self._extra], labels[found, 0].long()

    def loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
        """Focal loss of all rows, and loss of the boxes of those that find one; sums over an image's max(1, positives).

        The class weights are those of the classes' terms in the focal loss.

        Raises:
            RecipeError: labels are to be smoothed.
        """
        if smoothing:
            raise RecipeError(
                f"Given label_smoothing={smoothing:g} for the task detection, whose focal loss takes labels of 0 and 1."
                f" Expected label_smoothing=0."
            )
        logits = logits.float()
        classes = logits[:, : -self._extra]
        terms = focal_loss(classes, labels[:, 0], self.alpha, self.gamma)
        if weight is not None:
            terms = terms * weight[: classes.shape[1]]
        total = (terms.sum(1) * labels[:, 6]).sum()
        found = labels[:, 0] >= 0
        offsets, wanted = logits[found, -self._extra :], labels[found]
        boxes = box_loss(self.head, offsets[:, :4], wanted[:, 1:5])
        if self._extra > 4:
            boxes = boxes + binary_cross_entropy_with_logits(offsets[:, 4], wanted[:, 5], reduction="none")
        return total + self.box * (boxes * wanted[:, 6]).sum()

    def metrics(self, given: Sequence[str | Metric], num_classes: int) -> list[Metric]:
        """``ap`` and ``ap50``, which are always computed.

        Raises:
            RecipeError: pycocotools is not installed.
        """
        require_pycocotools()
        own = {"ap": AP, "ap50": AP50}
        for item in given:
            if item not in (*own, *own.values(), "accuracy", "loss"):
                raise unknown("metric of detection", getattr(item, "name", str(item)), (*own, "accuracy", "loss"))
        return [metric for name, metric in own.items() if name in given or metric in given]

    @torch.no_grad()
    def measure(self, network: nn.Module, batches: Iterable[Pair], metrics: Sequence[Metric] = ()) -> dict[str, float]:
        """Average precision over all images, the loss, and the accuracy of classes where an anchor is to find a box."""
        found, wanted = list[Tensor](), list[Tensor]()
        loss, images_seen, hits, places = 0.0, 0, 0, 0
        with evaluating(network):
            for images, labels in batches:
                outputs = logits_of(network(images)).float()
                (row,), _, targets = self.rows([Outputs(logits=outputs)], [], self.targets(labels, images.shape[1:]))
                loss += self.loss(row.logits, targets, None, 0.0).item() * len(images)
                logits, classes = self.judged(row.logits, targets)
                hits, places = hits + int((logits.argmax(1) == classes).sum()), places + len(classes)
                images_seen += len(images)
                found.extend(self.detections(outputs, images.shape[1:]).cpu())
                wanted.extend(labels.cpu())
        precision = average_precision(_padded(found, 6), _padded(wanted, 5))
        return {"accuracy": 100 * hits / max(1, places), "loss": loss / images_seen, **precision}

    def detections(self, outputs: Tensor, image_shape: ImageShape) -> Tensor:
        """Detections ``(B, M, 6)`` of the outputs: class, four edges in pixels, score; the class -1 for none.

        Those of `zcbench.distill.tasks.places.best_boxes`.

        Args:
            outputs: ``(B, N + 4 or 5, A)``.
            image_shape: ``(C, H, W)`` of the images.
        """
        columns = outputs.shape[1] - self._extra
        boxes = self._places.boxes(outputs[:, columns : columns + 4], _size(image_shape))
        likely = outputs[:, :columns].sigmoid()
        scores = (likely * outputs[:, -1:].sigmoid()).sqrt() if self._extra > 4 else likely
        scores = scores.where(likely >= self.score, -1.0)
        counts = self._places.counts(_size(image_shape))
        return _padded([best_boxes(*image, counts, self.overlap) for image in zip(boxes, scores)], 6)

    @torch.no_grad()
    def predicted(self, network: nn.Module, images: Tensor) -> Tensor:
        """Detections ``(B, M, 6)``."""
        with evaluating(network):
            return self.detections(logits_of(network(images)).float(), images.shape[1:])

    def chance(self, num_classes: int) -> float:
        """None: boxes are not guessed."""
        return 0.0

    def near_chance(self, score: float, num_classes: int, images: int) -> bool:
        """Whether it is at most 1 %."""
        return score <= 1


def _check_inside(split: str, labels: Tensor, width: int, height: int) -> None:
    boxes = labels[..., 1:]
    outside = (boxes[..., :2] < 0).any(-1) | (boxes[..., 2] > width) | (boxes[..., 3] > height)
    wrong = (labels[..., 0] >= 0) & (outside | (boxes[..., 2:] <= boxes[..., :2]).any(-1))
    if bool(wrong.any()):
        image, place = wrong.nonzero()[0].tolist()
        edges = ", ".join(f"{edge:g}" for edge in boxes[image, place].tolist())
        raise BatchError(
            f"The {split} image {image} of {width}x{height} pixels has a box with the edges {edges}. Expected left, "
            f"top, right and bottom edge inside the image, left below right and top below bottom."
        )


def _size(image_shape: ImageShape) -> tuple[int, int]:
    """Height and width."""
    return image_shape[1], image_shape[2]


def _by_anchor(values: Tensor, kept: Tensor) -> Tensor:
    """Columns ``(B, C, A)`` of the anchors that are kept, ``(P, C)``."""
    if values.ndim != 3 or values.shape[::2] != kept.shape:
        raise BatchError(
            f"A network returns {tuple(values.shape)} for {kept.shape[1]} anchors. Expected (B, columns, "
            f"{kept.shape[1]}): a network for detection with the levels and anchors of the task."
        )
    return values.movedim(1, 2)[kept]


def _padded(parts: Sequence[Tensor], columns: int) -> Tensor:
    """Rows of several images as one tensor, -1 where an image has fewer."""
    most = max((len(part) for part in parts), default=0)
    made = parts[0].new_full((len(parts), most, columns), -1.0)
    for place, part in enumerate(parts):
        made[place, : len(part)] = part
    return made
