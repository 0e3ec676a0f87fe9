"""The space of networks of one's own."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np
import torch
from torch import nn

from zcbench.errors import ArchitectureError, nearest, shortened
from zcbench.runtime.parcel import portable
from zcbench.spaces.base import Space
from zcbench.spaces.cost import Cost
from zcbench.spaces.initialisation import check_init
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.networks.cards import Example, NetworkCard, fingerprint, inspected
from zcbench.spaces.networks.reading import read_networks
from zcbench.spaces.networks.sources import Given, is_drawn, made
from zcbench.spaces.options import ImageShape
from zcbench.spaces.registry import NETWORKS

if TYPE_CHECKING:  # pandas is imported by the methods that need it: a worker is started without
    import pandas as pd


class KnownNetworks(Space):
    """Networks of one's own as a run has kept them: names and sizes, from which nothing can be built.

    An architecture is the name of a network. It has no neighbours, so that a search is a choice among the listed.

    Args:
        names: of the networks, in their order.
        cards: what is known about each.
    """

    name = spec = NETWORKS

    def __init__(self, names: Iterable[str], cards: Mapping[str, NetworkCard]) -> None:
        self._names, self._cards = tuple(names), dict(cards)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def parse(self, arch: str) -> tuple[str, ...]:
        """The name, alone."""
        if arch not in self._names:
            raise ArchitectureError(
                f"{shortened(repr(arch))} is none of the {len(self._names)} networks. {nearest(str(arch), self._names)}"
            )
        return (arch,)

    def canonical(self, arch: str) -> str:
        """The name itself."""
        return self.write(self.parse(arch))

    def write(self, values: Sequence[str]) -> str:
        """The name."""
        return values[0]

    def index(self, arch: str) -> int:
        """Position of the name in the mapping."""
        return self._names.index(self.canonical(arch))

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """All names, in the order of the mapping."""
        self._require_subset(name)
        return self._names

    def neighbours(self, arch: str) -> list[str]:
        """None."""
        self.parse(arch)
        return []

    def crossover(self, first: str, second: str, rng: np.random.Generator) -> str:
        """One of the two, with equal probability."""
        return (self.canonical(first), self.canonical(second))[int(rng.integers(2))]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Any of the names, drawn uniformly."""
        self.parse(arch)
        return self.sample(rng)

    def costs(
        self, archs: Iterable[str], num_classes: int = 10, image_shape: ImageShape = (3, 32, 32)
    ) -> "pd.DataFrame":
        """Sizes as they were measured on the networks; the number of classes is that of the networks."""
        import pandas as pd

        names = list(archs)
        rows = [self.card(name, image_shape).cost for name in names]
        return pd.DataFrame(rows, columns=list(Cost._fields)).assign(arch=names)[["arch", *Cost._fields]]

    def card(self, arch: str, image_shape: ImageShape = (3, 32, 32)) -> NetworkCard:
        """What is known about a network."""
        return self._cards[self.canonical(arch)]

    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> nn.Module:
        """Nothing.

        Raises:
            SpaceError: always.
        """
        raise SpaceError(
            f"The network {arch!r} is one of the user's, of which the run has scores and sizes. Expected the network "
            f"itself to build it; give the networks again, by --networks FILE.py:NAME or zcbench.rank_networks."
        )


class Networks(KnownNetworks):
    """Networks of one's own as a space.

    A module is taken as it is, with its weights, and copied for each use. A function without arguments is called for
    each initialisation: its weights are a function of name and seed, drawn from the global generators of PyTorch,
    NumPy and Python. Sizes are measured on the networks, in a forward pass of one input.

    Args:
        networks: modules or functions by name, or the text ``FILE.py:NAME`` for such a mapping in a file.
        example: input that sizes are measured with, and how the output is read; zeros of the image shape if None.

    Raises:
        SpaceError: there is no network, or two of one name, or something that is none.
        PluginError, UnknownNameError: the file cannot be read, or has no such name.

    Example:
        >>> from torch import nn
        >>> space = Networks({"small": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10))})
        >>> space.subset(), space.params("small", image_shape=(3, 8, 8))
        (('small',), 1930)
    """

    def __init__(self, networks: Given | str, example: Example | None = None) -> None:
        self._sources, self._example = read_networks(networks), example
        self._measured: dict[tuple[str, ImageShape], NetworkCard] = {}
        super().__init__(self._sources, {})

    def on(self, example: Example) -> "Networks":
        """The same networks, measured with another input."""
        return Networks(self._sources, example)

    def drawn(self, arch: str) -> bool:
        """Whether the network is made by a function, for each seed anew."""
        return is_drawn(self._sources[self.canonical(arch)])

    def card(self, arch: str, image_shape: ImageShape = (3, 32, 32)) -> NetworkCard:
        """What is found out about a network at the first use, see `NetworkCard`.

        Raises:
            SpaceError: the network cannot be made, or does not take the input.
        """
        key = self.canonical(arch), image_shape
        if key not in self._measured:
            example = self._example or Example(torch.zeros(1, *image_shape))
            self._measured[key] = inspected(arch, self._sources[arch], example)
        return self._measured[key]

    def content(self) -> str:
        """Fingerprint of all networks."""
        texts = (f"{name} {fingerprint(self.build(name))}" for name in self)
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    def cards(self, archs: Iterable[str], image_shape: ImageShape) -> dict[str, dict[str, object]]:
        """What a run keeps of each network: fingerprint, output and sizes."""
        return {arch: self.card(arch, image_shape).to_json() for arch in archs}

    def build(
        self,
        arch: str,
        num_classes: int = 10,
        seed: int = 0,
        image_shape: ImageShape = (3, 32, 32),
        init: str = "default",
    ) -> nn.Module:
        """The network: a copy of the module, or what its function makes for ``seed``.

        Args:
            arch: its name.
            num_classes: without effect; the network has its own.
            seed: which draw of the weights; without effect on a module.
            image_shape: without effect.
            init: ``default``; for a function also another initialisation, of which convolutions and linear maps are
                drawn again.

        Raises:
            ArchitectureError: no network has this name.
            SpaceError: the network cannot be made or copied.
            UnknownNameError: no initialisation is called ``init``.
        """
        check_init(init)
        name = self.canonical(arch)
        return made(name, self._sources[name], seed, init)

    def __reduce__(self) -> tuple[Any, ...]:
        """Also networks that another process cannot import, such as those of a notebook, are written."""
        return _opened, (portable(self._sources, "the networks"), self._measured)


def _opened(content: bytes, cards: dict[tuple[str, ImageShape], NetworkCard]) -> Networks:
    space = Networks(cloudpickle.loads(content))
    space._measured.update(cards)
    return space
