"""The NAS-Bench-201 cell: its strings in official order, and which of them are one cell.

A cell has the nodes 0 (its input), 1, 2 and 3 (its output). Each of the six edges :math:`i \\to j, i < j` applies one
of five operations, and a node is the sum of its edges:

.. math::  x_j = \\sum_{i < j} o_{ij}(x_i), \\qquad \\text{written}\\ |o_{01}|+|o_{02}|o_{12}|+|o_{03}|o_{13}|o_{23}|

Dong and Yang, "NAS-Bench-201", ICLR 2020, arXiv:2001.00326, section 2.1.
"""

import hashlib
import random
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from itertools import permutations, product

from zcbench.errors import ArchitectureError, ZcbenchError

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CONVOLUTIONS = ("nor_conv_1x1", "nor_conv_3x3")
WEIGHTLESS = tuple(name for name in OPERATIONS if name not in CONVOLUTIONS)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

Operations = tuple[str, ...]

_FORM = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"

_ORDER_SHA256 = "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"


def write(operations: Operations) -> str:
    """String of the cell with these operations, one per edge in the order of ``EDGES``."""
    return _FORM.format(*operations)


@cache
def official_order() -> dict[str, Operations]:
    """All 15,625 cells in the order of the benchmark's own indices, each with its operations.

    The authors list the cells in plain enumeration, seed Python's generator with 88 and shuffle the list.

    Raises:
        ZcbenchError: this Python shuffles differently.

    Source: D-X-Y/AutoDL-Projects, ``exps/NAS-Bench-201/main.py``, ``generate_meta_info``.
    """
    cells = list(product(OPERATIONS, repeat=len(EDGES)))
    random.Random(88).shuffle(cells)
    order = {write(cell): cell for cell in cells}
    if hashlib.sha256("\n".join(order).encode()).hexdigest() != _ORDER_SHA256:
        raise ZcbenchError(
            "Given: a Python whose random.shuffle draws in another order. Expected: the official order of "
            "NAS-Bench-201. Use Python 3.11 or 3.12, and please report this."
        )
    return order


def parse(arch: object) -> Operations:
    """Operations of a cell string, one per edge in the order of ``EDGES``.

    Raises:
        ArchitectureError: the string is no cell; the message names the first place that is wrong.

    Example:
        >>> parse("|none~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|none~2|")
        ('none', 'none', 'skip_connect', 'nor_conv_3x3', 'none', 'none')
    """
    if not isinstance(arch, str):
        raise ArchitectureError(
            f"Given: {arch!r}, which is of the type {type(arch).__name__}. Expected: the string of a NAS-Bench-201 "
            f"cell, such as {write(('nor_conv_3x3',) * 6)!r}. A space turns an index into its string: space[i]."
        )
    operations = official_order().get(arch)
    if operations is None:
        shown = arch if len(arch) <= 160 else f"{arch[:160]}…"
        raise ArchitectureError(f"{shown!r} is no NAS-Bench-201 cell: {next(_faults(arch))}")
    return operations


def _faults(arch: str) -> Iterator[str]:
    nodes = arch.split("+")
    if len(nodes) != 3:
        yield f"it has {len(nodes)} nodes. Expected 3, joined by '+', as in {write(('none',) * 6)!r}."
    for target, node in enumerate(nodes, start=1):
        if len(node) < 2 or node[0] != "|" or node[-1] != "|":
            yield f"node {target} reads {node!r}. Expected it to begin and to end with '|'."
        edges = node[1:-1].split("|")
        if len(edges) != target:
            yield f"node {target} has {len(edges)} edges. Expected {target}: one from each node before it."
        for source, edge in enumerate(edges):
            yield from _edge_faults(edge, source, target)


