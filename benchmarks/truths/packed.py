"""Packed truths: all trainings of a truth builder and the protocols of its tables in one file; and the bundled ones.

`zcbench.benchmarks.training.packing` writes them.
"""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.truths.bundled import bundled_files
from zcbench.benchmarks.truths.cards import TRAININGS
from zcbench.benchmarks.truths.name import SETTINGS, TruthName
from zcbench.benchmarks.truths.sources import sha256
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import told
from zcbench.storage.run_folder import Json


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


def card(file: str | Path) -> Json:
    """Card of a packed truth; no accuracy is read.

    Returns:
        ``format``; ``protocol`` of the builder; ``tables``, the protocol of the table of each setting; ``requests``;
        ``architectures`` and ``trainings``, how many; ``zcbench``, the version that packed it; and ``sha256``.

    Raises:
        DataError: the file is missing, damaged, of another version, or no packed truth.
    """
    return _checked(Path(file), TRAININGS.card(Path(file)))


def _checked(path: Path, stored: Json) -> Json:
    tables = stored.get("tables")
    if not isinstance(tables, dict) or not all(
        isinstance(about, dict) and "name" in about for about in tables.values()
    ):
        raise TRAININGS.unreadable(path, "its card is damaged in tables")
    return stored


def trainings(file: str | Path) -> pd.DataFrame:
    """All trainings of a packed truth, failed ones included: ``arch, dataset, setting, seed, status, accuracy, …``.

    Raises:
        DataError: the file is missing, damaged, of another version, or no packed truth.
    """
    return pd.DataFrame(TRAININGS.read(Path(file))[0].to_pandas())


def read(file: str | Path) -> dict[str, TruthTable]:
    """Tables of single runs of a packed truth, by setting.

    Raises:
        DataError: the file is missing, damaged, of another version, or no packed truth.
    """
    path = Path(file)
    table, about = TRAININGS.read(path)
    try:
        rows, digest = by_setting(table.to_pandas()), {path.name: sha256(path)}
        return {
            setting: TruthTable.from_rows(rows[setting], protocol | {"sha256": digest})
            for setting, protocol in _checked(path, about)["tables"].items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise TRAININGS.unreadable(path, f"its card and its rows do not fit ({told(error)})") from error


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
