"""Networks of one's own as a space: a mapping from names to networks, or to functions that make them."""

from zcbench.spaces.networks.cards import Example, NetworkCard, are_cards
from zcbench.spaces.networks.reading import read_networks
from zcbench.spaces.networks.space import KnownNetworks, Networks

__all__ = ["Example", "KnownNetworks", "NetworkCard", "Networks", "are_cards", "read_networks"]
