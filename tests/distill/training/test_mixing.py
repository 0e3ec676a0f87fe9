"""Several teachers weighed by their gradients (AE-KD)."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from zcbench.distill import Outputs, Recipe, train
from zcbench.distill.training.mixing import agreed_shares, shortest
from zcbench.distill.training.objective import TrainingObjective

from .conftest import make_data, make_network


def test_two_teachers_in_closed_form() -> None:
    """Closed form: the shortest point between two vectors, <b, b - a> / |a - b|^2, cut to [0, 1]."""
    stream = np.random.default_rng(0)
    for _ in range(20):
        one, other = stream.normal(size=(2, 5)) + np.array([[1.0], [0.0]])
        expected = np.clip(other @ (other - one) / np.square(one - other).sum(), 0, 1)
        vectors = np.stack([one, other])
        assert shortest(vectors @ vectors.T, 1.0) == pytest.approx([expected, 1 - expected], abs=1e-5)


@pytest.mark.parametrize("most", [2 / 3, 1.0])
def test_three_teachers_against_a_grid(most: float) -> None:
    """Slow reference: all shares on a grid of hundredths within the bound."""
    vectors = np.random.default_rng(1).normal(size=(3, 4)) + 0.5
    products = vectors @ vectors.T
    grid = [
        np.array([a, b, 100 - a - b]) / 100
        for a, b in itertools.product(range(101), repeat=2)
        if a + b <= 100 and max(a, b, 100 - a - b) <= 100 * most
    ]
    best = min(grid, key=lambda share: float(share @ products @ share))
    found = np.array(shortest(products, most))
    assert found.sum() == pytest.approx(1)
    assert found.max() <= most + 1e-6
    assert found @ products @ found <= best @ products @ best + 1e-9
    assert found == pytest.approx(best, abs=0.03)


def test_equal_gradients_and_none() -> None:
    """Invariance: the average where all gradients are equal, where none differs from zero, and without gradients."""
    assert shortest(np.ones((4, 4)), 0.5) == pytest.approx([0.25] * 4)
    assert shortest(np.zeros((2, 2)), 1.0) == [0.5, 0.5]
    logits = torch.zeros(2, 3)
    assert agreed_shares([logits.sum(), logits.sum()], [logits]) == [0.5, 0.5]


def test_the_objective_takes_the_shares_of_each_loss() -> None:
    """By hand: the loss of three teachers is the sum with the shares of the gradients of the student's logits."""
    stream = torch.Generator().manual_seed(0)
    student = Outputs(logits=torch.randn(6, 4, generator=stream).requires_grad_())
    teachers = [Outputs(logits=3 * torch.randn(6, 4, generator=stream)) for _ in range(3)]
    labels = torch.arange(6) % 4
    objective = TrainingObjective(["kd"], mixture="gradient")
    objective.adapt(student.shapes, [teacher.shapes for teacher in teachers], 0)
    (loss,) = objective.active
    losses = [loss(student, teacher) for teacher in teachers]
    gradients = torch.stack(
        [torch.autograd.grad(one, student.logits, retain_graph=True)[0].flatten() for one in losses]
    )
    shares = shortest((gradients @ gradients.T).double().numpy(), 2 / 3)
    expected = sum(share * one.item() for share, one in zip(shares, losses))
    assert objective(student, teachers, labels)[2].item() == pytest.approx(expected, rel=1e-5)
    assert len(set(shares)) == 3


def test_a_training_under_three_teachers() -> None:
    """Invariance: repeated to the same bits, with a loss of logits and one of features; another mixture differs."""
    data, recipe = make_data(), Recipe(epochs=1, batch_size=8)
    teachers: list[nn.Module] = [make_network(seed, width=5) for seed in (3, 4, 5)]
    losses = [
        train(make_network(), teachers, data, recipe, distillers=["kd", "fitnet"], mixture=mixture).loss
        for mixture in ("gradient", "gradient", "average")
    ]
    assert losses[0] == losses[1] != losses[2]
