"""Several teachers, generations, chains and students that teach each other, against the same by hand."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from zcbench.distill.errors import RecipeError
from zcbench.distill.training.course import Running
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.loop import train, train_together
from zcbench.distill.training.scenarios import train_in_turn
from zcbench.streams import torch_stream

from .conftest import RECIPE, make_network, same, weights


def test_two_equal_teachers_are_one(data: TrainingData) -> None:
    """Invariance: for both mixtures, two copies of a teacher teach what one does."""
    states = []
    for count, mixture in ((1, "average"), (2, "average"), (2, "adaptive")):
        student = make_network()
        train(student, [make_network(7)] * count, data, RECIPE, distillers=["kd"], mixture=mixture)
        states.append(weights(student))
    for state in states[1:]:
        for name, tensor in states[0].items():
            torch.testing.assert_close(state[name], tensor, rtol=1e-4, atol=1e-6)


def test_generations_are_trainings_in_turn(data: TrainingData) -> None:
    """By construction: a chain is the same as its trainings one by one, the seed going up by one."""
    chain = train_in_turn([make_network(0), make_network(1)], make_network(7), data, RECIPE)
    first, second = make_network(0), make_network(1)
    train(first, make_network(7), data, RECIPE, distillers=["kd"])
    train(second, first, data, replace(RECIPE, seed=1), distillers=["kd"])
    assert same(weights(chain[0].network), weights(first)) and same(weights(chain[1].network), weights(second))


def test_born_again_begins_alone(data: TrainingData) -> None:
    """By construction: without a teacher the first generation is plain training."""
    told: list[int] = []

    def running(number: int) -> Running:
        told.append(number)
        return {"evaluate_every": 3}

    chain = train_in_turn([make_network(0), make_network(1)], None, data, RECIPE, running=running)
    alone = make_network(0)
    train(alone, None, data, RECIPE)
    assert same(weights(chain[0].network), weights(alone)) and told == [0, 1]
    assert "kd" in chain[1].history[0] and "kd" not in chain[0].history[0]


def test_mutual_learning_by_hand(data: TrainingData) -> None:
    """Slow independent reference: two networks, cross-entropy plus KL from the other, both stepped at once."""
    recipe = replace(RECIPE, schedule="constant", momentum=0.0, nesterov=False)
    students = [make_network(0), make_network(1)]
    results = train_together(students, data, recipe)
    own = [make_network(0), make_network(1)]
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(data), generator=torch_stream("order", recipe.seed, epoch))
        for batch in order[:40].split(8):
            logits = [network(data.images[batch]) for network in own]
            logs = [log_softmax(z, 1) for z in logits]
            for index, network in enumerate(own):
                loss = cross_entropy(logits[index], data.labels[batch])
                loss = loss + kl_div(logs[index], logs[1 - index].detach(), reduction="batchmean", log_target=True)
                gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
                with torch.no_grad():
                    for weight, gradient in zip(network.parameters(), gradients):
                        logs_free = gradient + recipe.weight_decay * weight
                        weight.data = weight.data - recipe.lr * logs_free
    for student, expected in zip(students, own):
        for name, tensor in expected.state_dict().items():
            torch.testing.assert_close(student.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)
    assert results[0].history != results[1].history


def test_too_few() -> None:
    """Bad input: one student, no distiller, no network."""
    data = None
    with pytest.raises(RecipeError, match="Given 1 students"):
        train_together([make_network()], data)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="No distiller"):
        train_together([make_network(), make_network(1)], data, distillers=[])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="No network"):
        train_in_turn([], None, data)  # type: ignore[arg-type]
