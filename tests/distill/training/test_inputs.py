"""PyTorch data sets as data, and plain functions as losses."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from zcbench import datasets
from zcbench.distill import Distiller, TrainingData, train, train_in_turn, train_together
from zcbench.distill.errors import BadLoss
from zcbench.distill.functions import as_distillers
from zcbench.distill.outputs import Outputs
from zcbench.errors import BatchError

from .conftest import RECIPE, make_network, same, weights


class Pairs(Dataset[tuple[Tensor, int]]):
    """A map-style data set with whole numbers as labels."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.images[number], int(self.labels[number])


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """An iterable data set."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(self.images, self.labels))


@pytest.mark.parametrize("kind", [TensorDataset, Pairs, Stream, lambda images, labels: list(zip(images, labels))])
def test_data_sets(kind: Callable[[Tensor, Tensor], Any], data: TrainingData) -> None:
    """Invariance: a pair of data sets of any kind trains as the tensors that they hold."""
    pair = (kind(data.images, data.labels), kind(data.test_images, data.test_labels))
    made = TrainingData.from_dataset(*pair, in_memory=True)
    assert (
        isinstance(made, TrainingData)
        and torch.equal(made.images, data.images)
        and torch.equal(made.test_labels, data.test_labels)
    )
    networks = [make_network() for _ in range(3)]
    results = [train(network, None, own, RECIPE) for network, own in zip(networks, (data, made, pair))]
    assert all(same(weights(network), weights(networks[0])) for network in networks)
    assert len({result.loss for result in results}) == 1
    train_together([make_network(0), make_network(1)], pair, RECIPE)
    train_in_turn([make_network(0), make_network(1)], None, pair, RECIPE)


def test_the_data_sets_of_zcbench() -> None:
    """Invariance: a pair of splits is what `TrainingData.of` makes of it."""
    train_set, test_set = (
        datasets.load("digits(images=64,test_images=32)", split=split) for split in ("train", "test")
    )
    assert TrainingData.taken((train_set, test_set)).sha256 == TrainingData.of(train_set, test_set).sha256


@pytest.mark.parametrize("kind", [TensorDataset, Pairs, Stream])
def test_one_data_set(kind: Callable[[Tensor, Tensor], Any], data: TrainingData) -> None:
    """By construction: a fifth is held out, every image is in one part, and a training takes the same parts."""
    whole = kind(data.images, data.labels)
    made, count = TrainingData.from_dataset(whole, in_memory=True), len(data.images)
    assert (
        isinstance(made, TrainingData) and len(made.test_labels) == count // 5 and made.num_classes == data.num_classes
    )
    parts = torch.cat([made.images, made.test_images]).flatten(1).tolist()
    assert sorted(parts) == sorted(data.images.flatten(1).tolist())
    assert made.description == f"{kind.__name__} as given, {count // 5} of its {count} images held out"
    assert train(make_network(), None, whole, RECIPE).loss == train(make_network(), None, made, RECIPE).loss
    assert TrainingData.taken(whole).description == made.description


def test_a_function_that_returns_data(data: TrainingData) -> None:
    """By construction: what it returns is what is trained on, a data set, a pair, or `TrainingData`."""
    one = TensorDataset(data.images, data.labels)
    pair = one, TensorDataset(data.test_images, data.test_labels)
    for made in (one, pair, data):
        assert TrainingData.taken(lambda made=made: made).sha256 == TrainingData.taken(made).sha256
    assert train(make_network(), None, lambda: pair, RECIPE).loss == train(make_network(), None, data, RECIPE).loss


def test_a_data_set_of_one_image() -> None:
    """Bad input: nothing is left to test on."""
    with pytest.raises(BatchError, match="The test split is empty"):
        TrainingData.taken(TensorDataset(torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.int64)))


@pytest.mark.parametrize("given", [lambda d: (d.images, d.labels), lambda d: None, lambda d: lambda: 7])
def test_something_else_as_data(given: Callable[[TrainingData], Any], data: TrainingData) -> None:
    """Bad input: tensors, nothing, a function that returns a number: one sentence that says what to do."""
    with pytest.raises(BatchError, match=r"use TrainingData\.from_dataset\(train_dataset, test_dataset\)\.$") as caught:
        train(make_network(), None, given(data), RECIPE)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "training data set is empty"),
        ([(torch.zeros(3, 8, 8), 0), (torch.zeros(3, 9, 8), 1)], r"images 0 and 1 have the shapes \(3, 8, 8\) and"),
        ([(torch.zeros(3, 8, 8, dtype=torch.uint8), 0)], r"Item 0 .* image of torch\.uint8"),
        ([(torch.zeros(8, 8), 0)], r"Item 0 .* \(8, 8\)"),
        ([("cat.png", 0)], "Item 0 .* image of str"),
        ([(torch.zeros(3, 8, 8), 0.5)], "label of float"),
        ([torch.zeros(3, 8, 8)], "label of NoneType"),
        ([(torch.zeros(3, 8, 8), -1)], "Expected class indices"),
        ([(torch.full((3, 8, 8), float("nan")), 0)], "1 of 1 training images hold NaN"),
        (7, "Given int as training images"),
        (DataLoader(TensorDataset(torch.zeros(4, 3, 8, 8), torch.zeros(4))), r"training labels of torch\.float32"),
        (
            DataLoader(TensorDataset(torch.zeros(4, 8, 8), torch.zeros(4))),
            r"Batch 0 .* images of torch\.float32 \(1, 8, 8\)",
        ),
        (DataLoader(Stream(torch.zeros(4, 3, 8, 8), torch.zeros(4))), "DataLoader of training images without a length"),
    ],
)
def test_data_sets_that_do_not_fit(items: Any, message: str) -> None:
    """Bad input: each is named with the number of the item, and what was expected."""
    with pytest.raises(BatchError, match=message):
        TrainingData.from_dataset(items, [(torch.zeros(3, 8, 8), 0)])


def apart(student: Tensor, teacher: Tensor) -> Tensor:
    return (student - teacher).square().mean()


def by_outputs(student: Outputs, teacher: Outputs) -> Tensor:
    return apart(student.logits, teacher.logits)


def hidden(student: Any, teacher: Any) -> Tensor:
    return _look_up(student, teacher)


def _look_up(student: Any, teacher: Any) -> Tensor:
    return apart(student.logits, teacher.logits)


class Apart:
    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        return apart(student, teacher)


@pytest.mark.parametrize(
    "function",
    [
        lambda s, t: (s - t).square().mean(),
        apart,
        by_outputs,
        hidden,
        mse_loss,
        Apart(),
        nn.MSELoss(),
        functools.partial(mse_loss, reduction="mean"),
        lambda s, t, *, scale=1.0: scale * apart(s, t),
        lambda s, t, labels: apart(s, t) + 0 * labels.sum(),
        lambda s, t, y: apart(s, t) + 0 * y.sum(),
    ],
)
def test_plain_functions(function: Callable[..., Tensor], data: TrainingData) -> None:
    """Invariance: the squared distance of the logits, however written, trains as the distiller of it."""
    plain, registered = make_network(), make_network()
    result = train(plain, make_network(7), data, RECIPE, distillers=[function])
    distiller = Distiller("mse", by_outputs, frozenset({"logits"}))
    train(registered, make_network(7), data, RECIPE, distillers=[distiller])
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(tensor, weights(registered)[name])
    assert as_distillers([function])[0].name in result.history[0]


def test_outputs_that_a_function_reads(data: TrainingData) -> None:
    """By construction: stages, features, the embedding and the classifier are there for what looks them up."""

    def every(student: Outputs, teacher: Outputs) -> Tensor:
        terms = [student.embedding, student.features, student.classifier, *student.stages]
        return torch.stack([term.square().mean() for term in terms]).sum()

    (made,) = as_distillers([every])
    assert made.reads == {"embedding", "features", "classifier", "stages"}
    train(make_network(), make_network(7), data, RECIPE, distillers=[every])
    train_together([make_network(), make_network(1)], data, RECIPE, distillers=[every])


def test_names_of_functions(data: TrainingData) -> None:
    """By construction: no name twice, none of the log or of a registered loss; weights are given by them."""

    def kd(student: Tensor, teacher: Tensor) -> Tensor:
        return apart(student, teacher)

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        return apart(student, teacher)

    names = [item.name for item in as_distillers(["kd", kd, loss, lambda s, t: apart(s, t), lambda s, t: apart(s, t)])]
    assert names == ["kd", "kd_2", "loss_2", "function", "function_2"]
    one, other = make_network(), make_network()
    train(one, make_network(7), data, RECIPE, distillers=[lambda s, t: 2 * apart(s, t)], weights={"function": 0.5})
    train(other, make_network(7), data, RECIPE, distillers=[apart])
    assert same(weights(one), weights(other))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s: s.mean(), "Expected one of"),
        (lambda s, t, y, z: s.mean(), "Expected one of"),
        (lambda s, t: s.nonsense, "'function' fails as a loss: AttributeError"),
        (lambda s, t: s - t[:, :1].flatten(), "'function' fails as a loss: RuntimeError|returned"),
        (lambda s, t: (s - t).square(), "Expected a floating scalar"),
        (lambda s, t: 1.0, "Expected a floating scalar"),
        (lambda s, t: s.detach().mean(), "without gradient"),
        (3, "Given a loss of type int"),
    ],
)
def test_functions_that_are_no_losses(function: Any, message: str, data: TrainingData) -> None:
    """Bad input: each is refused in words."""
    with pytest.raises(BadLoss, match=message):
        train(make_network(), make_network(7), data, RECIPE, distillers=[function])
