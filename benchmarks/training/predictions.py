"""What trained networks predict for a few test images, where a task gives them masks or boxes."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from zcbench.distill.training.data.source import TrainingSource


def predictions(
    data: TrainingSource, networks: Mapping[str, nn.Module], count: int = 6
) -> dict[str, np.ndarray] | None:
    """The first test images, their masks or boxes, and those that networks predict.

    Args:
        data: with the task.
        networks: by title.
        count: number of images.

    Returns:
        Images ``(n, H, W, 3)``, scaled to 0 to 1, as ``image``; classes ``(n, H, W)`` as ``mask`` and by title, or
        boxes ``(n, K, 5)`` as ``boxes`` and detections ``(n, M, 6)`` by title; None where the task gives each image
        one class.
    """
    images, labels = next(iter(data.tested()))
    images, labels = images[:count], labels[:count]
    found = {}
    for title, network in networks.items():
        predicted = data.task.predicted(network, images.to(next(network.parameters()).device))
        if predicted is None:
            return None
        found[title] = predicted.cpu().numpy()
    low, high = (extreme(images.flatten(2), 2).view(len(images), -1, 1, 1) for extreme in (torch.amin, torch.amax))
    shown = ((images - low) / (high - low).clamp_min(1e-6)).movedim(1, -1).cpu().numpy()
    return {"image": shown, data.task.labels.name: labels.cpu().numpy(), **found}
