"""Pictures of test images with the classes of their pixels."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from zcbench.reports.style import panels, styled

_IGNORED = 255
_COLOURS = colormaps["tab20"].colors  # type: ignore[attr-defined]


@styled
def prediction_figure(
    predictions: Mapping[str, np.ndarray], title: str = "", *, ax: Axes | Sequence[Axes] | None = None
) -> list[Axes]:
    """One row for each image: the image, its mask, and the prediction of each network.

    Args:
        predictions: images ``(n, H, W, 3)`` from 0 to 1 first, then classes ``(n, H, W)`` by title. The class 0 is
            black, 255, which does not count, white.
        title: name of the training.
        ax: axes to draw on, row by row; axes of a new figure if None.

    Returns:
        The axes, row by row.
    """
    columns, rows = len(predictions), len(next(iter(predictions.values())))
    margins = (0.05, 0.05, 0.3, 0.0)
    sheet = panels(columns * rows, columns, (1.2, 1.2), margins=margins, header=0.2, footer=0.0, ax=ax)
    sheet.heading(title)
    for place, (name, values) in enumerate(predictions.items()):
        for row, value in enumerate(values):
            axis = sheet.axes[row * columns + place]
            axis.imshow(value if value.ndim == 3 else coloured(value), interpolation="nearest")
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name.replace(" ", "\n", 1), fontsize=7)
    return sheet.axes


def coloured(classes: np.ndarray) -> np.ndarray:
    """Classes ``(H, W)`` as colours ``(H, W, 3)`` from 0 to 1."""
    table = np.ones((256, 3))
    table[0] = 0
    table[1:_IGNORED] = [_COLOURS[number % len(_COLOURS)] for number in range(_IGNORED - 1)]
    return table[classes.astype(np.int64)]
