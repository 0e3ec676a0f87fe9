"""The end that most convolutional networks here share: global average, and a linear classifier."""

from collections import OrderedDict
from collections.abc import Mapping

from torch import nn


def classifying(layers: Mapping[str, nn.Module], channels: int, num_classes: int) -> nn.Sequential:
    """``layers`` in order, then the mean over all pixels and a linear layer from ``channels`` to ``num_classes``."""
    end = {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "classifier": nn.Linear(channels, num_classes)}
    return nn.Sequential(OrderedDict({**layers, **end}))
