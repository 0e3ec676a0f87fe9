"""The NAS-Bench-201 network, layer for layer as published.

Stem, three stages of equal cells with widths w, 2w and 4w, a residual block that halves the image between stages, and
a linear classifier on the global average. Every layer of the published network is here and executed, dead convolutions
too; only ``none``, which multiplies by zero and adds, costs nothing.

Dong and Yang, arXiv:2001.00326, section 2.1 and figure 1; D-X-Y/AutoDL-Projects, ``models/cell_operations.py`` and
``models/cell_infers/{tiny_network,cells}.py``.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import reduce
from operator import add

from torch import Tensor, nn

from zcbench.spaces.nasbench201.cell import EDGES, Operations

OPERATION_LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "skip_connect": lambda channels: nn.Identity(),
    "nor_conv_1x1": lambda channels: relu_conv_bn(channels, channels, kernel_size=1),
    "nor_conv_3x3": lambda channels: relu_conv_bn(channels, channels, kernel_size=3),
    "avg_pool_3x3": lambda channels: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
}


def relu_conv_bn(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias that keeps the image size (but for its stride), batch normalisation."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Cell(nn.Module):
    """One cell; images of shape (B, C, H, W) in and out.

    Args:
        operations: one per edge, in the order of ``EDGES``.
        channels: C.
    """

    def __init__(self, operations: Operations, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        self._inputs: list[list[tuple[str, int]]] = [[], [], []]
        for (source, target), operation in zip(EDGES, operations):
            if operation != "none":
                self.edges[f"{source}_{target}"] = OPERATION_LAYERS[operation](channels)
                self._inputs[target - 1].append((f"{source}_{target}", source))

    def forward(self, images: Tensor) -> Tensor:
        """Output of the last node; a node without inputs is zero, and keeps its place in the gradient's graph."""
        nodes = [images]
        for inputs in self._inputs:
            terms = [self.edges[name](nodes[source]) for name, source in inputs] or [images * 0.0]
            nodes.append(reduce(add, terms))
        return nodes[-1]


class Reduction(nn.Module):
    """Residual block between two stages: (B, C, H, W) to (B, 2C, H/2, W/2), without a ReLU on its sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(channels, 2 * channels, kernel_size=3, stride=2)
        self.conv_b = relu_conv_bn(2 * channels, 2 * channels, kernel_size=3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        """Sum of the shortcut and two convolutions."""
        return self.shortcut(images) + self.conv_b(self.conv_a(images))


def network(operations: Operations, channels: int, cells: int, image_channels: int, num_classes: int) -> nn.Sequential:
    """Network of a cell, with PyTorch's default initialisation drawn from the global generator.

    Images (B, image_channels, H, W), with H and W multiples of 4, in; logits (B, num_classes) out.
    """

    def stage(width: int) -> nn.Sequential:
        return nn.Sequential(*(Cell(operations, width) for _ in range(cells)))

    layers: dict[str, nn.Module] = {
        "stem": nn.Sequential(nn.Conv2d(image_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)),
        "stage1": stage(channels),
        "reduction1": Reduction(channels),
        "stage2": stage(2 * channels),
        "reduction2": Reduction(2 * channels),
        "stage3": stage(4 * channels),
        "last": _last(4 * channels),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "classifier": nn.Linear(4 * channels, num_classes),
    }
    return nn.Sequential(OrderedDict(layers))


def thin_network(operations: Operations) -> nn.Sequential:
    """One cell of one channel, normalisation and ReLU: images (n, 1, H, W) in and out."""
    return nn.Sequential(OrderedDict(cell=Cell(operations, 1), last=_last(1)))


def _last(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
