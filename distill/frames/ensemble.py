"""Projector ensemble.

Chen et al., "Improved Feature Distillation via Projector Ensemble", NeurIPS 2022, arXiv:2210.15274.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from zcbench.distill.adapters import Adapter
from zcbench.distill.contract import Distiller
from zcbench.distill.errors import HyperparameterError
from zcbench.distill.frames.contract import Frame, Pair, Pairing
from zcbench.distill.outputs import Outputs, Shapes


@dataclass(frozen=True)
class Ensemble(Frame):
    r"""Projector ensemble: the mean of several projectors with different initialisations.

    .. math::  L\Big( \frac1K \sum_k \max(0, P_k(f^S)),\; f^T \Big)

    Chen et al., "Improved Feature Distillation via Projector Ensemble", NeurIPS 2022, arXiv:2210.15274, section 3. The
    projectors are the adapters of the loss; the ReLU makes K of them more than one. A loss with projectors of its own,
    such as ``srrl``, has the mean of these as they are.

    Attributes:
        projectors: K, 3 in the paper.
    """

    name: ClassVar[str] = "ensemble"
    source: ClassVar[str] = "arXiv:2210.15274, section 3"
    projectors: int = 3

    def pairing(self, inner: Distiller, student: Shapes, teacher: Shapes, seed: int) -> Pairing:
        """K adapters of the loss."""
        made = [inner.projectors(student, teacher, seed + number) for number in range(self.projectors)]
        parts = [part for part in made if part is not None]
        if not parts:
            raise HyperparameterError(
                f"The loss {inner.name!r} needs no projector between these networks, so that there is none to repeat. "
                f"Expected a loss of features or embeddings with other channels than the teacher's; use it without the "
                f"frame."
            )
        return _Mean(parts)


class _Mean(Pairing):
    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def pairs(self, student: Outputs, teacher: Outputs) -> list[Pair]:
        found = [_rectified(part, *part(student, teacher)) for part in self.parts]
        return [(1.0, _mean([one for one, _ in found]), _mean([other for _, other in found]))]


def _rectified(part: nn.Module, student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
    if not isinstance(part, Adapter):
        return student, teacher
    changed = {
        name: [
            tensor if isinstance(layer, nn.Identity) else tensor.relu()
            for layer, tensor in zip(layers, student.read(name), strict=True)
        ]
        for name, layers in part.parts.items()
        if isinstance(layers, nn.ModuleList)
    }
    return student.replace(**changed), teacher


def _mean(several: Sequence[Outputs]) -> Outputs:
    names = dict(several[0].tensors())
    return Outputs().replace(
        **{name: [torch.stack(same).mean(0) for same in zip(*(one.read(name) for one in several))] for name in names}
    )
