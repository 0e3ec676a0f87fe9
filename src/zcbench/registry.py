"""A registry of named things: built in, from a file, or from an installed package's entry points."""

import fnmatch
import importlib
import inspect
import pkgutil
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from zcbench.errors import DuplicateNameError, RegistrationError, ZcbenchError, told, unknown
from zcbench.plugins import PluginError
from zcbench.streams import exclusive

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: Words that stand for several names, or for none, wherever a list of names is given.
RESERVED = ("all", "none")


class Derived(Generic[T]):
    """Names derived from another registry: a prefix and a name of the source.

    Args:
        prefix: of the names, such as ``"kd:"``.
        names: names of the source.
        get: the object of a name of the source; raises `UnknownNameError` for others.
        origin: where a name of the source is defined.
    """

    def __init__(
        self, prefix: str, names: Callable[[], list[str]], get: Callable[[str], T], origin: Callable[[str], str]
    ) -> None:
        self.prefix, self.get, self.origin = prefix, get, origin
        self._names = names

    def names(self) -> list[str]:
        """All names, with the prefix."""
        return [self.prefix + name for name in self._names()]


class Registry(Generic[T]):
    """Objects by name.

    Entry points are listed without being imported and loaded when they are asked for; one that fails to load keeps
    its place in the list with its error and stops nothing else.

    Args:
        kind: of the objects, for messages ("proxy").
        group: entry-point group that other packages use; none if omitted. A `Derived` of another package is found
            in the group ``GROUP.families``, under its prefix.
        builtins: called once, before the first look-up, to register the objects of zcbench.
    """

    def __init__(self, kind: str, group: str | None = None, builtins: Callable[[], object] | None = None) -> None:
        self.kind = kind
        self._group = group
        self._builtins = builtins
        self._items: dict[str, tuple[T, str]] = {}
        self._entry_points: dict[str, EntryPoint] | None = None
        self._loaded: set[str] = set()
        self._derived: list[Derived[T]] = []
        self._families: dict[str, EntryPoint] | None = None
        self._lock, self._loading = threading.RLock(), False

    def add(self, name: str, item: T, origin: str, *, own: bool = False) -> None:
        """Register ``item``, defined at ``origin``, under ``name``; a second, different definition is an error.

        Args:
            name: letters, digits, ``_``, ``-`` and ``.``; no word of `RESERVED`.
            item: the object.
            origin: where it is defined.
            own: whether it is a part of zcbench, which may have any name and does not wait for the others.

        Raises:
            RegistrationError: ``name`` has other characters, is reserved, or begins as the names of another source do.
            DuplicateNameError: ``name`` is taken by a definition from elsewhere.
        """
        if not own:
            self._load_builtins()
            self.check_name(name)
        if name in self._items and self._items[name][1] != origin:
            raise DuplicateNameError(
                f"Two definitions of the {self.kind} {name!r}: {self._items[name][1]} and {origin}. "
                f"A name stands for one {self.kind}; rename one of them."
            )
        self._items[name] = (item, origin)

    def check_name(self, name: str) -> None:
        """Refuse a ``name`` that a definition outside zcbench cannot have.

        Raises:
            RegistrationError: as the sentence says.
        """
        for source in self._sources(name) if isinstance(name, str) else ():
            raise RegistrationError(
                f"The {self.kind} {name!r} begins with {source.prefix!r}, which is reserved for what zcbench "
                f"derives. Give it a name of its own."
            )
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise RegistrationError(
                f"{name!r} cannot be the name of a {self.kind}. Expected letters, digits, '_', '-' and '.', beginning "
                f"with a letter, a digit or '_'."
            )
        if name in RESERVED:
            raise RegistrationError(
                f"{name!r} cannot be the name of a {self.kind}: lists of names give this word a meaning of its own. "
                f"Choose another name."
            )

    def derive(self, source: Derived[T]) -> None:
        """Let the names of ``source`` stand among these, now and whenever it gets new ones."""
        self._derived = [known for known in self._derived if known.prefix != source.prefix] + [source]

    def get(self, name: str) -> T:
        """The object called ``name``.

        Raises:
            UnknownNameError: nothing has this name; the message has the nearest ones.
            PluginError: the entry point of this name cannot be loaded.
            DuplicateNameError: the entry point of this name is another definition than the one that is known.
        """
        if name not in self._items:  # what is known already needs no other module
            self._load_builtins()
        for source in self._sources(name):
            return source.get(name.removeprefix(source.prefix))
        if name in self._points() and name not in self._loaded:
            self._load_entry_point(name)
        if name in self._items:
            return self._items[name][0]
        raise unknown(self.kind, name, self.names())

    def usable(self) -> tuple[list[T], dict[str, ZcbenchError]]:
        """All that can be loaded, in the order of `names`, and the error of every name that cannot."""
        broken = {name: error for name in self.names() if (error := self.trouble(name))}
        return [self.get(name) for name in self.names() if name not in broken], broken

    def trouble(self, name: str) -> ZcbenchError | None:
        """Why ``name`` cannot be used; None if it can."""
        try:
            self.get(name)
        except ZcbenchError as error:
            return error
        return None

    def names(self) -> list[str]:
        """All names in alphabetical order, entry points included, nothing imported for it."""
        self._load_builtins()
        derived = (name for source in self._derived for name in source.names())
        return sorted({*self._items, *self._points(), *derived})

    def select(self, entries: Iterable[str]) -> list[str]:
        """Names that the entries of a list stand for, in their order.

        An entry is a name, a pattern such as ``kd:*``, or ``all``; one that begins with ``-`` takes names out again. A
        list that begins so starts from all.

        Raises:
            UnknownNameError: nothing matches a pattern, or there is no such name to leave out. Other plain names are
                taken as they are.
        """
        chosen: dict[str, None] = {}
        for number, entry in enumerate(entries):
            found = self._matching(entry.removeprefix("-"))
            if not entry.startswith("-"):
                chosen |= dict.fromkeys(found)
                continue
            for name in found:
                if name not in self:
                    raise unknown(self.kind, name, self.names())
            chosen = dict.fromkeys(self.names()) if number == 0 else chosen
            chosen = {name: None for name in chosen if name not in found}
        return list(chosen)

    def _matching(self, pattern: str) -> list[str]:
        if pattern != "all" and not {*pattern} & {*"*?"}:
            return [pattern]
        found = fnmatch.filter(self.names(), "*" if pattern == "all" else pattern)
        if not found:
            raise unknown(self.kind, pattern, self.names())
        return found

    def origin(self, name: str) -> str:
        """Where ``name`` is defined: ``file:line``, or the entry point."""
        self._load_builtins()
        for source in self._sources(name):
            return source.origin(name.removeprefix(source.prefix))
        return self._items[name][1] if name in self._items else f"entry point {self._points()[name].value}"

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        if name in self._items or name in self.names():
            return True
        try:  # a name of a derived source may carry options
            return bool(self._sources(str(name))) and bool(self.get(str(name)))
        except ZcbenchError:
            return False

    def _load_builtins(self) -> None:
        """Register the objects of zcbench, once; after a failure the next look-up tries again."""
        if self._builtins is None:
            return
        with self._lock:
            if self._builtins is None or self._loading:
                return
            self._loading = True
            try:
                self._builtins()
                self._builtins = None
            finally:
                self._loading = False

    def _sources(self, name: str) -> list[Derived[T]]:
        """The derived sources whose prefix ``name`` begins with; those of entry points are loaded for it."""
        if self._families is None:
            found = entry_points(group=f"{self._group}.families") if self._group else ()
            self._families = {point.name: point for point in found}
        for prefix in [prefix for prefix in self._families if name.startswith(prefix)]:
            self.derive(self._load(self._families[prefix]))
            del self._families[prefix]
        return [source for source in self._derived if name.startswith(source.prefix)]

    def _points(self) -> dict[str, EntryPoint]:
        if self._entry_points is None:
            found = entry_points(group=self._group) if self._group else ()
            self._entry_points = {point.name: point for point in found}
        return self._entry_points

    def _load_entry_point(self, name: str) -> None:
        point = self._points()[name]
        item = self._load(point, check=True)
        known, origin = self._items.setdefault(name, (item, f"entry point {point.value}"))
        if known is not item:
            raise DuplicateNameError(
                f"Two definitions of the {self.kind} {name!r}: {origin} and the entry point {point.value!r}. A name "
                f"stands for one {self.kind}; uninstall or rename one of them."
            )
        self._loaded.add(name)

    def _load(self, point: EntryPoint, *, check: bool = False) -> Any:
        from zcbench.isolation.settings import NUMERIC, kept  # imports PyTorch, which a list of names does not need

        try:
            if check:
                self.check_name(point.name)
            with exclusive(), kept(NUMERIC):
                return point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in may call sys.exit
            raise PluginError(
                f"The {self.kind} {point.name!r} comes from the entry point {point.value!r}, which fails to load: "
                f"{told(error)}. Mend or uninstall that package."
            ) from error


def import_package(name: str) -> None:
    """Import every module of a package, so that their definitions are registered."""
    for module in pkgutil.iter_modules(importlib.import_module(name).__path__):
        importlib.import_module(f"{name}.{module.name}")


def is_own(function: object) -> bool:
    """Whether ``function`` is a part of zcbench, and not of a plug-in, a script or another package."""
    return str(getattr(function, "__module__", "")).partition(".")[0] == "zcbench"


def defined_at(function: Callable[..., object]) -> str:
    """``file:line`` of a definition; one name for all of an interactive session, where a cell may run again."""
    if function.__module__ == "__main__":
        return f"__main__ ({function.__qualname__})"
    return f"{inspect.getsourcefile(function)}:{function.__code__.co_firstlineno}"
