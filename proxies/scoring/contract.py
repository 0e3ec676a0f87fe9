"""The class of a proxy, and the registry of all proxies."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from zcbench.content import content
from zcbench.errors import DuplicateNameError, ProtocolError
from zcbench.proxies.signals.signals import Signals
from zcbench.proxies.signals.table import ANALYTIC, LABELLED, signal_names
from zcbench.registry import Registry, defined_at, import_package, is_own
from zcbench.specification import split_list


@dataclass(frozen=True)
class Proxy:
    """A number read off an untrained network, with the signals that it needs and its direction.

    Attributes:
        name: its name in the registry and in every table.
        function: from `Signals` to a Python float.
        reads: the signals it may read.
        higher_is_better: the direction in which it ranks.
        uses_labels: whether the labels of the batch may change it.
        version: raised whenever its numbers change; part of the key of a score.
        source: the paper and the equation.
        baseline: whether it is a plain size count that every table shows next to the proxies.
    """

    name: str
    function: Callable[[Signals], float] = field(repr=False)
    reads: frozenset[str]
    higher_is_better: bool
    uses_labels: bool
    version: int = 1
    source: str = ""
    baseline: bool = False

    def __post_init__(self) -> None:
        """Give it the documentation of its function, which `help` shows and doctest runs."""
        for name in ("__doc__", "__module__"):
            object.__setattr__(self, name, getattr(self.function, name, None))
        object.__setattr__(self, "__wrapped__", self.function)

    def __call__(self, signals: Signals) -> float:
        """The score."""
        return self.function(signals)

    @property
    def is_own(self) -> bool:
        """Whether it is a part of zcbench, and not of a plug-in, a script or another package."""
        return is_own(self.function)

    @property
    def content(self) -> str | None:
        """Fingerprint of its definition, part of the key of a score; None for a part of zcbench, which has versions."""
        return content(self.function)

    @property
    def needs_network(self) -> bool:
        """Whether a network must be built, or analytic costs are enough."""
        return not self.reads <= ANALYTIC

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher must be given."""
        return "teacher" in self.reads

    @property
    def needs_thin(self) -> bool:
        """Whether the architecture's space must build its thin network."""
        return "thin_codes" in self.reads

    @property
    def summary(self) -> str:
        """First line of the documentation."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


#: All proxies by name: built in, defined by the user, or from installed packages.
REGISTRY: Registry[Proxy] = Registry(
    "proxy", group="zcbench.proxies", builtins=partial(import_package, "zcbench.proxies")
)

get = REGISTRY.get
names = REGISTRY.names


def proxy(
    name: str,
    *,
    reads: str | Iterable[str],
    higher_is_better: bool,
    uses_labels: bool | None = None,
    version: int = 1,
    source: str = "",
    baseline: bool = False,
) -> Callable[[Callable[[Signals], float]], Proxy]:
    """Turn a function of `Signals` into a registered `Proxy`.

    Args:
        name: a name that no other proxy has: letters, digits, ``_``, ``-`` and ``.``.
        reads: the signals it reads, one name or several.
        higher_is_better: the direction in which it ranks.
        uses_labels: whether labels may change it; by default whether a signal that it reads depends on them.
        version: raise it when its numbers change.
        source: paper and equation.
        baseline: a plain size count.

    Raises:
        UnknownNameError: ``reads`` names something that is no signal.
        ProtocolError: it is declared label-free and reads a signal that depends on the labels.
        RegistrationError: the name has other characters than letters, digits, ``_``, ``-`` and ``.``, or is reserved.
        DuplicateNameError: the name is taken by a definition from elsewhere.

    Example:
        >>> from zcbench import proxy
        >>> @proxy("grad_norm_sq", reads="gradients", higher_is_better=True)
        ... def grad_norm_sq(signals):
        ...     return sum(g.square().sum().item() for g in signals.gradients.values())
    """
    signals = signal_names(reads)
    labelled = signals & LABELLED
    if uses_labels is False and labelled:
        raise ProtocolError(
            f"The proxy {name!r} is declared uses_labels=False but reads {', '.join(sorted(labelled))}, which depends "
            f"on the labels. Drop one of the two."
        )

    REGISTRY.check_name(name)

    def register(function: Callable[[Signals], float]) -> Proxy:
        with_labels = bool(labelled) if uses_labels is None else uses_labels
        made = Proxy(name, function, signals, higher_is_better, with_labels, version, source, baseline)
        REGISTRY.add(name, made, defined_at(function), own=is_own(function))
        return made

    return register


def resolve(proxies: Iterable[str | Proxy]) -> list[Proxy]:
    """Proxies from names and objects, in the given order, each once.

    Raises:
        UnknownNameError: a name that no proxy has.
        ProtocolError: two different proxies of one name.
        RegistrationError: a proxy that is in no registry has a name that it could not be registered under.
        DuplicateNameError: it has the name of one of zcbench.
    """
    found: dict[str, Proxy] = {}
    for given in [proxies] if isinstance(proxies, str | Proxy) else proxies:
        item = _checked(given) if isinstance(given, Proxy) else REGISTRY.get(given)
        if found.setdefault(item.name, item) != item:
            raise ProtocolError(f"Two different proxies are called {item.name!r}. Rename one of them.")
    return list(found.values())


def select(proxies: str | Proxy | Iterable[str | Proxy]) -> tuple[list[Proxy], frozenset[str]]:
    """Proxies from objects, names and patterns, in the given order, and which of them were asked for by name.

    Args:
        proxies: one, several, or a text with commas; an entry such as ``az_*`` is a pattern, ``all`` stands for all
            that can be loaded, and one that begins with ``-`` takes names out again.

    Raises:
        UnknownNameError: a name that no proxy has, or a pattern that matches none.
        ProtocolError, RegistrationError, DuplicateNameError: as `resolve`.
    """
    given = [proxies] if isinstance(proxies, str | Proxy) else proxies
    entries = [entry for one in given for entry in (split_list(one) if isinstance(one, str) else [one])]
    texts = [entry for entry in entries if isinstance(entry, str)]
    plain = {entry for entry in texts if not _is_pattern(entry)}
    if plain.issuperset(texts):
        chosen = resolve(entries)
        return chosen, frozenset(item.name for item in chosen)
    names = [name for name in REGISTRY.select(texts) if name in plain or REGISTRY.trouble(name) is None]
    chosen = resolve([*names, *(entry for entry in entries if isinstance(entry, Proxy))])
    return chosen, frozenset(item.name for item in chosen if item.name in plain or item in entries)


def _is_pattern(entry: str) -> bool:
    return entry == "all" or entry.startswith("-") or not {*"*?"}.isdisjoint(entry)


def _checked(item: Proxy) -> Proxy:
    """A proxy that was given as an object, once its name is one that it may have."""
    if item.is_own:
        return item
    known = REGISTRY.get(item.name) if item.name in REGISTRY else None
    if known is not item:
        if not is_own(type(item.function)):  # zcbench derives a proxy from a loss
            REGISTRY.check_name(item.name)
        if known is not None and known.is_own:
            raise DuplicateNameError(f"{item.name!r} is a proxy of zcbench. Give yours a name of its own.")
    return item


def needs_network(proxies: Iterable[Proxy]) -> bool:
    """Whether any of ``proxies`` needs a network to be built."""
    return any(item.needs_network for item in proxies)
