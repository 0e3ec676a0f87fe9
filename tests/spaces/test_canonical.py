"""Which cells are one network."""

import csv
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from zcbench.errors import UnknownNameError
from zcbench.spaces import NASBench201
from zcbench.spaces.nasbench201 import cell
from zcbench.spaces.nasbench201.network import Cell

SHARED = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|"
SEPARATE = "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|skip_connect~1|none~2|"


@pytest.mark.parametrize(("rule", "classes"), [("network", 5260), ("flat", 4930), ("published", 6466)])
def test_number_of_classes(space: NASBench201, rule: str, classes: int) -> None:
    """Published: 6,466 by the authors' text; counted apart from this code: 4,930 flat, 5,260 with shared weights."""
    assert len({space.canonical(arch, rule) for arch in space}) == classes


def test_pooling_is_taken_as_it_stands(space: NASBench201) -> None:
    """Counted here: 216 more classes are one function, because the pooling of a sum is the sum of the poolings."""
    pool_of_sum = "|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
    sum_of_pools = "|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|avg_pool_3x3~1|none~2|"
    cells = [Cell(space.parse(arch), 2) for arch in (pool_of_sum, sum_of_pools)]
    cells[1].load_state_dict(cells[0].state_dict())
    images = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cells[0](images), cells[1](images))
    assert space.canonical(pool_of_sum) != space.canonical(sum_of_pools)
    assert len({spread(space.parse(arch)) for arch in space.subset("live")}) == 5044


def spread(operations: tuple[str, ...]) -> str:
    """The signature with a pooling for each term of the sum that it is fed."""
    operations = cell.without_dead(operations)
    edges = list(zip(cell.EDGES, operations))

    def text(numbers: dict[int, int]) -> tuple[str, dict[int, str]]:
        nodes: list[list[str]] = [["x"], [], [], []]
        convolutions = {}
        for edge, ((source, target), operation) in enumerate(edges):
            if operation == "skip_connect":
                nodes[target] += nodes[source]
            elif operation == "avg_pool_3x3":
                nodes[target] += [f"pool({term})" for term in nodes[source]]
            elif operation != "none" and nodes[source]:
                convolutions[edge] = f"{operation}{numbers.get(edge, '')}({'+'.join(sorted(nodes[source]))})"
                nodes[target].append(convolutions[edge])
        return "+".join(sorted(nodes[3])), convolutions

    alike: dict[str, list[int]] = {}
    for edge, term in text({})[1].items():
        alike.setdefault(term, []).append(edge)
    choices = product(*(permutations(own) for own in alike.values() if len(own) > 1))
    return min(text({edge: n for own in chosen for n, edge in enumerate(own)})[0] for chosen in choices)


