"""Measured costs of published architectures: latency and energy on devices, and training times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.truths.published.hw_nas_bench import PREFIX, hardware
from zcbench.benchmarks.truths.published.nasbench201 import CONSTRAINED_TPE
from zcbench.benchmarks.truths.published.nasbench201 import training_seconds as seconds
from zcbench.benchmarks.truths.sources import SOURCES, Source, check
from zcbench.errors import DataError, unknown
from zcbench.storage import files as folders

if TYPE_CHECKING:
    import pandas as pd


def hardware_costs(dataset: str, data_dir: str | Path | None = None) -> pd.DataFrame:
    """Measured latency (ms) and energy (mJ) of all NAS-Bench-201 architectures on six devices (HW-NAS-Bench).

    Returns:
        One row per architecture: ``arch`` and one column per device and measure; NaN where a device could not run it.

    Raises:
        UnknownNameError: the data set is not one of cifar10, cifar100, imagenet16-120.
        DataError: the file is not here.
        ChecksumError: the file is not the published one.
    """
    known = [source.name.removeprefix(PREFIX) for source in hardware_sources()]
    if dataset.lower() not in known:
        raise unknown("data set of the hardware costs", dataset, known)
    source = SOURCES[PREFIX + dataset.lower()]
    path = _found(source, data_dir)
    if path is None:
        hint = f"Run 'zcbench data fetch {source.name}' to download them."
        raise DataError(f"The costs for {dataset!r} are not here. {hint}")
    return hardware(check(path, source))


def training_seconds(dataset: str, data_dir: str | Path | None = None) -> pd.Series:
    """Seconds that training each NAS-Bench-201 architecture for 200 epochs took, by architecture.

    Raises:
        UnknownNameError: the data set is not one of cifar10, cifar100, imagenet16-120.
        DataError: the file is not here.
        ChecksumError: the file is not the published one.
    """
    tasks = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
    if dataset not in tasks:
        raise unknown("data set with training times", dataset, tasks)
    source = SOURCES[CONSTRAINED_TPE.name]
    path = _found(source, data_dir)
    if path is None:
        raise DataError(f"The training times are not here. Run 'zcbench data fetch {source.name}' to download them.")
    return seconds(check(path, source), tasks[dataset])


def _found(source: Source, data_dir: str | Path | None) -> Path | None:
    """The file of ``source``, in the data folder or else in the user's own; None where it is in neither."""
    places = (folder / source.place for folder in (folders.data_folder(data_dir), folders.user_folder()))
    return next((path for path in places if path.is_file()), None)


def hardware_sources() -> list[Source]:
    """The files of `hardware_costs`."""
    return [source for name, source in SOURCES.items() if name.startswith(PREFIX)]
