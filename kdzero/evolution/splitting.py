"""Validation images, split off the training images."""

from zcbench.distill.errors import RecipeError
from zcbench.distill.training.data.images import TrainingData
from zcbench.search.algorithms.loop import SearchError

LEAST_PER_CLASS = 2
"""Fewest validation images of a class."""


def held_out(data: TrainingData, share: float, seed: int = 0, least: int = LEAST_PER_CLASS) -> TrainingData:
    """Training images in two parts: one to train on, one, in the place of the test images, to validate on.

    Of each class the same share is drawn, rounded to whole images. The test images are in neither part: what works on
    the result cannot see them.

    Args:
        data: the whole.
        share: of the training images that is held out, between 0 and 1.
        seed: names the stream of the draw.
        least: fewest validation images of a class.

    Raises:
        SearchError: a class would have fewer validation images than that, or none left to train on.
    """
    try:
        return data.held_out(share, seed, least)
    except RecipeError as error:
        raise SearchError(str(error)) from error
