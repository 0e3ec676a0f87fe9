"""Learned pairs of layers.

Jang, Lee, Hwang, Shin, "Learning What and Where to Transfer", ICML 2019, arXiv:1905.05901.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu6

from zcbench.distill.contract import Distiller
from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.frames.contract import AsIs, Frame, Pair
from zcbench.distill.frames.learned import LearnedPairing
from zcbench.distill.losses.fitnet import fitnet
from zcbench.distill.losses.geometry import at_one_size
from zcbench.distill.outputs import Outputs, Shapes


@dataclass(frozen=True)
class L2T(Frame):
    r"""Learned layer mapping (L2T-ww): the loss on every pair of stages, with weights that a look-ahead learns.

    .. math::  \sum_{m,n} \lambda^{m,n} L\big( r^{m,n}(f^S_n),\; f^T_m \big), \qquad
               \lambda^{m,n} = \frac1B \sum_b \operatorname{ReLU6}\big( g^{m,n}(\bar f^T_{m,b}) \big)

    :math:`\bar f^T_{m,b}`, of the shape :math:`(C_m,)`, is the mean over the positions of the teacher's stage m for
    image b; g is a linear layer ("where to transfer"); r is the adapter of the loss. Around ``fitnet`` each image has a
    :math:`\lambda` of its own, and there are weights of the channels ("what to transfer") from a linear layer h:

    .. math::  \sum_{m,n} \frac1B \sum_b \lambda^{m,n}_b \sum_c w^{m,n}_{b,c} \frac1{HW}
               \big\lVert r^{m,n}(f^S_n)_{b,c} - f^T_{m,b,c} \big\rVert^2, \qquad
               w^{m,n}_b = \operatorname{softmax}\big( h^{m,n}(\bar f^T_{m,b}) \big)

    All :math:`\lambda` are 1 and all w equal at first: the frame begins as the plain sum over the pairs. Student and
    adapters are trained with these weights as constants. After every N-th step, g and h take a step of Adam along the
    gradient of the cross-entropy after a look-ahead on the same batch: from the student as it is, T steps of gradient
    descent on the framed loss with its weight in the training, and one on the cross-entropy, at the present learning
    rate (`zcbench.distill.frames.learned.look_ahead`). A look-ahead takes T + 2 further passes of the student, most of
    them differentiated twice, and leaves weights, batch statistics and random numbers as they are.

    arXiv:1905.05901, section 2 and algorithm 1. The bias 1 of g, the 1x1 convolutions and the look-ahead on the batch
    of the step are those of the released code. There the look-ahead has momentum and weight decay, g starts with random
    weights, Adam has a weight decay of 1e-4, and the teacher's maps are resized to the student's.

    Attributes:
        steps: T; 2 in the released code.
        every: N; 1 in the released code.
        rate: learning rate of g and h; 1e-4 in the released code, for trainings of 200 epochs. 0 keeps the first
            weights.

    Example:
        >>> import torch
        >>> from zcbench.distill import framed
        >>> loss = framed("l2t", "fitnet")
        >>> student = Outputs(stages=[torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 2, 2)])
        >>> teacher = Outputs(stages=[torch.ones(1, 2, 4, 4), torch.ones(1, 3, 2, 2)])
        >>> loss(student, teacher, adapter=loss.projectors(student.shapes, teacher.shapes)).item()  # 4 pairs, 1 each
        4.0
    """

    name: ClassVar[str] = "l2t"
    reads: ClassVar[frozenset[str]] = frozenset({"stages"})
    gives: ClassVar[frozenset[str]] = frozenset({"features"})
    source: ClassVar[str] = "arXiv:1905.05901, section 2, algorithm 1, released code"
    steps: int = 1
    every: int = 10
    rate: float = 1e-3

    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> LearnedPairing:
        """Adapter and meta-networks of each pair of stages."""
        if "features" not in inner.reads or inner.reads & {"stages", "classifier", "embedding"}:
            raise HyperparameterError(
                f"The loss {inner.name!r} reads {', '.join(sorted(inner.reads))}. The frame {self.name!r} gives it the "
                f"features of every pair of stages: expected a loss of the features."
            )
        own, other = student.stages or (), teacher.stages or ()
        if not own or not other:
            raise ShapeMismatch(
                f"Given {len(own)} and {len(other)} stages. Expected at least 1 of student and teacher for the frame "
                f"{self.name!r}."
            )
        pairs = list(enumerate(product(own, other)))
        adapters = [
            inner.projectors(student._replace(features=one), teacher._replace(features=two), seed + number) or AsIs()
            for number, (one, two) in pairs
        ]
        what = inner.function is fitnet.function
        return _Mapping(adapters, [two[0] for _, (_, two) in pairs], what, self)


class _Mapping(LearnedPairing):
    """Every pair of stages; ``channels`` are the teacher's of each."""

    def __init__(self, adapters: Sequence[nn.Module], channels: Sequence[int], what: bool, frame: L2T) -> None:
        meta = nn.ModuleList(_Weights(width, what) for width in channels)
        super().__init__(meta, frame.steps, frame.every, frame.rate)
        self.adapters = nn.ModuleList(adapters)

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        stages = product(student.stages, teacher.stages)
        return [
            (1.0, *adapter(student.replace(features=one), teacher.replace(features=two)))
            for adapter, (one, two) in zip(self.adapters, stages, strict=True)
        ]

    def losses(self, pairs: Sequence[Pair], loss: Callable[[Outputs, Outputs], Tensor]) -> list[Tensor]:
        found = []
        for weights, (_, student, teacher) in zip(self.meta, pairs, strict=True):
            where, what = weights(teacher.features)
            if what is None:
                found.append(where.mean() * loss(student, teacher))
            else:
                one, other = at_one_size(student.features, teacher.features)
                found.append((where * (what * (one - other).square().mean((2, 3))).sum(1)).mean())
        return found


class _Weights(nn.Module):
    """Weights of one pair for each image ``(B,)``, and of its channels ``(B, C)`` if they are asked for."""

    def __init__(self, channels: int, what: bool) -> None:
        super().__init__()
        self.where = nn.Linear(channels, 1)
        self.what = nn.Linear(channels, channels) if what else None
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        nn.init.ones_(self.where.bias)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor | None]:
        pooled = maps.mean((2, 3))
        what = None if self.what is None else self.what(pooled).softmax(1)
        return relu6(self.where(pooled)).squeeze(1), what
