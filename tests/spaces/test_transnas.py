"""TransNAS-Bench-101: published parameters and MACs, and which strings there are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import zcbench
from zcbench import spaces
from zcbench.benchmarks.published.tables import TABLES
from zcbench.errors import ArchitectureError
from zcbench.spaces.measuring import measure
from zcbench.spaces.transnas.network import Cell, Step

MICRO, MACRO = spaces.get("transnas_micro"), spaces.get("transnas_macro")
SHAPE = (3, 256, 256)

#: Parameters and MACs of the network without its classifier, for images of 256x256.
PUBLISHED = [
    ("64-41414-3_33_333", 41_411_616, 8_469_872_640),
    ("64-41414-1_02_333", 22_520_608, 4_585_947_136),
    ("64-41414-1_11_111", 540_960, 165_150_720),
    ("64-1234-basic", 3_400_224, 3_998_744_576),
    ("64-4111-basic", 2_317_600, 2_438_463_488),
    ("64-113444-basic", 11_486_624, 1_855_455_232),
]


@pytest.mark.parametrize(("arch", "params", "macs"), PUBLISHED)
def test_published_sizes(arch: str, params: int, macs: int) -> None:
    """Published numbers: parameters and MACs."""
    space = MICRO if arch in MICRO else MACRO
    channels = space.build(arch, 47, image_shape=(3, 64, 64)).classifier.in_features
    assert space.params(arch, 47, SHAPE) - 47 * (channels + 1) == params
    assert space.macs(arch, 47, SHAPE) - 47 * channels == macs


def test_counts() -> None:
    """Published numbers: 4,096 cells, 2,128 of them live, 3,927 with a path; 210 + 750 + 2,296 networks of blocks."""
    assert (len(MICRO), len(MICRO.subset("live")), len(MACRO)) == (4096, 2128, 3256)
    assert int((MICRO.costs(MICRO)["depth"] > 0).sum()) == 3927
    lengths = [len(arch.split("-")[1]) for arch in MACRO]
    assert [lengths.count(length) for length in (4, 5, 6)] == [210, 750, 2296]


@pytest.mark.data
def test_strings_of_the_published_tables(data_dir: Path) -> None:
    """Published strings: all cells; all networks of blocks but one. Known values: the best of two tasks."""
    folder = data_dir / "sources" / "transnas-bench-101"
    cells, blocks = (json.loads((folder / f"{kind}_class_scene.json").read_text()) for kind in ("micro", "macro"))
    assert {arch for arch, _ in cells} == set(MICRO)
    assert set(MACRO) - {arch for arch, _ in blocks} == {"64-113444-basic"}
    best = {name: zcbench.truth(name, data_dir)["accuracy"].max() for name in NAMES}
    assert best == pytest.approx(NAMES, abs=5e-3)


@pytest.mark.data
def test_sizes_of_the_published_scores(data_dir: Path) -> None:
    """Published numbers: parameters and FLOPs of all 2,128 live cells, with 63 classes and images of 256x256.

    That suite's FLOPs are MACs, two for each output of a normalisation, one for each of a ReLU, and those of the
    average pooling of 512 maps.
    """
    (table,) = (one.load(data_dir) for one in TABLES if one.space == MICRO.name)
    assert table is not None and len(table) == 2128
    costs = MICRO.costs(table.index, 63, SHAPE)
    np.testing.assert_array_equal(costs["params"] / 1e6, table["params"])
    flops = costs["macs"] + [passed(MICRO.parse(arch)) for arch in table.index] + 512 * (8 + 1) ** 2
    np.testing.assert_array_equal(flops / 1e6, table["macs"])


def passed(operations: tuple[str, ...]) -> int:
    """Twice the outputs of normalisations and once those of ReLUs, of stem and cells, for an image of 256x256."""
    outputs, inputs, channels, side = 32 * 128**2 + 64 * 64**2, 32 * 128**2, 64, 64
    for doubled in (True, False, True, False, True):
        for first in (True, False):
            own = (2 * channels, side // 2) if doubled and first else (channels, side)
            for (source, _), operation in zip(((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), operations):
                given = (channels, side) if source == 0 else own
                if operation in "23" or (
                    operation == "1" and given != own
                ):  # a convolution, or a skip that changes the shape
                    outputs, inputs = outputs + own[0] * own[1] ** 2, inputs + given[0] * given[1] ** 2
            channels, side = own
    return 2 * outputs + inputs


NAMES = {
    "transnas_micro/class_scene": 54.94,
    "transnas_macro/class_scene": 57.48,
    "transnas_micro/class_object": 46.32,
    "transnas_macro/class_object": 47.96,
    "transnas_micro/jigsaw": 95.37,
    "transnas_macro/jigsaw": 97.02,
}


@pytest.mark.parametrize("space", [MICRO, MACRO])
def test_costs_are_those_of_the_network(space: spaces.Space) -> None:
    """Independent path: sizes counted on the network itself."""
    subset = "live" if "live" in space.subsets else "all"
    for arch in space.sample(np.random.default_rng(0), 6, subset=subset):
        counted = measure(lambda arch=arch: space.network(space.parse(arch), (3, 64, 64), 10), (3, 64, 64))
        assert tuple(counted) == tuple(space.costs([arch], 10, (3, 64, 64)).iloc[0, 1:])


def filled(arch: str) -> Cell:
    """The cell of a module that changes the shape, with convolutions that depend on their shape and nothing else."""
    cell = Cell(MICRO.parse(arch), Step(4, 8, 2))
    for weight in cell.parameters():
        if weight.ndim == 4:
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(sum(weight.shape)))
    return cell


def test_cells_of_one_class_are_one_function() -> None:
    """Invariance: where equal shapes have equal weights, a cell computes what its canonical form does."""
    images = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    for arch in MICRO.subset()[::3]:
        torch.testing.assert_close(filled(arch)(images), filled(MICRO.canonical(arch))(images), rtol=1e-4, atol=1e-4)
    unique = MICRO.subset("unique")
    assert len(unique) == 1376 and set(unique) <= set(MICRO.subset("live"))


def test_neighbours_and_children() -> None:
    """Contract: all of them are of the space, and neighbours differ in one digit or one module."""
    rng = np.random.default_rng(0)
    for arch in MACRO.sample(rng, 30):
        assert all(other in MACRO and other != arch for other in MACRO.neighbours(arch))
        assert MACRO.crossover(arch, MACRO.sample(rng), rng) in MACRO
    assert len(MICRO.neighbours("64-41414-3_33_333")) == 18
    assert MACRO[MACRO.index("64-1234-basic")] == "64-1234-basic"


@pytest.mark.parametrize(
    ("space", "arch", "message"),
    [
        (MICRO, "64-41414-1_02_33", "ends after edge 1→3"),
        (MICRO, "64-41414-1_02_334", "edge 2→3 reads '4'"),
        (MICRO, "32-41414-1_02_333", "does not begin with '64-41414-'"),
        (MACRO, "64-1111-basic", "0 modules double the channels and 0 halve the image"),
        (MACRO, "64-2222-basic", "4 modules double"),
        (MACRO, "64-12345-basic", "module 5 reads '5'"),
        (MACRO, "64-123-basic", "ends after module 3"),
        (MACRO, "1234", "begin with '64-'"),
    ],
)
def test_no_architecture(space: spaces.Space, arch: str, message: str) -> None:
    """Bad input: a digit too few, another digit, another network, too many or too few modules of a kind."""
    assert arch not in space
    with pytest.raises(ArchitectureError, match=message):
        space.parse(arch)
