"""Weights that balance the gradients of the first step."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from typer.testing import CliRunner

from zcbench import distill
from zcbench.cli import app
from zcbench.distill.contract import Distiller
from zcbench.distill.errors import WeightError
from zcbench.distill.outputs import Outputs
from zcbench.distill.training.balancing import balanced_weights
from zcbench.distill.training.data.images import TrainingData
from zcbench.streams import torch_stream

from .conftest import RECIPE, make_network, same, weights

SPACE = "nasbench201(channels=2,cells=1)"
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def test_slow_reference(data: TrainingData) -> None:
    """Oracle: both gradients written out for the first batch of the training, each with a backward pass of its own."""
    student, teacher = make_network(0), make_network(1).eval()
    found = balanced_weights(student, [teacher], data, ["kd", "dist"], RECIPE)
    order = torch.randperm(len(data), generator=torch_stream("order", RECIPE.seed, 0))[: RECIPE.batch_size]
    images, labels = data.images[order], data.labels[order]

    def length(loss: Callable[[Tensor], Tensor]) -> float:
        own = make_network(0).train()
        loss(own(images)).backward()
        return torch.cat([parameter.grad.flatten() for parameter in own.parameters()]).norm().item()

    reference = length(lambda logits: cross_entropy(logits, labels))
    told = Outputs(logits=teacher(images).detach())
    for name in ("kd", "dist"):
        expected = reference / length(lambda logits, name=name: distill.get(name)(Outputs(logits=logits), told))
        assert found[name] == pytest.approx(expected, rel=1e-4)
    assert found["ce"] == 1.0


def test_leaves_the_student_alone(data: TrainingData) -> None:
    """Invariance: weights, running statistics and mode are as before, and a second call gives the same numbers."""
    student, teacher = make_network(0, dropout=0.5), make_network(1)
    before, mode = weights(student), student.training
    first = balanced_weights(student, [teacher], data, ["kd"], RECIPE)
    assert same(weights(student), before) and student.training == mode
    assert balanced_weights(student, [teacher], data, ["kd"], RECIPE) == first


def test_a_scaled_loss_has_a_scaled_weight(data: TrainingData) -> None:
    """Closed form: alpha and beta of dkd twice as large halve its weight."""
    networks = make_network(0), [make_network(1)]
    one, two = (balanced_weights(*networks, data, [f"dkd(alpha={scale},beta={8 * scale})"], RECIPE) for scale in (1, 2))
    assert [value for name, value in one.items() if name != "ce"] == pytest.approx(
        [2 * value for name, value in two.items() if name != "ce"]
    )


def test_a_loss_without_gradient(data: TrainingData) -> None:
    """Bad input: nothing times the logits; the message names the loss."""
    nothing = Distiller("nothing", lambda student, teacher: 0 * student.logits.sum(), frozenset({"logits"}))
    with pytest.raises(WeightError, match=r"gradient of 'nothing' in the first step has length 0\.0"):
        balanced_weights(make_network(0), [make_network(1)], data, [nothing], RECIPE)


def test_command(tmp_path: Path) -> None:
    """By construction: the weights are in result.json; without a teacher there is nothing to balance."""
    common = ["distill", "--student", CELL, "--space", SPACE, "--dataset", "digits(images=96,test_images=50)"]
    common += ["--epochs", "1", "--batch-size", "32", "--weights", "balanced"]
    words = [*common, "--teacher", CELL, "--distillers", "sp,cc", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "result.json").read_text())["weights"]
    assert kept["ce"] == 1.0 and kept["sp"] > 0 and kept["sp"] != 1.0 and kept["cc"] != kept["sp"]
    refused = CliRunner().invoke(app, [*common, "--out", str(tmp_path / "alone")])
    assert isinstance(refused.exception, WeightError) and "--teacher" in str(refused.exception)
