"""Latency and energy: looked up in the tables of HW-NAS-Bench, or taken by the clock of this machine.

Li et al., "HW-NAS-Bench: Hardware-Aware Neural Architecture Search Benchmark", ICLR 2021, arXiv:2103.10584.
"""

import json
import platform
import statistics
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from zcbench.benchmarks.truths.data import hardware_costs
from zcbench.errors import unknown
from zcbench.runtime.clock import Clock
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.costs import Costs
from zcbench.search.measured import MeasuredLatency
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape
from zcbench.storage.log import GrowingFile

HERE = "here"
"""The device that is this machine."""

_TABULATED = "nasbench201(channels=16,cells=5)"
_CLOCK = Clock(warmup=3, repeats=9)


class Device(NamedTuple):
    """What latency and energy are of.

    Attributes:
        name: a device of the tables, with a data set as in ``raspi4/cifar100`` or without; `HERE`; a file of
            `zcbench.measure`, or a CSV file with the columns ``arch`` and ``latency``; or None.
        dataset: images of the search, for a name without a data set.
    """

    name: str | None
    dataset: str


class LatencyTable:
    """One column of a table of measured costs.

    Args:
        table: columns ``arch`` and one per device and measure, such as ``raspi4_latency``.
        device: a device of the table.
        measure: ``latency`` (ms) or ``energy`` (mJ).
        space: the space that is searched.

    Raises:
        SearchError: the table is about another space.
        UnknownNameError: the table has no such device, or not this measure of it.
    """

    def __init__(self, table: pd.DataFrame, device: str, measure: str, space: Space) -> None:
        if space.spec != _TABULATED:
            raise SearchError(
                f"The tables of measured {measure} are about {_TABULATED}, and the space is {space.spec}. Expected "
                f"that space, or the device {HERE!r}, which times the network on this machine."
            )
        devices = [name.removesuffix(f"_{measure}") for name in map(str, table) if name.endswith(f"_{measure}")]
        if device not in devices:
            raise unknown(f"device with measured {measure}", device, [*devices, HERE])
        self.instant = True
        self._values = table.set_index("arch")[f"{device}_{measure}"]
        self.about = {
            "device": device,
            "measure": measure,
            "source": "HW-NAS-Bench, arXiv:2103.10584",
            "not measurable": int(self._values.isna().sum()),
        }

    def __call__(self, archs: Sequence[str]) -> np.ndarray:
        """The column's entries, NaN where the device could not run the network."""
        return self._values.reindex(list(archs)).to_numpy(dtype=float)


class Timing:
    """Median time of a forward pass on this machine, in ms: one image, one thread, evaluation mode, float32.

    Each architecture is timed once; a file keeps the times, so that a search that is started again sees the same ones.
    Such a search can be repeated from its file, and not from its seed alone.

    Args:
        space: where the architectures are from.
        num_classes: classes of the task.
        image_shape: ``(C, H, W)``.
        file: where times are kept; nowhere if None.

    Raises:
        SearchError: the file holds times of another task or machine, or cannot be read; or written, once times come.
    """

    def __init__(self, space: Space, num_classes: int, image_shape: ImageShape, file: Path | None = None) -> None:
        self.instant = False
        self._space, self._classes, self._shape = space, num_classes, image_shape
        self.about: dict[str, object] = {
            "device": HERE,
            "measure": "latency",
            "source": f"median of {_CLOCK.repeats} forward passes after {_CLOCK.warmup} more, batch 1, one thread, "
            "float32",
            "machine": f"{platform.system()} {platform.machine()}, torch {torch.__version__}",
            "task": f"{space.spec}, {num_classes} classes, images {'x'.join(map(str, image_shape))}",
        }
        self._known: dict[str, float] = {}
        self._lines = None if file is None else self._read(file)

    def __call__(self, archs: Sequence[str]) -> np.ndarray:
        """Times in ms, taken now where they are not known."""
        for arch in archs:
            if arch not in self._known:
                self._known[arch] = self._time(arch)
                self._write(arch)
        return np.array([self._known[arch] for arch in archs])

    def _time(self, arch: str) -> float:
        network = self._space.build(arch, self._classes, image_shape=self._shape).eval()
        return statistics.median(_CLOCK.times(network, torch.zeros(1, *self._shape)))

    def _read(self, file: Path) -> GrowingFile:
        try:
            lines = GrowingFile(file)
            about, *rows = map(json.loads, lines.lines or [json.dumps(self.about)])
            times = {row["arch"]: float(row["ms"]) for row in rows}
        except OSError as error:
            raise SearchError(f"Cannot read {file}: {error.strerror or error}. Expected a readable file.") from error
        except (ValueError, TypeError, LookupError) as error:
            raise SearchError(f"{file} holds no times: {error}. Delete it, and they are taken again.") from error
        if about != self.about:
            raise SearchError(
                f"{file} holds times of {about.get('task')} on {about.get('machine')}. Expected {self.about['task']} "
                f"on {self.about['machine']}; name another folder."
            )
        self._known = times
        return lines

    def _write(self, arch: str) -> None:
        if self._lines is None:
            return
        heading = [] if len(self._lines) else [self.about]
        try:
            self._lines.add([*heading, {"arch": arch, "ms": self._known[arch]}])
        except OSError as error:
            raise SearchError(
                f"Cannot write to {self._lines.path}: {error.strerror or error}. The times taken so far are kept. Make "
                f"room, or the folder writable, and run the same command again."
            ) from error


def costs_of(
    space: Space,
    task: tuple[int, ImageShape],
    wanted: Collection[str],
    device: Device,
    file: Path,
    data_dir: str | Path | None = None,
) -> Costs:
    """Costs of the space, with a source of latency and energy where they are wanted.

    Args:
        space: where the architectures are from.
        task: classes and image shape of the networks.
        wanted: costs that are looked at.
        device: what latency and energy are of.
        file: where times of this machine are kept.
        data_dir: folder with the tables.

    Raises:
        SearchError: latency or energy is wanted, and no device was named that has it.
    """
    physical = [name for name in ("latency", "energy") if name in wanted]
    if not physical:
        return Costs(space, *task)
    if device.name is None:
        raise SearchError(f"{' and '.join(physical)} were asked for without a device. Name one by --latency-device.")
    if device.name.endswith((".parquet", ".csv")):
        if "energy" in physical:
            raise SearchError(f"{device.name!r} has no energy. Expected a device of the tables, as in eyeriss.")
        return Costs(space, *task, {"latency": MeasuredLatency(device.name, space, task)})
    if device.name != HERE:
        name, images = table_name(device.name, device.dataset.partition("(")[0])
        table = hardware_costs(images, data_dir)
        return Costs(space, *task, {measure: LatencyTable(table, name, measure, space) for measure in physical})
    if "energy" in physical:
        raise SearchError("Energy cannot be measured on this machine. Expected a device of the tables, as in eyeriss.")
    return Costs(space, *task, {"latency": Timing(space, *task, file)})


def table_name(device: str, dataset: str) -> tuple[str, str]:
    """Device and data set of ``device`` or ``device/dataset``; the data set of the search unless it is named.

    >>> table_name("raspi4", "cifar100"), table_name("raspi4/cifar10", "noise")
    (('raspi4', 'cifar100'), ('raspi4', 'cifar10'))
    """
    name, _, named = device.partition("/")
    return name, named or dataset
