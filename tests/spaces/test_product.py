"""Spaces that are lists of choices: strings, numbers, drawing and changing, also where nothing can be listed."""

import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zcbench.spaces
from zcbench.errors import ArchitectureError, UnknownNameError
from zcbench.spaces import ProductSpace, SpaceError

NAMES = (
    *("autoformer", "deit", "mobilenetv2", "pit", "pvt", "resnet", "resnet_large", "s0", "shufflenet", "t2t", "vgg"),
    "wrn",
)
SIZES = {
    "autoformer": 3 * (4**12 + 4**13 + 4**14),
    "deit": 4 * 4 * 13 * 6,
    "mobilenetv2": 6 * 4,
    "pit": 4 * 4 * 3 * 3 * 3 * 10,
    "pvt": 4 * 3 * 3 * 4 * 4 * 3 * 3,
    "resnet": 18**3 * 32**4,
    "resnet_large": 3 * (6 * 6 * 6) ** 4,
    "s0": 4**3,
    "shufflenet": 4,
    "t2t": 4 * 4 * 13 * 6,
    "vgg": 5,
    "wrn": 6 * 7,
}


@pytest.fixture(params=NAMES)
def product_space(request: pytest.FixtureRequest) -> ProductSpace:
    space = zcbench.spaces.get(request.param)
    assert isinstance(space, ProductSpace)
    return space


def _some(space: ProductSpace, n: int = 12) -> list[str]:
    return [*space.sample(np.random.default_rng(0), min(n, len(space))), space[0], space[-1]]


def _distance(space: ProductSpace, one: str, other: str) -> int:
    """Values that differ, or that only one of two architectures has."""
    first, second = space.parse(one), space.parse(other)
    return sum(a != b for a, b in zip(first, second)) + abs(len(first) - len(second))


def test_size(product_space: ProductSpace) -> None:
    """Closed form: products of the numbers of choices, by hand."""
    assert len(product_space) == SIZES[product_space.name]


def test_index_and_item_are_inverse(product_space: ProductSpace) -> None:
    """Invariance: an architecture is at its index, its string is canonical, and there is none beyond the ends."""
    space, size = product_space, len(product_space)
    places = {0, size - 1, *np.random.default_rng(1).integers(size, size=50).tolist()}
    for place in places:
        assert space.index(space[place]) == place
        assert space.canonical(space[place]) == space[place]
        assert space[place] in space
    for place in (size, -size - 1):
        with pytest.raises(IndexError, match=str(place)):
            space[place]


def test_listing(product_space: ProductSpace) -> None:
    """Invariance: a small space is listed in the order of its indices; a large one refuses, and gives its size."""
    if len(product_space) < 10_000:
        assert [product_space.index(arch) for arch in product_space] == list(range(len(product_space)))
        return
    for listing in (product_space.subset, lambda: list(islice(product_space, 3))):
        with pytest.raises(SpaceError, match=f"{product_space.name}, which has {len(product_space):,}"):
            listing()


def test_order_of_s0_and_of_lengths() -> None:
    """Closed form: S0 counts like a number; shorter AutoFormers come first, and the last choice counts fastest."""
    assert zcbench.spaces.get("s0").subset()[:5] == ("111", "113", "115", "117", "131")
    space = zcbench.spaces.get("autoformer")
    assert space[1] == "192/" + ",".join(["3.5x3"] * 11 + ["3.5x4"])
    assert space[3 * 4**12] == "192/" + ",".join(["3.5x3"] * 13)


def test_sample(product_space: ProductSpace) -> None:
    """Invariance: different architectures, decided by the generator alone; too many are refused with their number."""
    n = min(30, len(product_space))
    one, other = (product_space.sample(np.random.default_rng(5), n) for _ in range(2))
    assert one == other
    assert len(set(one)) == n
    assert product_space.sample(np.random.default_rng(0)) in product_space
    for wrong in (len(product_space) + 1, -1):
        with pytest.raises(SpaceError, match=f"sample of {wrong}"):
            product_space.sample(np.random.default_rng(0), wrong)
    with pytest.raises(UnknownNameError, match="subset"):
        product_space.sample(np.random.default_rng(0), 1, subset="alll")


