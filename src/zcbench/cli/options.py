"""Options of a command made from dataclasses, so that the command line and Python have the same names and defaults.

A parameter of a command that is a record becomes one option for each field. Its default is that of the field, its help
the text of the field in the section "Attributes:" of the class::

    @options(recipe=Record("zcbench.distill:Recipe", omit=("seed",), options={"lr": typer.Option("--rate", min=0)}))
    def train(out: Path, recipe: "Recipe") -> None:
        ...

gives ``--out``, ``--epochs``, ``--batch-size``, … and calls ``train(out, Recipe(epochs=…, batch_size=…, …))``. What
only the command line has, such as a range that is printed, another name or a parser, is said by an option of typer for
that field. A field of type ``tuple[str, ...]`` is a list with commas, in which 'none' is the empty one; a tuple of
paths is an option that may be repeated; a union with ``str`` is a text.

The class is named by its module, which is imported when the command is called or asked for help: the other commands,
and the list of all, start without it. The command is a `StrictCommand`, as `strict` makes every one of an app.
"""

import builtins
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import MISSING, Field, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from zcbench.specification import split_list

Command = Callable[..., None]
_Field = Field[Any]
NOTHING = "none"  # an empty tuple
_SIMPLE = (str, int, float, bool, Path)  # of a union the first: a text stands for whatever else is taken
_ENTRY = re.compile(r"    (\w+): (.*)")


@dataclass(frozen=True)
class Record:
    """A dataclass whose fields are options.

    Attributes:
        home: module and name of the class, as ``"zcbench.distill:Recipe"``.
        omit: fields that are no options; they keep their default.
        names: parameter, and so option, of a field where that is not its own name: ``{"seed": "archs_seed"}``.
        defaults: defaults of this command.
        options: what typer is told of a field beside its help; a help in it replaces that of the docstring.
    """

    home: str
    omit: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, OptionInfo] = field(default_factory=dict)

    def load(self) -> type:
        """The class."""
        module, _, name = self.home.partition(":")
        found: type = getattr(import_module(module), name)
        return found

    def parameters(self) -> Iterator[inspect.Parameter]:
        """One for each option; those of a class before those that it inherits."""
        kind = self.load()
        told = attributes(kind)
        for item in self._fields(kind):
            shape = self._shape(kind, item)
            default = self.defaults.get(item.name, _default(item))
            info = copy(self.options.get(item.name) or typer.Option())
            info.help = info.help or told.get(item.name)
            yield inspect.Parameter(
                self.names.get(item.name, item.name),
                inspect.Parameter.KEYWORD_ONLY,
                default=shape.written(default),
                annotation=Annotated[shape.annotation, info],
            )

    def take(self, given: dict[str, object]) -> object:
        """The record of the options in ``given``, which lose them."""
        kind = self.load()
        values = {item: given.pop(self.names.get(item.name, item.name)) for item in self._fields(kind)}
        return kind(**{item.name: self._shape(kind, item).read(value) for item, value in values.items()})

    def _shape(self, kind: type, item: _Field) -> "_Shape":
        own = self.options.get(item.name)
        return _Shape(str | None) if own is not None and own.parser else _Shape.of(kind, item)

    def _fields(self, kind: type) -> list[_Field]:
        own = inspect.get_annotations(kind)
        kept = [item for item in fields(kind) if item.name not in self.omit]
        return sorted(kept, key=lambda item: item.name not in own)


def options(**records: Record) -> Callable[[Command], Command]:
    """Make the parameters of a command that have these names options, as the module says."""

    def mark(function: Command) -> Command:
        def command() -> None:
            raise AssertionError(f"{function.__name__} is no StrictCommand")

        command.__doc__, command.__name__ = function.__doc__, function.__name__
        command.__module__, command.__qualname__ = function.__module__, function.__qualname__
        vars(command)["whole"] = lambda: _whole(function, records)
        return command

    return mark


def _whole(function: Command, records: Mapping[str, Record]) -> Command:
    """The command with one parameter for each option."""
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        own = records[name].parameters() if name in records else (parameter.replace(kind=parameter.KEYWORD_ONLY),)
        parameters += own

    def command(**given: object) -> None:
        function(**{name: record.take(given) for name, record in records.items()}, **given)

    command.__doc__, command.__name__, command.__module__ = function.__doc__, function.__name__, function.__module__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(command)["__signature__"] = inspect.Signature(parameters)
    return command


def attributes(kind: type) -> dict[str, str]:
    """Texts of the section "Attributes:" of a class and of its bases, each a sentence without marks.

    >>> attributes(Record)["omit"]
    'Fields that are no options; they keep their default.'
    """
    found: dict[str, list[str]] = {}
    for base in reversed(kind.__mro__):
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")
        name = ""
        for line in section.splitlines():
            if line and not line.startswith(" "):
                break
            if entry := _ENTRY.fullmatch(line):
                name, text = entry.groups()
                found[name] = [text]
            elif name and line:
                found[name].append(line.strip())
    texts = {name: " ".join(lines) for name, lines in found.items()}
    return {name: (text[:1].upper() + text[1:]).replace("`", "") for name, text in texts.items()}


@dataclass(frozen=True)
class _Shape:
    """How a field is written as an option: its type, and whether it is a list with commas of ``parts``."""

    annotation: object
    parts: type | None = None
    repeated: bool = False

    @classmethod
    def of(cls, record: type, item: _Field) -> "_Shape":
        hint = _hint(record, item)
        kinds, optional = _members(hint), type(None) in _members(hint)
        inside = next((_members(get_args(kind)[0]) for kind in kinds if get_origin(kind) is tuple), None)
        if inside and Path in inside:
            return cls(list[Path] | None, repeated=True)
        known = next((kind for kind in _SIMPLE if kind in (inside or kinds)), None)
        if known is None:
            where = f"{record.__name__}.{item.name}"
            raise TypeError(f"{where} is of the type {hint}, of which no option can be made. Name it in omit=.")
        kind = str if inside else known
        return cls(kind | None if optional else kind, parts=known if inside else None)

    def written(self, value: object) -> object:
        """A default as the option has it."""
        if not isinstance(value, tuple | list):
            return value
        return (list(value) or None) if self.repeated else (",".join(map(str, value)) or NOTHING)

    def read(self, value: object) -> object:
        """A value of the option as the field has it."""
        if self.repeated:
            return tuple(value) if isinstance(value, list) else ()
        if self.parts is None or not isinstance(value, str):
            return value
        return () if value == NOTHING else tuple(map(self.parts, split_list(value)))


class _Names(dict[str, object]):
    """Names of a module; a class that it imports for type checkers alone is any object."""

    def __missing__(self, name: str) -> object:
        return getattr(builtins, name, object)


def _hint(record: type, item: _Field) -> object:
    """The type of a field; a text is read where the class is that has it."""
    owner = next(base for base in record.__mro__ if item.name in inspect.get_annotations(base))
    names = _Names(vars(sys.modules[owner.__module__]))
    return get_type_hints(SimpleNamespace(__annotations__={"it": item.type}), localns=names)["it"]


def _members(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _default(item: _Field) -> object:
    if item.default is not MISSING:
        return item.default
    return inspect.Parameter.empty if item.default_factory is MISSING else item.default_factory()
