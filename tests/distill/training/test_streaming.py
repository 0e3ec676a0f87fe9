"""Data sets and data loaders that are read while a training runs."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset, WeightedRandomSampler

from zcbench.distill import TrainingData, train
from zcbench.distill.errors import RecipeError, TrainingStopped
from zcbench.distill.training.data.streaming import StreamedData
from zcbench.errors import BatchError

from .conftest import RECIPE, make_data, make_network, same, weights
from .test_resuming import after


class Augmented(Dataset[tuple[Tensor, int]]):
    """Images with noise of PyTorch, NumPy and Python on them; counts what is read."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels, self.read = images, labels, list[int]()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        self.read.append(number)
        noise = torch.randn(()) + np.random.standard_normal() + random.gauss(0, 1)
        return self.images[number] + 0.1 * noise.float(), int(self.labels[number])


class Dictionaries(Augmented):
    """The same without noise, as a data set of Hugging Face has it."""

    def __getitem__(self, number: int) -> dict[str, Tensor | int]:  # type: ignore[override]
        return {"pixel_values": self.images[number], "label": int(self.labels[number])}


def sets(kind: type[Dataset], data: TrainingData) -> tuple[Dataset, Dataset]:
    return kind(data.images, data.labels), kind(data.test_images, data.test_labels)  # type: ignore[call-arg]


def trained(data: object, **options: object) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    student = make_network(dropout=0.2)
    result = train(student, make_network(7), data, distillers=["kd"], **{"recipe": RECIPE, **options})  # type: ignore[arg-type]
    return weights(student), [{**row, "seconds": 0.0} for row in result.history]


@pytest.mark.parametrize("kind", [TensorDataset, Dictionaries])
@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_a_stream_trains_as_the_tensors(kind: type[Dataset], augmentation: str, data: TrainingData) -> None:
    """Invariance: the same images in the same batches give the same weights, augmented or not."""
    recipe = replace(RECIPE, augmentation=augmentation, class_weights="balanced", validation=0.2, select="loss")
    made = TrainingData.from_dataset(*sets(kind, data))
    assert isinstance(made, StreamedData) and made.num_classes == data.num_classes
    assert made.image_shape == data.image_shape and (len(made), made.test_count) == (43, 20)
    for one, other in zip(*(trained(source, recipe=recipe)[0].values() for source in (made, data))):
        torch.testing.assert_close(one, other)


def test_images_are_read_when_they_are_needed(data: TrainingData) -> None:
    """By construction: no image but the first is read before the training, and 40 of 43 in each epoch."""
    first, second = sets(Augmented, data)
    made = TrainingData.from_dataset(first, second, num_classes=3)
    assert set(first.read) <= {0}  # type: ignore[attr-defined]
    first.read.clear()  # type: ignore[attr-defined]
    train(make_network(), None, made, RECIPE)
    counts = torch.bincount(torch.tensor(first.read), minlength=43)  # type: ignore[attr-defined]
    assert counts[2:].sum() >= 3 * 40 - 6 and counts.sum() <= 3 * 40 + 8


@pytest.mark.parametrize("steps", [1, 5, 7])
@pytest.mark.parametrize("loader", [False, True])
def test_resumed_to_the_same_bits(tmp_path: Path, steps: int, loader: bool) -> None:
    """Invariance: random transforms and samplers are functions of seed and step, whatever was drawn before."""

    def given() -> object:
        pair = sets(Augmented, make_data())
        if not loader:
            return pair
        generator = torch.Generator().manual_seed(int(torch.randint(1 << 30, ())))
        return DataLoader(pair[0], 8, shuffle=True, generator=generator), DataLoader(pair[1], 8)

    with torch.random.fork_rng():
        whole = trained(given())
        random.random()
        with pytest.raises(TrainingStopped):
            trained(given(), checkpoint=tmp_path / "state", stop=after(steps))
        rest = trained(given(), checkpoint=tmp_path / "state")
    assert same(whole[0], rest[0]) and whole[1] == rest[1]


