"""NAS-Bench-101 as a space: 423,624 cells in the order of their published fingerprints.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019, arXiv:1902.09635.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import nn

from zcbench.spaces.base import ImageShape, Space, SpaceError
from zcbench.spaces.cost import Cost
from zcbench.spaces.nasbench101 import cell
from zcbench.spaces.nasbench101.cell import EDGES, OPERATIONS, VERTICES, Graph, Sources
from zcbench.spaces.nasbench101.costs import cost
from zcbench.spaces.nasbench101.network import network
from zcbench.spaces.registry import space

CELLS = 423_624
"""Number of cells of the published table."""

_INDEX = files("zcbench.spaces.nasbench101") / "tables" / "cells.parquet"


@space
class NASBench101(Space):
    """All cells of up to seven vertices and nine edges, in a network of three stacks of three cells.

    A string has a part ``OPERATION~SOURCES`` for each vertex behind the input (0), the output last:
    ``conv3x3~0|conv1x1~0|maxpool3x3~12|output~03``. A cell may be written with its vertices in any order; the space has
    the canonical form, and row i of the published table is the cell with the i-th smallest fingerprint.

    Example:
        >>> space = NASBench101()
        >>> space.params("output~0"), space.canonical("conv1x1~0|conv3x3~0|output~12")
        (882570, 'conv3x3~0|conv1x1~0|output~12')
    """

    name = spec = "nasbench101"
    analytic = True
    multiple = 4
    largest = "conv3x3~0|conv3x3~0|conv3x3~2|conv3x3~013|conv3x3~4|output~05"

    def index(self, arch: str) -> int:
        """Row of the published table, 0 to 423,623.

        Raises:
            ArchitectureError: ``arch`` is no cell; the message names the place.
        """
        return _rows()[self.canonical(arch)]

    def parse(self, arch: str) -> tuple[str, ...]:
        """Operation and sources of each vertex of the canonical cell, the output last.

        Raises:
            ArchitectureError: ``arch`` is no cell; the message names the place.
        """
        return tuple(self.canonical(arch).split("|"))

    def canonical(self, arch: str) -> str:
        """The cell with its vertices in the order that the benchmark has.

        Raises:
            ArchitectureError: ``arch`` is no cell.
        """
        return cell.write(cell.canonical(cell.parse(arch)))

    def fingerprint(self, arch: str) -> str:
        """The published fingerprint of a cell, 32 hexadecimal digits.

        Raises:
            ArchitectureError: ``arch`` is no cell.
        """
        return cell.fingerprint(cell.parse(arch))

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """The 423,624 cells in the order of the published table; ``"all"`` is the only subset: all are live and unique.

        Raises:
            UnknownNameError: no subset has this name.
        """
        self._require_subset(name)
        return tuple(_rows())

    def neighbours(self, arch: str) -> list[str]:
        """Cells that differ in one operation, one edge, or one vertex with an edge on either side.

        Where an edge is taken away, vertices that no longer lie on a path from input to output go with it.

        Raises:
            ArchitectureError: ``arch`` is no cell.
        """
        graph = cell.canonical(cell.parse(arch))
        found = dict.fromkeys(_written(_changes(graph)))
        found.pop(cell.write(graph), None)
        return list(found)

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """Cell that takes each edge and each operation from either parent; drawn again until it is a cell.

        Raises:
            ArchitectureError: a parent is no cell.
        """
        parents = [_padded(cell.canonical(cell.parse(arch))) for arch in (first, second)]
        while True:
            edges = np.where(rng.integers(2, size=(VERTICES, VERTICES)), parents[0][0], parents[1][0])
            picks = rng.integers(2, size=VERTICES - 2)
            child = _pruned(edges, [parents[pick][1][place] for place, pick in enumerate(picks)])
            for written in _written([] if child is None else [child]):
                return written

    def write(self, values: Sequence[str]) -> str:
        """String of the cell with these parts."""
        return "|".join(values)

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Network of the cell with these parts."""
        return network(cell.parse(self.write(values)), image_shape[0], num_classes)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        return cost(cell.parse(self.write(values)), num_classes, image_shape)


