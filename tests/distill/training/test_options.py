"""Each option of a recipe against a loop written out by hand; metrics; what networks may return."""

import math
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, top_k_accuracy_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zcbench.distill import Recipe, TrainingData, train, train_together
from zcbench.distill.answers import answer
from zcbench.distill.errors import RecipeError
from zcbench.distill.training.evaluation import measure
from zcbench.distill.training.metrics import METRICS, Metric, read_metrics
from zcbench.errors import BatchError, UnknownNameError
from zcbench.streams import torch_stream

from .conftest import RECIPE, make_data, make_network, same, weights

PLAIN = replace(RECIPE, schedule="constant", weight_decay=0.0)


@dataclass
class Loop:
    """Nesterov's momentum written out, with a hook for the gradients and one for what follows a step."""

    recipe: Recipe
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    gradients: Callable[[list[Tensor]], list[Tensor]] = lambda found: found
    after: Callable[[nn.Module, int, int], None] = lambda network, step, epoch: None

    def run(self, network: nn.Module, data: TrainingData) -> nn.Module:
        recipe, step = self.recipe, 0
        speed = [torch.zeros_like(weight) for weight in network.parameters()]
        for epoch in range(recipe.epochs):
            order = torch.randperm(len(data), generator=torch_stream("order", recipe.seed, epoch))
            parts = [part for part in order.split(recipe.batch_size) if len(part) == recipe.batch_size]
            for first in range(0, len(parts) - recipe.accumulation + 1, recipe.accumulation):
                found = [torch.zeros_like(weight) for weight in network.parameters()]
                for part in parts[first : first + recipe.accumulation]:
                    loss = self.loss(network(data.images[part]), data.labels[part])
                    own = torch.autograd.grad(loss, list(network.parameters()))
                    found = [total + gradient / recipe.accumulation for total, gradient in zip(found, own)]
                with torch.no_grad():
                    for weight, gradient, velocity in zip(network.parameters(), self.gradients(found), speed):
                        velocity.mul_(recipe.momentum).add_(gradient)
                        weight -= recipe.rate * (gradient + recipe.momentum * velocity)
                step += 1
                self.after(network, step, epoch)
        return network


