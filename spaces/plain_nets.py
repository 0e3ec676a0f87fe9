"""Plain networks of one to four convolutions."""

from collections.abc import Sequence

from torch import nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space


@space
class PlainNets(ProductSpace):
    """One to four convolutions of eight channels."""

    name = spec = "plain_nets"
    label = "plain network"
    example = "2"
    sites = (Site("the depth", ("1", "2", "3", "4")),)

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Network of this depth."""
        inner = [nn.Conv2d(image_shape[0] if n == 0 else 8, 8, 3, padding=1) for n in range(int(values[0]))]
        return nn.Sequential(*inner, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))
