"""TransNAS-Bench-101 as two spaces: 4,096 cells in one network (micro), and 3,256 networks of blocks (macro).

Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural Architecture
Search", CVPR 2021, arXiv:2105.11871.
"""

from collections.abc import Sequence
from functools import cache, partial
from itertools import product

import numpy as np
from torch import nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.cost import Cost
from zcbench.spaces.nasbench201 import cell as nasbench201_cell
from zcbench.spaces.nasbench201.cell import EDGES
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space
from zcbench.spaces.transnas.costs import block_convolutions, cell_convolutions, cell_depth, cost
from zcbench.spaces.transnas.network import Block, Cell, network

MICRO = "41414"
_PREFIX = f"64-{MICRO}-"
_NAMES = {"0": "none", "1": "skip_connect", "2": "nor_conv_1x1", "3": "nor_conv_3x3"}


@space
class TransNASMicro(ProductSpace):
    """Cells of four nodes and four operations, in a network of five modules, 64 to 512 channels.

    A string is ``64-41414-a_bc_def``: a digit per edge 0→1, 0→2, 1→2, 0→3, 1→3, 2→3, which is 0 none, 1 skip, 2
    convolution 1x1, 3 convolution 3x3. Two strings are one network where they are the same function at initialisation
    up to the names of their weights; a skip out of the first node has weights where the module changes the shape.

    Example:
        >>> space = TransNASMicro()
        >>> len(space), space.params("64-41414-3_33_333", num_classes=47), space.depth("64-41414-1_00_000")
        (4096, 41435727, 0)
    """

    name = spec = "transnas_micro"
    label = "cell of TransNAS-Bench-101"
    example = f"{_PREFIX}1_02_333"
    sites = tuple(Site(f"edge {source}→{target}", tuple(_NAMES)) for source, target in EDGES)
    separators = ("_", "", "_", "", "")
    analytic = True
    subsets = ("all", "live", "unique")
    multiple = 32

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Network of this cell."""
        return network(MICRO, partial(Cell, values), image_shape[0], num_classes)

    def write(self, values: Sequence[str]) -> str:
        """String of the architecture with these values."""
        return _PREFIX + super().write(values)

    def canonical(self, arch: str) -> str:
        """The first string, in index order, of those that are the same network; none of its operations is dead.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        return self.write(_representatives()[self.parse(arch)])

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Architectures in index order.

        ``"all"``: 4,096. ``"live"``: those in which every operation but none lies on a path from input to output.
        ``"unique"``: those that are their own canonical form.

        Raises:
            UnknownNameError: no subset has this name.
        """
        self._require_subset(name)
        return _micro_members(name)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        return cost(MICRO, partial(cell_convolutions, values), partial(cell_depth, values), image_shape, num_classes)

    def _split(self, text: str) -> list[str]:
        if not text.startswith(_PREFIX):
            raise self._refusal(text, f"it does not begin with {_PREFIX!r}.")
        first, _, rest = text.removeprefix(_PREFIX).partition("_")
        second, _, third = rest.partition("_")
        return [first, *_digits(second, 2), *_digits(third, 3)]


@space
class TransNASMacro(ProductSpace):
    """Networks of four to six modules of two residual blocks.

    A string is ``64-DIGITS-basic`` with a digit per module: 1 keeps the shape, 2 doubles the channels, 3 halves the
    image, 4 does both. One to three modules double and one to four halve, which makes 3,256 of the 5,376 lists; the
    published table lacks ``64-113444-basic``.

    Example:
        >>> space = TransNASMacro()
        >>> len(space), space[0], space.params("64-1234-basic", 47, (3, 64, 64))
        (3256, '64-1114-basic', 3412303)
    """

    name = spec = "transnas_macro"
    label = "network of TransNAS-Bench-101"
    example = "64-1234-basic"
    sites = tuple(Site(f"module {number}", ("1", "2", "3", "4")) for number in range(1, 7))
    separators = ("",) * 5
    lengths = (4, 5, 6)
    analytic = True
    multiple = 64

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Network of these modules."""
        return network(values, Block, image_shape[0], num_classes)

    def write(self, values: Sequence[str]) -> str:
        """String of the architecture with these values."""
        return f"64-{super().write(values)}-basic"

    def parse(self, arch: str) -> tuple[str, ...]:
        """Digits of the modules.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """
        values = super().parse(arch)
        if not _allowed(values):
            raise self._refusal(
                arch,
                f"{_doublings(values)} modules double the channels and {_strides(values)} halve "
                f"the image. Expected one to three, and one to four.",
            )
        return values

    def index(self, arch: str) -> int:
        """Position of ``arch``: shorter ones first, then in the order of their digits.

        Raises:
            ArchitectureError: ``arch`` is not of this space; the message names the place.
        """
        return _macro_indices()[self.write(self.parse(arch))]

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Every architecture in index order; ``"all"`` is the only subset.

        Raises:
            UnknownNameError: no subset has this name.
        """
        self._require_subset(name)
        return tuple(_macro_indices())

    def neighbours(self, arch: str) -> list[str]:
        """Architectures that differ in one digit, or end one module earlier or later.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        return [other for other in super().neighbours(arch) if other in _macro_indices()]

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """Architecture that takes its length and each digit from either parent; drawn again until it is one of these.

        Raises:
            ArchitectureError: a parent is not of this space.
        """
        while (child := super().crossover(first, second, rng)) not in _macro_indices():
            pass
        return child

    def __len__(self) -> int:
        return len(_macro_indices())

    def __getitem__(self, index: int) -> str:
        return self.subset()[index]

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        return cost(values, block_convolutions, lambda step: 2, image_shape, num_classes)

    def _split(self, text: str) -> list[str]:
        if not (text.startswith("64-") and text.endswith("-basic")):
            raise self._refusal(text, "it does not begin with '64-' and end with '-basic'.")
        return _digits(text.removeprefix("64-").removesuffix("-basic"), 6)


