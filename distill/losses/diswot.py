"""DisWOT: similarities between the images, and between the classes.

Dong et al., "DisWOT: Student Architecture Search for Distillation WithOut Training", CVPR 2023, arXiv:2303.15678,
sections 3.1 to 3.3. Paper and released code differ in both parts. ``diswot_relation``, ``diswot_semantic`` and their
sum ``diswot`` are the released code, with which the rankings of the paper were made. ``diswot_relation_paper`` and
``diswot_semantic_cam`` are the printed formulas; their sum ``diswot_distillation`` is the loss that the paper adds to
KD.
"""

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import one_hot

from zcbench.distill.contract import distiller
from zcbench.distill.errors import ShapeMismatch
from zcbench.distill.losses.geometry import direction, image_products
from zcbench.distill.losses.sp import sp
from zcbench.distill.outputs import Outputs


@distiller("diswot_relation", reads="features", min_images=2, source="arXiv:2303.15678, section 3.2, released code")
def diswot_relation(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Squared distance of the image-to-image similarities: the same loss as `sp`.

    .. math::  M_r = \frac{1}{B^2} \lVert \mathcal{A}^T - \mathcal{A}^S \rVert_F^2, \qquad
               \mathcal{A} = \operatorname{rownorm}(\tilde A \tilde A^\top)

    :math:`\tilde A` is the feature map flattened to ``(B, C*H*W)``.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features``; C, H and W may differ.

    Returns:
        Dimensionless, from 0 for equal similarities to 4/B.

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1))
        >>> teacher = Outputs(features=torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(2, 2, 1, 1))
        >>> round(diswot_relation(student, teacher).item(), 4)  # rows (1, 0) and (1, 1) / sqrt(2): (2 - sqrt(2)) / 2
        0.2929

    Note:
        The paper's own formula is `diswot_relation_paper`.
    """
    return sp.function(student, teacher)


@distiller("diswot_relation_paper", reads="features", min_images=2, source="arXiv:2303.15678, section 3.2, as printed")
def diswot_relation_paper(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Distance of the image-to-image similarities, each matrix divided by its norm.

    .. math::  L = \frac{1}{B^2} \lVert \mathcal{A}^T - \mathcal{A}^S \rVert_F, \qquad
               \mathcal{A} = \tilde A \tilde A^\top / \lVert \tilde A \tilde A^\top \rVert_F

    :math:`\tilde A` is the feature map flattened to ``(B, C*H*W)``.

    Args:
        student: needs ``features`` ``(B, C, H, W)``.
        teacher: needs ``features``; C, H and W may differ.

    Returns:
        Dimensionless, from 0 for similarities equal up to a factor to √2/B².

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1))
        >>> teacher = Outputs(features=torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(2, 2, 1, 1))
        >>> round(diswot_relation_paper(student, teacher).item(), 4)  # sqrt(2 - sqrt(2)) / 4
        0.1913

    Note:
        The 1/B² is that of the paper's training loss; its search leaves it out. The distance is not squared, so its
        gradient jumps at 0 (it is taken as 0 there).
    """
    one, other = (outputs.once(image_products) for outputs in (student, teacher))
    return matrix_distance(one, other) / len(one) ** 2


