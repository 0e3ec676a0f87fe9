"""Where the command line prints its tables, and their two other forms: JSON and CSV."""

import csv
import json
import logging
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from rich.console import Console

from zcbench import __version__
from zcbench.cli.verbosity import error_console
from zcbench.runtime.messages import say

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 146
"""Letters in a line where there is no terminal: a table in a file or a pipe is not folded to 80."""

#: Version of the JSON documents; it grows when a name changes its meaning or goes (docs/command-line-output.md).
SCHEMA = 1


_Command = TypeVar("_Command", bound=Callable[..., None])


@dataclass(frozen=True)
class Form:
    """What a command prints its rows as.

    Attributes:
        kind: ``json`` or ``csv``.
        command: the command, for the document.
    """

    kind: str
    command: str


_FORM: ContextVar[Form | None] = ContextVar("form", default=None)


def tabular(command: _Command) -> _Command:
    """Give a command the options ``--json`` and ``--csv``; it calls `emitted` before it prints its table."""
    vars(command)["tabular"] = True
    return command


@contextmanager
def printed_as(form: Form | None) -> Iterator[None]:
    """Let `emitted` print in this form in the block."""
    token = _FORM.set(form)
    try:
        yield
    finally:
        _FORM.reset(token)


def structured() -> bool:
    """Whether ``--json`` or ``--csv`` was given."""
    return _FORM.get() is not None


def emitted(rows: "pd.DataFrame | Iterable[object]", **more: object) -> bool:
    """Print the rows where ``--json`` or ``--csv`` was given.

    Args:
        rows: what the table of the command is made of: a data frame, mappings, or records.
        more: further entries of the JSON document; CSV leaves them out.

    Returns:
        Whether they were printed; if not, the command prints its table.
    """
    if (form := _FORM.get()) is None:
        return False
    plain_rows = [cast("dict[str, object]", plain(row)) for row in _records(rows)]
    if form.kind == "csv":
        _write_csv(plain_rows)
    else:
        about = {"zcbench": __version__, "schema": SCHEMA, "command": form.command}
        document = about | {"rows": plain_rows} | {name: plain(value) for name, value in more.items()}
        sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return True


def plain(value: object) -> object:
    """A value as JSON has it: numbers that are not finite are null, records objects, arrays lists, the rest text.

    >>> plain({"tau": float("nan"), "seeds": (0, 1)})
    {'tau': None, 'seeds': [0, 1]}
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    value = value._asdict() if isinstance(value, tuple) and hasattr(value, "_asdict") else value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    listed = getattr(value, "tolist", None)  # arrays and numbers of NumPy
    return str(value) if listed is None else plain(listed())


def _records(rows: "pd.DataFrame | Iterable[object]") -> Iterable[object]:
    frame = getattr(rows, "to_dict", None)
    return rows if frame is None else cast(Iterable[object], frame("records"))


def _write_csv(rows: Iterable[Mapping[str, object]]) -> None:
    """A line of headings and a line for each row; lists and objects in a cell are JSON."""
    listed = list(rows)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    headings = list(dict.fromkeys(name for row in listed for name in row))
    writer.writerow(headings)
    for row in listed:
        cells = (row.get(name) for name in headings)
        writer.writerow(
            json.dumps(cell, ensure_ascii=False) if isinstance(cell, list | dict | bool) else cell for cell in cells
        )


def time_named(command: str) -> Path:
    """Folder of a run for which none was named; it is told on the error stream."""
    from zcbench.storage.run_folder import named_by_time

    folder = named_by_time(command)
    status(f"Folder: {folder}; with --out {folder} the same command goes on there.")
    return folder


def status(text: str) -> None:
    """Print one line on the error stream, not folded, and log it: what was written, or what to do next."""
    say(error_console(), text)


def warn(text: str) -> None:
    """Print and log a warning."""
    say(error_console(), f"Warning: {text}", logging.WARNING)


def told_report(page: Path | None, folder: Path) -> None:
    """Print where the page of a run is and how it is opened; the last line of a command."""
    if page is not None:
        status(f"Report: {page}; open it with 'zcbench runs open {shlex.quote(str(folder))}'.")


def table_console() -> Console:
    """A console as wide as the terminal, or `WIDTH` without one."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
