"""What every space does: look up, draw, change; and how spaces are found by name."""

import math
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import zcbench.spaces
from zcbench.errors import ArchitectureError, DuplicateNameError, UnknownNameError
from zcbench.spaces import NASBench201, ProductSpace, SpaceError
from zcbench.spaces.nasbench201 import cell
from zcbench.spaces.product import Site


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(cell.parse(one), cell.parse(other)))


def test_container(space: NASBench201) -> None:
    """Invariance: index, item, iteration, length and membership agree."""
    assert len(space) == 15_625 == len(set(space))
    assert all(space.index(arch) == i and space[i] == arch for i, arch in enumerate(space))
    assert space[0] in space
    for stranger in ("|none~0|", 3, None, ["x"]):
        assert stranger not in space
    with pytest.raises(ArchitectureError):
        space.index("|none~0|")


def test_spaces_of_one_spec_are_equal(space: NASBench201) -> None:
    """Invariance: equal options make equal spaces, also after a trip through a pickle, and a pickle is small."""
    again = pickle.loads(pickle.dumps(space))
    assert again == space == zcbench.spaces.get("nasbench201", cells=5, channels=16)
    assert hash(again) == hash(space)
    assert space != zcbench.spaces.get("nasbench201", channels=8)
    assert repr(space) == space.spec == "nasbench201(channels=16,cells=5)"
    assert len(pickle.dumps(space)) < 1000


@pytest.mark.parametrize("subset", ["all", "live", "unique"])
def test_sample_without_replacement(space: NASBench201, subset: str) -> None:
    """Invariance: different architectures of the subset, decided by the generator; the whole subset can be drawn."""
    one, other = (space.sample(np.random.default_rng(5), 500, subset) for _ in range(2))
    members = set(space.subset(subset))
    assert one == other
    assert len(set(one)) == 500
    assert set(one) <= members
    assert set(space.sample(np.random.default_rng(5), len(members), subset)) == members


def test_sample_one_or_none(space: NASBench201, rng: np.random.Generator) -> None:
    """Closed form: without n a string, with n a list."""
    assert space.sample(rng) in space
    assert space.sample(rng, 0) == []
    assert type(space.sample(rng, 1)[0]) is str


def test_samples_are_uniform(space: NASBench201) -> None:
    """Closed form: each operation has one edge in five; at 2,000 x 6 edges the share is within .02 (5 sigma)."""
    names = [name for arch in space.sample(np.random.default_rng(0), 2000) for name in space.parse(arch)]
    for operation in cell.OPERATIONS:
        assert names.count(operation) / len(names) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(("n", "subset"), [(15_626, "all"), (5_261, "unique"), (-1, "all")])
def test_sample_of_impossible_size(space: NASBench201, rng: np.random.Generator, n: int, subset: str) -> None:
    """Closed form: an error that says how many there are."""
    with pytest.raises(SpaceError, match=str(len(space.subset(subset)))):
        space.sample(rng, n, subset)


def test_neighbours(space: NASBench201, some: list[str]) -> None:
    """Closed form: 6 edges times 4 other operations, each one change away; and being a neighbour is mutual."""
    for arch in some:
        neighbours = space.neighbours(arch)
        assert len(set(neighbours)) == len(neighbours) == 24
        assert all(_differences(arch, other) == 1 for other in neighbours)
        assert all(arch in space.neighbours(other) for other in neighbours)


def test_mutation(space: NASBench201, some: list[str]) -> None:
    """Invariance: exactly one edge changes, the generator decides which, and all 24 neighbours are reached."""
    for arch in some:
        children = [space.mutate(arch, np.random.default_rng(seed)) for seed in range(20)]
        assert children == [space.mutate(arch, np.random.default_rng(seed)) for seed in range(20)]
        assert all(_differences(arch, child) == 1 for child in children)
    rng = np.random.default_rng(0)
    assert {space.mutate(some[0], rng) for _ in range(400)} == set(space.neighbours(some[0]))


