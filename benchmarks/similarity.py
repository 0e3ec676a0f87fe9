"""What DisWOT compares: how a teacher and its students relate the images of a batch, and the classes, to each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from zcbench.benchmarks.protocol import TeacherChoice
from zcbench.benchmarks.teachers import build_teacher
from zcbench.datasets import Batch
from zcbench.distill import Outputs
from zcbench.distill.diswot import class_products
from zcbench.distill.geometry import direction, image_products
from zcbench.proxies import Teacher
from zcbench.proxies.signals import Batch as Images
from zcbench.spaces import Space

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """The two similarity matrices of one untrained network, and how far they are from the teacher's.

    Attributes:
        name: the architecture.
        images: relation :math:`\\mathcal{A}` ``(B, B)``, its Frobenius norm 1; images ordered by class.
        classes: semantic similarity :math:`\\mathcal{G}` ``(N, N)``, its Frobenius norm 1.
        relation: Frobenius norm of the difference to the teacher's :math:`\\mathcal{A}`, from 0 to √2.
        semantic: Frobenius norm of the difference to the teacher's :math:`\\mathcal{G}`, from 0 to √2.
    """

    name: str
    images: Matrix
    classes: Matrix
    relation: float = 0.0
    semantic: float = 0.0


def similarities(
    space: Space, students: Sequence[str], teacher: TeacherChoice, batch: Batch, seed: int = 0, init: str = "default"
) -> list[Similarity]:
    r"""Matrices of a teacher, which comes first, and of students, as the paper prints them.

    .. math::  \mathcal{A} = \tilde A \tilde A^\top / \lVert \tilde A \tilde A^\top \rVert_F, \qquad
               \mathcal{G} = G G^\top / \lVert G G^\top \rVert_F, \qquad G_n = \sum_c w_{nc} F^c

    Dong et al., "DisWOT", CVPR 2023, arXiv:2303.15678, sections 3.1 and 3.2; see `zcbench.distill.diswot`.

    Args:
        space: the space of the students.
        students: their architectures.
        teacher: the teacher.
        batch: labelled images.
        seed: names the stream of the students' initialisation.
        init: initialisation scheme of the students.

    Raises:
        NotApplicable: a network has no feature map, or no linear layer behind it.
        ArchitectureError: a student is no architecture of ``space``.
    """
    network = build_teacher(teacher, space, init, batch.num_classes, batch.image_shape)
    source = _similarity(f"teacher {teacher.arch}", network, batch, teacher.seed)
    found = [source]
    for arch in students:
        student = space.build(arch, batch.num_classes, seed, batch.image_shape, init)
        found.append(_compared(_similarity(arch, student, batch, seed), source))
    return found


def _similarity(name: str, network: nn.Module, batch: Batch, seed: int) -> Similarity:
    order = batch.labels.argsort(stable=True)
    signals = Teacher(network, seed).signals(Images(batch.images[order], batch.labels[order]), _READS)
    outputs = Outputs(features=signals.features, classifier=signals.classifier)
    return Similarity(name, _normed(image_products(outputs)), _normed(class_products(outputs)))


def _compared(student: Similarity, teacher: Similarity) -> Similarity:
    relation, semantic = (
        float(np.linalg.norm(one - other))
        for one, other in ((student.images, teacher.images), (student.classes, teacher.classes))
    )
    return replace(student, relation=relation, semantic=semantic)


def _normed(matrix: Tensor) -> Matrix:
    unit = direction(matrix.detach().double().flatten(), 0).reshape(matrix.shape)
    return np.asarray(unit.cpu().numpy(), dtype=np.float64)


_READS = frozenset({"features", "classifier"})
