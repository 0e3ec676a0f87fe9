"""What DisWOT compares: how a teacher and its students relate the images of a batch, and the classes, to each other.

Beside its two matrices, which are of maps and weights, stands the correlation of the logits, which says more of
trained networks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from zcbench.benchmarks.scoring.protocol import TeacherChoice
from zcbench.benchmarks.scoring.teachers import build_teacher, load_weights
from zcbench.datasets import Batch
from zcbench.distill.losses.diswot import class_products
from zcbench.distill.losses.geometry import direction, image_products
from zcbench.distill.reading import Reader
from zcbench.errors import ArchitectureError
from zcbench.spaces import Space
from zcbench.streams import seeded

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """The similarity matrices of one network, and how far they are from the teacher's.

    Attributes:
        name: its label; without one the architecture, and the file of its weights if it is trained.
        images: relation :math:`\\mathcal{A}` ``(B, B)``, its Frobenius norm 1; images ordered by class.
        classes: semantic similarity :math:`\\mathcal{G}` ``(N, N)``, its Frobenius norm 1.
        relation: Frobenius norm of the difference to the teacher's :math:`\\mathcal{A}`, from 0 to √2.
        semantic: Frobenius norm of the difference to the teacher's :math:`\\mathcal{G}`, from 0 to √2.
        logits: `logit_correlation` ``(N, N)``.
        logit: mean absolute difference to the teacher's ``logits`` off the diagonal, from 0 to 2.
    """

    name: str
    images: Matrix
    classes: Matrix
    logits: Matrix
    relation: float = 0.0
    semantic: float = 0.0
    logit: float = 0.0


def similarities(
    space: Space, students: Sequence[str], teacher: TeacherChoice, batch: Batch, seed: int = 0, init: str = "default"
) -> list[Similarity]:
    r"""Matrices of a teacher, which comes first, and of students, as the paper prints them.

    .. math::  \mathcal{A} = \tilde A \tilde A^\top / \lVert \tilde A \tilde A^\top \rVert_F, \qquad
               \mathcal{G} = G G^\top / \lVert G G^\top \rVert_F, \qquad G_n = \sum_c w_{nc} F^c

    Dong et al., "DisWOT", CVPR 2023, arXiv:2303.15678, sections 3.1 and 3.2; see `zcbench.distill.losses.diswot`.

    A student with trained weights is in evaluation mode, and so is the teacher beside it; without any all are in
    training mode, as in the scores.

    Args:
        space: the space of the students.
        students: their architectures; ``ARCH@FILE`` has the weights in that file, ``LABEL=ARCH@FILE`` a name too.
        teacher: the teacher.
        batch: labelled images.
        seed: names the stream of the students' initialisation.
        init: initialisation scheme of the students.

    Raises:
        MissingOutput: a network has no feature map, or no linear layer behind it.
        ArchitectureError: a student is no architecture of ``space``.
        TeacherError: a file holds no weights of its architecture.
    """
    described = [read_labelled(student, space) for student in students]
    trained = any(file for _, _, file in described)
    network = build_teacher(teacher, space, init, batch.num_classes, batch.image_shape).train(not trained)
    source = _similarity(f"teacher {teacher.arch}", network, batch, teacher.seed)
    found = [source]
    for label, arch, file in described:
        network = space.build(arch, batch.num_classes, seed, batch.image_shape, init)
        if file:
            load_weights(network.eval(), Path(file))
        found.append(_compared(_similarity(label, network, batch, seed), source))
    return found


def logit_correlation(logits: Tensor) -> Tensor:
    r"""Which classes rise and fall together.

    .. math::  R_{ab} = \operatorname{corr}_i(z_{ia}, z_{ib})

    Tian et al., "Contrastive Representation Distillation", ICLR 2020, arXiv:1910.10699, compare a student with its
    teacher by the difference of these matrices.

    Args:
        logits: ``(B, N)``.

    Returns:
        Pearson correlations over the images, ``(N, N)``, from -1 to 1; 0 for a class whose logit is constant.

    Example:
        >>> import torch
        >>> logit_correlation(torch.tensor([[1.0, -2.0], [3.0, -6.0], [2.0, -4.0]])).round().tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    classes = direction((logits - logits.mean(0)).T)
    return classes @ classes.T


def _similarity(name: str, network: nn.Module, batch: Batch, seed: int) -> Similarity:
    order = batch.labels.argsort(stable=True)
    images = batch.images[order]
    with seeded("similarity", seed):
        outputs = Reader(network, _READS, "float32", images[:1]).without_gradient(images)
    correlation = _array(logit_correlation(outputs.logits))
    return Similarity(name, _normed(image_products(outputs)), _normed(class_products(outputs)), correlation)


def read_labelled(student: str, space: Space) -> tuple[str, str, str]:
    """Label, architecture and file of ``[LABEL=]ARCH[@FILE]``: the longest architecture, since both may have an @.

    Raises:
        ArchitectureError: none of it is an architecture of ``space``.
    """
    label = re.match(r"([^=@]+)=", student)
    name, given = (label[1], student[label.end() :]) if label else (student, student)
    ends = [len(given), *(place for place in range(len(given) - 1, -1, -1) if given[place] == "@")]
    errors = []
    for end in ends:
        try:
            space.canonical(given[:end])
        except ArchitectureError as error:
            errors.append(error)
        else:
            return name, given[:end], given[end + 1 :]
    raise errors[0]


def _compared(student: Similarity, teacher: Similarity) -> Similarity:
    relation, semantic = (
        float(np.linalg.norm(one - other))
        for one, other in ((student.images, teacher.images), (student.classes, teacher.classes))
    )
    away = np.abs(student.logits - teacher.logits)[~np.eye(len(teacher.logits), dtype=bool)]
    return replace(student, relation=relation, semantic=semantic, logit=float(away.mean()))


def _normed(matrix: Tensor) -> Matrix:
    return _array(direction(matrix.detach().double().flatten(), 0).reshape(matrix.shape))


def _array(matrix: Tensor) -> Matrix:
    return np.asarray(matrix.detach().cpu().numpy(), dtype=np.float64)


_READS = frozenset({"features", "classifier", "logits"})
