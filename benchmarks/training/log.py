"""The log of finished trainings: one JSON object a line, fsynced before the next training is asked for."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, NamedTuple, Self, TypeVar

import pandas as pd

from zcbench.errors import StoreError
from zcbench.storage.log import GrowingFile
from zcbench.storage.run_folder import Json

FILE = "trainings.jsonl"


class Key(NamedTuple):
    """What one training is of: an architecture, a setting (``vanilla``, ``kd``, or ``teacher``) and a seed."""

    arch: str
    setting: str
    seed: int


@dataclass(frozen=True)
class TrainingRow:
    """One finished training; what it has no value of is None.

    Attributes:
        key: what it is of.
        status: ``ok``, or why there is no result.
        reason: of a failure.
        accuracy: on the test images, percent; of a segmentation the mean IoU.
        loss: cross-entropy on the test images, nats.
        train_accuracy: on the training images, percent.
        train_loss: cross-entropy of the last epoch, nats.
        epochs: that were trained.
        steps: of the optimizer.
        seconds: that it took.
    """

    key: Key
    status: str
    reason: str = ""
    accuracy: float | None = None
    loss: float | None = None
    train_accuracy: float | None = None
    train_loss: float | None = None
    epochs: int | None = None
    steps: int | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the training has a result."""
        return self.status == "ok"

    @classmethod
    def from_json(cls, content: Json) -> Self:
        """The row of a line; what it says beyond the fields is left out.

        Raises:
            ValueError, LookupError, TypeError: the line is no row.
        """
        key = Key(str(content["arch"]), str(content["setting"]), int(content["seed"]))
        values = {item.name: content[item.name] for item in fields(cls) if item.name in content}
        return cls(**{"status": "ok", **values, "key": key})

    def to_json(self) -> Json:
        """The row as a line of the log has it, without what it has no value of."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "key"}
        return {**self.key._asdict(), **{name: value for name, value in values.items() if value not in (None, "")}}


Row = TypeVar("Row", bound=TrainingRow)


class TrainingLog(Generic[Row]):
    """Rows of finished trainings in an append-only file; the last row of a training counts.

    A line that was cut off by the end of a process or a full disk is dropped when the file is opened.

    Args:
        file: where it is; made with the first row.
        kind: of the rows.

    Raises:
        StoreError: the file cannot be read, or a line before the last one is damaged.
    """

    def __init__(self, file: Path, kind: type[Row]) -> None:
        self.file, self._kind = file, kind
        self.rows: dict[Key, Row] = {}
        try:
            self._lines = GrowingFile(file)
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"Cannot read {file}: {error}. Expected a readable file of JSON lines.") from error
        for number, line in enumerate(self._lines.lines, 1):
            row = self._parsed(number, line)
            self.rows[row.key] = row

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns.

        Raises:
            StoreError: the disk is full or the file cannot be written; the rows before are kept.
        """
        try:
            self._lines.add([row.to_json()])
        except OSError as error:
            raise StoreError(
                f"Cannot write to {self.file}: {error.strerror or error}. All trainings finished so far are kept. Make "
                f"room, or the folder writable, and run the same command again."
            ) from error
        self.rows[row.key] = row

    def finished(self, key: Key) -> bool:
        """Whether a training is there and has a result."""
        return key in self.rows and self.rows[key].ok

    def missing(self, keys: Iterable[Key], again: Collection[str] = ()) -> list[Key]:
        """Those of ``keys`` that have no row, or one of a status in ``again``."""
        return [key for key in keys if key not in self.rows or self.rows[key].status in again]

    def frame(self) -> pd.DataFrame:
        """All rows as a table, in the order in which they were first finished."""
        return pd.DataFrame([row.to_json() for row in self.rows.values()])

    def _parsed(self, number: int, line: str) -> Row:
        try:
            return self._kind.from_json(json.loads(line))
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(
                f"Line {number} of {self.file} is damaged. Expected a JSON object with arch, setting and seed; take "
                f"the line out, and that training is done again."
            ) from error
