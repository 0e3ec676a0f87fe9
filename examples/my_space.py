"""A space of your own: give this file to any command with ``--plugin examples/my_space.py``."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from zcbench.spaces import ProductSpace, Site, space


@space
class Stacks(ProductSpace):
    """Two or three convolutions of 8, 16 or 32 channels; ``8-32`` has two."""

    name = spec = "stacks"
    label = "stack of convolutions"
    example = "8-16-32"
    sites = tuple(Site(f"convolution {number}", ("8", "16", "32")) for number in (1, 2, 3))
    separators = ("-", "-")
    lengths = (2, 3)

    def network(self, values: Sequence[str], image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """The network with these numbers of channels."""
        widths = [image_shape[0], *map(int, values)]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], num_classes))
