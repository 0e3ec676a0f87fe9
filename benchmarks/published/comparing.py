"""Rank correlation of our scores with published ones, and how far two draws of either agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.published.tables import TABLES, Conditions, PublishedScores
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.statistics import delta
from zcbench.benchmarks.statistics.ranks import mean_ranks
from zcbench.errors import DataError, RankingError

COLUMNS = (
    "run", "published", "proxy", "n", "rho", "low", "high", "tau", "own", "own_seeds", "theirs", "theirs_with",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PublishedComparison:
    """Our scores beside published ones.

    Attributes:
        table: one row per run, published table and proxy of both. ``n`` architectures that have a finite score in
            both; ``rho``, Spearman's, between our first seed and the published score, neither oriented, and its
            interval; ``tau``, Kendall's tau-b; ``own``, the mean rho over pairs of our ``own_seeds`` seeds on these
            architectures, by the run itself or another given one of the same images, batch and initialisation;
            ``theirs``, rho between this published table and ``theirs_with``, another one of the same space. NaN where
            there is nothing to compare.
        conditions: one entry per run and published table: ``run, published, origin`` and ``differences``, what is
            known to differ between the conditions of both.
    """

    table: pd.DataFrame
    conditions: list[dict[str, Any]]


class _Run(NamedTuple):
    """Scores of a run by proxy: index arch, one column per seed, NaN where a score is not ok."""

    name: str
    protocol: Protocol
    scores: dict[str, pd.DataFrame]

    @property
    def space(self) -> str:
        return self.protocol.space.partition("(")[0]

    @property
    def drawn(self) -> tuple[object, ...]:
        """What seeds are drawn under."""
        own = self.protocol
        return own.space, own.batch_sha256, own.image_shape, own.init

    def conditions(self) -> Conditions:
        own = self.protocol
        side = own.image_shape[-1] if own.image_shape else None
        return Conditions(own.dataset, own.batch_size, side, own.num_classes, own.init)


def compare_published(
    runs: Sequence[str | Path], data_dir: str | Path | None = None, *, confidence: float = 0.95
) -> PublishedComparison:
    r"""Compare our scores with those that others published for the same architectures.

    .. math::  \rho\bigl(a^{(0)}, p\bigr), \qquad
               \text{own} = \binom{k}{2}^{-1} \sum_{s < t} \rho\bigl(a^{(s)}, a^{(t)}\bigr)

    :math:`a^{(s)}` are our scores with seed s, p the published ones. Two draws of one code agree only so far, so
    that own, and the agreement of two published tables, are about the most that can be expected of the first.

    Args:
        runs: folders of runs, packed files, or names of bundled scores, of any spaces.
        data_dir: where the published files lie, in ``sources/published-scores/``.
        confidence: level of the intervals of rho, by the delta method over architectures.

    Raises:
        DataError: none of the published files is here.
        ChecksumError: a published file is damaged or another version.
        RankingError: no run has an architecture and a proxy in common with a published table.
        StoreError: there is no run.

    Example:
        >>> found = compare_published(["nasbench201"])  # doctest: +SKIP
        >>> found.table[["published", "proxy", "rho"]]  # doctest: +SKIP

    Source: Spearman's rho and Kendall's tau-b as in `zcbench.benchmarks.statistics`.
    """
    loaded = {table.name: (table, table.load(data_dir)) for table in TABLES}
    here = {name: (table, scores) for name, (table, scores) in loaded.items() if scores is not None}
    if not here:
        raise DataError(
            "None of the files of published scores is here. Expected, in sources/published-scores/ of the data "
            f"directory, any of: {', '.join(sorted({table.file for table in TABLES}))}; docs/data.md says where from."
        )
    given = [_load(str(run)) for run in dict.fromkeys(runs)]
    rows: list[dict[str, object]] = []
    conditions: list[dict[str, Any]] = []
    for run in given:
        for table, scores in here.values():
            found = list(_rows(run, table, scores, given, here, confidence)) if table.space == run.space else []
            if found:
                rows += found
                differ = run.conditions().differences(table.conditions)
                about = {"run": run.name, "published": table.name, "origin": table.origin}
                conditions.append({**about, "differences": differ})
    if not rows:
        raise RankingError(
            "No run has an architecture and a proxy in common with published scores. Expected runs of "
            f"{', '.join(sorted({table.space for table, _ in here.values()}))}; name such."
        )
    return PublishedComparison(pd.DataFrame(rows, columns=list(COLUMNS)), conditions)


def _load(name: str) -> _Run:
    protocol, frame, _ = bundled.load(name)
    frame = frame.assign(value=frame["value"].where(frame["status"] == "ok"))
    parts = {str(proxy): part for proxy, part in frame.groupby("proxy")}
    return _Run(
        name,
        protocol,
        {proxy: part.pivot(index="arch", columns="seed", values="value") for proxy, part in parts.items()},
    )


def _rows(
    run: _Run,
    table: PublishedScores,
    scores: pd.DataFrame,
    given: Sequence[_Run],
    here: dict[str, tuple[PublishedScores, pd.DataFrame]],
    confidence: float,
) -> Iterator[dict[str, object]]:
    """Rows of one run and one published table."""
    for proxy in (name for name in scores if name in run.scores):
        ours, theirs = run.scores[proxy].iloc[:, 0], scores[proxy]
        both = _finite(ours, theirs)
        if len(both) < 3:
            continue
        x, y = both.to_numpy(float).T
        rho = statistics.spearman(x, y)
        low, high = _interval(x, y, rho, confidence)
        own, seeds = _own(run, proxy, both.index, given)
        other, name = _theirs(table, proxy, both.index, here)
        values = (len(both), rho, low, high, statistics.kendall(x, y), own, seeds, other, name)
        yield dict(zip(COLUMNS, (run.name, table.name, proxy, *values)))


def _finite(one: pd.Series, other: pd.Series) -> pd.DataFrame:
    both = pd.concat([one, other], axis=1, join="inner")
    return both[np.isfinite(both.to_numpy(float)).all(axis=1)]


def _interval(x: np.ndarray, y: np.ndarray, rho: float, confidence: float) -> tuple[float, float]:
    if not np.isfinite(rho):
        return np.nan, np.nan
    ranks = [mean_ranks(values) for values in (x, y)]
    return delta.interval(rho, delta.rho_influences(*ranks), np.arange(len(x)), confidence)


def _own(run: _Run, proxy: str, archs: pd.Index, given: Sequence[_Run]) -> tuple[float, int]:
    """Mean rho over pairs of seeds, of the run with the most seeds and architectures under the same conditions."""
    alike = [one.scores[proxy].reindex(archs) for one in given if one.drawn == run.drawn and proxy in one.scores]
    best = max(alike, key=lambda seeds: (min(seeds.shape[1], 2), int(seeds.dropna().shape[0])))
    columns = best.dropna().to_numpy(float).T
    if len(columns) < 2 or columns.shape[1] < 3:
        return np.nan, len(columns)
    return float(np.mean([statistics.spearman(a, b) for a, b in combinations(columns, 2)])), len(columns)


def _theirs(
    table: PublishedScores, proxy: str, archs: pd.Index, here: dict[str, tuple[PublishedScores, pd.DataFrame]]
) -> tuple[float, str]:
    """Rho with the first other table of the same source and space, else of another source."""
    others = [
        (name, scores)
        for name, (other, scores) in here.items()
        if other.space == table.space and name != table.name and proxy in scores
    ]
    others.sort(key=lambda one: one[0].partition("/")[0] != table.name.partition("/")[0])
    for name, scores in others[:1]:
        both = _finite(here[table.name][1][proxy].reindex(archs), scores[proxy])
        return (statistics.spearman(*both.to_numpy(float).T), name) if len(both) >= 3 else (np.nan, "")
    return np.nan, ""
