"""Samples of a space that grow: the first ones of a larger sample are the smaller one."""

import numpy as np
from numpy.typing import NDArray

from zcbench.errors import ProtocolError
from zcbench.spaces import Space
from zcbench.streams import numpy_stream

Places = NDArray[np.int64]


def stratified(space: Space, n: int, seed: int = 0, subset: str = "all") -> list[str]:
    """A sample without replacement in which every size occurs nearly as often as in the space.

    The subset is sorted by its number of parameters (equal ones by a random key) and halved again and again. Halves
    take turns, and which of them is first is drawn: the smaller and the larger half of the subset, and of every part of
    it, have counts in the sample that differ by at most one.

    Args:
        space: where to draw from.
        n: how many architectures.
        seed: names the stream of the draw.
        subset: the set that is drawn from.

    Returns:
        The first ``n`` architectures of one order of the whole subset: a larger sample begins with the smaller one.

    Raises:
        ProtocolError: ``n`` is not from 1 to the size of the subset.
        UnknownNameError: no subset has this name.
        SpaceError: the space is too large to be listed.

    Example:
        >>> from zcbench import spaces
        >>> space = spaces.get("nasbench201")
        >>> stratified(space, 6)[:4] == stratified(space, 4)
        True
    """
    population = np.array(space.subset(subset), dtype=object)
    _require(n, len(population), subset, space)
    stream = numpy_stream("nested stratified", space.name, subset, seed)
    size = space.costs(population.tolist())["params"].to_numpy()
    order = np.lexsort((stream.random(len(population)), size))
    return [str(arch) for arch in population[_in_turn(order, stream)[:n]]]


def uniform(space: Space, n: int, seed: int = 0, subset: str = "all") -> list[str]:
    """A uniform sample without replacement; a larger sample begins with the smaller one.

    Args:
        space: where to draw from; it may be too large to be listed.
        n: how many architectures.
        seed: names the stream of the draw.
        subset: the set that is drawn from.

    Raises:
        ProtocolError: ``n`` is not from 1 to the size of the subset.
        UnknownNameError: no subset has this name.
    """
    stream, drawn = numpy_stream("nested uniform", space.name, subset, seed), dict[str, None]()
    space.sample(stream, 0, subset=subset)  # refuses what is unknown
    total = len(space) if subset == "all" else len(space.subset(subset))
    _require(n, total, subset, space)
    while len(drawn) < n:
        drawn[space.sample(stream, subset=subset)] = None
    return list(drawn)


def _require(n: int, total: int, subset: str, space: Space) -> None:
    if not 1 <= n <= total:
        raise ProtocolError(
            f"A sample of {n} architectures was asked of the subset {subset!r} of {space.name}, which has "
            f"{total:,}. Expected 1 to {total:,}."
        )


def _in_turn(part: Places, stream: np.random.Generator) -> Places:
    """An order of a sorted part in which its two halves take turns, each in such an order itself."""
    if len(part) < 2:
        return part
    middle = (len(part) + int(stream.integers(2)) * (len(part) % 2)) // 2
    halves = [part[:middle], part[middle:]]
    first = int(stream.integers(2)) if len(halves[0]) == len(halves[1]) else int(len(halves[1]) > len(halves[0]))
    order = np.empty_like(part)
    order[0::2], order[1::2] = _in_turn(halves[first], stream), _in_turn(halves[1 - first], stream)
    return order
