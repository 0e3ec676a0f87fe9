"""Pictures of test images with the classes of their pixels, or with boxes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from zcbench.reports.style import panels, styled

_IGNORED = 255
_SCORE = 0.5
_COLOURS = colormaps["tab20"].colors  # type: ignore[attr-defined]


@styled
def prediction_figure(
    predictions: Mapping[str, np.ndarray], title: str = "", *, ax: Axes | Sequence[Axes] | None = None
) -> list[Axes]:
    """One row for each image: the image, its mask or boxes, and the prediction of each network.

    Args:
        predictions: images ``(n, H, W, 3)`` from 0 to 1 first, then classes ``(n, H, W)`` by title: the class 0 is
            black, 255, which does not count, white; or ``boxes`` ``(n, K, 5)``, class and four edges, -1 for none, and
            detections ``(n, M, 6)`` by title, with a score, of which those of at least .5 are drawn.
        title: name of the training.
        ax: axes to draw on, row by row; axes of a new figure if None.

    Returns:
        The axes, row by row.
    """
    images = next(iter(predictions.values()))
    columns, rows, boxed = len(predictions), len(images), "boxes" in predictions
    margins = (0.05, 0.05, 0.3, 0.0)
    sheet = panels(columns * rows, columns, (1.2, 1.2), margins=margins, header=0.2, footer=0.0, ax=ax)
    sheet.heading(title)
    for place, (name, values) in enumerate(predictions.items()):
        for row, value in enumerate(values):
            axis = sheet.axes[row * columns + place]
            if boxed and place:
                axis.imshow(images[row], interpolation="nearest")
                _draw_boxes(axis, value)
            else:
                axis.imshow(value if value.ndim == 3 else coloured(value), interpolation="nearest")
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name.replace(" ", "\n", 1), fontsize=7)
    return sheet.axes


def _draw_boxes(axis: Axes, boxes: np.ndarray) -> None:
    """Boxes ``(K, 5)``, or those of detections ``(M, 6)`` with a high score, in the colours of their classes."""
    for label, left, top, right, bottom, *score in boxes.tolist():
        if label >= 0 and (not score or score[0] >= _SCORE):
            colour = _COLOURS[int(label) % len(_COLOURS)]
            axis.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=colour))
            axis.text(left, top, str(int(label)), color=colour, fontsize=6, va="top", clip_on=True)


def coloured(classes: np.ndarray) -> np.ndarray:
    """Classes ``(H, W)`` as colours ``(H, W, 3)`` from 0 to 1."""
    table = np.ones((256, 3))
    table[0] = 0
    table[1:_IGNORED] = [_COLOURS[number % len(_COLOURS)] for number in range(_IGNORED - 1)]
    return table[classes.astype(np.int64)]
