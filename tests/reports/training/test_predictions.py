"""Pictures of predictions: what is drawn is read back from the artists."""

import numpy as np
from matplotlib.patches import Rectangle

from zcbench.reports.training.predictions import coloured, prediction_figure

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3))


def test_boxes() -> None:
    """By construction: a rectangle and its class for each box that is there, and for detections of a high score."""
    boxes = np.array([[[3, 1, 2, 5, 7], [-1] * 5], [[0, 0, 0, 8, 8], [9, 2, 2, 4, 4]]], dtype=float)
    scores = np.array([[0.9, 0.9], [0.5, 0.4]])[..., None]
    axes = prediction_figure({"image": IMAGES, "boxes": boxes, "student": np.concatenate([boxes, scores], 2)})
    assert len(axes) == 6
    found = [[patch for patch in axis.patches if isinstance(patch, Rectangle)] for axis in axes]
    assert [len(own) for own in found] == [0, 1, 1, 0, 2, 1]
    (box,) = found[1]
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (0.5, 1.5, 4, 5)
    assert [text.get_text() for text in axes[4].texts] == ["0", "9"]


def test_masks() -> None:
    """By construction: the colours of the classes; ignored pixels are white."""
    masks = np.array([[[0, 255], [1, 2]]] * 2)
    axes = prediction_figure({"image": IMAGES, "mask": masks})
    drawn = np.asarray(axes[1].images[0].get_array())
    assert np.allclose(drawn, coloured(masks[0])) and drawn[0, 1].tolist() == [1, 1, 1] and not drawn[0, 0].any()