def _digits(text: str, count: int) -> list[str]:
    """The first ``count`` characters one by one, with all that is left behind the last."""
    return [*text[: count - 1], text[count - 1 :]] if len(text) > count else list(text) or [""]


def _doublings(values: Sequence[str]) -> int:
    return sum(value in "24" for value in values)


def _strides(values: Sequence[str]) -> int:
    return sum(value in "34" for value in values)


def _allowed(values: Sequence[str]) -> bool:
    return 1 <= _doublings(values) <= 3 and 1 <= _strides(values) <= 4


@cache
def _macro_indices() -> dict[str, int]:
    every = (values for length in TransNASMacro.lengths for values in product("1234", repeat=length))
    return {f"64-{''.join(values)}-basic": index for index, values in enumerate(filter(_allowed, every))}


@cache
def _micro_members(subset: str) -> tuple[str, ...]:
    space, every = TransNASMicro(), list(product(_NAMES, repeat=len(EDGES)))
    if subset == "live":
        every = [values for values in every if _live(values) == values]
    if subset == "unique":
        every = [values for values in every if _representatives()[values] == values]
    return tuple(map(space.write, every))


def _live(values: tuple[str, ...]) -> tuple[str, ...]:
    """The cell with 0 in place of every dead operation."""
    digits = {name: digit for digit, name in _NAMES.items()}
    return tuple(digits[name] for name in nasbench201_cell.without_dead(tuple(map(_NAMES.__getitem__, values))))


@cache
def _representatives() -> dict[tuple[str, ...], tuple[str, ...]]:
    """For every cell the first of its class in index order."""
    first: dict[str, tuple[str, ...]] = {}
    signatures = {values: _signature(values) for values in product(_NAMES, repeat=len(EDGES))}
    return {values: first.setdefault(signature, values) for values, signature in signatures.items()}


def _signature(values: tuple[str, ...]) -> str:
    """Text that two cells share only if they are one network; skips out of the first node count as having weights."""
    names = (
        "factorised" if value == "1" and source == 0 else _NAMES[value] for (source, _), value in zip(EDGES, values)
    )
    return nasbench201_cell.network_signature(tuple(names))
