from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.recipe import Recipe
from zcbench.streams import seeded, torch_stream

RECIPE = Recipe(epochs=3, batch_size=8, lr=0.05, layout="contiguous")  # 5 steps an epoch


def make_network(seed: int = 0, classes: int = 3, width: int = 4, dropout: float = 0.0) -> nn.Sequential:
    """A small network with batch norm, and dropout where it is asked for."""
    with seeded("tests", "network", seed):
        return nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(width, classes),
        )


def make_data(train: int = 43, test: int = 20, classes: int = 3, side: int = 8) -> TrainingData:
    """Noise with one bright channel that says the class."""
    stream = torch_stream("tests", "images")
    labels = torch.arange(train + test) % classes
    images = torch.randn(train + test, 3, side, side, generator=stream)
    images[torch.arange(train + test), labels] += 1.0
    return TrainingData(images[:train], labels[:train], images[train:], labels[train:], classes)


def weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all that a network knows."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two states are the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def data() -> TrainingData:
    return make_data()


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Every test of a training leaves the global random state as it was."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)
