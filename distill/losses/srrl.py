"""SRRL: features, and the teacher's classifier applied to them.

Yang et al., "Knowledge Distillation via Softmax Regression Representation Learning", ICLR 2021, section 3.
"""

import math

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from zcbench.distill.contract import distiller
from zcbench.distill.errors import ShapeMismatch
from zcbench.distill.outputs import Outputs, Shapes


class Connector(nn.Module):
    """1×1 convolution, batch norm and ReLU from the student's channels to the teacher's."""

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(student, teacher, 1, bias=False)
        nn.init.normal_(convolution.weight, std=math.sqrt(2 / teacher))
        self.layers = nn.Sequential(convolution, nn.BatchNorm2d(teacher), nn.ReLU())

    def forward(self, student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
        """The student's features at the teacher's channel count, and the teacher's outputs as they are."""
        return student.replace(features=self.layers(student.features)), teacher


def connector(student: Shapes, teacher: Shapes) -> nn.Module:
    """`Connector` for networks of these shapes."""
    if student.features is None or teacher.features is None:
        raise ShapeMismatch("The projector of 'srrl' maps features, and a network gave none. Expected both.")
    return Connector(student.features[0], teacher.features[0])


@distiller(
    "srrl",
    reads=("features", "classifier"),
    adapts=("channels", "projector"),
    projector=connector,
    source="Yang et al., ICLR 2021, section 3, released code",
)
def srrl(student: Outputs, teacher: Outputs, *, feature: float = 1.0, regression: float = 1.0) -> Tensor:
    r"""Distance of the pooled features, and of the logits that the teacher's classifier gives for them.

    .. math::  L = \frac{\lambda_f}{BC} \sum_i \lVert f'_i - f^T_i \rVert^2
               + \frac{\lambda_r}{BN} \sum_i \lVert (W^T f'_i + b^T) - z^T_i \rVert^2

    :math:`f' = \operatorname{GAP}(r(F^S))` with the projector :math:`r`; :math:`W^T, b^T` is the teacher's classifier.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features`` of as many channels and ``classifier`` ``(N, C)``; H and W may differ.
        feature: :math:`\lambda_f`.
        regression: :math:`\lambda_r`.

    Returns:
        Squared activation plus squared logits, means over batch, channels and classes, from 0 for equal features.

    Raises:
        ShapeMismatch: the teacher's classifier does not read its last feature map.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.ones(1, 1, 1, 1))
        >>> teacher = Outputs(features=torch.full((1, 1, 1, 1), 3.0), classifier=torch.tensor([[1.0], [2.0]]))
        >>> srrl(student, teacher).item()  # 4 + (4 + 16) / 2
        14.0

    Note:
        :math:`z^T = W^T f^T + b^T`, so the second term is computed as :math:`W^T (f' - f^T)`: neither the bias nor the
        logits are needed. It is exact where the classifier reads the pooled feature map. Pooling before the first
        distance is the released code's.
    """
    one, other = student.features.mean((2, 3)), teacher.features.mean((2, 3))
    weight = teacher.classifier
    if weight.shape[1] != other.shape[1]:
        raise ShapeMismatch(
            f"The teacher's classifier reads {weight.shape[1]} values and its last feature map has {other.shape[1]} "
            f"channels. Expected one linear layer after global pooling."
        )
    return feature * mse_loss(one, other) + regression * ((one - other) @ weight.T).square().mean()
