"""Sixteen small networks of one's own, and their accuracies on scikit-learn's digits.

    python examples/own_networks.py accuracies.csv
    zcbench bench --networks examples/own_networks.py:NETWORKS --truth accuracies.csv --dataset digits --out runs/mine

The first command trains each network for a few epochs and writes its test accuracy in percent.
"""

import csv
import sys
from functools import partial

import torch
from torch import nn

from zcbench import datasets

WIDTHS, DEPTHS, EPOCHS, BATCH = (4, 8, 12, 16), (1, 2, 3, 4), 5, 64


def network(width: int, depth: int) -> nn.Module:
    """A convolutional network for ten classes."""
    layers: list[nn.Module] = []
    for channels in (3, *[width] * (depth - 1)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


NETWORKS = {f"width {width}, depth {depth}": partial(network, width, depth) for width in WIDTHS for depth in DEPTHS}


def accuracy(model: nn.Module) -> float:
    """Test accuracy in percent after a short training."""
    train, test = datasets.load("digits"), datasets.load("digits", split="test")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        for some in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(train.images[some]), train.labels[some]).backward()
            optimizer.step()
    with torch.no_grad():
        right = model.eval()(test.images).argmax(1) == test.labels
    return 100 * right.double().mean().item()


def main(file: str) -> None:
    """Train all networks and write the table."""
    torch.manual_seed(0)
    with open(file, "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("arch", "accuracy"))
        table.writerows((name, f"{accuracy(make()):.2f}") for name, make in NETWORKS.items())


if __name__ == "__main__":
    main(sys.argv[1])
