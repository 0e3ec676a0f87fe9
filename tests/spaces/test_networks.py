"""The space of one's own networks. The oracles are the networks themselves and PyTorch's own draws."""

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from zcbench import spaces
from zcbench.errors import ArchitectureError, UnknownNameError, ZcbenchError
from zcbench.spaces import KnownNetworks, Networks, SpaceError
from zcbench.spaces.networks import Example, NetworkCard, are_cards
from zcbench.streams import derive

SHAPE = (3, 8, 8)


class Small(nn.Sequential):
    """A network that is made without arguments."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach().clone() for tensor in network.state_dict().values()]


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_a_space_of_names() -> None:
    """By construction: names in the order of the mapping; no neighbours; a mutation and a child are names too."""
    space, rng = Networks({"b": Small, "a": Small(), "c": Small}), np.random.default_rng(0)
    assert (list(space), len(space), space.index("a"), space[2]) == (["b", "a", "c"], 3, 1, "c")
    assert space.neighbours("a") == [] and space.canonical("a") == "a" and "d" not in space
    assert {space.mutate("a", rng) for _ in range(50)} == {"a", "b", "c"}
    assert {space.crossover("a", "b", rng) for _ in range(50)} == {"a", "b"}
    with pytest.raises(ArchitectureError, match="none of the 3 networks"):
        space.build("d")


def test_functions_are_called_for_each_seed() -> None:
    """Oracle: PyTorch's own draw after `torch.manual_seed` with the derived seed; global states are restored."""
    space = Networks({"one": Small, "two": Small})
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    built = [space.build("one", seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == np.random.get_state()[1].tolist()
    torch.manual_seed(derive("init", "networks", "one", "default", 0))
    assert equal(built[0], Small()) and equal(built[0], built[1]) and not equal(built[0], built[2])
    assert not equal(built[0], space.build("two")) and space.drawn("one")


def test_numpy_and_python_draws_are_of_the_stream() -> None:
    """Invariance: a function that draws with NumPy gives the same weights for the same seed, others for another."""

    def make() -> nn.Module:
        network = Small()
        network[0].weight.data = torch.from_numpy(np.random.standard_normal((4, 3, 3, 3))).float()
        return network

    space = Networks({"own": make})
    assert equal(space.build("own", seed=1), space.build("own", seed=1))
    assert not equal(space.build("own", seed=1), space.build("own", seed=2))
    assert space.card("own", SHAPE).drawn


def test_modules_are_taken_as_they_are() -> None:
    """Invariance: every seed gives a copy with the given weights; changing the copy leaves the module unchanged."""
    given = Small().eval()
    space, before = Networks({"given": given}), weights(given)
    copy = space.build("given", seed=7)
    assert equal(copy, given) and copy is not given and not copy.training and not space.drawn("given")
    copy[0].weight.data.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(given)))
    with pytest.raises(SpaceError, match="has its weights"):
        space.build("given", init="kaiming")


def test_an_initialisation_draws_functions_again() -> None:
    """By construction: `kaiming` sets the biases to zero."""
    network = Networks({"one": Small}).build("one", init="kaiming")
    assert not network[0].bias.any() and not network[4].bias.any()


def test_sizes_are_measured() -> None:
    """Closed form: a 3x3 convolution of 3 to w channels on 6x6 positions, and a linear map of w to 10."""
    networks, example = {"w": Small, "v": Small(6)}, Example(torch.randn(1, *SHAPE))
    for space in (Networks(networks, example), Networks(networks), Networks(networks).on(example)):
        costs = space.costs(["v", "w"], image_shape=SHAPE).set_index("arch")
        for name, width in (("w", 4), ("v", 6)):
            expected = [27 * width + width + 10 * width + 10, 27 * width * 36 + 10 * width, 1, 1, 0]
            assert costs.loc[name].tolist() == expected
        assert space.params("w", image_shape=SHAPE) == 162 and space.card("w", SHAPE).outputs == (10,)


def test_sizes_of_a_space_are_those_measured_on_its_networks() -> None:
    """Invariance: the analytic sizes of NAS-Bench-201 cells."""
    home = spaces.get("nasbench201", channels=4, cells=1)
    archs = [home[5], home[6111], home[15624]]
    space = Networks({arch: home.build(arch, image_shape=SHAPE) for arch in archs})
    columns = ["arch", "params", "macs", "n_convs", "depth", "width"]
    assert space.costs(archs, image_shape=SHAPE)[columns].equals(home.costs(archs, image_shape=SHAPE)[columns])


def test_the_fingerprint_is_of_weights_and_definition() -> None:
    """By construction: other weights, another attribute or another class have another one; the mode has not."""
    first = Small()
    same, moved, stride = (Networks({"a": first}).build("a") for _ in range(3))
    same.eval()
    moved[0].bias.data[0] += 1
    stride[0].stride = (2, 2)
    other = nn.Sequential(*first.children())
    cards = [Networks({"a": network}).card("a", SHAPE).sha256 for network in (first, same, moved, stride, other)]
    assert cards[0] == cards[1] and len(set(cards)) == 4


