"""What a training requires of its networks, and what it leaves as it was."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zcbench.distill import Teacher, TrainingData, train, train_in_turn, train_together
from zcbench.distill.errors import CheckpointError, DivergedLoss, RecipeError, TrainingStopped
from zcbench.distill.training.balancing import balanced_weights
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import near_chance
from zcbench.errors import BatchError

from .conftest import RECIPE, make_data, make_network, same, weights


def whole(network: nn.Sequential) -> nn.Module:
    return network


def module(network: nn.Sequential) -> nn.Module:
    other = make_network(7)
    other[1] = network[1]
    return other


def weight(network: nn.Sequential) -> nn.Module:
    other = make_network(7)
    other[0].weight = network[0].weight
    return other


def buffer(network: nn.Sequential) -> nn.Module:
    other = make_network(7)
    other[1].running_mean = network[1].running_mean
    return other


def view(network: nn.Sequential) -> nn.Module:
    other = make_network(7)
    other[0].weight = nn.Parameter(network[0].weight.data)
    return other


def wrapped(network: nn.Sequential) -> nn.Module:
    return nn.Sequential(network)


SHARED = [whole, module, weight, buffer, view, wrapped]


@pytest.mark.parametrize("share", SHARED)
def test_shared_parts_are_refused(share: Callable[[nn.Sequential], nn.Module], data: TrainingData) -> None:
    """Bad input: one network twice, a layer, a weight, a buffer or memory of both; no network has changed."""
    student = make_network()
    other = share(student)
    before = weights(other)
    calls: list[Callable[[], Any]] = [
        lambda: train(student, other, data, RECIPE, distillers=["kd"]),
        lambda: train(student, [make_network(3), Teacher(other)], data, RECIPE, distillers=["kd"]),
        lambda: train_together([student, make_network(3), other], data, RECIPE),
        lambda: train_in_turn([make_network(3), student], other, data, RECIPE),
        lambda: train_in_turn([student, make_network(3), other], None, data, RECIPE),
        lambda: balanced_weights(student, [other], data, ["at"], RECIPE),
    ]
    for call in calls:
        with pytest.raises(RecipeError, match=r"share .*Expected separate networks.*copy\.deepcopy"):
            call()
    assert same(weights(other), before)


def test_copies_share_nothing(data: TrainingData) -> None:
    """By construction: what the message advises is accepted, and the teacher stays as it was."""
    student = make_network()
    teacher = copy.deepcopy(student)
    before = weights(teacher)
    train(student, [teacher, teacher], data, RECIPE, distillers=["kd"])
    assert same(weights(teacher), before) and not same(weights(student), before)


def frozen(**options: Any) -> nn.Sequential:
    network = make_network(dropout=0.3, **options)
    network[1].requires_grad_(False).eval()
    return network


def test_frozen_normalisation(tmp_path: Path, data: TrainingData) -> None:
    """By construction: its statistics stay, epoch after epoch and after a stop; what is not frozen is trained."""
    student, seen = frozen(), []

    class Watch:
        def start(self, steps: int, done: int, history: Any) -> None: ...
        def step(self) -> None:
            seen.append([part.training for part in student.modules()])

        def epoch(self, row: Any) -> None: ...
        def finish(self) -> None: ...

    before, modes = weights(student), [part.training for part in student.modules()]
    train(student, make_network(7), data, RECIPE, distillers=["kd", "at"], observers=[Watch()])
    changed = {name for name, tensor in student.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"0.weight", "0.bias", "6.weight", "6.bias"}
    assert len(seen) == 15 and all(row == modes for row in seen)
    stopped, asked = frozen(), iter(range(100))
    taught: dict[str, Any] = {"distillers": ["kd", "at"], "checkpoint": tmp_path / "state"}
    with pytest.raises(TrainingStopped):
        train(stopped, make_network(7), data, RECIPE, **taught, stop=lambda: next(asked) >= 7)
    again = frozen()
    train(again, make_network(7), data, RECIPE, **taught)
    assert same(weights(again), weights(student))
    with pytest.raises(CheckpointError, match="frozen in the student was"):
        train(make_network(dropout=0.3), make_network(7), data, RECIPE, **taught)


@pytest.mark.parametrize("together", [False, True])
def test_parts_in_evaluation_mode_stay_so(together: bool, data: TrainingData) -> None:
    """By construction: normalisation and dropout, alone or among students that learn from each other."""
    student = make_network(dropout=0.5)
    student[1].eval()
    student[5].eval()
    mean = student[1].running_mean.clone()
    if together:
        train_together([student, make_network(1)], data, RECIPE)
    else:
        train(student, None, data, RECIPE)
    assert torch.equal(student[1].running_mean, mean)
    assert student[1].weight.requires_grad


def test_a_network_in_evaluation_mode_as_a_whole_is_trained_as_usual(data: TrainingData) -> None:
    """Invariance: such is what a training returns; it may be trained further."""
    one, other = make_network(), make_network().eval()
    train(one, None, data, RECIPE)
    train(other, None, data, RECIPE)
    assert same(weights(one), weights(other))


@pytest.mark.parametrize("empty", [False, True])
def test_nothing_to_train(empty: bool, data: TrainingData) -> None:
    """Bad input: all is frozen, or there is nothing at all."""
    student = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if empty else make_network().requires_grad_(False)
    for call in (
        lambda: train(student, None, data, RECIPE),
        lambda: train(student, make_network(7, width=6), data, RECIPE, distillers=["fitnet"]),  # its adapter could be
        lambda: train_together([make_network(1), student], data, RECIPE),
    ):
        with pytest.raises(RecipeError, match=r"no parameter to train: .*requires_grad_\(True\)"):
            call()


def test_a_teacher_that_changes_is_read_anew(data: TrainingData) -> None:
    """Independent computation: after any change the student is that of a new teacher with the same weights."""
    network = make_network(7)
    network.register_buffer("scale", torch.ones(1), persistent=False)
    teacher = Teacher(network)
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: network[6].weight.data.mul_(-2),
        lambda: network[1].running_mean.add_(1),
        lambda: network.train(),
    ]
    for change in changes:
        change()
        one, other = make_network(), make_network()
        train(one, teacher, data, RECIPE, distillers=["kd"])
        train(other, copy.deepcopy(network), data, RECIPE, distillers=["kd"])
        assert same(weights(one), weights(other))


def test_a_teacher_is_measured_once(data: TrainingData) -> None:
    """Independent computation: its hits by hand; measured anew only where its weights change."""
    network, calls = make_network(7), []
    network.register_forward_hook(lambda *_: calls.append(1))
    teacher = Teacher(network)
    hits = (network.eval()(data.test_images).argmax(1) == data.test_labels).float().mean().item()
    calls.clear()
    assert teacher.quality(data).accuracy == teacher.quality(data).accuracy == pytest.approx(100 * hits)
    assert len(calls) == 1
    network[6].weight.data.neg_()
    teacher.quality(data)
    assert len(calls) == 2


def test_near_chance() -> None:
    """Closed form: of 3 classes and 20 images chance is 33.3 % and three standard errors are 31.6 points."""
    data = make_data()
    assert near_chance(33.3, data) and near_chance(64.9, data) and not near_chance(65.0, data)


def poisoned(where: str) -> nn.Module:
    network = make_network(7)
    with torch.no_grad():
        network.get_parameter(where) if "running" not in where else None
        network.state_dict()[where].view(-1)[0] = float("nan")
    return network


@pytest.mark.parametrize("where", ["0.weight", "1.running_var", "6.bias"])
def test_networks_with_nan(where: str, data: TrainingData) -> None:
    """Bad input: the network and the place are named, and no lower rate is advised."""
    with pytest.raises(RecipeError, match=f"The teacher holds NaN or infinity in '{where}'"):
        train(make_network(), poisoned(where), data, RECIPE, distillers=["kd"])
    with pytest.raises(RecipeError, match=f"The student holds NaN or infinity in '{where}'"):
        train(poisoned(where), None, data, RECIPE)


class Sour(nn.Module):
    """A teacher whose weights are finite and whose outputs are not, for bright images."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_network(7)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images)
        return logits / (images.amax((1, 2, 3), keepdim=True).flatten(1) < 3.5)


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_a_teacher_that_gives_nan(augmentation: str, data: TrainingData) -> None:
    """Bad input: its outputs, remembered or not, are named as the cause, and no lower rate is advised."""
    recipe = replace(RECIPE, augmentation=augmentation)
    with pytest.raises((RecipeError, DivergedLoss), match=r"teacher.* gives NaN or infinity as logits") as caught:
        train(make_network(), Sour(), data, recipe, distillers=["kd"])
    assert "rate" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("split", ["training", "test"])
