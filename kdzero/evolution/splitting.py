"""Validation images, split off the training images."""

import torch
from torch import Tensor

from zcbench.distill.training.images import TrainingData
from zcbench.search.algorithms.loop import SearchError
from zcbench.streams import torch_stream

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
    if not 0 < share < 1:
        raise SearchError(f"A validation share of {share} was given. Expected one between 0 and 1, such as 0.2.")
    stream, labels = torch_stream("validation split", seed), data.labels.cpu()
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(data.num_classes):
        own = (labels == label).nonzero().flatten()
        count = round(share * len(own))
        if not least <= count < len(own):
            raise _too_small(label, count, len(own), share, least)
        chosen[own[torch.randperm(len(own), generator=stream)[:count]]] = True
    return _parted(data, chosen, f"{share:g} of each class held out, seed {seed}")


def _parted(data: TrainingData, chosen: Tensor, how: str) -> TrainingData:
    return TrainingData(
        data.images[~chosen],
        data.labels[~chosen],
        data.images[chosen],
        data.labels[chosen],
        data.num_classes,
        f"{int((~chosen).sum()):,} training and {int(chosen.sum()):,} validation images, {how}, of: {data.description}",
        data.black,
    )


def _too_small(label: int, count: int, own: int, share: float, least: int) -> SearchError:
    return SearchError(
        f"A validation share of {share:g} leaves {count} validation and {own - count} training images of class "
        f"{label}, which has {own}. Expected at least {least} and 1; give another share, or more training images."
    )
