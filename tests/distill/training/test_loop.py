"""The loop against a textbook loop; what it refuses; and that it leaves nothing behind."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from zcbench.distill import Distiller, Outputs
from zcbench.distill.errors import DivergedLoss, RecipeError
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.loop import train
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.teaching import Teacher
from zcbench.distill.training.training import Training
from zcbench.errors import BatchError
from zcbench.streams import torch_stream

from .conftest import RECIPE, make_data, make_network, same, weights


def textbook(network: nn.Module, data: TrainingData, teacher: nn.Module | None) -> nn.Module:
    """Gradient, momentum and update written out; batches in the order that the seed names."""
    recipe = replace(RECIPE, schedule="constant")
    speed = [torch.zeros_like(weight) for weight in network.parameters()]
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(data), generator=torch_stream("order", recipe.seed, epoch))
        for batch in order.split(recipe.batch_size):
            if len(batch) < recipe.batch_size:
                continue
            logits = network(data.images[batch])
            loss = cross_entropy(logits, data.labels[batch])
            if teacher is not None:
                with torch.no_grad():
                    wanted = log_softmax(teacher(data.images[batch]) / 4, 1)
                divergence = kl_div(log_softmax(logits / 4, 1), wanted, reduction="batchmean", log_target=True)
                loss = 0.1 * loss + 0.9 * 16 * divergence
            gradients = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for weight, gradient, velocity in zip(network.parameters(), gradients, speed):
                    gradient = gradient + recipe.weight_decay * weight
                    velocity.mul_(recipe.momentum).add_(gradient)
                    weight -= recipe.lr * (gradient + recipe.momentum * velocity)
    return network


@pytest.mark.parametrize("taught", [False, True])
def test_against_a_textbook_loop(data: TrainingData, taught: bool) -> None:
    """Slow independent reference: SGD with Nesterov momentum written out, with and without a teacher."""
    teacher = make_network(7).eval() if taught else None
    student = make_network()
    result = train(student, teacher, data, replace(RECIPE, schedule="constant"), distillers=["kd"] if taught else [])
    expected = textbook(make_network(), data, teacher)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(student.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
    hits = (expected.eval()(data.test_images).argmax(1) == data.test_labels).float().mean().item()
    assert result.accuracy == pytest.approx(100 * hits) and result.steps == 15


def test_history(data: TrainingData) -> None:
    """By construction: one row per epoch; where it was evaluated the figures are those of the test images."""
    result = train(make_network(), make_network(7), data, RECIPE, distillers=["kd"], evaluate_every=2)
    assert [row["epoch"] for row in result.history] == [1, 2, 3] and result.history[-1]["step"] == 15
    assert ["test_accuracy" in row for row in result.history] == [False, True, True]
    for row in result.history:
        assert row["loss"] == pytest.approx(0.1 * row["ce"] + 0.9 * row["kd"], rel=1e-5)
        assert 0 <= row["train_accuracy"] <= 100
    assert not result.network.training


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adamw", "lr": 0.01, "schedule": "cosine", "warmup": 1},
        {"augmentation": "crop_flip", "label_smoothing": 0.1},
        {"layout": "channels_last", "schedule": "step"},
        {"precision": "bfloat16"},
    ],
)
def test_a_training_is_a_function_of_its_seed(data: TrainingData, options: dict[str, Any]) -> None:
    """Invariance: the same bits whatever was drawn before, other bits for another seed, and it learns."""
    recipe, teacher = replace(RECIPE, epochs=12, **options), make_network(7)
    before = cross_entropy(make_network().eval()(data.test_images), data.test_labels).item()
    states = []
    for seed, spoiled in ((0, 1), (0, 2), (1, 1)):
        with torch.random.fork_rng():
            torch.manual_seed(spoiled)
            student = make_network(dropout=0.2)
            found = train(student, teacher, data, replace(recipe, seed=seed), distillers=["kd"], weights={"ce": 1})
            states.append(weights(student))
        assert found.loss < before
    assert same(states[0], states[1]) and not same(states[0], states[2])


def test_remembered_teachers(data: TrainingData) -> None:
    """Invariance: outputs kept for every image give the training that computing them in each step gives."""
    students = [make_network(), make_network()]
    kept, fresh = Teacher(make_network(7)), Teacher(make_network(7), most_bytes=0)
    for student, teacher in zip(students, (kept, fresh)):
        train(student, teacher, data, RECIPE, distillers=["kd"])
    for one, other in zip(weights(students[0]).values(), weights(students[1]).values()):
        torch.testing.assert_close(one, other)
    assert fresh.remembered(data, frozenset({"logits"}), "float32") is None


def test_a_teacher_is_asked_once_per_image(data: TrainingData) -> None:
    """By construction: counted images; with augmentation it is asked anew in each step."""
    seen = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal seen
        seen += len(output) if len(inputs[0]) > 2 else 0  # one and two images only look for shapes

    network = make_network(7)
    network.register_forward_hook(count)
    teacher = Teacher(network)
    for _ in range(2):
        train(make_network(), teacher, data, RECIPE, distillers=["kd"])
    assert seen == len(data)
    train(make_network(), teacher, data, replace(RECIPE, augmentation="crop_flip"), distillers=["kd"])
    assert seen == len(data) + 3 * 5 * 8


def test_the_teacher_stays_as_it_is(data: TrainingData) -> None:
    """Invariance: its weights and running statistics are the same bits, and no gradient reaches it."""
    teacher = make_network(7)
    before = weights(teacher)
    train(make_network(), teacher, data, replace(RECIPE, augmentation="crop_flip"), distillers=["kd"])
    assert same(before, weights(teacher)) and all(weight.grad is None for weight in teacher.parameters())


def broken(after: int, value: float) -> Distiller:
    """A loss that is no longer finite after so many calls."""
    calls = 0

    def loss(student: Outputs, teacher: Outputs) -> Tensor:
        nonlocal calls
        calls += 1
        return student.logits.sum() * (value if calls > after else 0.0)

    return Distiller("broken", loss, frozenset({"logits"}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(data: TrainingData, value: float) -> None:
    """Bad input: training stops at the step, counted from 1, and names the term."""
    with pytest.raises(DivergedLoss, match=r"At step 8 \(epoch 2\), the distiller 'broken' is (nan|-?inf)"):
        train(make_network(), make_network(7), data, RECIPE, distillers=["kd", broken(7, value)])


def test_a_rate_that_is_too_high(data: TrainingData) -> None:
    """Bad input: the cross-entropy itself overflows."""
    with pytest.raises(DivergedLoss, match=r"At step \d+ \(epoch \d\), the (cross-entropy|total) is (nan|inf)"):
        train(make_network(), None, data, replace(RECIPE, lr=1e20, schedule="constant"))


def test_more_classes_in_the_labels_than_in_a_network(data: TrainingData) -> None:
    """Bad input: named for a student and for a teacher, before any step."""
    with pytest.raises(BatchError, match=r"labels have 3 classes and a network 2.*num_classes=3"):
        train(make_network(classes=2), None, data, RECIPE)
    with pytest.raises(BatchError, match="labels have 3 classes and a network 2"):
        train(make_network(), make_network(classes=2), data, RECIPE, distillers=["kd"])


def test_teachers_and_distillers_belong_together(data: TrainingData) -> None:
    """Bad input: the one without the other."""
    with pytest.raises(RecipeError, match="The distillers kd need a teacher"):
        train(make_network(), None, data, RECIPE, distillers=["kd"])
    with pytest.raises(RecipeError, match="A teacher is given and no distiller"):
        train(make_network(), make_network(7), data, RECIPE)


def test_half_precision_needs_a_gpu(data: TrainingData) -> None:
    """Bad input: float16 on a CPU."""
    with pytest.raises(RecipeError, match="precision='float16' on a CPU"):
        train(make_network(), None, data, replace(RECIPE, precision="float16"))


def test_no_logits(data: TrainingData) -> None:
    """Bad input: a network that returns a map."""
    with pytest.raises(BatchError, match=r"The network returns \(2, 4, 8, 8\) for 2 images"):
        train(make_network()[:2], None, data, RECIPE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(0, dtype=torch.long), "images": torch.zeros(0, 3, 8, 8)}, "training split is empty"),
        ({"test_labels": torch.zeros(0, dtype=torch.long), "test_images": torch.zeros(0, 3, 8, 8)}, "test split is em"),
        ({"test_images": torch.zeros(20, 3, 9, 9)}, r"shape \(3, 8, 8\) and test images of shape \(3, 9, 9\)"),
        ({"labels": torch.full((43,), 3)}, r"from 3 to 3\. Expected class indices from 0 to 2"),
        ({"labels": torch.full((43,), -1)}, "from -1 to -1"),
        ({"labels": torch.zeros(42, dtype=torch.long)}, r"labels of shape \(42,\)"),
    ],
)
def test_wrong_data(data: TrainingData, change: dict[str, Tensor], message: str) -> None:
    """Bad input: an empty split, other shapes, labels out of range."""
    with pytest.raises(BatchError, match=message):
        replace(data, **change)


def test_the_last_batch_is_left_out() -> None:
    """By construction: 43 images are five batches of eight; 40 of them are seen in an epoch, others in each."""
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = make_network()

        def forward(self, images: Tensor) -> Tensor:
            if self.training:
                seen.append(images)
            return self.inner(images)

    data = make_data()
    training = Training([Spy()], [TrainingObjective()], [], data, RECIPE)
    training.run()
    epochs = [torch.cat(seen[5 * epoch : 5 * epoch + 5]).flatten(1) for epoch in range(3)]
    assert [len(images.unique(dim=0)) for images in epochs] == [40, 40, 40]
    assert not torch.equal(epochs[0].sort(0).values, epochs[1].sort(0).values)
