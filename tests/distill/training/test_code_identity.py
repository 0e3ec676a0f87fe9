"""Fingerprints of user code."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.distill import get, names, train
from zcbench.distill.code_identity import attributes_read, function_sha256, network_code_sha256
from zcbench.distill.errors import CheckpointError
from zcbench.distill.training.data.images import TrainingData

from .conftest import RECIPE, make_network

FACTOR, TENSOR = 2.0, torch.ones(2)


def half(value: Tensor) -> Tensor:
    return value / 2


def third(value: Tensor) -> Tensor:
    return value / 3


def weighted(weight: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda s, t: weight * (s - t).square().mean()


def through(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda s, t: function(s - t).square().mean()


def nested(power: int) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda s, t, power=power: (lambda x: x**power)(s - t).mean()  # type: ignore[misc]


PAIRS = [
    (lambda s, t: (s - t).square().mean(), lambda s, t: (s - t).abs().mean()),
    (lambda s, t: 1.0 * (s - t).mean(), lambda s, t: 2.0 * (s - t).mean()),
    (weighted(1.0), weighted(2.0)),
    (through(half), through(third)),
    (nested(2), nested(4)),
    (lambda s, t: half(s - t).mean(), lambda s, t: third(s - t).mean()),
    (lambda s, t: math.pi * (s - t).mean(), lambda s, t: math.tau * (s - t).mean()),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_functions_are_told_apart(one: Callable[..., Tensor], other: Callable[..., Tensor]) -> None:
    """By construction: each pair differs in a formula, constant, closure, default or a function that is called."""
    assert function_sha256(one) == function_sha256(one) != function_sha256(other)


@pytest.mark.parametrize(("name", "value"), [("FACTOR", 3.0), ("TENSOR", torch.zeros(2)), ("half", third)])
def test_globals_count(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """By construction: a number, a tensor and a function of the module."""

    def loss(s: Tensor, t: Tensor) -> Tensor:
        return FACTOR * (TENSOR.sum() * half(s - t)).mean()

    before = function_sha256(loss)
    monkeypatch.setitem(globals(), name, value)
    assert function_sha256(loss) != before


def test_losses_of_zcbench_have_no_code_of_their_own() -> None:
    """By construction: name and version stand for them, so that another version of zcbench goes on with a folder."""
    builtin = [get(name) for name in names() if get(name).function.__module__.startswith("zcbench.")]
    assert len(builtin) > 20 and {item.code_sha256 for item in builtin} == {function_sha256()}


def classes(factor: float) -> type[nn.Module]:
    class Layer(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return factor * images

    return Layer


def test_networks_are_told_apart() -> None:
    """By construction: another forward of one class, another function on an instance, another structure."""
    one, same, other = classes(1.0)(), classes(1.0)(), classes(2.0)()
    assert network_code_sha256(nn.Sequential(one)) == network_code_sha256(nn.Sequential(same))
    assert network_code_sha256(nn.Sequential(one)) != network_code_sha256(nn.Sequential(other))
    assert network_code_sha256(nn.Sequential(nn.ReLU())) != network_code_sha256(nn.Sequential(nn.GELU()))
    patched = classes(1.0)()
    patched.forward = lambda images: images + 1  # type: ignore[method-assign]
    assert network_code_sha256(patched) != network_code_sha256(one)
    space = spaces.get("nasbench201(channels=2,cells=1)")
    assert network_code_sha256(space.build(space[7])) == network_code_sha256(space.build(space[7], seed=3))


def test_a_function_in_a_checkpoint(tmp_path: Path, data: TrainingData) -> None:
    """Bad input: another function of the same name is another training; the same code defined again is not."""
    options = {"checkpoint": tmp_path / "state"}
    for weight in (1.0, 1.0):
        train(make_network(), make_network(7), data, RECIPE, distillers=[weighted(weight)], **options)
    with pytest.raises(CheckpointError, match="the code of the loss function is not what it was"):
        train(make_network(), make_network(7), data, RECIPE, distillers=[weighted(2.0)], **options)


def test_a_checkpoint_of_an_older_version(tmp_path: Path, data: TrainingData) -> None:
    """By construction: one that names no code is read, and compared in what it names."""
    file = tmp_path / "state"
    first = train(make_network(), None, data, RECIPE, checkpoint=file)
    content = torch.load(file, weights_only=True)
    content["about"] = {key: value for key, value in content["about"].items() if not key.startswith(("code", "frozen"))}
    torch.save(content, file)
    assert train(make_network(), None, data, RECIPE, checkpoint=file).loss == first.loss
    with pytest.raises(CheckpointError, match="student as it began"):
        train(make_network(1), None, data, RECIPE, checkpoint=file)


def test_attributes_of_called_functions() -> None:
    """By construction: those of a function that is called count, those of PyTorch do not."""

    def inner(outputs: object) -> object:
        return outputs.features  # type: ignore[attr-defined]

    def outer(s: object, t: object) -> object:
        return [inner(item) for item in (s, t)]

    assert attributes_read(outer) == {"features"}
    assert attributes_read(torch.nn.functional.mse_loss) == set()
