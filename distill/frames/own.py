"""The student as its own teacher.

Zhang et al., "Be Your Own Teacher", ICCV 2019, arXiv:1905.08094.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from zcbench.distill.contract import Distiller
from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.frames.contract import Frame, Pair, Pairing, features_of
from zcbench.distill.losses.geometry import at_size, total
from zcbench.distill.outputs import Outputs, Shapes


@dataclass(frozen=True)
class Self(Frame):
    r"""Be your own teacher: heads on the shallow stages learn from the labels and from the deepest outputs.

    .. math::  \sum_{l < L} \operatorname{CE}(z_l, y) + L\big( o_l,\; o_L \big)

    :math:`o_l` are the outputs of the head of stage l: features of as many channels as the last stage, their mean as
    embedding, and logits; :math:`o_L` are those of the network itself, without gradient.

    Zhang et al., "Be Your Own Teacher", ICCV 2019, arXiv:1905.08094, section 3. A head is a 1x1 convolution, batch
    normalisation, ReLU and a linear classifier, where the paper has several convolutions. No other teacher is needed.
    """

    name: ClassVar[str] = "self"
    reads: ClassVar[frozenset[str]] = frozenset({"stages", "logits"})
    alone: ClassVar[bool] = True
    source: ClassVar[str] = "arXiv:1905.08094, section 3"

    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> Pairing:
        """A head for each stage but the last."""
        stages = student.stages or ()
        if inner.reads & {"stages", "classifier"}:
            raise HyperparameterError(
                f"The loss {inner.name!r} reads {', '.join(sorted(inner.reads))}. A head of the frame {self.name!r} "
                f"has logits, features and embedding: expected a loss of these."
            )
        if len(stages) < 2 or student.classes is None:
            raise ShapeMismatch(
                f"The student has {len(stages)} stages. Expected at least 2 for the frame {self.name!r}."
            )
        features = features_of(student)[0] if "features" in inner.reads else student.width or stages[-1][0]
        if "embedding" in inner.reads and student.width != features:
            raise ShapeMismatch(
                f"The student has {features} features and an embedding of {student.width}. Expected equal widths."
            )
        return _Heads([_Head(stage[0], features, student.classes) for stage in stages[:-1]])


class _Head(nn.Module):
    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(channels, width, 1, bias=False)
        self.layers = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, stage: Tensor, size: torch.Size) -> Outputs:
        maps = at_size(self.layers(stage), (size[-2], size[-1]))
        embedding = adaptive_avg_pool2d(maps, 1).flatten(1)
        return Outputs(logits=self.classifier(embedding), embedding=embedding, features=maps)


class _Heads(Pairing):
    def __init__(self, heads: Sequence[_Head]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        fixed = student.map(Tensor.detach)
        size = student.stages[-1].shape
        return [(1.0, head(stage, size), fixed) for head, stage in zip(self.heads, student.stages[:-1], strict=True)]

    def extra(self, pairs: Sequence[Pair], labels: Tensor | None) -> Tensor | None:
        assert labels is not None
        return total(cross_entropy(head.logits, labels) for _, head, _ in pairs)
