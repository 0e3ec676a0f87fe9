"""Semantic segmentation: one class for each pixel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zcbench.datasets.dense.layouts import IGNORED
from zcbench.datasets.forms import MASK, LabelForm
from zcbench.datasets.items import Pair
from zcbench.distill.answers import logits_of
from zcbench.distill.contract import Distiller
from zcbench.distill.errors import RecipeError
from zcbench.distill.outputs import Outputs
from zcbench.distill.tasks.base import Task
from zcbench.distill.training.data.augmentation import Cut
from zcbench.distill.training.metrics import Metric
from zcbench.errors import BatchError, unknown
from zcbench.hooks.modes import evaluating
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape
from zcbench.spaces.dense import Dense, Head, build_dense
from zcbench.spaces.dense.heads import RATES


def mean_iou(confusion: Tensor) -> float:
    r"""Mean intersection over union, in percent, over the classes that occur in masks or predictions.

    .. math::  \frac{100}{K} \sum_{k} \frac{n_{kk}}{\sum_j n_{kj} + \sum_j n_{jk} - n_{kk}}

    Args:
        confusion: ``n_{kj}``, pixels of class k that are predicted as j, ``(N, N)``.

    Example:
        >>> mean_iou(torch.tensor([[3, 1], [0, 4]]))  # 3/4 and 4/5
        77.5
    """
    counts = confusion.double()
    hits = counts.diagonal()
    union = counts.sum(0) + counts.sum(1) - hits
    return 100 * (hits / union)[union > 0].mean().item()


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Pixels of each class by their prediction, ``(N, N)``, of logits ``(P, N)`` and labels ``(P,)``."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2).view(classes, classes)


MIOU = Metric("miou", lambda logits, labels: mean_iou(confusion(logits, labels)))
"""Mean intersection over union of logits ``(P, N)`` and labels ``(P,)``."""


@dataclass(frozen=True)
class Segmentation(Task):
    """Masks ``(N, H, W)``, logits ``(B, N, H, W)``, cross-entropy per pixel, and the mean intersection over union.

    Pixels of class 255 count neither in a loss nor in a metric. Losses of logits, such as ``kd``, are computed with
    each labelled pixel as a row; those of ``features`` and ``stages`` on the maps of the backbone.

    Attributes:
        head: ``fcn``, ``pspnet`` or ``deeplabv3``, on a backbone of a space.
        stride: largest output stride of the backbone.
        width: channels inside the head; a quarter of those that it reads, if None.
        rates: dilation of the convolutions of ``deeplabv3``.
        auxiliary: whether an FCN head reads the last stage but one in training, with the recipe's weight ``auxiliary``.

    Raises:
        UnknownNameError: no head has the name.
        SpaceError: a number is out of range.

    Example:
        >>> Segmentation(head="pspnet").logits_shape(11, (3, 32, 48))
        (11, 32, 48)
    """

    head: str = "fcn"
    stride: int = 8
    width: int | None = None
    rates: tuple[int, ...] = RATES
    auxiliary: bool = False

    name: ClassVar[str] = "segmentation"
    labels: ClassVar[LabelForm] = MASK
    metric: ClassVar[str] = "miou"
    title: ClassVar[str] = "mean IoU"
    dataset: ClassVar[str] = "digits_scenes"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self._head.rates))

    @property
    def _head(self) -> Head:
        return Head(self.head, self.stride, self.width, self.rates, self.auxiliary)

    def build(
        self, space: Space, arch: str, num_classes: int, seed: int, image_shape: ImageShape, init: str
    ) -> nn.Module:
        """The backbone of the space, with the head; a network of `zcbench.spaces.dense.Dense` as it is."""
        if isinstance(space, Dense):
            return space.build(arch, num_classes, seed, image_shape, init)
        return build_dense(space, arch, self._head, num_classes, seed, image_shape, init)

    def space(self, space: Space) -> Dense:
        """The networks of a space of classifiers, with the head."""
        return Dense(space, *vars(self._head).values())

    def logits_shape(self, num_classes: int, image_shape: ImageShape) -> tuple[int, ...]:
        """One logit for each class and pixel."""
        return (num_classes, *image_shape[1:])

    def check(self, split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
        """Refuse all but a class index from 0, or 255, for each pixel, and images without a labelled pixel."""
        if images.ndim != 4 or not images.is_floating_point() or labels.shape != (len(images), *images.shape[2:]):
            raise BatchError(
                f"Given {split} images of {images.dtype} {tuple(images.shape)} and masks of shape "
                f"{tuple(labels.shape)}. Expected floating images (N, C, H, W) and masks (N, H, W)."
            )
        if len(labels) == 0:
            raise BatchError(
                f"The {split} split is empty. Expected at least one image; choose another split or more files."
            )
        ids = labels.unique() if not labels.is_floating_point() else labels.new_tensor([-1.0])
        wrong = ids[(ids < 0) | ((ids >= num_classes) & (ids != IGNORED))]
        if len(wrong):
            raise BatchError(
                f"Given {split} masks of {labels.dtype} with the class {wrong[-1].item():g}. Expected class indices "
                f"from 0 to {num_classes - 1}, and {IGNORED} for pixels that do not count."
            )
        if empty := int((labels == IGNORED).flatten(1).all(1).sum()):
            raise BatchError(
                f"{empty:,} of {len(labels):,} {split} images have no labelled pixel. Expected at least one in each; "
                f"leave those images out."
            )

    def check_losses(self, losses: Sequence[Distiller]) -> None:
        """Refuse losses that read one embedding for each image, or logits of an image beside its maps."""
        for loss in losses:
            if loss.reads & {"embedding", "classifier"} or ("logits" in loss.reads and len(loss.reads) > 1):
                raise RecipeError(
                    f"The distiller {loss.name!r} reads {', '.join(sorted(loss.reads))}, which a network for "
                    f"segmentation does not have for each image. Expected a loss of logits, per pixel, such as kd or "
                    f"dist, or of features or stages, such as cwd or at."
                )

    def classes(self, labels: Tensor) -> Tensor:
        """The labelled pixels, one after the other."""
        return labels[labels != IGNORED].long()

    def strata(self, labels: Tensor, num_classes: int) -> tuple[Tensor, int]:
        """One stratum: a share of all images is held out."""
        return torch.zeros(len(labels), dtype=torch.int64), 1

    def cropped(self, labels: Tensor, cut: Cut, size: tuple[int, int]) -> Tensor:
        """Masks with the crops and flips of their images; what is outside does not count."""
        return cut.maps(labels[:, None], torch.tensor([float(IGNORED)]))[:, 0]

    def rows(
        self, students: Sequence[Outputs], teachers: Sequence[Outputs], labels: Tensor
    ) -> tuple[Sequence[Outputs], Sequence[Outputs], Tensor]:
        """The logits of each labelled pixel as a row; maps as they are."""
        kept = labels.flatten() != IGNORED
        own, others = ([_by_pixel(outputs, labels, kept) for outputs in some] for some in (students, teachers))
        return own, others, labels.flatten()[kept].long()

    def loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
        """Cross-entropy in nats, mean over the labelled pixels of the batch; 0 if there are none."""
        if len(labels) == 0:
            return logits.float().sum()
        return cross_entropy(logits.float(), labels, weight=weight, label_smoothing=smoothing)

    def metrics(self, given: Sequence[str | Metric], num_classes: int) -> list[Metric]:
        """``miou`` alone, which is always computed."""
        for item in given:
            if item not in (MIOU, "miou", "accuracy", "loss"):
                raise unknown("metric of segmentation", getattr(item, "name", str(item)), ("miou", "accuracy", "loss"))
        return [MIOU for item in given if item in (MIOU, "miou")]

    @torch.no_grad()
    def measure(self, network: nn.Module, batches: Iterable[Pair], metrics: Sequence[Metric] = ()) -> dict[str, float]:
        """Accuracy and loss over all labelled pixels, and the mean intersection over union."""
        table, loss, pixels = torch.zeros(0), 0.0, 0
        with evaluating(network):
            for images, labels in batches:
                logits, kept = _flat(logits_of(network(images)), labels), labels.flatten() != IGNORED
                rows, wanted = logits[kept], labels.flatten()[kept].long()
                loss += cross_entropy(rows.float(), wanted, reduction="sum").item()
                pixels += len(wanted)
                found = confusion(rows, wanted).cpu()
                table = found if table.numel() == 0 else table + found
        accuracy = 100 * int(table.diagonal().sum()) / pixels
        return {"accuracy": accuracy, "loss": loss / pixels, "miou": mean_iou(table)}

    @torch.no_grad()
    def predicted(self, network: nn.Module, images: Tensor) -> Tensor:
        """The class with the largest logit."""
        with evaluating(network):
            return logits_of(network(images)).argmax(1)

    def near_chance(self, score: float, num_classes: int, images: int) -> bool:
        """Whether it is at most 100/N %, above which no constant prediction gets."""
        return score <= 100 / num_classes


def _by_pixel(outputs: Outputs, labels: Tensor, kept: Tensor) -> Outputs:
    flat = _flat(outputs.logits, labels)[kept]
    beside = [_flat(head, labels)[kept] for head in outputs.auxiliary]
    made = outputs.replace(logits=flat)
    made.auxiliary = tuple(beside)
    return made


def _flat(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits ``(B, N, H, W)`` as ``(B·H·W, N)``."""
    if logits.ndim != 4 or logits.shape[2:] != labels.shape[1:]:
        raise BatchError(
            f"A network returns logits {tuple(logits.shape)} for masks {tuple(labels.shape)}. Expected (B, classes, H, "
            f"W) at the size of the masks: a network for segmentation, which brings its logits to that size."
        )
    return logits.movedim(1, -1).flatten(0, -2)
