"""What an architecture costs: its sizes, and latency or energy from a table or a clock."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import unknown
from zcbench.search.algorithms.loop import SearchError
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape

UNITS = {"params": "parameters", "macs": "MACs", "n_convs": "convolutions", "depth": "layers", "width": "channels"}
UNITS |= {"latency": "ms", "energy": "mJ"}
"""Columns that may be limited or minimised, and their units."""


class Measure(Protocol):
    """From architectures to one number for each, NaN where it cannot be measured.

    Attributes:
        about: where the numbers come from, for people.
        instant: whether they are looked up, not taken by a clock.
    """

    about: dict[str, object]
    instant: bool

    def __call__(self, archs: Sequence[str]) -> np.ndarray:
        """The numbers, in order."""


_SCALES = {"k": 1e3, "M": 1e6, "G": 1e9}


def quantity(text: str) -> float:
    """Number that may end in k, M or G.

    Raises:
        SearchError: the text is no such number, or it is not above 0.

    >>> quantity("1.0M"), quantity("250k"), quantity("5.5")
    (1000000.0, 250000.0, 5.5)
    """
    number, scale = (text[:-1], _SCALES[text[-1]]) if text[-1:] in _SCALES else (text, 1.0)
    try:
        value = float(number) * scale
    except ValueError:
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise SearchError(f"{text!r} was given as a limit. Expected a number above 0, such as 250k, 1.0M or 5.5.")
    return value


class Costs:
    """Costs of the architectures of a space for one task, each found once.

    Args:
        space: where the architectures are from.
        num_classes: classes of the task.
        image_shape: ``(C, H, W)`` of its images.
        measures: further columns, such as ``latency``, and what gives them.
    """

    def __init__(
        self,
        space: Space,
        num_classes: int = 10,
        image_shape: ImageShape = (3, 32, 32),
        measures: Mapping[str, Measure] | None = None,
    ) -> None:
        self.space, self.num_classes, self.image_shape = space, num_classes, image_shape
        self._measures = dict(measures or {})
        self._known: dict[str, dict[str, float]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that can be asked for."""
        return (*SIZES, *self._measures)

    @property
    def about(self) -> dict[str, dict[str, object]]:
        """Where the columns that are no sizes come from."""
        return {name: measure.about for name, measure in self._measures.items()}

    @property
    def measured(self) -> tuple[str, ...] | None:
        """The only architectures that a column has been measured of; None where each one can be measured."""
        lists = (getattr(measure, "archs", None) for measure in self._measures.values())
        return next((archs for archs in lists if archs is not None), None)

    def instant(self, name: str) -> bool:
        """Whether a column takes no clock, so that it can be had for a whole space.

        Raises:
            UnknownNameError: there is no such column.
        """
        if name not in self.columns:
            raise unknown("cost", name, self.columns)
        return name in SIZES or self._measures[name].instant

    def column(self, name: str, archs: Sequence[str]) -> np.ndarray:
        """One column, an entry per architecture; NaN where it cannot be measured.

        Raises:
            UnknownNameError: there is no such column.
        """
        if name not in self.columns:
            raise unknown("cost", name, self.columns)
        for arch in archs:
            self._known.setdefault(arch, {})
        lacking = [arch for arch in dict.fromkeys(archs) if name not in self._known[arch]]
        if lacking:
            self._find(name, lacking)
        return np.array([self._known[arch][name] for arch in archs], dtype=float)

    def of(self, arch: str, names: Sequence[str]) -> dict[str, float | None]:
        """Some columns of one architecture, sizes as whole numbers, None where there is no value."""
        values = {name: float(self.column(name, [arch])[0]) for name in names}
        return {
            name: None if np.isnan(value) else int(value) if name in SIZES else value for name, value in values.items()
        }

    def frame(self, archs: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
        """Some columns of many architectures."""
        return pd.DataFrame({name: self.column(name, archs) for name in names}, index=list(archs))

    def _find(self, name: str, archs: list[str]) -> None:
        if name in self._measures:
            for arch, value in zip(archs, self._measures[name](archs), strict=True):
                self._known[arch][name] = float(value)
            return
        table = self.space.costs(archs, self.num_classes, self.image_shape)
        for arch, row in zip(archs, table[list(SIZES)].to_numpy(dtype=float).tolist(), strict=True):
            self._known[arch] |= dict(zip(SIZES, row))
