from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zcbench.streams import seeded, torch_stream


class Residual(nn.Module):
    """Convolution, batch norm and ReLU around a shortcut: what most classifiers are made of."""

    def __init__(self, channels: int, *, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x))) + x


def make_network(*, inplace: bool = False, num_classes: int = 5) -> nn.Module:
    """Small residual classifier with a bare convolution, a grouped one and a biased one."""
    with seeded("tests", "network"):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=True),
            nn.ReLU(inplace=inplace),
            Residual(8, inplace=inplace),
            nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=2),
            nn.BatchNorm2d(12),
            nn.ReLU(inplace=inplace),
            Residual(12, inplace=inplace),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, num_classes),
        )


@pytest.fixture
def network() -> nn.Module:
    return make_network()


@pytest.fixture
def teacher() -> nn.Module:
    with seeded("tests", "teacher"):
        return nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)
        )


@pytest.fixture
def make_batch() -> Callable[..., tuple[Tensor, Tensor]]:
    def make(size: int = 16, classes: int = 5, side: int = 8) -> tuple[Tensor, Tensor]:
        stream = torch_stream("tests", "batch")
        images = torch.randn(size, 3, side, side, generator=stream)
        return images, torch.randint(classes, (size,), generator=stream)

    return make


@pytest.fixture
def batch(make_batch: Callable[..., tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return make_batch()
