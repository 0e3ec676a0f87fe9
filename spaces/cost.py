"""The sizes of one network."""

from typing import NamedTuple


class Cost(NamedTuple):
    """Sizes of one network, in the order of the columns of `Space.costs`."""

    params: int
    macs: int
    n_convs: int
    depth: int
    width: int
