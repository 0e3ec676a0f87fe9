"""N-to-one matching.

Liu et al., "NORM: Knowledge Distillation via N-to-One Representation Matching", ICLR 2023.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from zcbench.distill.contract import Distiller
from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.frames.contract import Frame, Pair, Pairing, features_of
from zcbench.distill.outputs import Outputs, Shapes


@dataclass(frozen=True)
class NToOne(Frame):
    r"""N-to-one matching: the student's output at N times the teacher's channels, N times against the teacher.

    .. math::  \frac1N \sum_n L\big( E_n f^S,\; f^T \big), \qquad E \in \mathbb{R}^{N C_T \times C_S}

    Liu et al., "NORM: Knowledge Distillation via N-to-One Representation Matching", ICLR 2023, section 3. Without the
    paper's second linear layer, which leads the expanded output back into the student's classifier.

    Attributes:
        segments: N.
    """

    name: ClassVar[str] = "n_to_one"
    source: ClassVar[str] = "Liu et al., ICLR 2023, section 3"
    segments: int = 4

    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> Pairing:
        """A 1x1 convolution of the features, or a linear map of the embedding."""
        outputs = sorted(inner.reads & {"features", "embedding", "stages", "classifier"})
        if outputs not in (["features"], ["embedding"]):
            raise HyperparameterError(
                f"The loss {inner.name!r} reads {', '.join(outputs) or 'the logits alone'}. The frame {self.name!r} "
                f"expands one output: expected a loss of the features, or of the embedding."
            )
        (name,) = outputs
        if name == "features":
            (own, *_), (other, *_) = features_of(student), features_of(teacher)
            return _Segments(name, nn.Conv2d(own, self.segments * other, 1, bias=False), self.segments)
        if student.width is None or teacher.width is None:
            raise ShapeMismatch("A network gave no embedding, which the frame 'n_to_one' expands. Expected both.")
        return _Segments(name, nn.Linear(student.width, self.segments * teacher.width), self.segments)


class _Segments(Pairing):
    def __init__(self, output: str, expand: nn.Module, count: int) -> None:
        super().__init__()
        self.output, self.expand, self.count = output, expand, count

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        parts = self.expand(student.read(self.output)[0]).chunk(self.count, dim=1)
        return [(1 / self.count, student.replace(**{self.output: part}), teacher) for part in parts]
