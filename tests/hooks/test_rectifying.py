"""What the search for ReLUs by values keeps, and what it takes for one."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.hooks.functions import call
from zcbench.hooks.record import FunctionCallbacks
from zcbench.hooks.recorder import Recorder

IN_PLACE = {
    "relu": lambda x: F.relu_(x),
    "product": lambda x: x.mul_(0.5 * x),
    "sum with a copy": lambda x: x.add_(x.abs()),
    "entries set": lambda x: x.__setitem__(x < 0, 0.0),
    "copied from its ReLU": lambda x: x.copy_((-x).abs()),
}


def found(function, x: Tensor) -> list[Tensor]:
    """The inputs of the ReLUs that are recorded of a function of ``x``."""
    units: list[Tensor] = []
    with Recorder({}, x, functions=FunctionCallbacks(lambda unit, images, rectified: units.append(unit)), through=call):
        function(x)
    return units


@pytest.mark.parametrize("name", IN_PLACE)
def test_nothing_outlives_the_pass(name: str) -> None:
    """By construction: without the collector of cycles a map is gone when its last name is, as without a recorder."""
    gc.collect()
    gc.disable()
    try:
        given = torch.randn(4, 3, 5, 5)
        x = given * 1
        alive = weakref.ref(x)
        with Recorder({}, x, functions=FunctionCallbacks(lambda *arguments: None), layers=lambda *arguments: None):
            IN_PLACE[name](x)
        del x
        assert alive() is None
    finally:
        gc.enable()


def test_what_is_no_relu() -> None:
    """Counter-examples: nothing negative, all kept, another slope than a leaky ReLU's, halves."""
    x = torch.randn(4, 3, 5, 5)
    for function in (
        lambda x: x.square() * 1,
        lambda x: torch.where(x > 0, x, 1.0 * x),
        lambda x: torch.where(x > 0, x, 2.0 * x),
        lambda x: (x + x.abs()) / 4,
        lambda x: x.sigmoid() * x,
    ):
        assert found(function, x) == []
    assert found(lambda x: (x + x.abs()) / 2, x)[0] is x
    assert found(lambda x: (x + x.abs()) / 2, x.abs()) == []


def test_each_relu_is_found_once() -> None:
    """By construction: what is made of a ReLU is no second one of the same tensor; two branches have one each."""
    x = torch.randn(4, 3, 5, 5)
    assert len(found(lambda x: ((x + x.abs()) / 2) * 1.0, x)) == 1
    assert len(found(lambda x: F.relu(x) * 1.0, x)) == 1
    assert len(found(lambda x: (x + x.abs()) / 2 + (x - x.clamp(max=0)), x)) == 2


class Scaled(nn.Module):
    """Channels times a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3))


def test_a_parameter_of_an_entrywise_einsum_is_no_weight() -> None:
    """Invariance: as for the same factor by a product."""
    module, x = Scaled(), torch.randn(4, 3, 5, 5)
    for scaled in (
        lambda: torch.einsum("bchw,c->bchw", x, module.scale),
        lambda: x * module.scale[:, None, None],
    ):
        with Recorder(dict(module.named_parameters()), x) as recorder:
            scaled()
        assert [weight.name for weight in recorder.weights] == []
