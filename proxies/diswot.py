"""DisWOT: distances between the similarities of images, and of classes, in an untrained student and teacher.

Dong et al., "DisWOT: Student Architecture Search for Distillation WithOut Training", CVPR 2023, arXiv:2303.15678,
sections 3.1 to 3.3. All scores are distances between student and teacher, so lower ranks better. The formulas are those
of the losses of `zcbench.distill`, in float64 and with the factors of the paper's search. The paper's search takes the
student of the least sum; `diswot_rank`, among the ensembles, adds the ranks instead.
"""

from torch import Tensor

from zcbench.distill import DistillError, Outputs, get
from zcbench.distill.losses.diswot import class_map_distance, gradient_distance
from zcbench.proxies.scoring.contract import proxy
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Signals


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

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["diswot_relation"], teacher=example(seed=1).network)["diswot_relation"], 4)
        0.0034

    Note:
        The paper divides the whole matrix by its norm and takes the norm of the difference; this is the released code,
        which equals the similarity-preserving loss of arXiv:1907.09682.
    """
    return _relation(signals).item()


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

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["diswot_semantic"], teacher=example(seed=1).network)["diswot_semantic"], 3)
        1.009

    Note:
        The paper weighs class activation maps by the last weight itself (`diswot_semantic_cam`); the released code,
        taken here, uses its gradient and no feature map. The two rank in opposite directions.
    """
    return _semantic(signals).item()


@proxy(
    "diswot",
    reads=("classifier_gradient", "features", "teacher"),
    higher_is_better=False,
    source="arXiv:2303.15678, section 3.3, released code",
)
def diswot(signals: Signals) -> float:
    r"""Sum of the semantic and the relation distance, the criterion of the paper's search.

    .. math::  s = M_s + M_r

    Args:
        signals: needs the signals of `diswot_semantic` and of `diswot_relation`.

    Returns:
        The distance, dimensionless, from 0 to 4 + 4/B; lower ranks better.

    Raises:
        NotApplicable: one of the two is not applicable.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["diswot"], teacher=example(seed=1).network)["diswot"], 3)
        1.012

    Note:
        The two are added without weights, as in the paper. :math:`M_s` is about a hundred times :math:`M_r` for
        untrained networks, so the sum ranks as :math:`M_s` does.
    """
    return (_semantic(signals) + _relation(signals)).item()


@proxy(
    "diswot_semantic_cam",
    reads=("features", "classifier", "teacher"),
    higher_is_better=False,
    uses_labels=False,
    source="arXiv:2303.15678, section 3.1, as printed",
)
def diswot_semantic_cam(signals: Signals) -> float:
    r"""Distance between the class-to-class similarities of the class activation maps.

    .. math::  M_s = \lVert \mathcal{G}^T - \mathcal{G}^S \rVert_F, \qquad
               \mathcal{G} = G G^\top / \lVert G G^\top \rVert_F, \qquad G_n = \sum_c w_{nc} F^c

    :math:`w` is the last linear weight, :math:`F^c` channel c of the feature map over all images and positions, so that
    G is ``(N, B*H*W)``.

    Args:
        signals: needs ``features`` and ``classifier`` of student and teacher; C, H and W may differ.

    Returns:
        The distance, dimensionless, from 0 to √2; lower ranks better, as the paper's search has it.

    Raises:
        NotApplicable: a network has no feature map or no linear layer, or that layer does not read the map's channels.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), ["diswot_semantic_cam"], teacher=example(seed=1).network)["diswot_semantic_cam"], 3)
        1.061

    Note:
        Plain class activation maps, as the paper's formula has them, not the Grad-CAM of its abstract; the
        released code is `diswot_semantic`. As a training loss the paper divides by N² (``kd:diswot_semantic_cam``). The
        direction is the paper's and was not chosen by any accuracy.
    """
    try:
        return class_map_distance(*_outputs(signals, "features", "classifier")).item()
    except DistillError as error:
        raise NotApplicable(str(error)) from error


def _relation(signals: Signals) -> Tensor:
    try:
        return get("diswot_relation")(*_outputs(signals, "features"))
    except DistillError as error:
        raise NotApplicable(str(error)) from error


def _semantic(signals: Signals) -> Tensor:
    student, teacher = signals.classifier_gradient.double(), signals.teacher.classifier_gradient.double()
    if student.shape != teacher.shape:
        raise NotApplicable(
            f"The last linear weight is {tuple(student.shape)} in the student, {tuple(teacher.shape)} in the teacher. "
            f"Expected equal widths; choose a teacher with as many final channels."
        )
    return gradient_distance(student, teacher)


def _outputs(signals: Signals, *names: str) -> tuple[Outputs, Outputs]:
    """Outputs of student and teacher, in float64."""
    student, teacher = (
        Outputs(**{name: getattr(s, name).double() for name in names}) for s in (signals, signals.teacher)
    )
    return student, teacher
