"""DisWOT: does an untrained student see the batch as the untrained teacher does?

Dong et al., "DisWOT: Student Architecture Search for Distillation WithOut Training", CVPR 2023, arXiv:2303.15678,
sections 3.1 and 3.2. Both scores are distances between student and teacher, so lower ranks better.
"""

from torch import Tensor
from torch.nn.functional import normalize

from zcbench.proxies.contract import proxy
from zcbench.proxies.signals import NotApplicable, Signals


@proxy(
    "diswot_relation",
    reads=("features", "teacher"),
    higher_is_better=False,
    uses_labels=False,
    source="arXiv:2303.15678, section 3.2, released code",
)
def diswot_relation(signals: Signals) -> float:
    r"""Distance between the sample-to-sample similarities of student and teacher.

    .. math::  M_r = \frac{1}{B^2} \lVert \mathcal{A}^T - \mathcal{A}^S \rVert_F^2, \qquad
               \mathcal{A} = \operatorname{rownorm}(\tilde A \tilde A^\top)

    :math:`\tilde A` is the feature map before global pooling flattened to ``(B, C*H*W)``; each row of the Gram
    matrix is divided by its Euclidean norm.

    Args:
        signals: needs ``features`` of student and teacher; C, H and W may differ.

    Returns:
        The distance, dimensionless, from 0 to 4/B; lower ranks better.

    Raises:
        NotApplicable: a network has no feature map, or the batch has one image.

    Note:
        The paper divides the whole matrix by its norm and takes the norm of the difference; this is the released code,
        which equals the similarity-preserving loss of arXiv:1907.09682.
    """
    if signals.batch_size < 2:
        raise NotApplicable("Similarities between images need at least two images in the batch.")
    student, teacher = (_similarities(s.features) for s in (signals, signals.teacher))
    return (teacher - student).square().sum().item() / signals.batch_size**2


def _similarities(features: Tensor) -> Tensor:
    flat = features.flatten(1).double()
    return normalize(flat @ flat.T, dim=1)


@proxy(
    "diswot_semantic",
    reads=("classifier_gradient", "teacher"),
    higher_is_better=False,
    source="arXiv:2303.15678, section 3.1, released code",
)
def diswot_semantic(signals: Signals) -> float:
    r"""Distance between the channel similarities that the classes induce in student and teacher.

    .. math::  M_s = \frac{1}{N C} \sum_{n} \lVert \mathcal{G}^T_n - \mathcal{G}^S_n \rVert_F^2, \qquad
               \mathcal{G}_n = \operatorname{rownorm}(g_n g_n^\top)

    :math:`g_n` is row n of the gradient of the mean cross-entropy for the last linear weight, ``(N, C)``. Row c of
    :math:`\mathcal{G}_n` is :math:`\operatorname{sign}(g_{nc})\, g_n / \lVert g_n \rVert`, so no C×C matrix is formed.

    Args:
        signals: needs ``classifier_gradient`` of student and teacher, of equal shape.

    Returns:
        The distance, dimensionless, from 0 to 4; lower ranks better.

    Raises:
        NotApplicable: there is no last linear layer, or the two networks differ in its width.

    Note:
        The paper weighs class activation maps by the last weight itself; the released code, taken here, uses its
        gradient and no feature map. The two rank in opposite directions.
    """
    student, teacher = signals.classifier_gradient.double(), signals.teacher.classifier_gradient.double()
    if student.shape != teacher.shape:
        raise NotApplicable(
            f"The last linear weight is {tuple(student.shape)} in the student, {tuple(teacher.shape)} in the teacher. "
            f"Expected equal widths; choose a teacher with as many final channels."
        )
    one, other = normalize(student, dim=1), normalize(teacher, dim=1)
    rows = (student != 0).sum() + (teacher != 0).sum()
    products = ((student.sign() * teacher.sign()).sum(1) * (one * other).sum(1)).sum()
    return (rows - 2 * products).item() / student.numel()
