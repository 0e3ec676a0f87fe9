"""Packed truths: all trainings of a truth builder and the protocols of its tables in one file; and the bundled ones.

`zcbench.benchmarks.training.packing` writes them.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from zcbench.benchmarks.truths.bundled import bundled_files
from zcbench.benchmarks.truths.name import SETTINGS, TruthName
from zcbench.benchmarks.truths.sources import sha256
from zcbench.benchmarks.truths.table import CARD, TruthTable
from zcbench.errors import DataError
from zcbench.storage.fingerprint import fingerprint

FORMAT = 1


def by_setting(trainings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Single runs of each setting that has any, and their difference where runs of one seed can be paired.

    Args:
        trainings: rows with ``arch, setting, seed, status, accuracy, epochs``; a failed one is in no table.

    Returns:
        By setting, ``gain`` among them, the columns ``arch, seed, accuracy, epochs``.
    """
    good = trainings[trainings["status"] == "ok"] if "accuracy" in trainings else trainings.iloc[:0]
    vanilla, kd, gain = SETTINGS
    runs = {setting: good[good["setting"] == setting] for setting in (vanilla, kd)}
    runs = {setting: rows[["arch", "seed", "accuracy", "epochs"]] for setting, rows in runs.items() if len(rows)}
    if len(runs) == 2:
        both = runs[kd].merge(runs[vanilla], on=["arch", "seed"], suffixes=("", "_alone"))
        both = both.assign(accuracy=both["accuracy"] - both["accuracy_alone"])[["arch", "seed", "accuracy", "epochs"]]
        runs |= {gain: both} if len(both) else {}
    return runs


def card(file: str | Path) -> dict[str, Any]:
    """Card of a packed truth; no accuracy is read.

    Returns:
        ``format``; ``protocol`` of the builder; ``tables``, the protocol of the table of each setting; ``requests``;
        ``architectures`` and ``trainings``, how many; ``zcbench``, the version that packed it; and ``sha256``.

    Raises:
        DataError: the file is missing, damaged, of another version, or no packed truth.
    """
    path = Path(file)
    try:
        stored = json.loads((pq.read_schema(path).metadata or {}).get(CARD, b"null"))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise _unreadable(path, " ".join(str(error).split())) from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise _unreadable(path, f"it has no card of the format {FORMAT}")
    tables = stored.get("tables")
    if not isinstance(tables, dict) or not all(
        isinstance(about, dict) and "name" in about for about in tables.values()
    ):
        raise _unreadable(path, "its card is damaged in tables")
    return stored


def trainings(file: str | Path) -> pd.DataFrame:
    """All trainings of a packed truth, failed ones included: ``arch, dataset, setting, seed, status, accuracy, …``.

    Raises:
        DataError: the file is missing, damaged, of another version, or no packed truth.
    """
    path, about = Path(file), card(file)
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        if fingerprint(table) != about["sha256"]:
            raise ValueError("its rows are not those that were packed")
        return table.to_pandas()
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise _unreadable(path, " ".join(str(error).split())) from error


def read(file: str | Path) -> dict[str, TruthTable]:
    """Tables of single runs of a packed truth, by setting.

    Raises:
        DataError: the file is missing, damaged, of another version, or no packed truth.
    """
    path, about = Path(file), card(file)
    try:
        rows, digest = by_setting(trainings(path)), {path.name: sha256(path)}
        return {
            setting: TruthTable.from_rows(rows[setting], protocol | {"sha256": digest})
            for setting, protocol in about["tables"].items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, f"its card and its rows do not fit ({type(error).__name__}: {error})") from error


def bundled() -> dict[str, TruthTable]:
    """Every bundled truth by its full name: tables of single runs."""
    tables = [table for path in bundled_files().values() for table in _kept(path, path.stat().st_mtime_ns).values()]
    return {str(table.protocol["name"]): table.copy() for table in tables}


def bundled_truth(name: str) -> TruthTable | None:
    """Single runs of the bundled truth of this full name; None if there is none."""
    asked = TruthName.parse(name)
    path = bundled_files().get(str(TruthName(asked.space, asked.dataset, asked.split, asked.epochs)))
    table = _kept(path, path.stat().st_mtime_ns).get(asked.setting) if path else None
    return None if table is None else table.copy()


@lru_cache(maxsize=8)
def _kept(path: Path, stamp: int) -> dict[str, TruthTable]:
    return read(path)


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"No trainings can be read from {str(path)!r}: {why}. Expected a file that 'zcbench truth pack' wrote; check "
        f"the path, or pack the folder again."
    )
