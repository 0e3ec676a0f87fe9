"""Samples of a space that cover all its sizes."""

import numpy as np

from zcbench.errors import ProtocolError
from zcbench.spaces import Space
from zcbench.streams import numpy_stream


def stratified(space: Space, n: int, seed: int = 0, subset: str = "all") -> list[str]:
    """A sample without replacement in which every size occurs as often as in the space: one from each of ``n`` strata.

    The subset, sorted by its number of parameters (equal ones by a random key), is cut into ``n`` parts of nearly equal
    counts, and one architecture is drawn from each.

    Args:
        space: where to draw from.
        n: how many architectures.
        seed: names the stream of the draw.
        subset: the set that is drawn from.

    Returns:
        Architectures in random order, so that the first ones of the list cover all sizes too.

    Raises:
        ProtocolError: ``n`` is not from 1 to the size of the subset.
        UnknownNameError: no subset has this name.
        SpaceError: the space is too large to be listed.

    Example:
        >>> from zcbench import spaces
        >>> len(stratified(spaces.get("nasbench201"), 5))
        5
    """
    population = np.array(space.subset(subset), dtype=object)
    if not 1 <= n <= len(population):
        raise ProtocolError(
            f"A sample of {n} architectures was asked of the subset {subset!r} of {space.name}, which has "
            f"{len(population):,}. Expected 1 to {len(population):,}."
        )
    stream = numpy_stream("stratified", space.name, subset, n, seed)
    size = space.costs(population.tolist())["params"].to_numpy()
    order = np.lexsort((stream.random(len(population)), size))
    drawn = [int(stream.choice(part)) for part in np.array_split(order, n)]
    return [str(population[index]) for index in stream.permutation(drawn)]