def test_the_sampler_of_a_loader(data: TrainingData) -> None:
    """By construction: a sampler that draws one class trains on that class alone, in batches of its own size."""
    pair = sets(TensorDataset, data)
    sampler = WeightedRandomSampler((data.labels == 1).double(), 32)
    result = train(make_network(), None, (DataLoader(pair[0], 16, sampler=sampler), DataLoader(pair[1], 7)), RECIPE)
    assert result.steps == 3 * 2 and result.history[-1]["train_accuracy"] > 80 and result.accuracy < 60


def test_a_loader_in_order_is_the_textbook_loop(data: TrainingData) -> None:
    """Slow reference: plain SGD over the batches of the loader in its order, an incomplete last batch left out."""
    recipe = replace(RECIPE, schedule="constant", momentum=0.0, nesterov=False, weight_decay=0.0)
    pair = sets(TensorDataset, data)
    loaders = DataLoader(pair[0], 8, sampler=SequentialSampler(pair[0])), DataLoader(pair[1], 8)  # type: ignore[arg-type]
    student, expected = make_network(), make_network()
    train(student, None, loaders, recipe)
    with torch.random.fork_rng():
        batches = list(DataLoader(pair[0], 8, drop_last=True))
    for _ in range(recipe.epochs):
        for images, labels in batches:
            loss = torch.nn.functional.cross_entropy(expected(images), labels)
            gradients = torch.autograd.grad(loss, list(expected.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(expected.parameters(), gradients):
                    weight -= recipe.rate * gradient
    for name, tensor in weights(expected).items():
        torch.testing.assert_close(weights(student)[name], tensor, rtol=1e-4, atol=1e-5)


def test_workers_of_a_loader(data: TrainingData) -> None:
    """Invariance: two processes that read give the weights that one gives, without random transforms."""
    first, second = sets(TensorDataset, data)
    alone, helped = (
        trained((DataLoader(first, 8, sampler=RandomSampler(first), num_workers=n), DataLoader(second, 8)))  # type: ignore[arg-type]
        for n in (0, 2)
    )
    assert same(alone[0], helped[0])


class OwnBatches:
    """A batch sampler of one's own: whole batches of one class."""

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels

    def __iter__(self) -> Iterator[list[int]]:
        for label in range(3):
            yield (self.labels == label).nonzero().flatten()[:8].tolist()

    def __len__(self) -> int:
        return 3


def test_own_batches(data: TrainingData) -> None:
    """By construction: a step for each batch of the sampler."""
    first, second = sets(TensorDataset, data)
    loaders = DataLoader(first, batch_sampler=OwnBatches(data.labels)), DataLoader(second, 8)
    assert train(make_network(), None, loaders, RECIPE).steps == 9
    assert train(make_network(), None, loaders, replace(RECIPE, accumulation=3, augmentation="crop_flip")).steps == 3


def test_bad_streams(data: TrainingData) -> None:
    """Bad input: each is one sentence."""
    first, second = sets(TensorDataset, data)
    loader, test = DataLoader(first, 8), DataLoader(second, 8)
    with pytest.raises(BatchError, match="Given one DataLoader"):
        TrainingData.taken(loader)
    with pytest.raises(RecipeError, match=r"Given validation=0\.2 and a DataLoader"):
        train(make_network(), None, (loader, test), replace(RECIPE, validation=0.2))
    with pytest.raises(RecipeError, match="DataLoader of 6 batches and accumulation=9"):
        train(make_network(), None, (loader, test), replace(RECIPE, accumulation=9))
    with pytest.raises(BatchError, match=r"training images of shape \(3, 8, 8\) and test images of shape \(3, 9, 9\)"):
        TrainingData.taken((first, [(torch.zeros(3, 9, 9), 0)]))
    spoiled = data.images.clone()
    spoiled[5] = torch.nan
    with pytest.raises(BatchError, match="images hold NaN"):
        train(make_network(), None, (TensorDataset(spoiled, data.labels), second), RECIPE)
