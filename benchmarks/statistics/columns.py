"""Columns of scores, accuracies and sizes, with what several statistics of one column share: ranks, ties, bins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zcbench.benchmarks.statistics import controls
from zcbench.benchmarks.statistics.at_size import Windows
from zcbench.benchmarks.statistics.controls import Control
from zcbench.benchmarks.statistics.correlations import NAN, constant, kendall_of_ranks
from zcbench.benchmarks.statistics.ranks import Array, Counts, equals, mean_ranks_of
from zcbench.benchmarks.statistics.size_control import equal_count_bins, residuals


@dataclass(frozen=True, eq=False)
class Column:
    """One number for each architecture; a column equals only itself.

    Attributes:
        values: finite, shape (n,).
    """

    values: Array
    _bins: dict[int, NDArray[np.intp]] = field(default_factory=dict, repr=False)

    @cached_property
    def constant(self) -> bool:
        """Whether it has fewer than three entries, or one value only."""
        return constant(self.values)

    @cached_property
    def dense(self) -> Counts:
        """Rank of each value, 0 for the smallest; equal values share one, and none is left out."""
        return self._equals[0]

    @cached_property
    def ranks(self) -> Array:
        """Ranks from 1, equal values at their mean rank."""
        return mean_ranks_of(*self._equals)

    @cached_property
    def centred(self) -> Array:
        """Ranks less their mean, of length 1."""
        ranks = self.ranks - (self.values.size + 1) / 2
        return np.asarray(ranks / np.linalg.norm(ranks))

    @cached_property
    def untied(self) -> Counts:
        """For each architecture the number of others with another value."""
        place, sizes = self._equals
        return np.asarray(self.values.size - sizes[place])

    @cached_property
    def _equals(self) -> tuple[Counts, Counts]:
        return equals(self.values)

    def bins(self, bins: int) -> NDArray[np.intp]:
        """Bin of each value, as `equal_count_bins` gives it."""
        if bins not in self._bins:
            self._bins[bins] = equal_count_bins(self.values, bins)
        return self._bins[bins]


@dataclass(frozen=True, eq=False)
class Population:
    """Architectures that several scores are known for: their sizes, and correlations with them, each computed once.

    Attributes:
        sizes: by name; ``params`` and ``macs`` are among them.
        units: number of the unit of each architecture in the sample, from 0: itself, or its class.
        single: sizes that a correlation is given one by one; all of them if None.
    """

    sizes: Mapping[str, Column]
    units: NDArray[np.intp]
    single: Sequence[str] | None = None
    _taus: dict[tuple[str, Column], float] = field(default_factory=dict, repr=False)
    _residuals: dict[Column, Array] = field(default_factory=dict, repr=False)
    _left: dict[tuple[str, Column], Column] = field(default_factory=dict, repr=False)
    _random: dict[Column, float] = field(default_factory=dict, repr=False)

    def tau(self, name: str, column: Column) -> float:
        """Tau-b of a size with a column."""
        if (name, column) not in self._taus:
            self._taus[name, column] = kendall_of_ranks(self.sizes[name].dense, column.dense)
        return self._taus[name, column]

    def rho(self, name: str, column: Column) -> float:
        """Spearman's rho of a size with a column."""
        return rho(self.sizes[name], column)

    def residuals(self, column: Column) -> Array:
        """Ranks of a column less their least-squares fit by the ranks of params and macs."""
        if column not in self._residuals:
            self._residuals[column] = residuals(column.ranks, self._design)
        return self._residuals[column]

    def left(self, kind: str, accuracy: Column) -> Column:
        """Residual ranks of an accuracy under a control of `controls`."""
        if (kind, accuracy) not in self._left:
            self._left[kind, accuracy] = Column(self.controls[kind].residuals(accuracy.ranks))
        return self._left[kind, accuracy]

    @cached_property
    def windows(self) -> Windows:
        """Architectures of about the same number of parameters."""
        return Windows.of(self.sizes["params"].values)

    def regret_at_random(self, accuracy: Column) -> float:
        """Expected regret of a choice at random among architectures of about one size."""
        if accuracy not in self._random:
            self._random[accuracy] = self.windows.regret_at_random(accuracy.values)
        return self._random[accuracy]

    @cached_property
    def controls(self) -> dict[str, Control]:
        """Controls by all sizes: ``linear`` and ``flexible``."""
        ranks = [size.ranks for size in self.sizes.values()]
        return {"linear": controls.linear(ranks), "flexible": controls.flexible(ranks)}

    @cached_property
    def _design(self) -> Array:
        return np.column_stack([np.ones(self.units.size), self.sizes["params"].ranks, self.sizes["macs"].ranks])


def rho(one: Column, other: Column) -> float:
    """Spearman's rho of two columns; NaN where one is constant."""
    return NAN if one.constant or other.constant else float(np.clip(one.centred @ other.centred, -1, 1))
