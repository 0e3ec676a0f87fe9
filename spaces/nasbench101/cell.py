"""The NAS-Bench-101 cell: its strings, its canonical form and its published fingerprint.

A cell is a directed acyclic graph of 2 to 7 vertices and at most 9 edges: vertex 0 is the input, the last vertex the
output, every vertex between them has one of three operations and lies on a path from input to output.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019, arXiv:1902.09635.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations, product
from typing import NamedTuple

from zcbench.errors import ArchitectureError, nearest

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
OUTPUT = "output"
VERTICES, EDGES = 7, 9
_PART = re.compile(r"(\w+)~(\d*)")
_EXAMPLE = "conv3x3~0|conv1x1~0|maxpool3x3~12|output~03"

Sources = tuple[tuple[int, ...], ...]
"""For each vertex from 1 on the vertices that it takes its input from, in ascending order."""


class Graph(NamedTuple):
    """A cell: the sources of every vertex but the input, and the operation of every vertex between the two ends."""

    sources: Sources
    operations: tuple[int, ...]

    @property
    def vertices(self) -> int:
        """Number of vertices, both ends included."""
        return len(self.sources) + 1

    @property
    def edges(self) -> int:
        """Number of edges."""
        return sum(map(len, self.sources))


def write(graph: Graph) -> str:
    """String of a cell, as `parse` reads it."""
    names = (*(OPERATIONS[operation] for operation in graph.operations), OUTPUT)
    return "|".join(f"{name}~{''.join(map(str, sources))}" for name, sources in zip(names, graph.sources))


def parse(arch: object) -> Graph:
    """The cell that a string names: ``OPERATION~SOURCES`` for each vertex, the output last.

    Raises:
        ArchitectureError: ``arch`` is no cell; the message names the place.
    """
    if not isinstance(arch, str):
        raise ArchitectureError(f"Given: {arch!r}, a {type(arch).__name__}. Expected: a cell, such as {_EXAMPLE!r}.")
    parts = arch.split("|")
    if len(parts) > VERTICES - 1:
        raise _refused(arch, f"it has {len(parts) + 1} vertices. Expected 2 to {VERTICES}, the input included.")
    read = [_vertex(arch, number, part, len(parts)) for number, part in enumerate(parts, 1)]
    graph = Graph(tuple(sources for _, sources in read), tuple(operation for operation, _ in read[:-1]))
    if graph.edges > EDGES:
        raise _refused(arch, f"it has {graph.edges} edges. Expected at most {EDGES}.")
    for vertex in range(1, graph.vertices - 1):
        if not graph.sources[vertex - 1] or not any(vertex in sources for sources in graph.sources):
            raise _refused(arch, f"vertex {vertex} lies on no path from input to output. Leave it out.")
    if not graph.sources[-1]:
        raise _refused(arch, "nothing reaches the output.")
    return graph


def _vertex(arch: str, number: int, part: str, last: int) -> tuple[int, tuple[int, ...]]:
    match = _PART.fullmatch(part)
    if match is None:
        raise _refused(arch, f"vertex {number} reads {part[:50]!r}. Expected OPERATION~SOURCES.")
    name, sources = match[1], tuple(map(int, match[2]))
    known = (OUTPUT,) if number == last else OPERATIONS
    if name not in known:
        raise _refused(
            arch,
            f"vertex {number} names {name[:50]!r}. Expected {' or '.join(known)}. {nearest(name[:50], known)}".rstrip(),
        )
    if list(sources) != sorted(set(sources)) or any(source >= number for source in sources):
        raise _refused(
            arch,
            f"vertex {number} names the sources {match[2]!r}. Expected vertices below {number}, in ascending order.",
        )
    return (OPERATIONS.index(name) if number < last else -1), sources


def _refused(arch: str, wrong: str) -> ArchitectureError:
    shown = arch if len(arch) <= 200 else f"{arch[:197]}..."
    return ArchitectureError(f"{shown!r} is no cell of NAS-Bench-101: {wrong} An example is {_EXAMPLE!r}.")


def canonical(graph: Graph) -> Graph:
    """The cell that the benchmark has of all those that differ in the order of their vertices.

    That is the first in the benchmark's own enumeration: the graph whose edges make the smallest number (edge s→t is
    bit s + t(t-1)/2), and of it the smallest operations. Where three vertices share the channels of the output, the
    order decides which of them has one more.
    """
    orders = _orders(graph.sources)
    return Graph(orders[0][0], min(tuple(graph.operations[v] for v in order) for _, order in orders))


@cache
def _orders(sources: Sources) -> list[tuple[Sources, tuple[int, ...]]]:
    """The orders of the inner vertices that make the first graph, with that graph."""
    inner = len(sources) - 1
    found: list[tuple[Sources, tuple[int, ...]]] = []
    for order in permutations(range(inner)):
        place = {0: 0, inner + 1: inner + 1, **{vertex + 1: at + 1 for at, vertex in enumerate(order)}}
        if all(place[source] < place[target] for target in range(1, inner + 2) for source in sources[target - 1]):
            renamed = tuple(tuple(sorted(place[source] for source in sources[vertex])) for vertex in (*order, inner))
            if not found or _bits(renamed) < _bits(found[0][0]):
                found = []
            if not found or renamed == found[0][0]:
                found.append((renamed, order))
    return found


def _bits(sources: Sources) -> int:
    """Number of a graph in the benchmark's enumeration."""
    return sum(1 << (source + target * (target - 1) // 2) for target, own in enumerate(sources, 1) for source in own)


def fingerprint(graph: Graph) -> str:
    """The published fingerprint: equal cells have equal ones, and the rows of the table are in their order.

    Every vertex starts as the MD5 of its out-degree, in-degree and label, and takes up those of its neighbours as many
    times as there are vertices (google-research/nasbench, ``lib/graph_util.py``).
    """
    vertices = range(graph.vertices)
    into = [(), *graph.sources]
    out = [[target for target in vertices if source in into[target]] for source in vertices]
    labels = (-1, *graph.operations, -2)
    hashes = [_md5(str((len(out[v]), len(into[v]), labels[v]))) for v in vertices]
    for _ in vertices:
        near = [["".join(sorted(hashes[w] for w in side[v])) for side in (into, out)] for v in vertices]
        hashes = [_md5(f"{sources}|{targets}|{own}") for (sources, targets), own in zip(near, hashes)]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def enumerate_cells() -> Iterator[Graph]:
    """The canonical form of every cell, each once; takes a minute."""
    for vertices in range(2, VERTICES + 1):
        for sources in _graphs(vertices):
            orders = _orders(sources)
            if orders[0][0] == sources:
                yield from (Graph(sources, operations) for operations in _labellings(sources, vertices - 2))


def _labellings(sources: Sources, inner: int) -> list[tuple[int, ...]]:
    """Operations that are the smallest of all that the graph's own symmetries make of them."""
    symmetries = [order for _, order in _orders(sources)]
    return [
        operations
        for operations in product(range(len(OPERATIONS)), repeat=inner)
        if all(tuple(operations[v] for v in order) >= operations for order in symmetries)
    ]


def _graphs(vertices: int) -> Iterator[Sources]:
    """Graphs in which every vertex lies on a path from input to output, in every order of their vertices."""
    pairs = [(source, target) for target in range(1, vertices) for source in range(target)]
    for count in range(vertices - 1, EDGES + 1):
        for chosen in combinations(pairs, count):
            starts, ends = {source for source, _ in chosen}, {target for _, target in chosen}
            if len(starts) == len(ends) == vertices - 1:
                yield tuple(tuple(s for s, t in chosen if t == target) for target in range(1, vertices))