def test_images_with_nan(value: float, split: str) -> None:
    """Bad input: as many images as hold one are counted."""
    data = make_data()
    images, tests = data.images.clone(), data.test_images.clone()
    wrong = images if split == "training" else tests
    wrong[3, 1, 2, 2] = wrong[5] = value
    with pytest.raises(BatchError, match=rf"2 of \d+ {split} images hold NaN or infinity"):
        TrainingData(images, data.labels, tests, data.test_labels, 3)


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.05), ("adamw", 0.005)])
def test_momentum_takes_effect(optimizer: str, lr: float, data: TrainingData) -> None:
    """By construction: under every schedule another momentum gives other weights; .9 is PyTorch's own .85 to .95."""
    for schedule in ("one_cycle", "cosine", "step", "constant"):
        recipe = replace(RECIPE, optimizer=optimizer, lr=lr, schedule=schedule)
        networks = [make_network() for _ in range(2)]
        for network, momentum in zip(networks, (0.9, 0.5)):
            train(network, None, data, replace(recipe, momentum=momentum))
        assert not same(*map(weights, networks))
    assert Recipe(momentum=0.9).momentum_span == (0.85, 0.95)


def test_recipe_as_used() -> None:
    """By construction: what another schedule, optimizer or augmentation would read is left out."""
    assert not {"milestones", "gamma", "padding"} & Recipe().used().keys()
    assert Recipe(schedule="step", augmentation="crop_flip").used().keys() >= {"milestones", "gamma", "padding"}
    assert "nesterov" not in Recipe(optimizer="adamw").used() and Recipe(epochs=20).used()["warmup"] == 6.0
    assert Recipe(schedule="cosine").used()["warmup"] == 0.0 and "momentum_span" not in Recipe(schedule="step").used()
