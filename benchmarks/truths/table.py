"""Schema of trained accuracies, and the compact Parquet file that stores them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zcbench.benchmarks.truths.cards import CARD, TRUTHS
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.sources import sha256
from zcbench.errors import DataError

COLUMNS = ("space", "arch", "dataset", "setting", "split", "epochs", "seed", "n_runs", "accuracy")
_KEY = ["arch", "dataset", "setting", "split", "epochs", "seed"]
_TEXTS = ("space", "arch", "dataset", "setting", "split")
_INTEGERS = ("epochs", "seed", "n_runs")
_DEFAULTS = {"setting": "vanilla", "split": "test", "epochs": None}


class TruthTable(pd.DataFrame):
    """Trained accuracies, one row per architecture and run (or mean): a data frame with a protocol.

    Columns: ``space, arch, dataset, setting`` (``vanilla``, ``kd``, or ``gain``, their difference), ``split, epochs,
    seed`` (missing for a mean), ``n_runs`` (missing where the source does not state it), ``accuracy`` (percent, 0 to
    100, higher is better; of a gain percentage points, -100 to 100; of another ``quantity`` of the protocol any finite
    number, higher is better).
    ``protocol`` is the origin of the numbers: name, source, licence, sha256 of each file, space, dataset, setting,
    split, epochs, aggregation, and n, the number of architectures. It is the entry ``protocol`` of ``attrs``: a copy, a
    selection of rows and a sorted table have a copy of it; a table made of several has it only if all parts do, and an
    empty one otherwise.
    """

    @property
    def _constructor(self) -> type["TruthTable"]:
        return TruthTable

    @property
    def protocol(self) -> dict[str, Any]:
        """Origin of the numbers; empty for a table that was made of several."""
        stated: dict[str, Any] = self.attrs.get("protocol", {})
        return stated

    @protocol.setter
    def protocol(self, stated: Mapping[str, object]) -> None:
        self.attrs["protocol"] = dict(stated)

    @property
    def networks(self) -> str:
        """Space that the trained networks were built of: the one that the protocol names, or that of the strings."""
        return str(self.protocol.get("networks") or self.protocol["space"])

    @classmethod
    def from_rows(
        cls, rows: pd.DataFrame | Iterable[Mapping[str, object]], protocol: Mapping[str, object]
    ) -> "TruthTable":
        """Checked table from rows that have at least ``arch`` and ``accuracy``; the protocol fills in the rest.

        Raises:
            DataError: a column is missing, or a row has no architecture, an accuracy outside 0..100, or a duplicate.

        Example:
            >>> table = TruthTable.from_rows([{"arch": "a", "accuracy": 91.5}], {"space": "mine", "dataset": "digits"})
            >>> table[["space", "arch", "split", "accuracy"]].values.tolist()
            [['mine', 'a', 'test', 91.5]]
        """
        about: dict[str, Any] = dict(protocol) | {key: protocol.get(key, value) for key, value in _DEFAULTS.items()}
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        _require(frame)
        defaults = {key: about.get(key) for key in COLUMNS if key not in frame and key not in ("arch", "accuracy")}
        table = cls(_typed(frame.assign(**defaults), stated="quantity" in about))
        table.protocol = about | {"n": int(table["arch"].nunique())}
        return table

    @classmethod
    def from_csv(cls, path: str | Path, name: str | None = None) -> "TruthTable":
        """Truth of your own: a CSV with the columns ``arch`` and ``accuracy``, and any other column of the schema.

        Without a ``name`` the truth is called after the file, in the space ``user``.

        Raises:
            DataError: the file is missing, is no such CSV, or holds more than one truth.
        """
        file = Path(path)
        try:
            rows = pd.read_csv(file, dtype={"arch": str})
        except (OSError, ValueError) as error:  # pandas' own parser errors are ValueErrors
            raise DataError(
                f"Cannot read {str(path)!r}: {error}. Expected a CSV with the columns arch and accuracy."
            ) from error
        try:
            table = cls.from_rows(rows, _file_protocol(file, name))
        except DataError as error:
            raise DataError(f"{str(path)!r}, a CSV whose line 2 is row 0: {error}") from error
        kinds = table[["space", "dataset", "setting", "split", "epochs"]].drop_duplicates()
        if len(kinds) > 1:
            raise DataError(
                f"{str(path)!r} holds {len(kinds)} truths. Expected one data set, setting, split "
                "and epochs in a file; split it."
            )
        table.protocol |= {str(key): value for key, value in kinds.to_dict("records")[0].items() if pd.notna(value)}
        return table

    @classmethod
    def read(cls, path: str | Path) -> "TruthTable":
        """Table from a Parquet file, checked again.

        Raises:
            DataError: the file is missing, damaged, of another version, or no truth table.
        """
        file = Path(path)
        table, stored = TRUTHS.read(file, required=False)
        if CARD in (table.schema.metadata or {}):
            raise DataError(
                f"{str(path)!r} is a packed truth of several settings. Expected one table; store them with 'zcbench "
                f"data import {path}', and name them as it says."
            )
        if stored and not isinstance(stored.get("protocol"), dict):
            raise TRUTHS.unreadable(file, "it has no protocol of a truth")
        try:
            return cls.from_rows(table.to_pandas(), stored["protocol"] if stored else _file_protocol(file, None))
        except DataError as error:
            raise DataError(f"{str(path)!r}: {error}") from error
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise TRUTHS.unreadable(file, error) from error

    def write(self, path: str | Path) -> Path:
        """Store the table as compact Parquet (zstd), protocol included; a file is replaced whole or not at all.

        Raises:
            DataError: the table has no protocol, or the disk is full or cannot be written to.
        """
        file = Path(path)
        if not self.protocol:
            raise DataError(
                "The table was made of several truths and has no protocol. Expected one; give it as in "
                "TruthTable.from_rows(table, protocol)."
            )
        table = pa.Table.from_pandas(pd.DataFrame(self), preserve_index=False)
        TRUTHS.write(table, {"format": TRUTHS.version, "protocol": self.protocol}, file)
        return file

    def averaged(self) -> "TruthTable":
        """One row per architecture: the mean over its runs; a table of means is returned as it is."""
        if self["seed"].isna().all():
            return self
        means = self.groupby("arch", sort=False)["accuracy"].agg(accuracy="mean", n_runs="size").reset_index()
        return TruthTable.from_rows(
            pd.DataFrame(means), self.protocol | {"aggregation": f"mean over {self.protocol['aggregation']}"}
        )


def _file_protocol(file: Path, name: str | None) -> dict[str, object]:
    """Protocol of a file without one: the parts of its name."""
    parts = (TruthName.parse(name) if name else TruthName("user", file.stem)).parts()
    about: dict[str, object] = {
        "name": name or str(file),
        "source": str(file),
        "licence": "not stated",
        "sha256": {file.name: sha256(file)},
    }
    return about | parts | {"aggregation": "values as given"}


def _require(frame: pd.DataFrame) -> None:
    for column in ("arch", "accuracy"):
        if column not in frame:
            raise DataError(f"The column {column!r} is missing; there are {list(map(str, frame))}. Rename or add it.")


def _typed(frame: pd.DataFrame, *, stated: bool) -> pd.DataFrame:
    """``frame`` with the schema's columns and types, every row checked; ``stated``: the protocol names the quantity."""
    if frame.empty:
        raise DataError("There is no row. Expected at least one architecture.")
    frame = frame[list(COLUMNS)].reset_index(drop=True)
    for column in ("accuracy", *_INTEGERS):
        frame[column] = _numbers(frame, column)
    frame["accuracy"] = frame["accuracy"].to_numpy(dtype=float, na_value=np.nan)
    frame["n_runs"] = frame["n_runs"].mask(frame["n_runs"].isna() & frame["seed"].notna(), 1)
    _check(frame, stated=stated)
    return frame.astype(dict.fromkeys(_TEXTS, str))


