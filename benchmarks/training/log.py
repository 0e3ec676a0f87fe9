"""The log of finished trainings: one JSON object a line, on the disk before the next one is asked for."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from zcbench.errors import StoreError
from zcbench.storage.log import GrowingFile

FILE = "trainings.jsonl"


class Key(NamedTuple):
    """What one training is of: an architecture, a setting (``vanilla``, ``kd``, or ``teacher``) and a seed."""

    arch: str
    setting: str
    seed: int


class TrainingLog:
    """Rows of finished trainings in a file that only grows; the last row of a training counts.

    A line that was cut off by the end of a process or a full disk is dropped when the file is opened.

    Args:
        file: where it is; made with the first row.

    Raises:
        StoreError: the file cannot be read, or a line before the last one is damaged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: dict[Key, dict[str, Any]] = {}
        try:
            self._lines = GrowingFile(file)
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"Cannot read {file}: {error}. Expected a readable file of JSON lines.") from error
        for number, line in enumerate(self._lines.lines, 1):
            self._remember(self._parsed(number, line))

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; it is on the disk when this returns.

        Raises:
            StoreError: the disk is full or the file cannot be written; the rows before are kept.
        """
        try:
            self._lines.add([row])
        except OSError as error:
            raise StoreError(
                f"Cannot write to {self.file}: {error.strerror or error}. All trainings finished so far are kept. Make "
                f"room, or the folder writable, and run the same command again."
            ) from error
        self._remember(row)

    def missing(self, keys: Iterable[Key], again: Iterable[str] = ()) -> list[Key]:
        """Those of ``keys`` that have no row, or one of a status in ``again``."""
        retried = set(again)
        return [key for key in keys if key not in self.rows or self.rows[key]["status"] in retried]

    def frame(self) -> pd.DataFrame:
        """All rows as a table, in the order in which they were first finished."""
        return pd.DataFrame(list(self.rows.values()))

    def _parsed(self, number: int, line: str) -> dict[str, Any]:
        try:
            row = json.loads(line)
            Key(str(row["arch"]), str(row["setting"]), int(row["seed"]))
            return dict(row)
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(
                f"Line {number} of {self.file} is damaged. Expected a JSON object with arch, setting and seed; take "
                f"the line out, and that training is done again."
            ) from error

    def _remember(self, row: Mapping[str, Any]) -> None:
        self.rows[Key(str(row["arch"]), str(row["setting"]), int(row["seed"]))] = dict(row)
