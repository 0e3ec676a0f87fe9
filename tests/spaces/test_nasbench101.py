"""NAS-Bench-101: published fingerprints, parameters and MACs, and every cell once."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from zcbench import spaces
from zcbench.errors import ArchitectureError
from zcbench.spaces.base import SpaceError
from zcbench.spaces.measuring import measure
from zcbench.spaces.nasbench101 import NASBench101
from zcbench.spaces.nasbench101 import space as space_module
from zcbench.spaces.nasbench101.cell import enumerate_cells, write
from zcbench.storage import pickles

#: Row, fingerprint, parameters and MACs at 32x32 with 10 classes, as published.
PUBLISHED = [
    (0, "00005c142e6f48ac74fdcf73e3439874", 8_555_530, 1_261_835_264),
    (1847, "012534f1e7781c0ac3ef57bfcc4dff91", 49_979_274, 7_335_187_456),
    (3044, "01da1025a8b3a7c0b848adccef93c5a5", 227_274, 37_098_496),
    (4789, "02e5a0247bbdcf2860b7e96f74961594", 32_426_634, 4_768_273_408),
    (6992, "043721b9c7fe8c5fad811d47d83132ec", 882_570, 137_761_792),
]


@pytest.fixture(scope="module")
def space() -> NASBench101:
    made = spaces.get("nasbench101")
    assert isinstance(made, NASBench101)
    return made


@pytest.mark.parametrize(("row", "fingerprint", "params", "macs"), PUBLISHED)
def test_published_cells(space: NASBench101, row: int, fingerprint: str, params: int, macs: int) -> None:
    """Published numbers: the row of a fingerprint, parameters and MACs."""
    arch = space[row]
    assert space.fingerprint(arch) == fingerprint and space.index(arch) == row
    assert (space.params(arch), space.macs(arch)) == (params, macs)


def test_every_cell_once(space: NASBench101) -> None:
    """Independent path: the enumeration of all cells has the same members as the index, by number of vertices."""
    cells = list(enumerate_cells())
    counts = np.bincount([graph.vertices for graph in cells])
    assert counts[2:].tolist() == [1, 6, 84, 2_441, 62_010, 359_082]
    assert set(map(write, cells)) == set(space) and len(space) == 423_624


def test_rows_are_in_the_order_of_fingerprints(space: NASBench101) -> None:
    """Published order: fingerprints ascend."""
    rows = np.sort(np.random.default_rng(0).choice(len(space), size=300, replace=False))
    found = [space.fingerprint(space[int(row)]) for row in rows]
    assert found == sorted(found) and len(set(found)) == len(found)


@pytest.mark.data
@pytest.mark.parametrize("cells", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_published_parameters(space: NASBench101, data_dir: Path, cells: int) -> None:
    """Published numbers: parameters of cells drawn at random; all 423,624 were compared once."""
    with gzip.open(data_dir / "sources" / "nasbench101" / "params.pkl.gz") as stream:
        published = (1e6 * pickles.loads(stream.read())["params"]).round().astype(int)
    rows = np.random.default_rng(1).choice(len(space), size=cells, replace=False)
    found = space.costs(space[int(row)] for row in rows)["params"]
    assert found.tolist() == published[rows].tolist()


def test_costs_are_those_of_the_network(space: NASBench101) -> None:
    """Independent path: sizes counted on the network itself."""
    for arch in space.sample(np.random.default_rng(2), 5):
        counted = measure(lambda arch=arch: space.network(space.parse(arch), (3, 32, 32), 10), (3, 32, 32))
        assert tuple(counted) == tuple(space.costs([arch]).iloc[0, 1:])


def test_the_order_of_vertices_does_not_matter(space: NASBench101) -> None:
    """Invariance: a cell written with its vertices in another order is the same row and the same network."""
    one, other = "conv3x3~0|maxpool3x3~0|output~12", "maxpool3x3~0|conv3x3~0|output~12"
    assert one != other and space.index(one) == space.index(other)
    first, second = (space.build(arch, seed=3).state_dict() for arch in (one, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_forward(space: NASBench101) -> None:
    """By hand: the cell of one vertex is a projection, applied nine times with batch normalisation and ReLU."""
    network = space.build("output~0", image_shape=(3, 8, 8)).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    maps = network.stem(images)
    for stack in (1, 2, 3):
        maps = maps if stack == 1 else torch.nn.functional.max_pool2d(maps, 2)
        for cell in getattr(network, f"stack{stack}"):
            maps = cell.projections["1"](maps)
    assert torch.equal(network(images), network.classifier(maps.mean((2, 3))))


def test_neighbours_and_children_are_cells(space: NASBench101) -> None:
    """Contract: all are of the space and canonical, no neighbour is the cell itself, and neighbourhood is mutual."""
    rng = np.random.default_rng(3)
    for arch in space.sample(rng, 20):
        near = space.neighbours(arch)
        assert arch not in near and all(space.canonical(other) == other for other in near)
        child = space.crossover(arch, space.sample(rng), rng)
        assert space[space.index(child)] == child
    smallest = "conv3x3~0|output~1"
    assert all(smallest in space.neighbours(other) for other in space.neighbours(smallest) if other.count("~") == 2)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("conv3x3~0|conv3x3~1|conv3x3~2|conv3x3~3|conv3x3~4|conv3x3~5|output~6", "8 vertices. Expected 2 to 7"),
        ("conv3x3~0|conv3x3~01|conv3x3~012|conv3x3~012|output~34", "11 edges. Expected at most 9"),
        ("conv3x3~0|conv3x3~0|output~1", "vertex 2 lies on no path"),
        ("conv5x5~0|output~1", "Expected conv3x3 or conv1x1 or maxpool3x3"),
        ("conv3x3~1|output~1", "names the sources '1'"),
        ("conv3x3~0|output~", "lies on no path"),
        ("output~", "nothing reaches the output"),
        ("conv3x3~0|conv3x3~1", "Expected output"),
        ("", "reads ''"),
        (7, "a int"),
    ],
)
def test_no_cell(space: NASBench101, arch: str, message: str) -> None:
    """Bad input: too many vertices or edges, a vertex on no path, an unknown operation, sources that come later."""
    assert arch not in space
    with pytest.raises(ArchitectureError, match=message):
        space.build(arch)


@pytest.mark.long
def test_the_largest_cell_has_the_most_macs():
    """Oracle: the costs of all 423,624 cells."""
    space = spaces.get("nasbench101")
    costs = space.costs(space)
    assert costs["arch"].iloc[int(costs["macs"].argmax())] == space.largest


@pytest.mark.parametrize("damage", ["truncated", "shortened", "other columns", "missing"])
def test_a_damaged_index_is_refused(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed form: a file cut off, one row less, a column that lacks, and no file, each with the reason."""
    whole, own = Path(str(space_module._INDEX)), tmp_path / "cells.parquet"
    table = pq.read_table(whole)
    if damage == "truncated":
        own.write_bytes(whole.read_bytes()[:500_000])
    elif damage != "missing":
        pq.write_table(table.slice(1) if damage == "shortened" else table.drop_columns("operations"), own)
    monkeypatch.setattr(space_module, "_INDEX", own)
    space_module._rows.cache_clear()
    try:
        with pytest.raises(SpaceError, match="install zcbench anew"):
            spaces.get("nasbench101").index("output~0")
    finally:
        space_module._rows.cache_clear()


@pytest.mark.parametrize(
    ("arch", "why"),
    [
        ("conv3x3~0|conv3x3~01|conv3x3~012|conv3x3~013|output~4", "it has 10 edges"),
        ("conv3x3~0|conv3x3~1|conv3x3~2|conv3x3~3|conv3x3~4|conv3x3~5|output~6", "it has 8 vertices"),
        ("conv3x3~0|conv3x3~0|output~1", "vertex 2 lies on no path"),
        ("conv5x5~0|output~1", "vertex 1 names 'conv5x5'"),
    ],
)
def test_cells_outside_the_space(arch: str, why: str) -> None:
    """Closed form: an edge or a vertex too many, a vertex without an end, and a wrong label."""
    with pytest.raises(ArchitectureError, match=why):
        spaces.get("nasbench101").index(arch)
