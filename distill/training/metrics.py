"""Metrics of a trained network beyond its accuracy: functions of logits and labels, some of them by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from zcbench.distill.errors import RecipeError
from zcbench.errors import ZcbenchError, told, unknown
from zcbench.specification import read_specification

_BINS = 15  # of the calibration error


@dataclass(frozen=True)
class Metric:
    """A number computed from the logits ``(M, N)`` and labels ``(M,)`` of all evaluated images.

    Attributes:
        name: what rows and files call it.
        function: of logits and labels.
        higher_is_better: direction.
    """

    name: str
    function: Callable[[Tensor, Tensor], float]
    higher_is_better: bool = True

    def __call__(self, logits: Tensor, labels: Tensor) -> float:
        """The value for these logits and labels."""
        return float(self.function(logits, labels))


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of the images whose largest logit is that of their class, in percent."""
    return 100 * int((logits.argmax(1) == labels).sum()) / len(labels)


def loss(logits: Tensor, labels: Tensor) -> float:
    """Mean cross-entropy in nats."""
    return cross_entropy(logits, labels).item()


def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    r"""Mean over the classes that occur of their accuracy, in percent.

    .. math::  \frac{100}{K} \sum_{k=1}^{K} \frac{|\{i: \hat y_i = y_i = k\}|}{|\{i: y_i = k\}|}

    Example:
        >>> logits = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> balanced_accuracy(logits, torch.tensor([0, 0, 1, 1]))
        75.0
    """
    counts = torch.bincount(labels).double()
    hits = torch.bincount(labels[logits.argmax(1) == labels], minlength=len(counts)).double()
    return 100 * (hits / counts)[counts > 0].mean().item()


def calibration(logits: Tensor, labels: Tensor) -> float:
    r"""Expected calibration error over 15 equal bins of confidence, in percent.

    .. math::  100 \sum_{b} \frac{n_b}{M} \left| \mathrm{acc}_b - \mathrm{conf}_b \right|

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599, eq. 3: bin b holds the
    confidences in ((b - 1)/15, b/15].

    Example:
        >>> calibration(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))
        0.0
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    bins = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1
    gaps = torch.zeros(_BINS, dtype=torch.float64, device=logits.device)
    gaps.index_add_(0, bins, (predicted == labels).double() - confidence)
    return 100 * gaps.abs().sum().item() / len(labels)


def top5(logits: Tensor, labels: Tensor) -> float:
    """Share of the images whose class is among those of the five largest logits, in percent."""
    best = logits.topk(min(5, logits.shape[1]), 1).indices
    return 100 * int((best == labels[:, None]).any(1).sum()) / len(labels)


#: Metrics by name; `accuracy` and `loss` are always computed.
METRICS: dict[str, Metric] = {
    "accuracy": Metric("accuracy", accuracy),
    "loss": Metric("loss", loss, higher_is_better=False),
    "balanced_accuracy": Metric("balanced_accuracy", balanced_accuracy),
    "calibration": Metric("calibration", calibration, higher_is_better=False),
    "top5": Metric("top5", top5),
}


def read_metrics(given: Sequence[str | Metric], num_classes: int) -> list[Metric]:
    """The metrics of names and objects.

    A name is one of `METRICS`, or a class of ``torchmetrics.classification`` with its options, as
    ``MulticlassF1Score(average='macro')``; it gets ``num_classes`` and the softmax of the logits.

    Raises:
        UnknownNameError: no metric has the name.
        RecipeError: torchmetrics is not installed, or refuses the options.
    """
    return [
        item if isinstance(item, Metric) else METRICS[item] if item in METRICS else _of_torchmetrics(item, num_classes)
        for item in given
    ]


def _of_torchmetrics(text: str, num_classes: int) -> Metric:
    name, options = read_specification(text, example="MulticlassF1Score(average='macro')")
    if not name.startswith("Multiclass"):
        raise unknown("metric (or Multiclass... of torchmetrics)", name, METRICS)
    try:
        from torchmetrics import Metric as TheirMetric
        from torchmetrics import classification
    except ImportError as error:
        raise RecipeError(
            f"The metric {text!r} is one of torchmetrics, which cannot be imported: {error}. Install the package "
            f"'torchmetrics', or choose of: {', '.join(METRICS)}."
        ) from error
    if name not in classification.__all__:
        raise unknown("metric of torchmetrics", name, [*METRICS, *classification.__all__])
    try:
        made: TheirMetric = getattr(classification, name)(num_classes=num_classes, **options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"torchmetrics refuses {text!r}: {told(error)}. Expected options of {name}.") from error

    def function(logits: Tensor, labels: Tensor) -> float:
        found = made.to(logits.device)(logits[:, :num_classes].softmax(1), labels)
        made.reset()
        if not isinstance(found, Tensor) or found.numel() != 1:
            raise ZcbenchError(
                f"The metric {text!r} gives {getattr(found, 'shape', type(found).__name__)}. Expected one number; "
                f"choose average='macro'."
            )
        return found.item()

    return Metric(text, function, made.higher_is_better is not False)
