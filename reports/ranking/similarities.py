"""The similarity matrices of a teacher and its students, as DisWOT shows them, and the correlation of their logits."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zcbench.benchmarks.ranking.similarity import Matrix, Similarity
from zcbench.reports.style import LABEL_SIZE, add_heading, panels, styled
from zcbench.reports.wording import number, shorten

#: Matrices of a `Similarity`, and the field with the distance to the teacher's.
_ROWS = (("images", "relation"), ("classes", "semantic"), ("logits", "logit"))


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
    figure, axes = panels(
        len(_ROWS) * count, count, (1.9, 1.9), margins=(0.35, 0.1, 0.45, 0.25), header=0.25, footer=0, side=0.7
    )
    add_heading(figure, about)
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
