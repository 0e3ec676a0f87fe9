r"""How far the part of a truth that the sizes do not explain reproduces.

For two tables of the same architectures, with ranks of accuracy :math:`R, R'` and their least-squares fits by the ranks
of all sizes, hatted:

.. math::  \tau_b\bigl(R - \hat R,\; R' - \hat R'\bigr)

A proxy that knows more than the sizes has to agree with these residuals. Where they do not reproduce, between two
trainings, splits of the images or data sets, the truth cannot tell such a proxy from another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.statistics import controls
from zcbench.benchmarks.statistics.correlations import NAN, kendall
from zcbench.benchmarks.statistics.ranks import mean_ranks
from zcbench.benchmarks.truths.catalogue import PUBLISHED
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.packed import bundled
from zcbench.benchmarks.truths.places import tables_here
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import DataError, ZcbenchError
from zcbench.storage import files as folders
from zcbench.streams import numpy_stream

MOST = 1_000
"""Architectures that are compared at most, drawn at random from those in both tables."""

_RUNS = 3  # runs that are compared with each other at most


@dataclass(frozen=True)
class Reproduction:
    """Agreement of the residuals of a truth, given all sizes, with those of another table.

    Attributes:
        kind: ``runs``, two trainings of each architecture, the mean over pairs; ``split`` or ``dataset``.
        other: the split or data set of the other table; how many runs were compared.
        n: number of architectures.
        tau: Kendall's tau-b of the accuracies.
        given_all: tau-b of the residuals by the linear control of `zcbench.benchmarks.statistics.controls`.
        flexible: that by the flexible control.
    """

    kind: str
    other: str
    n: int
    tau: float
    given_all: float
    flexible: float

    def __str__(self) -> str:
        """In words, for people."""
        with_what = f"another of {self.other}" if self.kind == "runs" else self.other
        own = "undefined" if np.isnan(self.given_all) else f"{self.given_all:.2f}"
        return f"τ {own} with {with_what} ({self.tau:.2f} without the control, n = {self.n:,})"


def reproduced(
    name: str | Path, data_dir: str | Path | None = None, sizes: pd.DataFrame | None = None
) -> tuple[Reproduction, ...]:
    """Agreement of a truth, given all sizes, with runs, splits and data sets of the same architectures that are here.

    Args:
        name: of a truth, as in `truth`.
        data_dir: where to look; the default is ``ZCBENCH_DATA``, then the user's data directory.
        sizes: index arch, one column per size: only these architectures count; those of the space if omitted.

    Returns:
        None for a truth of a file or of a space that is not known here, or without another table.

    Raises:
        UnknownNameError, DataError: as `truth`.

    Example:
        >>> reproduced("nasbench201/cifar10-16/kd")[0].other
        '3 runs'
    """
    table = truth(name, data_dir)
    if Path(name).suffix in (".csv", ".parquet") or not (sizes is not None or _known(table)):
        return ()
    parsed, known = TruthName.parse(str(name)), _Sizes(table.networks, sizes)
    return (*_runs(parsed, data_dir, known), *_siblings(parsed, table, data_dir, known))


class _Sizes(NamedTuple):
    """Sizes of the architectures of a space: all, or the known ones only."""

    space: str
    known: pd.DataFrame | None = None

    def compared(self, one: pd.Series, other: pd.Series) -> tuple[int, float, float, float]:
        """Number of common architectures, tau-b of two accuracies, and tau-b given all sizes by both controls."""
        if self.known is not None:
            one, other = (accuracies.reindex(self.known.index) for accuracies in (one, other))
        both = pd.DataFrame({"one": one, "other": other}).dropna().sort_index()
        if len(both) > MOST:
            chosen = numpy_stream("reproduced", self.space, len(both)).choice(len(both), MOST, replace=False)
            both = both.iloc[np.sort(chosen)]
        if len(both) < 3:
            return len(both), NAN, NAN, NAN
        ranks = [mean_ranks(column) for column in self._of(both.index).to_numpy(float).T]
        y, z = (mean_ranks(both[name].to_numpy(float)) for name in both)
        given = [controls.tau_given_all(y, z, make(ranks)) for make in (controls.linear, controls.flexible)]
        return len(both), kendall(y, z), given[0], given[1]

    def _of(self, archs: pd.Index) -> pd.DataFrame:
        return _costs(self.space, tuple(map(str, archs))) if self.known is None else self.known.loc[archs]


@lru_cache(maxsize=8)
def _costs(space: str, archs: tuple[str, ...]) -> pd.DataFrame:
    """Sizes of the space, kept: those of 200 transformers take ten seconds."""
    return spaces.get(space).costs(list(archs)).drop(columns="arch")


def _known(table: TruthTable) -> bool:
    try:
        spaces.get(table.networks)
    except ZcbenchError:
        return False
    return True


def _runs(name: TruthName, data_dir: str | Path | None, sizes: _Sizes) -> Iterator[Reproduction]:
    """Agreement of single trainings, where they are known."""
    try:
        rows = truth(str(name), data_dir, per_seed=True)
    except DataError:
        return
    wide = rows.pivot(index="arch", columns="seed", values="accuracy")
    seeds = sorted(wide.notna().sum().nlargest(_RUNS).index)
    found = [sizes.compared(wide[one], wide[other]) for one, other in combinations(seeds, 2)]
    if found and min(n for n, *_ in found) >= 3:
        n, *taus = np.array(found, float).T
        yield Reproduction("runs", f"{len(seeds)} runs", int(n.min()), *(float(tau.mean()) for tau in taus))


def _siblings(name: TruthName, table: TruthTable, data_dir: str | Path | None, sizes: _Sizes) -> Iterator[Reproduction]:
    """Agreement with the other splits of the data set, and with the same split of the other data sets."""
    own = table.set_index("arch")["accuracy"]
    for kind, other in _others(name, data_dir):
        try:
            accuracy = truth(str(other), data_dir).set_index("arch")["accuracy"]
        except DataError:  # it is not here
            continue
        n, *taus = sizes.compared(own, accuracy)
        if n >= 3:
            yield Reproduction(kind, getattr(other, kind), n, *taus)


def _others(name: TruthName, data_dir: str | Path | None) -> list[tuple[str, TruthName]]:
    """Truths that differ in the split, or in the data set and its epochs; of several epochs the longest training."""
    here = (key for folder in (folders.data_folder(data_dir), folders.user_folder()) for key, _ in tables_here(folder))
    every = dict.fromkeys((*(key for key, _ in PUBLISHED), *bundled(), *here))
    known = [TruthName.parse(text) for text in every if text.startswith(f"{name.space}/")]
    alike = [other for other in known if other.setting == name.setting]
    splits = {
        other.split: other
        for other in alike
        if (other.dataset, other.epochs) == (name.dataset, name.epochs) and other.split != name.split
    }
    datasets: dict[str, TruthName] = {}
    for other in sorted(alike, key=lambda one: one.epochs or 0):
        if other.split == name.split and other.dataset != name.dataset:
            datasets[other.dataset] = other
    return [*(("split", other) for other in splits.values()), *(("dataset", other) for other in datasets.values())]
