"""Draw the similarity matrices that DisWOT compares: of a teacher, and of students of one space.

    python examples/similarity_matrices.py 177 171 --space s0 --teacher resnet:resnet110 --out figure.png

The figure has three rows of matrices, and under the name of each student its distance to the teacher: images by their
feature maps, classes by their class activation maps, each matrix divided by its norm as the paper prints the formulas,
and the correlation of the logits of every two classes. A student ``ARCH@FILE`` has the weights in that file, and
``LABEL=ARCH@FILE`` a name in the figure; where one is trained, all networks are in evaluation mode.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.checkpoints import load_weights
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, read_teacher
from zcbench.datasets import Batch
from zcbench.distill.losses.diswot import class_products
from zcbench.distill.losses.geometry import direction, image_products
from zcbench.distill.reading import Reader
from zcbench.errors import ArchitectureError
from zcbench.reports.style import LABEL_SIZE, panels, render, styled
from zcbench.reports.wording import number, shorten
from zcbench.spaces import Space
from zcbench.streams import seeded

Matrix = NDArray[np.float64]
_READS = frozenset({"features", "classifier", "logits"})
#: Matrices of a `Similarity`, and the field with the distance to the teacher's.
_ROWS = (("images", "relation"), ("classes", "semantic"), ("logits", "logit"))


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


@styled
def similarity_matrices(networks: Sequence[Similarity], about: str = "") -> Figure:
    """One column per network, the teacher first: similarities of images, of classes, correlations of their logits.

    All matrices of a row share one scale; its colours end at the 99th percentile of their values, because the diagonal
    stands far above the rest.

    Args:
        networks: the teacher's matrices and those of at least one student.
        about: what the heading says.
    """
    count = len(networks)
    sheet = panels(
        len(_ROWS) * count, count, (1.9, 1.9), margins=(0.35, 0.1, 0.45, 0.25), header=0.25, footer=0, side=0.7
    )
    figure, axes = sheet.figure, sheet.axes
    sheet.heading(about)
    for place, (kind, distance) in enumerate(_ROWS):
        row = axes[place * count : (place + 1) * count]
        matrices = [getattr(one, kind) for one in networks]
        low, high = np.percentile(np.concatenate([matrix.ravel() for matrix in matrices]), (1, 99))
        for axis, matrix, one in zip(row, matrices, networks):
            _draw(axis, matrix, float(low), float(high))
            told = "" if one is networks[0] else f"\ndistance {number(getattr(one, distance))}"
            axis.set_title(f"{shorten(one.name)}{told}", fontsize=7.5)
        row[0].set_ylabel(kind)
        _bar(figure, row[-1])
    return figure


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


def _similarity(name: str, network: nn.Module, batch: Batch, seed: int) -> Similarity:
    order = batch.labels.argsort(stable=True)
    images = batch.images[order]
    with seeded("similarity", seed):
        outputs = Reader(network, _READS, "float32", images[:1]).without_gradient(images)
    correlation = _array(logit_correlation(outputs.logits))
    return Similarity(name, _normed(image_products(outputs)), _normed(class_products(outputs)), correlation)


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


def _draw(axis: Axes, matrix: Matrix, low: float, high: float) -> None:
    """The matrix in shades; in two colours around zero if it has values of both signs."""
    most = max(-low, high)
    cmap, low, high = ("RdBu_r", -most, most) if low < 0 < high else ("magma", low, high)
    axis.imshow(matrix, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def _bar(figure: Figure, last: Axes) -> None:
    place = last.get_position()
    axis = figure.add_axes(
        (place.x1 + 0.15 / figure.get_figwidth(), place.y0, 0.1 / figure.get_figwidth(), place.height)
    )
    figure.colorbar(last.images[0], cax=axis).ax.tick_params(labelsize=LABEL_SIZE - 1)


def main() -> None:
    """Compute the matrices, print the distances, and draw the figure."""
    given = _arguments()
    space = spaces.get(given.space)
    teacher = read_teacher(given.teacher, space, given.teacher_seed)
    batch = datasets.batch(datasets.load(given.dataset), given.batch_size, 0)
    found = similarities(space, given.students, teacher, batch, given.seed)
    for one in found[1:]:
        print(f"{one.name}: relation {one.relation:.4f}, semantic {one.semantic:.4f}, logits {one.logit:.4f}")
    about = f"{space.spec}, seed {given.seed}, default init; {batch.description}"
    given.out.write_bytes(render(similarity_matrices(found, about), given.out.suffix.removeprefix(".")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("students", nargs="+", help="ARCH, ARCH@FILE or LABEL=ARCH@FILE")
    parser.add_argument("--space", default="nasbench201", help="space of the students")
    parser.add_argument("--teacher", default="largest", help="as in 'zcbench bench'")
    parser.add_argument("--teacher-seed", type=int, default=1000, help="initialisation of the teacher")
    parser.add_argument("--dataset", default="cifar10", help="images of the batch, as in 'zcbench bench'")
    parser.add_argument("--batch-size", type=int, default=64, help="images in the batch")
    parser.add_argument("--seed", type=int, default=0, help="initialisation of the students")
    parser.add_argument("--out", type=Path, required=True, help="figure to write: .png, .svg or .pdf")
    return parser.parse_args()


if __name__ == "__main__":
    main()