def close(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in weights(one).items():
        torch.testing.assert_close(tensor, weights(other)[name], rtol=1e-4, atol=1e-5)


def test_accumulation(data: TrainingData) -> None:
    """Slow reference: the mean gradient of two batches in each step; two of five batches make a step."""
    recipe = replace(PLAIN, accumulation=2)
    student = make_network()
    result = train(student, None, data, recipe)
    close(student, Loop(recipe).run(make_network(), data))
    assert result.steps == 3 * 2


def test_clipping(data: TrainingData) -> None:
    """Slow reference: the gradient scaled to the length, where it is longer."""
    lengths = []

    def clipped(found: list[Tensor]) -> list[Tensor]:
        lengths.append(math.sqrt(sum(gradient.square().sum().item() for gradient in found)))
        return [gradient * min(1.0, 0.7 / lengths[-1]) for gradient in found]

    recipe = replace(PLAIN, clip=0.7)
    student = make_network()
    train(student, None, data, recipe)
    close(student, Loop(recipe, gradients=clipped).run(make_network(), data))
    assert max(lengths) > 0.7 > min(lengths)


def test_clipping_is_of_each_student(data: TrainingData) -> None:
    """Invariance: without a loss between them, two students are trained as each alone."""
    recipe = replace(PLAIN, clip=0.3)
    pair = [make_network(0), make_network(1, width=5)]
    train_together(pair, data, recipe, weights={"kd(temperature=1.0)": 1e-12})
    for seed, width, student in ((0, 4, pair[0]), (1, 5, pair[1])):
        alone = make_network(seed, width=width)
        train(alone, None, data, recipe)
        close(student, alone)


def test_the_moving_average(data: TrainingData) -> None:
    """Slow reference: the average of all weights and statistics, begun with those after the first step."""
    average = make_network()

    def follow(network: nn.Module, step: int, epoch: int) -> None:
        for kept, own in zip(average.state_dict().values(), network.state_dict().values()):
            if kept.is_floating_point():
                kept.copy_(own if step == 1 else 0.8 * kept + 0.2 * own)

    recipe = replace(PLAIN, ema=0.8)
    student = make_network()
    result = train(student, None, data, recipe)
    Loop(recipe, after=follow).run(make_network(), data)
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(parameter, dict(average.named_parameters())[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(student[1].running_mean, average[1].running_mean, rtol=1e-4, atol=1e-5)
    logits = average.eval()(data.test_images)
    assert result.loss == pytest.approx(cross_entropy(logits, data.test_labels).item(), rel=1e-4)


@pytest.mark.parametrize("given", ["balanced", (0.5, 2.0, 1.0), "0.5,2,1"])
def test_class_weights(given: Any) -> None:
    """Slow reference: the weighted mean; balanced weights are N / (K n), as scikit-learn has them."""
    data = make_data()
    keep = (data.labels != 0) | (torch.arange(len(data)) < 20)
    data = TrainingData(data.images[keep], data.labels[keep], data.test_images, data.test_labels, 3)
    counts = torch.bincount(data.labels).double()
    own = (len(data) / (3 * counts)).float() if given == "balanced" else torch.tensor([0.5, 2.0, 1.0])

    def weighted(logits: Tensor, labels: Tensor) -> Tensor:
        losses = -logits.log_softmax(1)[torch.arange(len(labels)), labels]
        return (own[labels] * losses).sum() / own[labels].sum()

    recipe = replace(PLAIN, class_weights=given)
    student = make_network()
    train(student, None, data, recipe)
    close(student, Loop(recipe, loss=weighted).run(make_network(), data))


@pytest.mark.parametrize("select", ["last", "accuracy", "loss", "balanced_accuracy"])
def test_the_epoch_is_chosen_on_validation_images(data: TrainingData, select: str) -> None:
    """Slow reference: the loop on the other images, its states after each epoch, and the best of them."""
    parts = data.held_out(0.2)
    assert sorted([len(parts), parts.test_count]) == [9, 34]
    recipe, states = replace(PLAIN, epochs=8, lr=0.2, validation=0.2, select=select), {}

    def keep(network: nn.Module, step: int, epoch: int) -> None:
        states[epoch + 1] = weights(network)

    student = make_network()
    result = train(student, None, data, recipe, metrics=["calibration"])
    Loop(recipe, after=keep).run(make_network(), parts)
    values = []
    for state in states.values():
        network = make_network()
        network.load_state_dict(state)
        values.append(measure(network, parts.tested(), [METRICS["balanced_accuracy"]]))
    found = [row.get(f"validation_{'loss' if select == 'last' else select}") for row in result.history]
    if select != "last":
        assert found == pytest.approx([value[select] for value in values], rel=1e-3)
    best = {"last": 7, "loss": int(np.argmin([value["loss"] for value in values]))}
    epoch = best.get(select, int(np.argmax([value.get(select, 0) for value in values])))
    assert result.epoch == epoch + 1
    for name, tensor in states[result.epoch].items():
        torch.testing.assert_close(weights(student)[name], tensor, rtol=1e-3, atol=1e-4)
    row = result.history[result.epoch - 1]
    assert (result.accuracy, result.loss) == (row["test_accuracy"], row["test_loss"]) and "test_calibration" in row
    assert measure(student, data.tested())["loss"] == pytest.approx(result.loss)


def test_defaults_train_as_without_the_options(data: TrainingData) -> None:
    """Invariance: options without effect change no bit, and no checkpoint of an older version."""
    one, other = make_network(), make_network()
    train(one, None, data, RECIPE)
    train(other, None, data, replace(RECIPE, clip=1e9, class_weights=(1.0, 1.0, 1.0), auxiliary=0.0))
    assert same(weights(one), weights(other))
    assert RECIPE.to_dict().keys() == {
        *("epochs", "batch_size", "optimizer", "lr", "momentum", "nesterov", "weight_decay", "schedule", "warmup"),
        *("milestones", "gamma", "label_smoothing", "augmentation", "padding", "seed", "precision", "layout"),
    }


def test_a_rate_for_each_optimizer() -> None:
    """By construction: .1 and .001; a given one counts."""
    assert (Recipe().rate, Recipe(optimizer="adamw").rate, Recipe(lr=0.3).rate) == (0.1, 0.001, 0.3)
    assert replace(Recipe(), optimizer="adamw").to_dict()["lr"] == 0.001
    assert Recipe(optimizer="adamw").summary.count("lr=0.001") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulation": 0}, "accumulation=0"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"ema": 1.0}, "ema=1.0"),
        ({"validation": 1.0}, "validation=1.0"),
        ({"auxiliary": -1}, "auxiliary=-1"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"class_weights": "balance"}, "class_weights='balance'"),
        ({"class_weights": (0.0, 0.0)}, "not all of them 0"),
        ({"class_weights": ()}, "a number of at least 0 for each class"),
        ({"select": "accuracy"}, "no epoch is selected by the test images"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    """Bad input: each is an error that names the value."""
    with pytest.raises(RecipeError, match=message):
        Recipe(**options)


def test_what_does_not_fit_the_data(data: TrainingData) -> None:
    """Bad input: weights for other classes, too small a share, an unknown metric, too few images."""
    for options, error, message in (
        ({"class_weights": (1.0, 2.0)}, RecipeError, "Given 2 class_weights and 3 classes"),
        ({"validation": 0.01}, RecipeError, "leaves 0 validation and 15 training images of class 0"),
        ({"validation": 0.2, "select": "balancd_accuracy"}, UnknownNameError, "Did you mean 'balanced_accuracy'"),
        ({"accumulation": 6}, RecipeError, "batch_size=8 and accumulation=6"),
    ):
        with pytest.raises(error, match=message):
            train(make_network(), None, data, replace(RECIPE, **options))  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Did you mean 'calibration'"):
        train(make_network(), None, data, RECIPE, metrics=["calibrationn"])


def drawn(count: int = 400, classes: int = 4) -> tuple[Tensor, Tensor]:
    stream = torch_stream("tests", "metrics")
    labels = torch.randint(classes - 1, (count,), generator=stream)  # one class does not occur
    logits = torch.randn(count, classes, generator=stream)
    logits[torch.arange(count), labels] += 1
    return logits, labels


def test_metrics() -> None:
    """Published code: scikit-learn's balanced accuracy and top-k accuracy; the calibration error bin by bin."""
    logits, labels = drawn(classes=7)
    assert METRICS["balanced_accuracy"](logits, labels) == pytest.approx(
        100 * balanced_accuracy_score(labels, logits.argmax(1))
    )
    expected = 100 * top_k_accuracy_score(labels, logits, k=5, labels=range(7))
    assert METRICS["top5"](logits, labels) == pytest.approx(expected)
    confidence, predicted = logits.double().softmax(1).max(1)
    error = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            gap = (predicted[inside] == labels[inside]).double().mean() - confidence[inside].mean()
            error += inside.double().mean().item() * abs(gap.item())
    assert METRICS["calibration"](logits, labels) == pytest.approx(100 * error)


def test_metrics_of_torchmetrics(data: TrainingData) -> None:
    """Published code: scikit-learn's macro F1; a metric of a network with more classes than the data; in a history."""
    pytest.importorskip("torchmetrics")
    logits, labels = drawn()
    name = "MulticlassF1Score(average='macro')"
    (metric,) = read_metrics([name], 4)
    expected = f1_score(labels, logits.argmax(1), average="macro", labels=range(4), zero_division=0)
    assert metric(logits, labels) == pytest.approx(expected) and metric.higher_is_better
    assert metric(logits, labels) == metric(logits, labels)
    recipe = replace(RECIPE, validation=0.2, select="MulticlassCalibrationError")
    result = train(make_network(classes=5), None, data, recipe, metrics=[name])
    assert result.epoch == 1 + int(np.argmin([row["validation_MulticlassCalibrationError"] for row in result.history]))
    assert f"test_{name}" in result.history[-1]
    for wrong, error, message in (
        ("MulticlassF2", UnknownNameError, "MulticlassF"),
        ("MulticlassF1Score(averag='macro')", RecipeError, "torchmetrics refuses"),
    ):
        with pytest.raises(error, match=message):
            read_metrics([wrong], 4)


def test_a_metric_of_ones_own(data: TrainingData) -> None:
    """By construction: an object with a name and a function is in every row."""
    result = train(make_network(), None, data, RECIPE, metrics=[Metric("count", lambda logits, labels: len(labels))])
    assert [row["test_count"] for row in result.history] == [20] * 3


Pair = namedtuple("Pair", "logits aux_logits")


@dataclass
class Answer:
    logits: Tensor
    hidden: Tensor | None = None


class Wrapped(nn.Module):
    """A network that returns its logits in some form, with an auxiliary head in training mode or without one."""

    def __init__(self, form: str, auxiliary: bool = False) -> None:
        super().__init__()
        self.inner, self.form = make_network(), form
        with torch.random.fork_rng():
            self.head = nn.Linear(4, 3) if auxiliary else None
        if self.head is not None:
            nn.init.constant_(self.head.weight, 0.1)
            nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Any:
        logits = self.inner(images)
        embedding = self.inner[:5](images) if self.head is not None else images.mean((2, 3))
        second = self.head(embedding) if self.head is not None and self.training else None
        forms = {
            "attribute": lambda: Answer(logits, embedding),
            "dictionary": lambda: {"loss": None, "logits": logits} | ({} if second is None else {"aux": second}),
            "tuple": lambda: (logits, embedding.repeat(1, 2)) if second is None else (logits, second),
            "named tuple": lambda: Pair(logits, second),
            "tensor": lambda: logits,
        }
        return forms[self.form]()


@pytest.mark.parametrize("form", ["attribute", "dictionary", "tuple", "named tuple"])
def test_what_networks_may_return(form: str, data: TrainingData) -> None:
    """Invariance: student and teacher train and teach as those that return a tensor, with losses on features too."""
    found = []
    for kind in ("tensor", form):
        student, teacher = Wrapped(kind), Wrapped(kind)
        found.append((train(student, teacher, data, RECIPE, distillers=["kd", "at"]).loss, weights(student)))
    assert found[0][0] == found[1][0] and same(found[0][1], found[1][1])


@pytest.mark.parametrize("form", ["dictionary", "tuple", "named tuple"])
def test_auxiliary_heads(form: str, data: TrainingData) -> None:
    """Slow reference: .3 of the cross-entropy of the second head is added; it is not evaluated."""
    recipe = replace(PLAIN, auxiliary=0.3)
    student, expected = Wrapped(form, auxiliary=True), Wrapped("tuple", auxiliary=True)

    def loss(answers: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        return cross_entropy(answers[0], labels) + 0.3 * cross_entropy(answers[1], labels)

    result = train(student, None, data, recipe)
    Loop(recipe, loss=loss).run(expected, data)  # type: ignore[arg-type]
    close(student, expected)
    assert not torch.equal(student.head.weight, torch.full((3, 4), 0.1))  # type: ignore[union-attr]
    assert all(row["loss"] > row["ce"] for row in result.history)


@pytest.mark.parametrize("returned", [None, "text", {"out": torch.zeros(2, 3)}, [], 3])
def test_no_logits(returned: object) -> None:
    """Bad input: what has no logits is named with what was expected."""
    with pytest.raises(BatchError, match=r"Expected logits \(B, classes\)"):
        answer(returned)
