"""Knowledge review around any loss of features.

Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021, arXiv:2104.09044.
"""

from dataclasses import dataclass
from typing import ClassVar

from zcbench.distill.contract import Distiller
from zcbench.distill.errors import HyperparameterError, ShapeMismatch
from zcbench.distill.frames.contract import Frame, Pair, Pairing
from zcbench.distill.losses.review import Review
from zcbench.distill.outputs import Outputs, Shapes


@dataclass(frozen=True)
class ReviewFrame(Frame):
    r"""Knowledge review: the loss on every stage, the student's fused from deep to shallow.

    .. math::  \sum_l L\big( F_l(f^S_l, f^S_{l+1}, \dots),\; f^T_l \big)

    Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021, arXiv:2104.09044, section 3.2, with any loss of
    features in place of its hierarchical context loss, which ``review`` has.
    """

    name: ClassVar[str] = "review"
    reads: ClassVar[frozenset[str]] = frozenset({"stages"})
    gives: ClassVar[frozenset[str]] = frozenset({"features"})
    source: ClassVar[str] = "arXiv:2104.09044, section 3.2"

    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> Pairing:
        """A fusion for each stage."""
        if "features" not in inner.reads or inner.reads & {"stages", "classifier", "embedding"}:
            raise HyperparameterError(
                f"The loss {inner.name!r} reads {', '.join(sorted(inner.reads))}. The frame {self.name!r} gives it the "
                f"features of every stage: expected a loss of the features."
            )
        own, other = student.stages or (), teacher.stages or ()
        if len(own) != len(other) or not own:
            raise ShapeMismatch(f"Given {len(own)} and {len(other)} stages. Expected equal numbers, at least 1.")
        return _Stages(Review(own, other))


class _Stages(Pairing):
    def __init__(self, review: Review) -> None:
        super().__init__()
        self.review = review

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        fused, _ = self.review(student, teacher)
        return [
            (1.0, student.replace(features=one), teacher.replace(features=other))
            for one, other in zip(fused.stages, teacher.stages, strict=True)
        ]
