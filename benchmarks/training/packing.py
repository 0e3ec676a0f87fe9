"""From the folder of a truth builder to one file.

``benchmarks/truths/tables/`` holds the bundled files, each named after its truth. To replace one::

    zcbench truth pack runs/truth --out benchmarks/truths/tables/nasbench201__cifar10-16__test@5.parquet
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

import zcbench
from zcbench.benchmarks.training.log import FILE, Key, TrainingLog, TrainingRow
from zcbench.benchmarks.training.protocol import DESCRIPTION, TruthProtocol, TruthRequest
from zcbench.benchmarks.training.tables import make_tables
from zcbench.benchmarks.training.workers import TEACHER
from zcbench.benchmarks.truths.cards import TRAININGS
from zcbench.errors import DataError
from zcbench.storage.fingerprint import fingerprint
from zcbench.storage.parquet import require_suffix
from zcbench.storage.run_folder import Json

SCHEMA = pa.schema(
    {
        **dict.fromkeys(("arch", "dataset", "setting"), pa.string()),
        "seed": pa.int64(),
        "status": pa.string(),
        **dict.fromkeys(("accuracy", "loss", "train_accuracy"), pa.float64()),
        "epochs": pa.int64(),
        "seconds": pa.float64(),
    }
)

_DECIMALS = {"loss": 5, "seconds": 1}


def pack(folder: str | Path, file: str | Path) -> Json:
    """Write the trainings of a truth builder into one compact file; the builder may still be at work.

    An architecture that lacks a training which was asked for is left out; one whose training failed is not: its row
    says so under ``status``. Losses keep five decimals and seconds one, all else is exact.

    Args:
        folder: of the truth builder.
        file: where to write; ends in ``.parquet``.

    Returns:
        The card, as `zcbench.benchmarks.truths.packed.card` reads it, and ``left_out``: architectures not finished.

    Raises:
        DataError: the folder holds no finished architecture, or the file cannot be written.
        StoreError: the log of the folder is damaged.
    """
    home, goal = Path(folder), Path(file)
    require_suffix(goal)
    about, log = _description(home), TrainingLog(home / FILE, TrainingRow)
    rows, left_out = _finished(log, list(map(TruthRequest.from_json, about["requests"])))
    if rows.empty:
        raise DataError(f"{home} has no architecture with all its trainings. Expected at least one; train on.")
    table, content = _content(rows, _with_teacher(about["protocol"], log), about["requests"])
    TRAININGS.write(table, content, goal)
    return content | {"left_out": left_out}


def _content(rows: pd.DataFrame, protocol: Json, requests: Sequence[Json]) -> tuple[pa.Table, Json]:
    """Table and card."""
    chosen = [request.get("notes", {}).get("architectures") for request in requests]
    note = {"sample": "; ".join(dict.fromkeys(filter(None, chosen)))}
    tables = make_tables(rows, TruthProtocol.from_json(protocol))
    rows = rows.assign(dataset=protocol["dataset"]).reindex(columns=SCHEMA.names).round(_DECIMALS)
    rows = rows.sort_values(["arch", "setting", "seed"])
    packed = pa.Table.from_pandas(rows, SCHEMA, preserve_index=False).replace_schema_metadata()
    card = {
        "format": TRAININGS.version,
        "protocol": protocol,
        "tables": {setting: table.protocol | note for setting, table in tables.items()},
        "requests": [{key: value for key, value in request.items() if key != "archs"} for request in requests],
        "architectures": int(rows["arch"].nunique()),
        "trainings": len(rows),
        "zcbench": zcbench.__version__,
        "sha256": fingerprint(packed),
    }
    return packed, card


def _description(home: Path) -> Json:
    try:
        return dict(json.loads((home / DESCRIPTION).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(
            f"Cannot read {home / DESCRIPTION}: {error}. Expected the folder of 'zcbench truth build'; name it."
        ) from error


def _finished(log: TrainingLog[TrainingRow], requests: Sequence[TruthRequest]) -> tuple[pd.DataFrame, int]:
    """Rows of the architectures that have every training asked for, and how many have only some."""
    archs = dict.fromkeys(key.arch for key in log.rows if key.setting != TEACHER)
    asked = {arch: {Key(arch, *one) for request in requests for one in request.asks(arch)} for arch in archs}
    whole = {arch for arch in archs if asked[arch] <= log.rows.keys()}
    rows = [row.to_json() for key, row in log.rows.items() if key.arch in whole and key.setting != TEACHER]
    return pd.DataFrame(rows), len(archs) - len(whole)


def _with_teacher(protocol: Json, log: TrainingLog[TrainingRow]) -> Json:
    """The protocol, with the accuracy of a teacher that was trained on the way."""
    found = [row for key, row in log.rows.items() if key.setting == TEACHER and row.ok]
    if not found or protocol["teacher"] is None:
        return protocol
    return {**protocol, "teacher": {**protocol["teacher"], "accuracy": found[-1].accuracy}}