def _edge_faults(edge: str, source: int, target: int) -> Iterator[str]:
    operation, tilde, named = edge.partition("~")
    if not tilde:
        yield f"edge {source}→{target} reads {edge!r}. Expected an operation and its source, as in 'none~{source}'."
    if operation not in OPERATIONS:
        close = get_close_matches(operation, OPERATIONS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        yield (
            f"edge {source}→{target} names the operation {operation!r}. Expected one of {', '.join(OPERATIONS)}.{hint}"
        )
    if named != str(source):
        yield f"edge {source}→{target} names the source {named!r}. Expected {str(source)!r}: sources count up from 0."


def without_dead(operations: Operations) -> Operations:
    """The cell with ``none`` in place of every dead operation.

    An operation is dead when zeros are all that reaches it, or when nothing that it yields reaches the output.
    """
    fed, used = {0}, {3}
    for (source, target), operation in zip(EDGES, operations):
        if operation != "none" and source in fed:
            fed.add(target)
    for (source, target), operation in zip(reversed(EDGES), reversed(operations)):
        if operation != "none" and target in used:
            used.add(source)
    return tuple(
        operation if source in fed and target in used else "none"
        for (source, target), operation in zip(EDGES, operations)
    )


def conv_depth(operations: Operations) -> int | None:
    """Most convolutions on one path from input to output of the cell, None if no path joins them."""
    longest: list[int | None] = [0, None, None, None]
    for (source, target), operation in zip(EDGES, operations):
        before, best = longest[source], longest[target]
        if operation != "none" and before is not None:
            length = before + (operation in CONVOLUTIONS)
            longest[target] = length if best is None else max(best, length)
    return longest[3]


def network_signature(operations: Operations) -> str:
    """Text that two cells share only if they are one network at initialisation, up to the names of weights.

    The output is a sum of terms ``x``, ``conv(sum)`` and ``pool(sum)``: a skip passes on the terms of its source and
    ``none`` has no term. Two convolutions of one sum are two terms, for their weights differ, but one convolution
    reached on two paths is one term twice. So convolutions that look alike are numbered, and the signature is the
    smallest text over all numberings: 5,260 classes.

    Pooling is taken as it stands. It is linear, so pool(x + y) and pool(x) + pool(y) are one function; with it spread
    over its sums 5,044 classes would be left.
    """
    operations = without_dead(operations)
    alike: dict[str, list[int]] = {}
    for edge, term in _terms(operations, {})[1].items():
        alike.setdefault(term, []).append(edge)
    numberings = product(*(permutations(edges) for edges in alike.values() if len(edges) > 1))
    return min(_terms(operations, _number(numbering))[0] for numbering in numberings)


def flat_signature(operations: Operations) -> str:
    """As ``network_signature``, but blind to which terms share their weights: 4,930 classes."""
    return _terms(operations, {})[0]


def published_signature(operations: Operations) -> str:
    """The authors' own text, by which the benchmark counts 6,466 classes.

    It keeps a ``#`` for each ``none``, so that cells may differ in zeros alone, and like ``flat_signature`` it does
    not see shared weights.

    Source: D-X-Y/AutoDL-Projects, ``models/cell_searchs/genotypes.py``, ``to_unique_str(consider_zero=True)``.
    """
    nodes, terms = ["0"], iter(operations)
    for target in (1, 2, 3):
        nodes.append("+".join(sorted(_published_term(nodes[i], next(terms)) for i in range(target))))
    return nodes[3]


def _published_term(source: str, operation: str) -> str:
    if operation == "none" or source == "#":
        return "#"
    return source if operation == "skip_connect" else f"({source})@{operation}"


def _number(numbering: tuple[tuple[int, ...], ...]) -> dict[int, int]:
    return {edge: number for edges in numbering for number, edge in enumerate(edges)}


def _terms(operations: Operations, numbers: dict[int, int]) -> tuple[str, dict[int, str]]:
    """The output sum as text, and the term of each convolution that is fed, with the given numbers written in."""
    nodes: list[list[str]] = [["x"], [], [], []]
    convolutions = {}
    for edge, ((source, target), operation) in enumerate(zip(EDGES, operations)):
        if operation == "skip_connect":
            nodes[target] += nodes[source]
        elif operation != "none" and nodes[source]:
            term = f"{operation}{numbers.get(edge, '')}({'+'.join(sorted(nodes[source]))})"
            nodes[target].append(term)
            if operation not in WEIGHTLESS:
                convolutions[edge] = term
    return "+".join(sorted(nodes[3])), convolutions


SIGNATURES = {"network": network_signature, "flat": flat_signature, "published": published_signature}


@cache
def representatives(rule: str) -> dict[Operations, Operations]:
    """For every cell the first of its class in plain enumeration, where ``none`` comes before all other operations.

    Args:
        rule: a key of ``SIGNATURES``.
    """
    signature = cache(SIGNATURES[rule])
    first: dict[str, Operations] = {}
    return {cell: first.setdefault(signature(cell), cell) for cell in product(OPERATIONS, repeat=len(EDGES))}
