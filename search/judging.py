"""What trained accuracies say of a search, looked up after it has ended: picks, regret, baselines, fronts."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from zcbench.benchmarks.truths.name import TruthName
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.algorithms.pareto import covered, covered_by_one
from zcbench.search.architectures import Architectures
from zcbench.search.conduct import SearchResult, spread
from zcbench.streams import numpy_stream

CHECKPOINTS = (8, 16, 32, 64, 128, 256, 512, 1000, 2000, 5000, 10000)
"""Numbers of evaluations at which the accuracy of the pick is stated."""

TRAININGS = (1, 10, 100, 1000)
"""How many architectures the random search trains whose best by validation is taken, and as many as were evaluated."""


class SearchTruth:
    """Accuracies of one truth, of the architectures that fit the budget.

    Args:
        name: of the truth.
        table: columns ``arch, accuracy``, one row per architecture.
        domain: what was searched.

    Raises:
        SearchError: no architecture within the budget has an accuracy.
    """

    def __init__(self, name: str, table: pd.DataFrame, domain: Architectures) -> None:
        self.name = name
        self.protocol = dict(getattr(table, "protocol", {}))
        whole = table.set_index("arch")["accuracy"].astype(float)
        self.whole = whole[[arch in domain.space for arch in whole.index]]
        self.fitting = self.whole.loc[domain.fitting(list(map(str, self.whole.index)))]
        if self.fitting.empty:
            raise SearchError(
                f"The truth {name!r} has {len(self.whole):,} architectures of {domain.space.spec}, and none of them "
                f"fits the budget. Expected a truth of what is searched; name another one, or search without a truth."
            )

    def accuracy(self, arch: str | None) -> float:
        """Accuracy in percent, NaN where it is unknown."""
        return float(self.whole.get(arch, math.nan)) if arch is not None else math.nan

    @property
    def best(self) -> float:
        """Highest accuracy within the budget."""
        return float(self.fitting.max())


def judge(
    found: Sequence[SearchResult], truth: SearchTruth, domain: Architectures, minimised: Sequence[str] = ()
) -> dict[str, Any]:
    """Accuracy and regret of the picks of several seeds, and how they grew with the evaluations.

    Regret is the highest accuracy within the budget minus that of the pick.

    Args:
        found: one search per seed.
        truth: accuracies.
        domain: what was searched.
        minimised: costs that were objectives; with them, how much of the true front was found.
    """
    accuracies, clock = [truth.accuracy(one.arch) for one in found], domain.by_clock
    result: dict[str, Any] = {
        "accuracies": {
            "known": len(truth.whole),
            "within the budget": len(truth.fitting),
            **({"remark": "limits by the clock are left out, since only what was searched was timed"} if clock else {}),
            "best": truth.best,
            "best architecture": str(truth.fitting.idxmax()),
        },
        "picks": [
            {"seed": one.seed, "arch": one.arch, "accuracy": _told(accuracy), "regret": _told(truth.best - accuracy)}
            for one, accuracy in zip(found, accuracies)
        ],
        "accuracy": told_spread(accuracies),
        "regret": told_spread([truth.best - accuracy for accuracy in accuracies]),
        "by_evaluations": _by_evaluations(found, truth),
    }
    if minimised:
        result["front"] = {"costs": list(minimised), **_front(found, truth, domain, minimised)}
    return result


def by_seconds(found: Sequence[SearchResult], truth: SearchTruth, points: int = 12) -> list[dict[str, Any]]:
    """Accuracy of the picks after so many seconds of scoring; empty where nothing was scored.

    Seconds are those that the scores took, those of the reference sample first, added up as if one after the other;
    proxies that share a pass are each charged with it, so that they are an upper bound.
    """
    spent = [one.reference_seconds + np.cumsum([row.seconds for row in one.trace.history]) for one in found]
    longest = min((float(times[-1]) for times in spent), default=0.0)
    if longest <= 0:
        return []
    first = max(float(times[one.points[0][0] - 1]) for one, times in zip(found, spent))  # all have a pick by then
    rows = []
    for seconds in np.geomspace(min(first, longest), longest, points):
        done = [int(np.searchsorted(times, seconds, "right")) for times in spent]
        accuracies = [truth.accuracy(one.pick_at(n)) for one, n in zip(found, done)]
        rows.append({"seconds": float(seconds), **_worth(accuracies, truth)})
    return rows


def trained_at_random(
    domain: Architectures,
    truth: SearchTruth,
    validation: pd.Series,
    seeds: Sequence[int],
    seconds: pd.Series | None = None,
    evaluations: int | None = None,
) -> list[dict[str, Any]]:
    """Random search that trains: of k architectures the best by validation accuracy, judged by the truth.

    Args:
        domain: what was searched.
        truth: accuracies that judge.
        validation: accuracies that choose, by architecture.
        seeds: as many draws as the search had.
        seconds: time that training each architecture takes.
        evaluations: of the search; as many are trained, beside `TRAININGS`.

    Returns:
        One row per k: accuracy over the seeds, and the mean seconds of the k trainings where they are known.
    """
    known = truth.fitting.index.intersection(validation.dropna().index)
    rows = []
    for k in (k for k in sorted({*TRAININGS, evaluations or 1}) if k <= len(known)):
        drawn = [_draw(domain, known, k, seed) for seed in seeds]
        picks = [validation.loc[some].idxmax() for some in drawn]
        row: dict[str, Any] = {"trainings": k, **told_spread([truth.accuracy(str(arch)) for arch in picks])}
        if seconds is not None:
            row["training_seconds"] = float(np.mean([seconds.reindex(some).sum() for some in drawn]))
        rows.append(row)
    return rows


def largest_that_fits(domain: Architectures, truth: SearchTruth, size: str) -> dict[str, Any]:
    """The architecture with the most of a size within the budget; where several have as many, their mean accuracy."""
    archs = [str(arch) for arch in truth.fitting.index]
    sizes = domain.costs.column(size, archs)
    chosen = [arch for arch, value in zip(archs, sizes) if value == sizes.max()]
    accuracy = float(truth.fitting.loc[chosen].mean())
    return {
        "arch": chosen[0],
        "equally large": len(chosen),
        size: int(sizes.max()),
        "accuracy": accuracy,
        "regret": truth.best - accuracy,
    }


def _draw(domain: Architectures, known: pd.Index, k: int, seed: int) -> list[str]:
    stream = numpy_stream("random trainings", domain.space.name, k, seed)
    return [str(known[int(place)]) for place in stream.choice(len(known), size=k, replace=False)]


def _by_evaluations(found: Sequence[SearchResult], truth: SearchTruth) -> list[dict[str, Any]]:
    return [
        {"evaluations": n, **_worth([truth.accuracy(one.pick_at(n)) for one in found], truth)} for n in marks(found)
    ]


def _worth(accuracies: Sequence[float], truth: SearchTruth) -> dict[str, Any]:
    """Spread of the accuracies of picks, and of their regret."""
    return {**told_spread(accuracies), "regret": told_spread([truth.best - accuracy for accuracy in accuracies])}


def best_so_far(found: Sequence[SearchResult]) -> list[dict[str, Any]]:
    """Objective of the pick over the seeds, by evaluations; ranks are those at the end of each search."""
    rows = []
    for n in marks(found):
        places = [one.position_at(n) for one in found]
        values = [float(one.values[place]) for one, place in zip(found, places) if place is not None]
        rows.append({"evaluations": n, **told_spread(values)})
    return rows


def marks(found: Sequence[SearchResult]) -> list[int]:
    """The `CHECKPOINTS` of these searches, and their end."""
    most = max(len(one.trace.history) for one in found)
    return [n for n in (*(n for n in CHECKPOINTS if n < most), most) if any(one.pick_at(n) for one in found)]


def _front(
    found: Sequence[SearchResult], truth: SearchTruth, domain: Architectures, costs: Sequence[str]
) -> dict[str, Any]:
    """How much of the true front in accuracy and costs the fronts that were found cover."""
    if not all(map(domain.costs.instant, costs)):
        return {"remark": "the true front is not known: only what was searched was timed"}
    true = _points(list(map(str, truth.fitting.index)), truth, domain, costs)
    fronts = [[one.trace.history[place].candidate for place in one.front] for one in found]
    shares = [covered(_points(archs, truth, domain, costs), true) for archs in fronts]
    return {"hypervolume ratio": told_spread(shares), "of one architecture": _told(covered_by_one(true))}


def _points(archs: Sequence[str], truth: SearchTruth, domain: Architectures, costs: Sequence[str]) -> np.ndarray:
    accuracy = truth.whole.reindex(list(archs)).to_numpy(dtype=float)
    return np.column_stack([accuracy, *(-domain.costs.column(name, archs) for name in costs)])


def told_spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, deviation, interval and number of the values that are numbers, as JSON has them."""
    return {name: _told(value) for name, value in spread(values).items()} | {"n": sum(map(math.isfinite, values))}


def _told(value: float) -> float | None:
    """A number as JSON has it; None for what is none."""
    return round(value, 6) if math.isfinite(value) else None


def validation_name(truth: str) -> str | None:
    """Name of the truth that chooses where this one judges; None where this one is no test accuracy.

    >>> validation_name("nasbench201/cifar100"), validation_name("nasbench201/cifar100/valid")
    ('nasbench201/cifar100/valid@200', None)
    """
    name = TruthName.parse(truth)
    return str(replace(name, split="valid")) if name.split == "test" else None
