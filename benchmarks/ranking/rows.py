"""The rows of the ranking table: every statistic of one proxy against one truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.evidence import Evidence, coverage
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.sizes import CONTROLS, COVERED, SIZES
from zcbench.benchmarks.scoring.resamples import tau_spread
from zcbench.benchmarks.statistics.columns import Column, Population
from zcbench.benchmarks.statistics.comparison import Comparison

Row = dict[str, object]
"""One row of the ranking table, by column."""

Mask = NDArray[np.bool_]

EXPLAINED = 0.99
"""Share of a score's ranks explained by the sizes from which on a note says so: the rest may be a fault of the fit."""


def rows(evidence: Evidence, archs: list[str], how: RankingOptions) -> dict[tuple[int, int], Row]:
    """All rows of a set of architectures, by the places of truth and proxy.

    The intervals are those of the delta method; where ``how`` asks for draws, the caller replaces them.

    Args:
        evidence: scores, accuracies and sizes.
        archs: the set.
        how: size of the top, confidence and unit of the intervals.
    """
    members = _Members(evidence, archs, how.unit)
    names = list(map(str, evidence.accuracies))
    found: dict[tuple[int, int], Row] = {}
    for p, proxy in enumerate(map(str, evidence.values)):
        wanted = [t for t, truth in enumerate(names) if evidence.learned.get(proxy, truth) == truth]
        reliability = statistics.reliability(evidence.trials[proxy].iloc[members.places])
        for t, mask, compared in members.compared(p, wanted):
            row = _row(members, proxy, t, mask, compared) | {"truth": names[t], "reliability": reliability}
            row |= compared.statistics(how.k) | compared.intervals(how.confidence) | compared.given_all(how.confidence)
            found[t, p] = row | members.common_tau(p, t, mask, compared.tau)
    return found


@dataclass(frozen=True, eq=False)
class _Shared:
    """What all scores that are known for the same architectures share."""

    accuracies: list[Column]
    population: Population


@dataclass(frozen=True, eq=False)
class _Members:
    """The architectures of a subset, as arrays with one row each."""

    evidence: Evidence
    archs: list[str]
    unit: str
    _known: dict[tuple[bytes, tuple[int, ...]], _Shared] = field(default_factory=dict)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """Row of each architecture in the tables of the evidence."""
        return self.evidence.values.index.get_indexer(pd.Index(self.archs))

    @cached_property
    def values(self) -> statistics.Array:
        """Scores, NaN where there is none; shape (n, P)."""
        return self.evidence.values.to_numpy()[self.places]

    @cached_property
    def accuracies(self) -> statistics.Array:
        """Accuracies, NaN where unknown; shape (n, T)."""
        return self.evidence.accuracies.to_numpy()[self.places]

    @cached_property
    def sizes(self) -> dict[str, statistics.Array]:
        """Sizes by name."""
        return {name: self.evidence.sizes[name].to_numpy()[self.places] for name in SIZES}

    @cached_property
    def units(self) -> NDArray[np.intp]:
        """Number of the unit of each architecture."""
        if self.unit == "classes":
            return np.unique(self.evidence.classes.to_numpy(str)[self.places], return_inverse=True)[1]
        return np.arange(len(self.archs))

    @cached_property
    def common(self) -> list[Mask]:
        """Per truth the architectures that have an accuracy, and a value of every proxy of at least `COVERED`."""
        own = ~self.evidence.values.columns.isin(list(self.evidence.learned))
        has = np.isfinite(self.values[:, own])
        found = []
        for known in np.isfinite(self.accuracies).T:
            counted = has[:, has[known].mean(axis=0) >= COVERED]
            found.append(known & counted.all(axis=1))
        return found

    def compared(self, proxy: int, truths: Sequence[int]) -> Iterator[tuple[int, Mask, Comparison]]:
        """Each truth with the architectures that have a score and an accuracy, and the comparison over them."""
        known = np.isfinite(self.values[:, [proxy]]) & np.isfinite(self.accuracies)
        alike: dict[bytes, list[int]] = {}
        for t in truths:
            alike.setdefault(known[:, t].tobytes(), []).append(t)
        for text, those in alike.items():
            mask = np.frombuffer(text, dtype=bool)
            shared = self._shared(mask, tuple(those))
            score = Column(self.values[mask, proxy])
            for t, accuracy in zip(those, shared.accuracies):
                yield t, mask, Comparison(score, accuracy, shared.population)

    def common_tau(self, proxy: int, truth: int, mask: Mask, tau: float) -> dict[str, float]:
        """Tau-b over the common architectures, NaN where one of them has no score, and their number."""
        shared = self.common[truth]
        if (shared & ~mask).any():
            tau = statistics.NAN
        elif (shared != mask).any():
            tau = statistics.kendall(self.values[shared, proxy], self.accuracies[shared, truth])
        return {"tau_common": tau, "n_common": int(shared.sum())}

    def _shared(self, mask: Mask, truths: tuple[int, ...]) -> _Shared:
        key = mask.tobytes(), truths
        if key not in self._known:
            units = np.unique(self.units[mask], return_inverse=True)[1]
            population = Population({name: Column(size[mask]) for name, size in self.sizes.items()}, units, CONTROLS)
            self._known[key] = _Shared([Column(self.accuracies[mask, t]) for t in truths], population)
        return self._known[key]


def _row(members: _Members, proxy: str, truth: int, mask: Mask, compared: Comparison) -> Row:
    """What is known of a proxy beside its statistics."""
    evidence, known = members.evidence, np.isfinite(members.accuracies[:, truth])
    trials = evidence.trials[proxy].iloc[members.places[mask]]
    share, made = coverage(evidence, proxy, members.places[known])
    about = dict(evidence.about.loc[proxy])
    notes = [about["note"], made, *_notes(compared)]
    if not known.all():
        notes.append(f"accuracy known for {known.sum()} of {len(known)}")
    spread = tau_spread(trials, compared.accuracy.values)
    counted = {"proxy": proxy, "n": int(mask.sum()), "coverage": share, "note": "; ".join(filter(None, notes))}
    return about | spread | counted


def _notes(compared: Comparison) -> list[str]:
    """Reasons of missing numbers."""
    if compared.score.values.size < 3:
        return ["fewer than 3 values"]
    if compared.undefined:
        return ["constant" if compared.score.constant else "constant accuracy"]
    notes = [f"not separable from {name}" for name in CONTROLS if not compared.separable(name)]
    almost = EXPLAINED <= compared.explained < 1
    return [*notes, f"the sizes explain {compared.explained:.1%} of its ranks"] if almost else notes
