"""NAS-Bench-201 as a space: 15,625 cells in the order of the published benchmark.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020,
arXiv:2001.00326.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from zcbench.errors import unknown
from zcbench.spaces.base import ImageShape, Space
from zcbench.spaces.nasbench201 import cell
from zcbench.spaces.nasbench201 import costs as cost
from zcbench.spaces.options import positive
from zcbench.spaces.registry import space
from zcbench.streams import seeded

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


@space
class NASBench201(Space):
    """All cells of four nodes and five operations, in a network of three stages.

    Args:
        channels: width of the first stage; 16 in the benchmark.
        cells: cells per stage; 5 in the benchmark.

    Raises:
        SpaceError: an option is no positive whole number.

    Example:
        >>> space = NASBench201()
        >>> space.macs("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
        78561920

    Note:
        A dead convolution (see ``subset``) stays in the network and counts in its parameters and MACs, as published.
    """

    name = "nasbench201"
    subsets = ("all", "live", "unique")
    analytic = True
    multiple = 4

    def __init__(self, channels: int = 16, cells: int = 5) -> None:
        self.channels = positive("channels", channels, 10_000)
        self.cells = positive("cells", cells, 1_000)
        self.spec = f"{self.name}(channels={self.channels},cells={self.cells})"

    def index(self, arch: str) -> int:
        """Official index, 0 to 15,624."""
        self.parse(arch)
        return _indices()[arch]

    def parse(self, arch: str) -> tuple[str, ...]:
        """Operations on the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3."""
        return cell.parse(arch)

    def write(self, values: tuple[str, ...]) -> str:
        """String of the cell with these operations."""
        return cell.write(values)

    def canonical(self, arch: str, rule: str = "network") -> str:
        """The cell that stands for the class of ``arch``: the first of the class in plain enumeration.

        ``rule`` says what makes two cells one: ``"network"``, they are the same function at initialisation up to the
        names of their weights (5,260 classes); ``"flat"``, the same but blind to which terms share weights (4,930);
        ``"published"``, the authors' text (6,466), blind to that too, which keeps apart some cells that differ in
        zeros alone. By the first two the canonical cell has no dead operation.

        Raises:
            ArchitectureError: ``arch`` is no cell.
            UnknownNameError: no rule has this name.
        """
        if rule not in cell.SIGNATURES:
            raise unknown("rule of isomorphism", rule, cell.SIGNATURES)
        return cell.write(cell.representatives(rule)[self.parse(arch)])

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Cells in official order.

        ``"all"``: 15,625. ``"live"``: the 9,445 in which every operation but ``none`` lies on a path from input to
        output; the empty cell is one of them. ``"unique"``: the 5,260 that are their own canonical form, all live.
        """
        self._require_subset(name)
        return _subset(name)

    def neighbours(self, arch: str) -> list[str]:
        """The 24 cells that differ from ``arch`` in one operation, edge by edge."""
        old = self.parse(arch)
        return [
            cell.write((*old[:edge], operation, *old[edge + 1 :]))
            for edge in range(len(old))
            for operation in cell.OPERATIONS
            if operation != old[edge]
        ]

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """Cell that takes the operation of each edge from either parent with equal probability."""
        choices = rng.integers(2, size=6).tolist()
        pairs = zip(self.parse(first), self.parse(second))
        return cell.write(tuple(pair[choice] for pair, choice in zip(pairs, choices)))

    def costs(
        self, archs: Iterable[str], num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)
    ) -> "pd.DataFrame":
        """Sizes of many networks at once, a row each: columns ``arch, params, macs, n_convs, depth, width``.

        All count dead convolutions, as published, but ``depth``, which is 0 for the 341 cells that do not join input
        to output. For 150 cells some of the benchmark's own records hold the parameters of a like cell, one
        convolution off (D-X-Y/NATS-Bench, issue 36), while their training times fit our count; 15,475 agree.
        """
        import pandas as pd

        classes, shape = self._task(num_classes, image_shape)
        skeleton, names = cost.Skeleton(self.channels, self.cells, shape, classes), list(archs)
        n1, n3, cell_depth = _counts()[[self.index(arch) for arch in names]].reshape(-1, 3).T
        columns = {
            "arch": names,
            "params": cost.params(n1, n3, skeleton),
            "macs": cost.macs(n1, n3, skeleton),
            "n_convs": cost.n_convs(n1, n3, skeleton),
            "depth": cost.depth(cell_depth, skeleton),
            "width": cost.width(n1, n3, skeleton),
        }
        return pd.DataFrame(columns)

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> "nn.Module":
        """Three stages of the cell with these operations."""
        from zcbench.spaces.nasbench201.network import network

        return network(tuple(values), self.channels, self.cells, image_shape[0], num_classes)

    def thin(self, arch: str, seed: int = 0, init: str = "default") -> "nn.Module":
        """One cell of one channel with the normalisation and ReLU of the last layer, as TE-NAS counts regions."""
        from zcbench.spaces.initialisation import check_init, initialise
        from zcbench.spaces.nasbench201.network import thin_network

        operations = self.parse(arch)
        check_init(init)
        with seeded("thin", self.name, arch, init, seed):
            module = thin_network(operations)
            initialise(module, init)
        return module


@cache
def _subset(name: str) -> tuple[str, ...]:
    order = cell.official_order()
    if name == "live":
        return tuple(arch for arch, operations in order.items() if cell.without_dead(operations) == operations)
    if name == "unique":
        canonical = cell.representatives("network")
        return tuple(arch for arch, operations in order.items() if canonical[operations] == operations)
    return tuple(order)


@cache
def _indices() -> dict[str, int]:
    return {arch: index for index, arch in enumerate(cell.official_order())}


@cache
def _counts() -> np.ndarray:
    """Per official index the 1x1 convolutions, the 3x3 convolutions and the depth of a cell; -1 without a path."""
    rows = []
    for operations in cell.official_order().values():
        depth = cell.conv_depth(operations)
        rows.append(
            (operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3"), -1 if depth is None else depth)
        )
    return np.array(rows, dtype=np.int64)
