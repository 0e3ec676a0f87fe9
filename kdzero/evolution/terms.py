"""What a shortened training is judged by: cross-entropy, sharpness gap and CKA on the validation images.

KD-Zero, NeurIPS 2023, section 3.2: the distiller is searched that minimises CE + sharpness gap - CKA.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from zcbench.distill.losses.cka import cka_gap
from zcbench.distill.losses.sharpness import sharpness_gap, sharpness_gap_abs
from zcbench.distill.outputs import Outputs

READS = frozenset({"logits", "embedding"})
"""Outputs that the terms are computed from."""


class Metrics(NamedTuple):
    """All terms of one student; which of them count is decided afterwards.

    Attributes:
        ce: cross-entropy with the labels, nats; lower is better.
        sharpness: mean difference of log-sum-exp, student minus teacher, nats.
        sharpness_absolute: its absolute value.
        sharpness_second_order: the difference by variances of the logits, student minus teacher, nats.
        cka: centred kernel alignment of the embeddings, from 0 to 1; higher is better. Of a segmentation an embedding
            is the mean of the backbone's last map over its positions, and all other terms are means over the pixels.
        accuracy: of the student, percent, the mean IoU of a segmentation; logged, and no part of the fitness.
        agreement: percent of images, or pixels, for which student and teacher name the same class; likewise.
    """

    ce: float
    sharpness: float
    sharpness_absolute: float
    sharpness_second_order: float
    cka: float
    accuracy: float
    agreement: float


@torch.no_grad()
def measure(student: Outputs, teacher: Outputs, labels: Tensor) -> Metrics:
    r"""The terms over one set of images.

    .. math::  \operatorname{CE}(z^S, y), \qquad
               \frac1B \sum_i \Big[ \log \sum_c e^{z^S_{ic}} - \log \sum_c e^{z^T_{ic}} \Big], \qquad
               \frac{\langle K^S, K^T \rangle_F}{\lVert K^S \rVert_F \lVert K^T \rVert_F}

    Args:
        student: ``logits`` ``(P, N)`` of P images or pixels and ``embedding`` ``(B, C)``, in evaluation mode.
        teacher: the same outputs for the same images; the width may differ.
        labels: ``(P,)``.

    Returns:
        One number each. Cross-entropy and the gap are minimised, CKA is maximised.

    Note:
        CKA is that of `zcbench.distill.losses.cka`, with the linear kernel on the input of the last layer, where the
        paper says "high-level feature". The gaps are signed, as printed: a student that is less sure than its teacher
        is rewarded without end, which ``sharpness_absolute`` does not do.
    """
    hits = student.logits.argmax(1)
    return Metrics(
        ce=cross_entropy(student.logits, labels).item(),
        sharpness=sharpness_gap(student, teacher).item(),
        sharpness_absolute=sharpness_gap_abs(student, teacher).item(),
        sharpness_second_order=second_order_gap(student.logits, teacher.logits).item(),
        cka=1 - cka_gap(student, teacher).item(),
        accuracy=100 * (hits == labels).double().mean().item(),
        agreement=100 * (hits == teacher.logits.argmax(1)).double().mean().item(),
    )


def second_order_gap(student: Tensor, teacher: Tensor) -> Tensor:
    r"""The sharpness gap to second order, for logits of mean zero.

    .. math::  \log \sum_c e^{z_c} \approx \log N + \log\big(1 + \tfrac12 \operatorname{Var} z\big), \qquad
               \frac1B \sum_i \Big[ \log\big(1 + \tfrac12 \operatorname{Var} z^S_i\big)
               - \log\big(1 + \tfrac12 \operatorname{Var} z^T_i\big) \Big]

    The variance is over the classes of one image, divided by N. It does not change when a constant is added to the
    logits of an image, which moves the first-order gap.

    Args:
        student: logits ``(B, N)``.
        teacher: logits ``(B, N)``.

    Returns:
        Nats, mean over the batch, unbounded on both sides; it is minimised.

    Note:
        The paper prints this form as teacher minus student (equation 4) and the first-order form, in the fitness that
        is minimised (section 3.2), as student minus teacher. Here both are student minus teacher, so that one is the
        approximation of the other and both are minimised.
    """
    one, other = (torch.log1p(logits.var(1, correction=0) / 2) for logits in (student, teacher))
    return (one - other).mean()


SHARPNESS: dict[str, str] = {
    "exact": "sharpness",
    "absolute": "sharpness_absolute",
    "second_order": "sharpness_second_order",
}
"""Forms of the sharpness gap, and the field of `Metrics` that holds each."""

TERMS = ("ce", "sharpness", "cka")
"""Names of the terms, in the order in which the fitness adds them."""


def oriented(measured: Metrics, terms: tuple[str, ...], sharpness: str) -> tuple[float, ...]:
    """The chosen terms, each turned so that higher is better.

    >>> oriented(Metrics(ce=2.0, sharpness=0.5, sharpness_absolute=0.5, sharpness_second_order=0.4, cka=0.9,
    ...     accuracy=10.0, agreement=20.0), ("ce", "cka"), "exact")
    (-2.0, 0.9)
    """
    fields = {"ce": "ce", "sharpness": SHARPNESS[sharpness], "cka": "cka"}
    return tuple((1 if name == "cka" else -1) * float(getattr(measured, fields[name])) for name in terms)