def test_crossover(space: NASBench201, some: list[str], rng: np.random.Generator) -> None:
    """Invariance: each edge is one parent's, a cell crossed with itself is itself, and all 64 children occur."""
    for mother, father in pairwise(some):
        child = space.parse(space.crossover(mother, father, rng))
        assert all(name in both for name, both in zip(child, zip(space.parse(mother), space.parse(father))))
        assert space.crossover(mother, mother, rng) == mother
    ends = cell.write(("none",) * 6), cell.write(("skip_connect",) * 6)
    assert len({space.crossover(*ends, rng) for _ in range(1000)}) == 64


@pytest.mark.parametrize("method", ["mutate", "crossover", "neighbours", "canonical"])
def test_malformed_architecture(space: NASBench201, rng: np.random.Generator, method: str) -> None:
    """Closed form: the parser's error from every method."""
    arguments = {"mutate": ("x", rng), "crossover": (space[0], "x", rng)}.get(method, ("x",))
    with pytest.raises(ArchitectureError):
        getattr(space, method)(*arguments)


def test_names() -> None:
    """Closed form: what is known, and the nearest name for what is not."""
    assert "nasbench201" in zcbench.spaces.names()
    with pytest.raises(UnknownNameError, match="Did you mean 'nasbench201'"):
        zcbench.spaces.get("nasbench2001")
    with pytest.raises(UnknownNameError, match="Did you mean 'channels'"):
        zcbench.spaces.get("nasbench201", chanels=4)


def test_a_name_is_registered_once() -> None:
    """Closed form: the same factory again is fine, another one under its name is an error."""
    zcbench.spaces.register("nasbench201", NASBench201)
    with pytest.raises(DuplicateNameError):
        zcbench.spaces.register("nasbench201", dict)


def test_a_space_registers_itself() -> None:
    """By construction: one class with the decorator is found by its name, listed, and built as its string says."""

    @zcbench.spaces.space
    class Stack(ProductSpace):
        """Linear layers of 4 or 8 channels."""

        name = spec = "stack_of_a_test"
        label, example = "stack", "4-8"
        sites = (Site("the first width", ("4", "8")), Site("the second width", ("4", "8")))
        separators = ("-",)

        def network(self, values, image_shape, num_classes):
            widths = [math.prod(image_shape), *map(int, values), num_classes]
            return nn.Sequential(nn.Flatten(), *(nn.Linear(*pair) for pair in pairwise(widths)))

    space = zcbench.spaces.get("stack_of_a_test")
    assert isinstance(space, Stack) and list(space) == ["4-4", "4-8", "8-4", "8-8"]
    layers = space.build("4-8", num_classes=3, image_shape=(1, 2, 2))[1:]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(4, 4), (4, 8), (8, 3)]


@pytest.mark.parametrize(
    "options", [{"channels": 0}, {"cells": -1}, {"channels": 1.5}, {"cells": "5"}, {"cells": True}]
)
def test_bad_options(options: dict[str, object]) -> None:
    """Closed form: sizes are whole numbers of at least 1."""
    with pytest.raises(SpaceError, match="Expected: a whole number of at least 1"):
        zcbench.spaces.get("nasbench201", **options)


def test_bare_import_is_refused() -> None:
    """Invariance: imported from the source folder, the package refuses to become a second copy of itself."""
    folder = Path(zcbench.spaces.__file__).parent.parent
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); import spaces"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "zcbench.spaces" in ended.stderr


def test_a_specification_gives_the_space_it_is_from():
    """Round trip: a space is found again by its ``spec``; options given beside it win; nonsense is named."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=2)
    assert zcbench.spaces.get(space.spec) == space
    assert zcbench.spaces.get(space.spec, cells=3).spec == "nasbench201(channels=4,cells=3)"
    with pytest.raises(zcbench.spaces.SpaceError, match="cannot be read"):
        zcbench.spaces.get("nasbench201(4,")
