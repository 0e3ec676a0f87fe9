"""Networks that a text names: ``FILE.py:NAME``."""

from collections.abc import Mapping

from torch import nn

from zcbench import references
from zcbench.references import Reference
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.networks.sources import Given, Source, checked_sources
from zcbench.streams import own_randomness, seed_everything


def read_networks(given: Given | str | Reference) -> dict[str, Source]:
    """Networks by name: of a mapping, or those that ``FILE.py:NAME`` names.

    The name is that of a mapping, or of a function that makes one. Weights that the file draws are from one stream, so
    that they are the same whenever it is run.

    Raises:
        PluginError: the text has another form, or the file is missing or fails.
        UnknownNameError: the file defines no such name.
        SpaceError: the name stands for something else, or as `checked_sources`.
    """
    if isinstance(given, str | Reference):
        return checked_sources(_from_file(given))
    return checked_sources(given)


def read_network(given: str | Reference) -> Source:
    """The one network that ``FILE.py:NAME`` names, or the function that makes it.

    Raises:
        PluginError, UnknownNameError: as `read_networks`.
        SpaceError: the name stands for something else.
    """
    found = _loaded(given)
    if not callable(found):
        raise SpaceError(
            f"{given} is of the type {type(found).__name__}. Expected one network, or a function without arguments "
            f"that makes it."
        )
    return found


def _from_file(given: str | Reference) -> Given:
    found = _loaded(given)
    if callable(found) and not isinstance(found, nn.Module | Mapping):
        with own_randomness():
            seed_everything("networks", str(given).rpartition(":")[2])
            found = references.call(given)
    if isinstance(found, nn.Module) or not isinstance(found, Mapping | list | tuple):
        raise SpaceError(
            f"{given} gives a value of the type {type(found).__name__}. Expected a mapping from names to networks, or "
            f"a function that makes one."
        )
    return found


def _loaded(given: str | Reference) -> object:
    with own_randomness():
        seed_everything("networks file")
        return references.load(given)
