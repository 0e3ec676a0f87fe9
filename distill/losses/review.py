"""ReviewKD: stages of the student, fused from deep to shallow, compared with those of the teacher.

Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021, arXiv:2104.09044, sections 3.2 and 3.3.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, mse_loss

from zcbench.distill.contract import distiller
from zcbench.distill.errors import ShapeMismatch
from zcbench.distill.losses.geometry import Size, at_size, common_sizes, total
from zcbench.distill.outputs import Outputs, Shapes


class Fusion(nn.Module):
    """Attention-based fusion of a stage with the fused deeper stages.

    Args:
        own: channels of the stage.
        middle: channels in which the stages are fused.
        teacher: channels of the teacher's stage.
    """

    def __init__(self, own: int, middle: int, teacher: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(own, middle, 1, bias=False), nn.BatchNorm2d(middle))
        self.leave = nn.Sequential(nn.Conv2d(middle, teacher, 3, padding=1, bias=False), nn.BatchNorm2d(teacher))
        self.attention = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid())
        for convolution in (self.enter[0], self.leave[0]):
            assert isinstance(convolution, nn.Conv2d)
            nn.init.kaiming_uniform_(convolution.weight, a=1)

    def forward(self, stage: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The stage at the teacher's channels, and the input of the next shallower fusion."""
        fused = self.enter(stage)
        if deeper is not None:
            deeper = interpolate(deeper, fused.shape[-2:], mode="nearest")
            own, other = self.attention(torch.cat([fused, deeper], 1)).split(1, dim=1)
            fused = own * fused + other * deeper
        return self.leave(fused), fused


class Review(nn.Module):
    """A `Fusion` for each stage, from the deepest to the shallowest."""

    def __init__(self, student: tuple[tuple[int, ...], ...], teacher: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        middle = min(512, student[-1][0])
        self.fusions = nn.ModuleList(Fusion(own[0], middle, other[0]) for own, other in zip(student, teacher))

    def forward(self, student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
        """The student's stages after fusion, and the teacher's outputs as they are."""
        fused, done = None, []
        for fusion, stage in zip(reversed(self.fusions), reversed(student.stages), strict=True):
            result, fused = fusion(stage, fused)
            done.append(result)
        return student.replace(stages=done[::-1]), teacher


def review_modules(student: Shapes, teacher: Shapes) -> nn.Module:
    """`Review` for networks of these shapes."""
    own, other = student.stages or (), teacher.stages or ()
    if len(own) != len(other) or not own:
        raise ShapeMismatch(
            f"The student has {len(own)} stages and the teacher {len(other)}. The projector of 'review' pairs them in "
            f"order: expected equal numbers, at least 1."
        )
    return Review(own, other)


@distiller(
    "review",
    reads="stages",
    adapts=("channels", "spatial", "projector"),
    projector=review_modules,
    source="arXiv:2104.09044, sections 3.2 and 3.3, released code",
)
def review(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Squared distance of the stages and of their pooled versions (hierarchical context loss).

    .. math::  L = \sum_l \frac{1}{\sum_k w_k} \Big[ \operatorname{mse}(F^S_l, F^T_l)
               + \sum_{k} w_k \operatorname{mse}(\operatorname{pool}_k F^S_l, \operatorname{pool}_k F^T_l) \Big]

    :math:`\operatorname{pool}_k` is adaptive average pooling to k×k, for k = 4, 2, 1 as far as it is smaller than the
    map, with weights ½, ¼, ⅛ in the order of use; the whole map has weight 1, which the divisor counts too.

    Args:
        student: needs ``stages``, ``(B, C_l, H_l, W_l)`` each, after the projector if there is one.
        teacher: needs as many, of as many channels each; the larger map is pooled to the smaller (adaptive average).

    Returns:
        Squared activation, mean over batch, channels and positions, sum over the stages, from 0 for equal maps.

    Example:
        >>> student = Outputs(stages=[torch.zeros(1, 1, 2, 2)])
        >>> teacher = Outputs(stages=[torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])])
        >>> review(student, teacher).item()  # (16 / 4 + 1 / 2) / (1 + 1 / 2)
        3.0

    Note:
        The released code adds the pooled embedding as one more 1×1 stage for CIFAR networks and warms the weight up
        over 20 epochs. Without the projector this is the bare context loss.
    """
    pairs = (
        (student.once(_pyramid, *place), teacher.once(_pyramid, *place)) for place in common_sizes(student, teacher)
    )
    return total(_context_loss(*pair) for pair in pairs)


def _pyramid(outputs: Outputs, stage: int, size: Size) -> list[Tensor]:
    """The map of a stage, and the same pooled to each level that is smaller."""
    maps = at_size(outputs.stages[stage], size)
    return [maps, *(adaptive_avg_pool2d(maps, level) for level in (4, 2, 1) if level < size[0])]


def _context_loss(one: list[Tensor], other: list[Tensor]) -> Tensor:
    weights = [0.5**i for i in range(len(one))]
    losses = (weight * mse_loss(own, target) for weight, own, target in zip(weights, one, other))
    return total(losses) / sum(weights)
