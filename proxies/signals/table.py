"""Tables of the signals: names, descriptions, passes."""

from collections.abc import Iterable

from zcbench.errors import unknown
from zcbench.proxies.signals.signals import DECLARED

#: Description of every signal, in the order of the documentation.
SIGNALS: dict[str, str] = {name: signal.what for name, signal in DECLARED.items()}

#: Timed parts of the passes that a signal needs; a signal that is not listed costs nothing.
RESTS_ON: dict[str, tuple[str, ...]] = {name: signal.parts for name, signal in DECLARED.items() if signal.parts}

#: Signals whose value depends on the labels.
LABELLED = frozenset(name for name, signal in DECLARED.items() if signal.labelled)

#: Signals that are sums over weights: values of half precision are added up in float32, or most digits would be lost.
WIDE = frozenset(name for name, signal in DECLARED.items() if signal.wide)

#: Signals that a space knows of an architecture without its network.
ANALYTIC = frozenset(name for name, signal in DECLARED.items() if signal.analytic)


def needing(part: str) -> frozenset[str]:
    """The signals that need a part of the passes."""
    return frozenset(name for name, parts in RESTS_ON.items() if part in parts)


def signal_names(reads: str | Iterable[str]) -> frozenset[str]:
    """Set of signal names from one name or several.

    Raises:
        UnknownNameError: a name that no signal has.
    """
    names = frozenset([reads] if isinstance(reads, str) else reads)
    for name in names:
        if name not in SIGNALS:
            raise unknown("signal", name, SIGNALS)
    return names
