"""Validation images, drawn class by class from the training images."""

import torch
from torch import Tensor

from zcbench.distill.errors import RecipeError
from zcbench.streams import torch_stream


def drawn(labels: Tensor, num_classes: int, share: float, seed: int = 0, least: int = 1) -> Tensor:
    """Which images are held out: of each class the same share, rounded to whole images.

    Args:
        labels: of all images, ``(N,)``.
        num_classes: classes of the task.
        share: that is held out, between 0 and 1.
        seed: names the stream of the draw.
        least: fewest images of a class that are held out.

    Returns:
        True for each image that is held out, ``(N,)``.

    Raises:
        RecipeError: a class would have fewer validation images than that, or none left to train on.
    """
    if not 0 < share < 1:
        raise RecipeError(f"A validation share of {share} was given. Expected one between 0 and 1, such as 0.2.")
    stream, labels = torch_stream("validation split", seed), labels.cpu()
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(num_classes):
        own = (labels == label).nonzero().flatten()
        count = round(share * len(own))
        if not least <= count < len(own):
            raise RecipeError(
                f"A validation share of {share:g} leaves {count} validation and {len(own) - count} training images of "
                f"class {label}, which has {len(own)}. Expected at least {least} and 1; give another share, or more "
                f"training images."
            )
        chosen[own[torch.randperm(len(own), generator=stream)[:count]]] = True
    return chosen
