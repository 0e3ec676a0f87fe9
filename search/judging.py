"""What trained accuracies say of a search, looked up after it has ended: accuracy, regret, baselines, fronts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from zcbench.benchmarks.truths.name import TruthName
from zcbench.search.algorithms.loop import Evaluated, SearchError
from zcbench.search.algorithms.pareto import covered, covered_by_one
from zcbench.search.architectures import Architectures
from zcbench.search.conduct import SearchResult
from zcbench.search.spread import Point, Spread, rounded
from zcbench.streams import numpy_stream

CHECKPOINTS = (8, 16, 32, 64, 128, 256, 512, 1000, 2000, 5000, 10000)
"""Numbers of evaluations at which the accuracy of the selected architecture is stated."""

TRAININGS = (1, 10, 100, 1000)
"""How many architectures the random search trains whose best by validation is taken, and as many as were evaluated."""


@dataclass(frozen=True)
class Largest:
    """The architecture with the most of a size within the budget; of equally large ones the mean accuracy."""

    arch: str
    equal: int
    size: Mapping[str, int]
    accuracy: float
    regret: float

    @property
    def label(self) -> str:
        """What the baseline is called."""
        return f"largest by {next(iter(self.size))}"

    def to_json(self) -> dict[str, object]:
        """The row of ``search.json``."""
        figures = {"accuracy": self.accuracy, "regret": self.regret}
        return {"arch": self.arch, "equally large": self.equal, **self.size, **figures}


@dataclass(frozen=True)
class FrontShare:
    """How much of the hypervolume of the true front is covered: by what was found, and by one architecture at most."""

    costs: tuple[str, ...]
    found: Spread | None = None
    alone: float | None = None
    remark: str = ""

    def to_json(self) -> dict[str, object]:
        """The figures, or why there are none."""
        if self.found is None:
            return {"costs": list(self.costs), "remark": self.remark}
        shares = {"hypervolume ratio": self.found.to_json(), "of one architecture": self.alone}
        return {"costs": list(self.costs), **shares}

    def sentence(self) -> str:
        """What it says, in a sentence."""
        what = f"in accuracy and {', '.join(self.costs)}"
        if self.found is None or self.found.mean is None or self.alone is None:
            return f"How much of the true front was found, {what}: {self.remark or 'too few accuracies are known'}."
        return (
            f"The front that was found covers {100 * self.found.mean:.1f} % of the hypervolume of the true one, "
            f"{what}; the best single architecture covers {100 * self.alone:.1f} %."
        )


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
        self.protocol: dict[str, object] = dict(getattr(table, "protocol", {}))
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

    def point(self, at: Mapping[str, float], archs: Sequence[str | None]) -> Point:
        """Spread of the accuracies of architectures, and of their regret."""
        accuracies = [self.accuracy(arch) for arch in archs]
        return Point(at, Spread.of(accuracies), {"regret": Spread.of([self.best - one for one in accuracies])})


@dataclass(frozen=True)
class KnownAccuracies:
    """How many accuracies a truth has, in all and within the budget, and the best of the latter."""

    known: int
    within: int
    best: float
    best_arch: str
    by_clock: bool

    def to_json(self) -> dict[str, object]:
        """The figures, and what is not among them."""
        clock = {"remark": "limits by the clock are left out, since only what was searched was timed"}
        return {
            "known": self.known,
            "within the budget": self.within,
            **(clock if self.by_clock else {}),
            "best": self.best,
            "best architecture": self.best_arch,
        }


@dataclass(frozen=True)
class Judgement:
    """Accuracy and regret of the architectures that several seeds selected.

    Attributes:
        accuracies: how many are known.
        selected: the seed, the architecture, its accuracy and its regret.
        accuracy: over the seeds.
        regret: the highest accuracy within the budget minus that of the selected architecture, over the seeds.
        by_evaluations: both after so many evaluations.
        front: how much of the true front was found, where costs are objectives.
    """

    accuracies: KnownAccuracies
    selected: tuple[Mapping[str, object], ...]
    accuracy: Spread
    regret: Spread
    by_evaluations: tuple[Point, ...]
    front: FrontShare | None = None

    def to_json(self) -> dict[str, object]:
        """The judgement as ``search.json`` has it."""
        front = {} if self.front is None else {"front": self.front.to_json()}
        return {
            "accuracies": self.accuracies.to_json(),
            "picks": [dict(row) for row in self.selected],
            "accuracy": self.accuracy.to_json(),
            "regret": self.regret.to_json(),
            "by_evaluations": [point.to_json() for point in self.by_evaluations],
            **front,
        }


def judge(
    found: Sequence[SearchResult], truth: SearchTruth, domain: Architectures, minimised: Sequence[str] = ()
) -> Judgement:
    """Accuracy and regret of the selected architectures, and how they grew with the evaluations.

    Args:
        found: one search per seed.
        truth: accuracies.
        domain: what was searched.
        minimised: costs that were objectives; with them, how much of the true front was found.
    """
    whole, fitting, accuracies = truth.whole, truth.fitting, [truth.accuracy(one.arch) for one in found]
    return Judgement(
        KnownAccuracies(len(whole), len(fitting), truth.best, str(fitting.idxmax()), domain.budget.by_clock),
        tuple(_selected(one, truth) for one in found),
        Spread.of(accuracies),
        Spread.of([truth.best - accuracy for accuracy in accuracies]),
        tuple(truth.point({"evaluations": n}, [one.arch_at(n) for one in found]) for n in marks(found)),
        _front(found, truth, domain, minimised) if minimised else None,
    )


def _selected(one: SearchResult, truth: SearchTruth) -> dict[str, object]:
    accuracy = truth.accuracy(one.arch)
    return {"seed": one.seed, "arch": one.arch, "accuracy": rounded(accuracy), "regret": rounded(truth.best - accuracy)}


def by_seconds(found: Sequence[SearchResult], truth: SearchTruth, points: int = 12) -> list[Point]:
    """Accuracy of the selected architectures after so many seconds of scoring; empty where nothing was scored.

    Seconds are those that the scores took, those of the reference sample first, added up as if one after the other;
    proxies that share a pass are each charged with it, so that they are an upper bound.
    """
    spent = [one.reference_seconds + np.cumsum([row.seconds for row in one.trace.history]) for one in found]
    longest = min((float(times[-1]) for times in spent), default=0.0)
    if longest <= 0:
        return []
    first = max(float(times[one.points[0][0] - 1]) for one, times in zip(found, spent))  # all have selected one by then
    rows = []
    for seconds in np.geomspace(min(first, longest), longest, points):
        done = [int(np.searchsorted(times, seconds, "right")) for times in spent]
        rows.append(truth.point({"seconds": float(seconds)}, [one.arch_at(n) for one, n in zip(found, done)]))
    return rows


def trained_at_random(
    found: Sequence[SearchResult],
    domain: Architectures,
    truth: SearchTruth,
    validation: pd.Series | None,
    seconds: pd.Series | None = None,
) -> tuple[Point, ...] | None:
    """Random search that trains: of k architectures the best by validation accuracy, judged by the truth.

    Args:
        found: the searches; there are as many draws, and k is also their number of evaluations.
        domain: what was searched.
        truth: accuracies that judge.
        validation: accuracies that choose, by architecture.
        seconds: time that training each architecture takes.

    Returns:
        One point per k: accuracy over the seeds, and the mean seconds of the k trainings where they are known. None
        without accuracies that choose.
    """
    if validation is None:
        return None
    known, most = truth.fitting.index.intersection(validation.dropna().index), max(map(len, _histories(found)))
    rows = []
    for k in (k for k in sorted({*TRAININGS, most}) if k <= len(known)):
        drawn = [_draw(domain, known, k, one.seed) for one in found]
        chosen = [truth.accuracy(str(validation.loc[some].idxmax())) for some in drawn]
        costs = [] if seconds is None else [seconds.reindex(some).sum() for some in drawn]
        more = {"training_seconds": float(np.mean(costs))} if costs else {}
        rows.append(Point({"trainings": k}, Spread.of(chosen), more))
    return tuple(rows)


def largest_that_fits(domain: Architectures, truth: SearchTruth, size: str) -> Largest:
    """The architecture with the most of a size within the budget; where several have as many, their mean accuracy."""
    archs = [str(arch) for arch in truth.fitting.index]
    sizes = domain.costs.column(size, archs)
    chosen = [arch for arch, value in zip(archs, sizes) if value == sizes.max()]
    accuracy = float(truth.fitting.loc[chosen].mean())
    return Largest(chosen[0], len(chosen), {size: int(sizes.max())}, accuracy, truth.best - accuracy)


def _draw(domain: Architectures, known: pd.Index, k: int, seed: int) -> list[str]:
    stream = numpy_stream("random trainings", domain.space.name, k, seed)
    return [str(known[int(place)]) for place in stream.choice(len(known), size=k, replace=False)]


def best_so_far(found: Sequence[SearchResult]) -> list[Point]:
    """Objective of the selected architectures, by evaluations; ranks are those at the end of each search."""
    rows = []
    for n in marks(found):
        places = [one.position_at(n) for one in found]
        values = [float(one.values[place]) for one, place in zip(found, places) if place is not None]
        rows.append(Point({"evaluations": n}, Spread.of(values)))
    return rows


def marks(found: Sequence[SearchResult]) -> list[int]:
    """The `CHECKPOINTS` of these searches, and their end."""
    most = max(map(len, _histories(found)))
    return [n for n in (*(n for n in CHECKPOINTS if n < most), most) if any(one.arch_at(n) for one in found)]


def _histories(found: Sequence[SearchResult]) -> list[list[Evaluated[str]]]:
    return [one.trace.history for one in found]


def _front(
    found: Sequence[SearchResult], truth: SearchTruth, domain: Architectures, minimised: Sequence[str]
) -> FrontShare:
    """How much of the true front in accuracy and costs the fronts that were found cover."""
    costs = tuple(minimised)
    if not all(map(domain.costs.instant, costs)):
        return FrontShare(costs, remark="the true front is not known: only what was searched was timed")
    true = _points(list(map(str, truth.fitting.index)), truth, domain, costs)
    fronts = [[one.trace.history[place].candidate for place in one.front] for one in found]
    shares = Spread.of([covered(_points(archs, truth, domain, costs), true) for archs in fronts])
    return FrontShare(costs, shares, rounded(covered_by_one(true)))


def _points(archs: Sequence[str], truth: SearchTruth, domain: Architectures, costs: Sequence[str]) -> np.ndarray:
    accuracy = truth.whole.reindex(list(archs)).to_numpy(dtype=float)
    return np.column_stack([accuracy, *(-domain.costs.column(name, archs) for name in costs)])


def validation_name(truth: str) -> str | None:
    """Name of the truth that chooses where this one judges; None where this one is no test accuracy.

    >>> validation_name("nasbench201/cifar100"), validation_name("nasbench201/cifar100/valid")
    ('nasbench201/cifar100/valid@200', None)
    """
    name = TruthName.parse(truth)
    return str(replace(name, split="valid")) if name.split == "test" else None