def _changes(graph: Graph) -> Iterator[Graph]:
    """Graphs one change away; some are no cells for their number of edges."""
    for place, old in enumerate(graph.operations):
        for new in range(len(OPERATIONS)):
            if new != old:
                yield graph._replace(operations=(*graph.operations[:place], new, *graph.operations[place + 1 :]))
    edges, operations = _matrix(graph), list(graph.operations)
    for source, target in combinations(range(graph.vertices), 2):
        changed = edges.copy()
        changed[source, target] = not edges[source, target]
        if (kept := _pruned(changed, operations)) is not None:
            yield kept
        if graph.vertices < VERTICES:
            yield from (_inserted(graph, source, target, operation) for operation in range(len(OPERATIONS)))


def _inserted(graph: Graph, source: int, target: int, operation: int) -> Graph:
    """The graph with one vertex more between ``source`` and ``target``, in the place before ``target``."""
    moved = [tuple(s + (s >= target) for s in sources) for sources in graph.sources]
    moved[target - 1] = tuple(sorted((*moved[target - 1], target)))
    moved.insert(target - 1, (source,))
    operations = (*graph.operations[: target - 1], operation, *graph.operations[target - 1 :])
    return Graph(tuple(moved), operations)


def _written(graphs: Iterable[Graph]) -> Iterator[str]:
    """Canonical strings of those that have few enough edges."""
    return (cell.write(cell.canonical(graph)) for graph in graphs if graph.edges <= EDGES)


def _matrix(graph: Graph) -> np.ndarray:
    edges = np.zeros((graph.vertices, graph.vertices), dtype=bool)
    for target, sources in enumerate(graph.sources, 1):
        edges[list(sources), target] = True
    return edges


def _padded(graph: Graph) -> tuple[np.ndarray, list[int]]:
    """Matrix and operations of seven vertices; vertices that a smaller cell lacks have no edges."""
    places = [*range(graph.vertices - 1), VERTICES - 1]
    edges = np.zeros((VERTICES, VERTICES), dtype=bool)
    edges[np.ix_(places, places)] = _matrix(graph)
    return edges, [*graph.operations, *[0] * (VERTICES - graph.vertices)]


def _pruned(edges: np.ndarray, operations: list[int]) -> Graph | None:
    """The graph without vertices that lie on no path from input to output; None if no path joins these."""
    last, fed, used = len(edges) - 1, {0}, {len(edges) - 1}
    for source, target in combinations(range(last + 1), 2):
        if edges[source, target] and source in fed:
            fed.add(target)
    for target in range(last, 0, -1):
        if target in used:
            used |= set(np.flatnonzero(edges[:target, target]).tolist())
    kept = sorted(fed & used)
    if not {0, last} <= set(kept):
        return None
    place = {vertex: number for number, vertex in enumerate(kept)}
    sources: Sources = tuple(tuple(place[s] for s in kept if edges[s, target]) for target in kept[1:])
    return Graph(sources, tuple(operations[vertex - 1] for vertex in kept[1:-1]))


@cache
def _rows() -> dict[str, int]:
    """Every cell with its row, from the bundled index.

    Raises:
        SpaceError: the index is missing, truncated or damaged.
    """
    try:
        found = _read(str(_INDEX))
    except (OSError, pa.ArrowException, LookupError, ValueError, AttributeError) as error:
        raise _damaged(str(error)) from error
    if len(found) != CELLS:
        raise _damaged(f"it has {len(found):,} cells")
    return found


def _read(path: str) -> dict[str, int]:
    """Every cell with its row; the first column of the index numbers the graphs of its dictionary."""
    table = pq.read_table(path)
    graphs = [read_sources(text) for text in table.column("graph").combine_chunks().dictionary.to_pylist()]
    number = table.column("graph").combine_chunks().indices.to_numpy()
    operations = table.column("operations").to_numpy()
    labels = [_labels(code) for code in range(len(OPERATIONS) ** (VERTICES - 2))]
    return {
        cell.write(Graph(graphs[n], labels[code][: len(graphs[n]) - 1])): row
        for row, (n, code) in enumerate(zip(number.tolist(), operations.tolist()))
    }


def _damaged(why: str) -> SpaceError:
    return SpaceError(
        f"The index of NAS-Bench-101 at {str(_INDEX)!r} cannot be used: {why}. Expected that of {CELLS:,} cells, as "
        "zcbench has it; install zcbench anew."
    )


def _labels(code: int) -> tuple[int, ...]:
    """Operations of a code, whose digits to the base of three count from the first vertex."""
    return tuple(code // len(OPERATIONS) ** place % len(OPERATIONS) for place in range(VERTICES - 2))


def read_sources(text: str) -> Sources:
    """The sources of every vertex from ``"0|01|2"``."""
    return tuple(tuple(map(int, part)) for part in text.split("|"))
