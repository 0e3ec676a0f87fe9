"""Train tiny NAS-Bench-201 networks on scikit-learn's digits, so that there is a truth without any download.

    python examples/digits_truth.py FOLDER [--count 40] [--epochs 15] [--workers 2]

writes FOLDER/archs.txt and FOLDER/digits.csv (columns arch, accuracy). Training is on 320 images, accuracy is
taken on all of the test part. It shows how the benchmark works; such tiny networks on digits say nothing about CIFAR.
"""

import argparse
import csv
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track

from zcbench import datasets, spaces
from zcbench.streams import numpy_stream, seeded

SPACE = "nasbench201(channels=4,cells=1)"
IMAGES = 320  # with more, all networks end alike


def train(arch: str, epochs: int, batch_size: int = 64) -> float:
    """Accuracy in percent on the test part after training with a one-cycle schedule; a function of ``arch`` alone."""
    torch.set_num_threads(1)
    train_set, test_set = (datasets.load("digits", split=split, image_size=8) for split in ("train", "test"))
    network = spaces.get(SPACE).build(arch, num_classes=10, image_shape=(3, 8, 8), seed=0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = IMAGES // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, epochs=epochs, steps_per_epoch=steps)
    with seeded("digits truth", arch):
        for _ in range(epochs):
            for chosen in torch.randperm(IMAGES).split(batch_size):
                optimizer.zero_grad()
                F.cross_entropy(network(train_set.images[chosen]), train_set.labels[chosen]).backward()
                optimizer.step()
                schedule.step()
    network.eval()
    with torch.no_grad():
        return 100 * (network(test_set.images).argmax(1) == test_set.labels).float().mean().item()


def sample(count: int) -> list[str]:
    """Architectures of all sizes: a seeded sample of the unique ones."""
    space = spaces.get(SPACE)
    return space.sample(numpy_stream("digits truth"), count, subset="unique")


def write(folder: Path, archs: Sequence[str], accuracies: Sequence[float]) -> None:
    """Write the list of architectures and the truth table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "archs.txt").write_text("\n".join(archs) + "\n", encoding="utf-8")
    with (folder / "digits.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["arch", "accuracy"])
        rows.writerows(zip(archs, accuracies))


def main() -> None:
    """Train over worker processes and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the two files go")
    parser.add_argument("--count", type=int, default=40, help="architectures to train")
    parser.add_argument("--epochs", type=int, default=15, help="epochs of each training")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    given = parser.parse_args()
    archs = sample(given.count)
    with ProcessPoolExecutor(given.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = pool.map(train, archs, [given.epochs] * len(archs))
        accuracies = list(track(results, description="Training", total=len(archs)))
    write(given.folder, archs, accuracies)
    print(f"Trained {len(archs)} networks; accuracy {min(accuracies):.1f} to {max(accuracies):.1f} %: {given.folder}")


if __name__ == "__main__":
    main()