def test_samples_are_uniform() -> None:
    """Closed form: three in four AutoFormers have 14 layers; the share of 2,000 is within .05 (5 sigma) of 16/21."""
    space = zcbench.spaces.get("autoformer")
    layers = [arch.count(",") + 1 for arch in space.sample(np.random.default_rng(0), 2000)]
    assert np.mean(np.array(layers) == 14) == pytest.approx(16 / 21, abs=0.05)


def test_neighbours(product_space: ProductSpace) -> None:
    """Invariance: different strings of the space, one choice or one layer away, and each has the other in its list."""
    for arch in _some(product_space, 4):
        neighbours = product_space.neighbours(arch)
        assert len(set(neighbours)) == len(neighbours)
        assert arch not in neighbours
        assert all(1 <= _distance(product_space, arch, other) <= 2 for other in neighbours)
        for other in (neighbours[0], neighbours[-1]):
            assert arch in product_space.neighbours(other)


@pytest.mark.parametrize(("layers", "count"), [(12, 2 + 24 + 4), (13, 2 + 26 + 1 + 4), (14, 2 + 28 + 1)])
def test_number_of_neighbours_of_an_autoformer(layers: int, count: int) -> None:
    """Closed form: two other widths, one other value per layer and choice, one layer less, four kinds of one more."""
    assert len(zcbench.spaces.get("autoformer").neighbours("192/" + ",".join(["4x3"] * layers))) == count


def test_mutation_and_crossover(product_space: ProductSpace) -> None:
    """Invariance: children are of the space, the generator decides, and each choice is one parent's."""
    space, rng = product_space, np.random.default_rng(3)
    mother, father = _some(space)[:2]
    assert space.mutate(mother, np.random.default_rng(1)) == space.mutate(mother, np.random.default_rng(1))
    assert all(space.mutate(mother, rng) in space.neighbours(mother) for _ in range(5))
    assert space.crossover(mother, mother, rng) == mother
    for _ in range(20):
        values = space.parse(space.crossover(mother, father, rng))
        assert len(values) in {len(space.parse(mother)), len(space.parse(father))}
        for place, value in enumerate(values):
            assert value in {parent[place] for parent in map(space.parse, (mother, father)) if place < len(parent)}


def test_both_lengths_are_inherited() -> None:
    """Closed form: of 200 children of 12 and 14 layers, about half have either number."""
    space, rng = zcbench.spaces.get("autoformer"), np.random.default_rng(0)
    parents = ["240/" + ",".join(["4x3"] * layers) for layers in (12, 14)]
    lengths = [space.crossover(*parents, rng).count(",") + 1 for _ in range(200)]
    assert lengths.count(12) + lengths.count(14) == 200
    assert 60 < lengths.count(12) < 140


def _refusal(space: ProductSpace, text: str) -> str | None:
    try:
        space.parse(text)
    except ArchitectureError as error:
        return str(error)
    return None


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(NAMES), st.integers(0, 2**40), st.data())
def test_damaged_strings(name: str, place: int, data: st.DataObject) -> None:
    """Invariance: one character more or less gives another architecture or a refusal that says what is expected."""
    space = zcbench.spaces.get(name)
    arch = space[place % len(space)]
    at = data.draw(st.integers(0, len(arch) - 1))
    for damaged in (arch[:at] + arch[at + 1 :], arch[:at] + data.draw(st.characters()) + arch[at:]):
        refusal = _refusal(space, damaged)
        assert refusal is None or "Expected" in refusal or "has this name" in refusal
        assert (refusal is None) == (damaged in space)