def _numbers(frame: pd.DataFrame, column: str) -> "pd.Series[float] | pd.Series[int]":
    """A column as numbers, integers where the schema requires it; missing values stay missing."""
    numbers = pd.to_numeric(frame[column], errors="coerce").astype("Float64")
    unread = numbers.isna() & frame[column].notna()
    if column not in _INTEGERS:
        _refuse(frame, unread, column, "a number")
        return numbers
    _refuse(frame, unread | (numbers % 1 != 0).fillna(False), column, "a whole number")
    return numbers.astype("Int64")


def _check(frame: pd.DataFrame, *, stated: bool) -> None:
    """Every row has its names, an accuracy in percent or a finite value of the stated quantity, and no duplicate."""
    for column in _TEXTS:
        _refuse(frame, frame[column].isna() | (frame[column] == ""), column, "a name")
    difference, accuracy = frame["setting"] == "gain", frame["accuracy"]
    if stated and not difference.any():
        _refuse(frame, ~np.isfinite(accuracy), "accuracy", "a finite number")
    else:
        _refuse(frame, ~difference & ~accuracy.between(0, 100), "accuracy", "percent, from 0 to 100")
    _refuse(frame, difference & ~accuracy.between(-100, 100), "accuracy", "percentage points, from -100 to 100")
    _refuse(frame, frame.duplicated(_KEY), "arch", f"each {', '.join(_KEY)} once")
    if (highest := accuracy.max()) <= 1 and not stated and not difference.any():
        raise DataError(f"The highest accuracy is {highest}. Expected percent; multiply fractions by 100.")


def _refuse(frame: pd.DataFrame, wrong: "pd.Series[bool]", column: str, expected: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = frame[column].iloc[row]
        given = repr(value) if isinstance(value, str) else value
        raise DataError(f"Row {row}: {column} is {given}. Expected {expected}. Mend that row.")
