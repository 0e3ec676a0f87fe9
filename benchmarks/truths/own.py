"""Accuracies of one's own networks: a dictionary, a series, a data frame or a CSV file."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.truths.lookup import Names, named_truths
from zcbench.benchmarks.truths.name import labels
from zcbench.benchmarks.truths.sources import sha256
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import DataError, RankingError, shortened

#: Accuracies of networks by name: a mapping, a series, a data frame (columns arch and accuracy), or a CSV file.
Accuracies = Mapping[str, float] | pd.Series | pd.DataFrame | str | Path

LABEL = "accuracy"
"""Name of accuracies that are from no file."""

_MOST = 5  # names in a message


def own_accuracies(given: Accuracies, names: Collection[str] | None, label: str = "") -> dict[str, TruthTable]:
    """The accuracies of networks, one for each, by a label: the name of the file, or `LABEL`.

    Any finite numbers are taken, higher is better. Numbers within 0 and 100, of which one is above 1, are percent.

    Args:
        given: see `Accuracies`; the names of a data frame may also be its index.
        names: of the networks, each of which has an accuracy; None where there may be others.
        label: another label.

    Raises:
        DataError: the file cannot be read, a column is missing, a name is there twice, or an accuracy is no finite
            number.
        RankingError: a network has no accuracy, or an accuracy no network.

    Example:
        >>> own_accuracies({"a": 91.0, "b": 92.5}, ["a", "b"])["accuracy"][["arch", "accuracy"]].values.tolist()
        [['a', 91.0], ['b', 92.5]]
    """
    label = label or (Path(given).name if isinstance(given, str | Path) else LABEL)
    rows = _rows(given)
    _check_numbers(rows)
    _check_names(label, list(rows["arch"]), names)
    return {label: TruthTable.from_rows(rows, _protocol(given, label, rows["accuracy"]))}


def own_truths(given: Names | Mapping[str, pd.DataFrame], names: Collection[str] | None) -> dict[str, TruthTable]:
    """Several accuracies of the same networks by label: CSV files, or tables by name.

    Raises:
        DataError, RankingError: as `own_accuracies`; or no file is named.
    """
    tables: Mapping[str, Accuracies] = given if isinstance(given, Mapping) else labels(named_truths(given))
    return {label: table for name, one in tables.items() for label, table in own_accuracies(one, names, name).items()}


def _rows(given: Accuracies) -> pd.DataFrame:
    """Columns arch and accuracy, as they are given."""
    if isinstance(given, str | Path):
        given = _read(Path(given))
    if isinstance(given, pd.DataFrame):
        frame = given if "arch" in given or given.index.nlevels > 1 else given.rename_axis("arch").reset_index()
        for column in ("arch", "accuracy"):
            if column not in frame:
                found = ", ".join(map(str, given.columns))
                raise DataError(f"The accuracies have the columns {found}. Expected arch and accuracy; rename them.")
        return pd.DataFrame({"arch": list(frame["arch"]), "accuracy": list(frame["accuracy"])})
    if isinstance(given, Mapping | pd.Series):
        return pd.DataFrame(list(given.items()), columns=["arch", "accuracy"])
    raise DataError(
        f"The accuracies are of the type {type(given).__name__}. Expected a dictionary, a series, a data frame with "
        f"the columns arch and accuracy, or a CSV file."
    )


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file, dtype={"arch": str}, skipinitialspace=True)
    except (OSError, ValueError) as error:  # pandas' own parser errors are ValueErrors
        raise DataError(
            f"Cannot read {str(file)!r}: {error}. Expected a CSV file with the columns arch and accuracy."
        ) from error


def _check_numbers(rows: pd.DataFrame) -> None:
    for name, value in zip(rows["arch"], rows["accuracy"]):
        try:
            finite = not isinstance(value, bool) and math.isfinite(float(value))
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise DataError(f"The accuracy of {name!r} is {shortened(repr(value))}. Expected a finite number.")


def _check_names(label: str, given: list[object], names: Collection[str] | None) -> None:
    if twice := [name for place, name in enumerate(given) if name in given[:place]]:
        raise DataError(f"{label!r} has two accuracies of {twice[0]!r}. Expected one for each network.")
    if names is None:
        return
    if lacking := [name for name in names if name not in given]:
        raise RankingError(
            f"{label!r} has no accuracy of {_some(lacking)}. Expected one for each of the {len(names)} networks; add "
            f"it, or leave the network out."
        )
    if further := [name for name in given if name not in names]:
        raise RankingError(
            f"{label!r} has accuracies of {_some(further)}, and no network has this name. Expected accuracies of the "
            f"{len(names)} networks alone; add the network, or leave the accuracy out."
        )


def _some(names: list[object] | list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(map(repr, names[:_MOST])) + more


def _protocol(given: Accuracies, label: str, values: "pd.Series[float]") -> dict[str, object]:
    if isinstance(given, TruthTable) and given.protocol:
        return dict(given.protocol)
    numbers = values.astype(float)
    percent = bool(numbers.between(0, 100).all()) and float(numbers.max()) > 1
    file = Path(given) if isinstance(given, str | Path) else None
    return {
        "name": label,
        "source": "given in Python" if file is None else str(file),
        "licence": "not stated",
        **({} if file is None else {"sha256": {file.name: sha256(file)}}),
        "space": "user",
        "dataset": label,
        "aggregation": "values as given",
        **({} if percent else {"quantity": "values as given, higher is better"}),
    }
