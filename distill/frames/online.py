"""Branches of the student that form their own teacher while they are trained.

Lan, Zhu, Gong, "Knowledge Distillation by On-the-Fly Native Ensemble", NeurIPS 2018, arXiv:1806.04606.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zcbench.distill.contract import Distiller
from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.frames.contract import Frame, Pair, Pairing, features_of
from zcbench.distill.losses.geometry import total
from zcbench.distill.outputs import Outputs, Shapes


@dataclass(frozen=True)
class Online(Frame):
    r"""On-the-fly native ensemble (ONE): branches on the last feature map and the student, gated, teach each other.

    .. math::  \operatorname{CE}(z_e, y) + \sum_{m \ge 1} \operatorname{CE}(z_m, y)
               + \sum_{m \ge 0} L(z_m, z_e), \qquad z_e = \sum_{m \ge 0} g_m z_m

    :math:`z_0` are the logits of the student, :math:`z_m` those of M branches, :math:`g` is a softmax of a linear map
    of the pooled features. The ensemble gets no gradient from :math:`L`.

    arXiv:1806.04606, equations 3 to 7. A branch is a 3x3 convolution, batch normalisation, ReLU and a linear layer,
    where the paper repeats the last stage of the network. No other teacher is needed.

    Attributes:
        branches: M, 2 in the paper, beside the student.
    """

    name: ClassVar[str] = "online"
    reads: ClassVar[frozenset[str]] = frozenset({"features", "logits"})
    alone: ClassVar[bool] = True
    source: ClassVar[str] = "arXiv:1806.04606, equations 3 to 7"
    branches: int = 2

    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> Pairing:
        """The branches and their gate."""
        if inner.reads != {"logits"}:
            raise HyperparameterError(
                f"The loss {inner.name!r} reads {', '.join(sorted(inner.reads))}. The branches of the frame "
                f"{self.name!r} have logits alone: expected a loss of the logits."
            )
        channels = features_of(student)[0]
        if student.classes is None:
            raise ShapeMismatch("The student gave no logits, which the frame 'online' compares. Expected them.")
        return _Branches(channels, student.classes, self.branches)


class _Branches(Pairing):
    def __init__(self, channels: int, classes: int, count: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_branch(channels, classes) for _ in range(count))
        self.gate = nn.Linear(channels, count + 1)

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        own = [student.logits, *(branch(student.features) for branch in self.branches)]
        shares = self.gate(student.features.mean((2, 3))).softmax(1)
        ensemble = Outputs(logits=(torch.stack(own, 1) * shares[:, :, None]).sum(1))
        return [(1.0, Outputs(logits=logits), ensemble) for logits in own]

    def extra(self, pairs: Sequence[Pair], labels: Tensor | None) -> Tensor | None:
        assert labels is not None
        logits = [pairs[0][2].logits, *(branch.logits for _, branch, _ in pairs[1:])]
        return total(cross_entropy(one, labels) for one in logits)


def _branch(channels: int, classes: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    layers = (convolution, nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(channels, classes))