@distiller(
    "diswot_semantic",
    reads=("logits", "embedding"),
    adapts="width",
    source="arXiv:2303.15678, section 3.1, released code",
)
def diswot_semantic(student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
    r"""Squared distance of the channel similarities that the classes' gradients induce.

    .. math::  M_s = \frac{1}{NC} \sum_n \lVert \mathcal{G}^T_n - \mathcal{G}^S_n \rVert_F^2, \qquad
               \mathcal{G}_n = \operatorname{rownorm}(g_n g_n^\top), \qquad
               g = \tfrac1B (\sigma(z) - 1_y)^\top f

    :math:`g` is the gradient of the mean cross-entropy for the last linear weight, ``(N, C)``, which follows
    from the logits and the embedding f. Row c of :math:`\mathcal{G}_n` is
    :math:`\operatorname{sign}(g_{nc})\, g_n / \lVert g_n \rVert`, so no C×C matrix is formed.

    Args:
        student: needs ``logits`` ``(B, N)`` and the ``embedding`` ``(B, C)`` that the last linear layer reads.
        teacher: needs both, of the same width.
        labels: class indices ``(B,)``.

    Returns:
        Dimensionless, one number of the batch, from 0 for equal gradients to 4.

    Example:
        >>> import torch
        >>> logits, labels = torch.zeros(1, 2), torch.tensor([0])
        >>> student = Outputs(logits, embedding=torch.tensor([[1.0, 1.0]]))
        >>> teacher = Outputs(logits, embedding=torch.tensor([[1.0, -1.0]]))
        >>> round(diswot_semantic(student, teacher, labels).item(), 4)  # 4 for each class, divided by 2 * 2
        2.0

    Note:
        The released code uses no feature map, although the paper describes class activation maps; see
        `diswot_semantic_cam`. The loss jumps where an entry of a gradient changes its sign.
    """
    return gradient_distance(_classifier_gradient(student, labels), _classifier_gradient(teacher, labels))


@distiller("diswot_semantic_cam", reads=("features", "classifier"), source="arXiv:2303.15678, section 3.1, as printed")
def diswot_semantic_cam(student: Outputs, teacher: Outputs) -> Tensor:
    r"""Distance of the class-to-class similarities of the class activation maps.

    .. math::  L = \frac{1}{N^2} \lVert \mathcal{G}^T - \mathcal{G}^S \rVert_F, \qquad
               \mathcal{G} = G G^\top / \lVert G G^\top \rVert_F, \qquad G_n = \sum_c w_{nc} F^c

    :math:`w` is the last linear weight, :math:`F^c` channel c of the feature map over all images and positions, so that
    G is ``(N, B*H*W)``.

    Args:
        student: needs ``features`` ``(B, C, H, W)`` and ``classifier`` ``(N, C)``.
        teacher: needs both; C, H and W may differ, N may not.

    Returns:
        Dimensionless, from 0 for similarities equal up to a factor to √2/N².

    Raises:
        ShapeMismatch: a classifier does not read its network's last feature map, or the class counts differ.

    Example:
        >>> import torch
        >>> maps = torch.eye(2).view(1, 2, 1, 2)
        >>> student = Outputs(features=maps, classifier=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> teacher = Outputs(features=maps, classifier=torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        >>> round(diswot_semantic_cam(student, teacher).item(), 4)  # sqrt(2 - sqrt(2)) / 4
        0.1913

    Note:
        Plain class activation maps, as the paper's formula has them, not Grad-CAM, of which its abstract speaks. Since
        :math:`G G^\top = w (\sum F F^\top) w^\top`, the maps are not formed. 1/N² as in the paper's training loss.
    """
    return class_map_distance(student, teacher) / len(student.classifier) ** 2


@distiller(
    "diswot",
    reads=("logits", "embedding", "features"),
    adapts="width",
    min_images=2,
    source="arXiv:2303.15678, section 3.3, released code",
)
def diswot(student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
    r"""Sum of the semantic and the relation distance.

    .. math::  L = M_s + M_r

    Args:
        student: needs ``logits``, ``embedding`` and ``features``.
        teacher: needs the same, with an embedding of the same width.
        labels: class indices ``(B,)``.

    Returns:
        Dimensionless, from 0 for equal outputs to 4 + 4/B.

    Raises:
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
        >>> student = Outputs(logits, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.ones(2, 2, 1, 1))
        >>> teacher = Outputs(logits, torch.tensor([[1.0, 0.0], [0.0, -1.0]]), torch.eye(2).view(2, 2, 1, 1))
        >>> terms = diswot_semantic(student, teacher, labels), diswot_relation(student, teacher)
        >>> torch.equal(diswot(student, teacher, labels), sum(terms))
        True

    Note:
        The paper adds the two without weights. :math:`M_s` is about a hundred times :math:`M_r` at initialisation, so
        the sum ranks as :math:`M_s` does.
    """
    return diswot_semantic.function(student, teacher, labels) + diswot_relation.function(student, teacher)


@distiller(
    "diswot_distillation",
    reads=("features", "classifier"),
    min_images=2,
    source="arXiv:2303.15678, section 3.3, without the KD term",
)
def diswot_distillation(student: Outputs, teacher: Outputs) -> Tensor:
    r"""The loss that DisWOT† adds to KD: the sum of both distances as printed.

    .. math::  L = \frac{1}{N^2} \lVert \Delta \mathcal{G} \rVert_F + \frac{1}{B^2} \lVert \Delta \mathcal{A} \rVert_F

    Args:
        student: needs ``features`` and ``classifier``.
        teacher: needs both; C, H and W may differ.

    Returns:
        Dimensionless, from 0 for equal outputs.

    Raises:
        ShapeMismatch: a classifier does not read its network's last feature map, or the class counts differ.
        TooFewImages: one image.

    Example:
        >>> import torch
        >>> student = Outputs(features=torch.eye(2).view(2, 2, 1, 1), classifier=torch.eye(2))
        >>> teacher = Outputs(features=torch.ones(2, 2, 1, 1), classifier=torch.eye(2))
        >>> loss = diswot_distillation(student, teacher)
        >>> torch.equal(loss, diswot_semantic_cam(student, teacher) + diswot_relation_paper(student, teacher))
        True

    Note:
        `diswot_semantic_cam` plus `diswot_relation_paper`.
    """
    return diswot_semantic_cam.function(student, teacher) + diswot_relation_paper.function(student, teacher)


def gradient_distance(one: Tensor, other: Tensor) -> Tensor:
    """:math:`M_s` of `diswot_semantic` between two gradients for the last linear weight, ``(N, C)`` each."""
    rows = (one != 0).sum() + (other != 0).sum()
    aligned = ((one.sign() * other.sign()).sum(1) * (direction(one) * direction(other)).sum(1)).sum()
    return (rows - 2 * aligned) / one.numel()


def class_map_distance(student: Outputs, teacher: Outputs) -> Tensor:
    r""":math:`\lVert \mathcal{G}^T - \mathcal{G}^S \rVert_F` of `diswot_semantic_cam`.

    Raises:
        ShapeMismatch: a classifier does not read its network's last feature map, or the class counts differ.
    """
    one, other = (outputs.once(class_products) for outputs in (student, teacher))
    if one.shape != other.shape:
        raise ShapeMismatch(
            f"The student's classifier has {len(one)} classes and the teacher's {len(other)}. Expected equal counts."
        )
    return matrix_distance(one, other)


def matrix_distance(one: Tensor, other: Tensor) -> Tensor:
    """Frobenius norm of the difference of two matrices, each divided by its own norm."""
    distance: Tensor = vector_norm(direction(one.flatten(), 0) - direction(other.flatten(), 0))
    return distance


def _classifier_gradient(outputs: Outputs, labels: Tensor) -> Tensor:
    errors = outputs.logits.softmax(1) - one_hot(labels, outputs.logits.shape[1]).to(outputs.logits)
    return errors.T @ outputs.embedding / len(labels)


def class_products(outputs: Outputs) -> Tensor:
    """Gram matrix of the class activation maps over all images and positions, ``(N, N)``.

    Raises:
        ShapeMismatch: the classifier does not read the last feature map.
    """
    features, weight = outputs.features.transpose(0, 1).flatten(1), outputs.classifier
    if weight.shape[1] != len(features):
        raise ShapeMismatch(
            f"The classifier reads {weight.shape[1]} values and the last feature map has {len(features)} channels. "
            f"Expected one linear layer after global pooling."
        )
    return weight @ (features @ features.T) @ weight.T
