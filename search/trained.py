"""What is known of trainings: accuracies that judge, accuracies that choose, and the time that they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.truths.data import training_seconds
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.name import labels
from zcbench.benchmarks.truths.own import own_truths
from zcbench.errors import DataError, UnknownNameError
from zcbench.search.judging import validation_name


@dataclass(frozen=True, eq=False)
class TrainingRecords:
    """What is known of trainings, for one truth.

    Attributes:
        table: accuracies that judge, columns ``arch, accuracy``.
        validation: accuracies that a search by training chooses by; None where they are not known.
        seconds: time that each training takes; None where it is not known.
    """

    table: pd.DataFrame
    validation: pd.Series | None = None
    seconds: pd.Series | None = None


def training_records(
    names: Sequence[str], data_dir: str | Path | None = None, *, own: bool = False
) -> dict[str, TrainingRecords]:
    """Accuracies by truth, with those that a search by training would choose by, where they are known.

    Of networks of one's ``own`` they are any finite numbers in a CSV file.

    Raises:
        UnknownNameError: there is no such truth.
        DataError: its file is missing or damaged.
    """
    if own:
        return {label: TrainingRecords(table) for label, table in own_truths(names, None).items()} if names else {}
    return {
        label: TrainingRecords(truth(name, data_dir), _validation(name, data_dir), _seconds(name, data_dir))
        for label, name in labels(names).items()
    }


def _validation(name: str, data_dir: str | Path | None) -> pd.Series | None:
    if Path(name).is_file() or (chooser := validation_name(name)) is None:
        return None
    try:
        return truth(chooser, data_dir).set_index("arch")["accuracy"]
    except (DataError, UnknownNameError):
        return None


def _seconds(name: str, data_dir: str | Path | None) -> pd.Series | None:
    """Training times, published for NAS-Bench-201 and 200 epochs."""
    space, _, rest = name.partition("/")
    dataset, _, split = rest.partition("/")
    if space != "nasbench201" or "@" in split or "@" in dataset:
        return None
    try:
        return training_seconds(dataset, data_dir)
    except (DataError, UnknownNameError):
        return None