def test_cards_are_kept_as_json() -> None:
    """Inverse: a card from its JSON; a damaged one is none."""
    card = Networks({"a": Small}).card("a", SHAPE)
    content = card.to_json()
    assert NetworkCard.from_json(content) == card and are_cards({"a": content})
    assert not are_cards({"a": {**content, "macs": "many"}}) and not are_cards([content])
    known = KnownNetworks(["a"], {"a": card})
    assert known.macs("a") == card.cost.macs
    with pytest.raises(SpaceError, match="give the networks again"):
        known.build("a")


def test_networks_travel_to_other_processes() -> None:
    """Inverse of pickling, also for functions that no other process can import."""
    width, lock = 5, threading.Lock()
    space = Networks({"lambda": lambda: Small(width), "module": Small()})
    found = pickle.loads(pickle.dumps(space))
    for name in space:
        assert equal(found.build(name, seed=3), space.build(name, seed=3))
    with pytest.raises(pickle.PicklingError, match="networks cannot be written"):
        pickle.dumps(Networks({"locked": lambda: Small(width if lock else 4)}))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({}, "There is no network"),
        ([("a", Small), ("a", Small)], "Two networks are called 'a'"),
        ({"a": 3}, "is of the type int"),
        ({1: Small}, "1 names a network. Expected one line of text"),
        ({"a\nb": Small}, "Expected one line of text"),
        (3, "The networks are of the type int"),
        ([Small], "The networks are of the type list"),
    ],
)
def test_what_is_no_mapping_of_networks(networks: object, message: str) -> None:
    """By construction: one sentence that names what was given."""
    with pytest.raises(SpaceError, match=message):
        Networks(networks)  # type: ignore[arg-type]


def failing() -> nn.Module:
    raise ValueError("no such file")


ONE = Small()


class Named(nn.Module):
    """Its output has a name that is not known."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": images.flatten(1)}


def moving() -> nn.Module:
    """Another network at every call, whatever the seed."""
    network = Small()
    moving.calls = getattr(moving, "calls", 0) + 1  # type: ignore[attr-defined]
    network[0].bias.data.fill_(moving.calls)  # type: ignore[attr-defined]
    return network


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (failing, "fails: ValueError: no such file"),
        (lambda: 3, "gives a value of the type int"),
        (lambda: ONE, "gives the same network at every call"),
        (moving, "gives other weights when it is called again with the same seed"),
        (nn.Linear(5, 10), "does not take an input of shape"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(192, 10)), r"returns a tensor \(10,\)"),
        (Named(), "returns a dict"),
    ],
)
def test_unfit_networks_are_refused_by_name(source: object, message: str) -> None:
    """By construction: one sentence that names the network and what is wrong with it."""
    with pytest.raises(SpaceError, match=message) as error:
        Networks({"bad": source}).card("bad", SHAPE)  # type: ignore[dict-item]
    assert "'bad'" in str(error.value)


FILE = """
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))

MAPPING = {"made": make, "inline": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), "given": make()}
ONE = make()
NUMBER = 3

def both():
    return {"drawn": nn.Sequential(nn.Flatten(), nn.Linear(192, 10))}
"""


def test_networks_of_a_file(tmp_path: Path) -> None:
    """By construction: a mapping, or a function that makes one; its weights are the same whenever the file is run."""
    files = [tmp_path / name for name in ("one.py", "two.py")]
    for file in files:
        file.write_text(FILE)
    one, two = (spaces.get(f"{file}:MAPPING") for file in files)
    assert isinstance(one, Networks) and list(one) == ["made", "inline", "given"]
    assert all(equal(one.build(name), two.build(name)) for name in one)
    assert equal(Networks(f"{files[0]}:both").build("drawn"), Networks(f"{files[1]}:both").build("drawn"))
    found = pickle.loads(pickle.dumps(one))
    assert all(equal(one.build(name, seed=1), found.build(name, seed=1)) for name in one)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ABSENT", "no known name"),
        ("ONE", "gives a value of the type Sequential. Expected a mapping"),
        ("make", "gives a value of the type Sequential. Expected a mapping"),
        ("NUMBER", "gives a value of the type int"),
    ],
)
def test_names_that_stand_for_no_mapping(name: str, message: str, tmp_path: Path) -> None:
    """By construction: one sentence that names file and name."""
    file = tmp_path / "nets.py"
    file.write_text(FILE)
    with pytest.raises(ZcbenchError, match=message):
        Networks(f"{file}:{name}")
    with pytest.raises((ZcbenchError, UnknownNameError)):
        Networks(f"{tmp_path / 'absent.py'}:{name}")