@pytest.mark.data
def test_published_text(space: NASBench201, data_dir: Path) -> None:
    """Published: the authors' text for each of the 15,625 cells."""
    with (data_dir / "sources/nats-bench-landscape/nats_bench.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert cell.published_signature(space.parse(row["ArchitectureString"])) == row["UniqueString"]


@pytest.mark.parametrize("rule", sorted(cell.SIGNATURES))
def test_canonical_form_is_in_the_class_and_idempotent(space: NASBench201, rule: str) -> None:
    """Invariance: a canonical form is of the space, stands for itself, and has the signature of its cell."""
    signature = cell.SIGNATURES[rule]
    for arch in space:
        canonical = space.canonical(arch, rule)
        assert space.canonical(canonical, rule) == canonical
        assert signature(space.parse(canonical)) == signature(space.parse(arch))


def _expression(operations: cell.Operations, names: tuple[int, ...]) -> str:
    """The output with the weights of edge e called names[e]; recursive, from the output backwards."""
    edge_of = dict(zip(cell.EDGES, range(6)))

    def node(target: int) -> list[str]:
        if target == 0:
            return ["x"]
        terms: list[str] = []
        for source in range(target):
            operation, inner = operations[edge_of[source, target]], node(source)
            if operation == "skip_connect":
                terms += inner
            elif operation != "none" and inner:
                weights = "" if operation == "avg_pool_3x3" else f"w{names[edge_of[source, target]]}"
                terms.append(f"{operation}{weights}[{','.join(sorted(inner))}]")
        return terms

    return ",".join(sorted(node(3)))


def test_classes_equal_a_slow_reference(space: NASBench201) -> None:
    """Slow reference: cells are one if some renaming of all six edges' weights, of 720, gives one expression."""
    drawn = space.sample(np.random.default_rng(0), 150)
    archs = sorted({*drawn, *(space.canonical(arch) for arch in drawn), SHARED, SEPARATE})
    smallest = {arch: min(_expression(space.parse(arch), names) for names in permutations(range(6))) for arch in archs}
    for arch in archs:
        together = {other for other in archs if space.canonical(other) == space.canonical(arch)}
        assert together == {other for other in archs if smallest[other] == smallest[arch]}


def test_one_convolution_twice_is_not_two_convolutions(space: NASBench201) -> None:
    """Closed form: 2·conv(x) has one weight tensor, conv(x) + conv'(x) has two; only the network rule sees it."""
    assert space.canonical(SHARED) != space.canonical(SEPARATE)
    assert space.canonical(SHARED, "flat") == space.canonical(SEPARATE, "flat")


def _live_convolutions(module: Cell, operations: cell.Operations) -> list[torch.nn.Module]:
    live = cell.without_dead(operations)
    edges = [edge for edge, operation in zip(cell.EDGES, live) if operation in cell.CONVOLUTIONS]
    return [module.edges[f"{source}_{target}"] for source, target in edges]


def _same_function(one: cell.Operations, other: cell.Operations) -> bool:
    """Whether the weights of one cell, handed to the other's convolutions in some order, give the same output."""
    first, second = Cell(one, 3).double(), Cell(other, 3).double()
    given, taking = _live_convolutions(first, one), _live_convolutions(second, other)
    images = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    expected = first(images)
    for order in permutations(given):
        if [m[1].weight.shape for m in order] != [m[1].weight.shape for m in taking]:
            continue
        for source, target in zip(order, taking):
            target.load_state_dict(source.state_dict())
        if torch.allclose(second(images), expected, rtol=1e-8, atol=1e-8):
            return True
    return False


@torch.no_grad()
def test_cells_of_a_class_are_one_function(space: NASBench201) -> None:
    """Invariance: a cell with its class's canonical cell's weights has the same output, up to rounding."""
    torch.manual_seed(0)
    changed = [arch for arch in space if space.canonical(arch) != arch]
    for i in np.random.default_rng(1).choice(len(changed), 60, replace=False):
        operations = space.parse(changed[i])
        assert _same_function(space.parse(space.canonical(changed[i])), operations), changed[i]


@torch.no_grad()
def test_cells_of_other_classes_are_other_functions(space: NASBench201) -> None:
    """Invariance: cells that the flat rule puts together and the network rule apart do not agree under any weights."""
    torch.manual_seed(0)
    assert not _same_function(space.parse(SEPARATE), space.parse(SHARED))


def test_exchanging_the_inner_nodes_changes_nothing(space: NASBench201) -> None:
    """Invariance: with no edge between nodes 1 and 2, their names are arbitrary."""
    for arch in space:
        first, second, between, direct, third, fourth = space.parse(arch)
        if between == "none":
            exchanged = cell.write((second, first, between, direct, fourth, third))
            assert space.canonical(exchanged) == space.canonical(arch)


def test_subsets(space: NASBench201) -> None:
    """Published: 15,625 cells and 9,445 without a dead edge; unique cells are live, one per class, in order."""
    everything, live, unique = (space.subset(name) for name in ("all", "live", "unique"))
    assert (len(everything), len(live), len(unique)) == (15_625, 9_445, 5_260)
    assert set(unique) <= set(live) <= set(everything)
    assert {space.canonical(arch) for arch in everything} == set(unique)
    for subset in (everything, live, unique):
        assert [space.index(arch) for arch in subset] == sorted(space.index(arch) for arch in subset)


def test_live_cells_by_walking_all_paths(space: NASBench201) -> None:
    """Slow reference: an operation is live if it is on one of the four paths from node 0 to node 3 free of none."""
    live = set(space.subset("live"))
    paths = [((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))]
    for arch in space.sample(np.random.default_rng(2), 1000):
        operations = dict(zip(cell.EDGES, space.parse(arch)))
        open_paths = [path for path in paths if all(operations[edge] != "none" for edge in path)]
        reached = {edge for path in open_paths for edge in path}
        dead = any(operation != "none" and edge not in reached for edge, operation in operations.items())
        assert (arch in live) is not dead


def test_unknown_rule_and_subset(space: NASBench201) -> None:
    """Closed form: the nearest name is in the message."""
    with pytest.raises(UnknownNameError, match="Did you mean 'network'"):
        space.canonical(space[0], "netwrk")
    with pytest.raises(UnknownNameError, match="Did you mean 'unique'"):
        space.subset("uniqe")
