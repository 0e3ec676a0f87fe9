"""Where a network of one's own comes from: the module itself, or a function that makes it for each seed."""

import copy
from collections.abc import Callable, Iterable, Mapping

from torch import nn

from zcbench.errors import message, shortened
from zcbench.spaces.initialisation import initialise
from zcbench.spaces.listing import SpaceError
from zcbench.streams import own_randomness, seed_everything

#: A network, or a function without arguments that makes one; a class of modules is such a function.
Source = nn.Module | Callable[[], nn.Module]
#: Networks by name, as a mapping or as pairs.
Given = Mapping[str, Source] | Iterable[tuple[str, Source]]


def checked_sources(given: Given) -> dict[str, Source]:
    """Networks by name, in their order.

    Raises:
        SpaceError: there is none, two have one name, a name is no line of text, or an entry is neither a network nor a
            function.
    """
    found: dict[str, Source] = {}
    for name, source in _pairs(given):
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise SpaceError(f"{shortened(repr(name))} names a network. Expected one line of text.")
        if name in found:
            raise SpaceError(f"Two networks are called {name!r}. Expected different names; rename one of them.")
        if not callable(source):
            raise SpaceError(
                f"The network {name!r} is of the type {type(source).__name__}. Expected a torch.nn.Module, or a "
                f"function without arguments that makes one."
            )
        found[name] = source
    if not found:
        raise SpaceError("There is no network. Expected at least one: {name: network, or function that makes one}.")
    return found


def _pairs(given: Given) -> list[tuple[str, Source]]:
    try:
        pairs = list(given.items() if isinstance(given, Mapping) else given)
        return [(name, source) for name, source in pairs]
    except (TypeError, ValueError):
        raise SpaceError(
            f"The networks are of the type {type(given).__name__}. Expected a mapping: {{name: network, or function "
            f"that makes one}}."
        ) from None


def is_drawn(source: Source) -> bool:
    """Whether the network is made anew for each seed; a module has the weights that it has."""
    return not isinstance(source, nn.Module)


def made(name: str, source: Source, seed: int, init: str = "default") -> nn.Module:
    """The network: a copy of a module, or what the function makes on the stream of ``name`` and ``seed``.

    The function draws from the global generators of PyTorch, NumPy and Python, which are restored.

    Raises:
        SpaceError: the module cannot be copied, the function fails or gives something else, or an initialisation is
            asked of a module.
    """
    if isinstance(source, nn.Module):
        return _copied(name, source, init)
    with own_randomness():
        seed_everything("init", "networks", name, init, seed)
        network = _called(name, source)
        initialise(network, init)
    return network


def _copied(name: str, module: nn.Module, init: str) -> nn.Module:
    if init != "default":
        raise SpaceError(
            f"init={init!r} was given, and the network {name!r} has its weights. Expected init='default'; give a "
            f"function that makes the network to draw its weights anew."
        )
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise SpaceError(
            f"The network {name!r} cannot be copied: {reason(error)}. Expected one that copy.deepcopy takes; give a "
            f"function that makes it."
        ) from error


def _called(name: str, function: Callable[[], nn.Module]) -> nn.Module:
    try:
        network = function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it may call sys.exit
        raise SpaceError(
            f"The function of the network {name!r} fails: {reason(error)}. Expected a function without arguments that "
            f"makes a torch.nn.Module."
        ) from error
    if not isinstance(network, nn.Module):
        raise SpaceError(
            f"The function of the network {name!r} gives a value of the type {type(network).__name__}. Expected a "
            f"torch.nn.Module."
        )
    return network


def reason(error: BaseException) -> str:
    """Type and text of an error of the user's code, for a sentence."""
    return shortened(f"{type(error).__name__}: {' '.join(message(error).split())}", 500).rstrip(".")