@pytest.mark.parametrize(
    ("name", "arch", "message"),
    [
        ("s0", "551x", "stage 3 reads '1x'. Expected one of 1, 3, 5, 7"),
        ("s0", "525", "stage 2 reads '2'. Expected one of 1, 3, 5, 7. An example is '557'"),
        ("s0", "55", "it ends after stage 2. Expected it to end after stage 3"),
        ("resnet", "3-3-0", "depth of stage 3 reads '0'"),
        ("resnet", "3-3-3@16-16-32", "it ends after width of stage 2. Expected it to end after width of stage 3"),
        ("resnet", "3-3-3@16-16-32-65", "width of stage 3 reads '65'"),
        ("resnet", "resnet21", "no architecture of resnet has this name. Did you mean 'resnet32' or 'resnet20'"),
        ("resnet_large", "64/b4x64x2", "block and kernel of stage 1 reads 'b4'"),
        ("wrn", "wrn_40_3", "Did you mean 'wrn_40_2'"),
        (
            "vgg",
            "vgg12",
            "the name reads 'vgg12'. Expected one of vgg8, vgg11, vgg13, vgg16, vgg19. Did you mean 'vgg1",
        ),
        ("shufflenet", "ShuffleV3", "Did you mean 'Shuffle"),
        ("pit", "16/6/2-8-4/4-2-4", "the heads of the stages reads '4-2-4'"),
        ("autoformer", "192/3.5x3,4x5", "the heads of layer 2 reads '5'"),
        ("autoformer", "192/3.5,4x3", "the MLP ratio of layer 1 reads '3.5,4'"),
        (
            "autoformer",
            "192/3.5x3,4x3",
            "it ends after the heads of layer 2. Expected it to end after the heads of layer 12",
        ),
        ("deit", "64/4/12/7", "the heads reads '7'. Expected one of 1, 2, 3, 4, 5, 6"),
        ("deit", "deit_x", "no architecture of deit has this name. Did you mean 'deit_"),
        ("t2t", "64/2/7", "it ends after the depth. Expected it to end after the heads"),
        ("pvt", "64/8-8-4/2-2-2-2/1-2-5-8", "the MLP ratios of the stages reads '8-8-4'"),
        ("pit", 16, "Given: 16, which is of the type int. Expected: the string of PiT, such as '32/4/2-6-4/2-4-8'"),
        ("s0", "", "stage 1 reads ''"),
    ],
)
def test_errors_name_the_place(name: str, arch: object, message: str) -> None:
    """Closed form: the message for each kind of damage."""
    with pytest.raises(ArchitectureError) as error:
        zcbench.spaces.get(name).parse(arch)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_a_very_long_string_is_shortened_in_the_message(product_space: ProductSpace) -> None:
    """Invariance: the message stays readable whatever was given."""
    for text in ("9" * 100_000, "x" * 100_000, "-" * 100_000):
        with pytest.raises(ArchitectureError) as error:
            product_space.parse(text)
        assert len(str(error.value)) < 1200


@pytest.mark.parametrize(
    ("name", "alias", "arch"),
    [
        ("resnet", "resnet20", "3-3-3@16-16-32-64"),
        ("resnet", "3-3-3", "3-3-3@16-16-32-64"),
        ("resnet", "resnet32x4", "5-5-5@32-64-128-256"),
        ("wrn", "wrn_40_2", "40-2"),
        ("mobilenetv2", "mobilenetv2", "6-0.5"),
        ("shufflenet", "ShuffleV1", "v1"),
        ("pit", "pit_ti", "32/4/2-6-4/2-4-8"),
        ("deit", "deit_ti", "64/4/12/3"),
        ("t2t", "t2t_7", "64/2/7/4"),
        ("pvt", "pvt_ti", "64/8-8-4-4/2-2-2-2/1-2-5-8"),
    ],
)
def test_aliases(name: str, alias: str, arch: str) -> None:
    """Closed form: another name of an architecture has its index, its costs and, bit for bit, its weights."""
    space = zcbench.spaces.get(name)
    assert space.canonical(alias) == arch
    assert space.index(alias) == space.index(arch)
    assert space.params(alias) == space.params(arch)
    if name == "wrn":
        one, other = (space.build(given, seed=3, image_shape=(3, 8, 8)).state_dict() for given in (alias, arch))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_specifications() -> None:
    """Round trip: a space is found again by its ``spec`` and by its pickle; an unknown option is named."""
    for name in NAMES:
        space = zcbench.spaces.get(name)
        assert zcbench.spaces.get(space.spec) == space == pickle.loads(pickle.dumps(space))
    paper = zcbench.spaces.get("autoformer", attention="paper")
    assert zcbench.spaces.get(paper.spec) == paper != zcbench.spaces.get("autoformer")
    with pytest.raises(UnknownNameError, match="Did you mean 'paper'"):
        zcbench.spaces.get("autoformer", attention="papr")
