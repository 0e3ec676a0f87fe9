"""A search repeated over seeds, then compared with what was trained, and with what costs less."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from zcbench import spaces
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import ZcbenchError
from zcbench.search.algorithms.loop import SearchError, SearchTrace
from zcbench.search.algorithms.random_search import RandomSearch
from zcbench.search.architectures import Architectures
from zcbench.search.conduct import SearchResult, Settings, conduct
from zcbench.search.evaluation import Evaluation
from zcbench.search.judging import (
    Judgement,
    Largest,
    SearchTruth,
    by_seconds,
    judge,
    largest_that_fits,
    trained_at_random,
)
from zcbench.search.objective import Objective
from zcbench.search.spread import Point
from zcbench.search.trained import TrainingRecords

Progress = Callable[[str, int, int], object]
"""Called with what is under way, evaluations done, and evaluations asked for."""

_RANDOM, _TRAINED = "random search, same objective", "random search that trains"
_PROTOCOL = ("name", "space", "dataset", "split", "setting", "epochs", "aggregation", "source")


@dataclass(frozen=True)
class Comparison:
    """What one truth says of a search and of its baselines.

    Attributes:
        truth: its name.
        protocol: what was trained, as far as it is known.
        remarks: what a reader of the accuracies must know.
        judgement: of the search.
        random: of random searches with the same objective; None if there were none.
        largest: the largest architecture that fits, by size.
        trained: random searches that train; None if their accuracies are not known.
        by_seconds: accuracies by the seconds of scoring.
    """

    truth: str
    protocol: Mapping[str, object]
    remarks: tuple[str, ...]
    judgement: Judgement
    random: Judgement | None = None
    largest: tuple[Largest, ...] = ()
    trained: tuple[Point, ...] | None = None
    by_seconds: tuple[Point, ...] = ()

    def rows(self) -> Iterator[tuple[str, int, float | None, float | None]]:
        """Label, number, mean and deviation of the accuracies: of what was selected, then of the baselines."""
        found = self.judgement.accuracy
        yield "selected", found.n, found.mean, found.sd
        for one in self.largest:
            yield one.label, one.equal, one.accuracy, None
        rows = [] if self.random is None else [(_RANDOM, self.random.accuracy)]
        rows += [(f"{_TRAINED}, {int(point.at['trainings']):,}", point.spread) for point in self.trained or ()]
        for label, spread in rows:
            yield label, spread.n, spread.mean, spread.sd

    def to_json(self) -> dict[str, object]:
        """All but what depends on time, by the names that it has in ``search.json``."""
        baselines: dict[str, object] = {one.label: one.to_json() for one in self.largest}
        if self.random is not None:
            drawn = self.random.to_json()
            baselines[_RANDOM] = {name: row for name, row in drawn.items() if name not in ("accuracies", "picks")}
        if self.trained is not None:
            baselines[_TRAINED] = [point.to_json() for point in self.trained]
        about = {"protocol": dict(self.protocol), "remarks": list(self.remarks)}
        return {**about, **self.judgement.to_json(), "baselines": baselines}


def repeated(
    domain: Architectures,
    evaluation: Evaluation,
    objective: Objective,
    settings: Settings,
    seeds: Sequence[int],
    progress: Progress | None = None,
) -> list[SearchResult]:
    """The same search once per seed; scores that one has made are there for the next.

    Raises:
        SearchError: the settings do not fit the domain, or no architecture got a value.
    """
    found = []
    for number, seed in enumerate(seeds, 1):
        what = f"{settings.algorithm.name}, seed {seed} ({number} of {len(seeds)})"

        def watch(trace: SearchTrace[str], what: str = what) -> None:
            if progress:
                progress(what, len(trace.history), settings.evaluations)

        found.append(conduct(domain, evaluation, objective, settings, seed, watch))
    return found


def check_known(trained: Mapping[str, TrainingRecords], domain: Architectures) -> None:
    """Refuse a truth that knows nothing of what is to be searched; best before the search.

    Raises:
        SearchError: as `SearchTruth` says. Where a cost is a clock's, only the space is looked at.
    """
    for name, about in trained.items():
        if not domain.budget.by_clock:
            SearchTruth(name, about.table, domain)
        elif not any(arch in domain.space for arch in about.table["arch"]):
            raise SearchError(
                f"The truth {name!r} has no architecture of {domain.space.spec}. Expected a truth of what is searched; "
                f"name another one, or search without a truth."
            )


def disconnected(found: Sequence[SearchResult], domain: Architectures) -> list[str]:
    """How many architectures are disconnected: of those selected, of the first search's, and of its front.

    No path of such a network joins image and classifier: it gives every image the same logits, and its depth is 0.
    """

    def cut(archs: Sequence[str]) -> int:
        return int((domain.costs.column("depth", archs) == 0).sum())

    first = found[0]
    evaluated = [one.candidate for one in first.trace.history]
    front = [evaluated[place] for place in first.front]
    selected, many = cut([one.arch for one in found]), cut(evaluated)
    if not selected and not many:
        return []
    avoidable = "live" in domain.space.subsets and domain.subset != "live"
    leave = " --archs live leaves out all of them but the empty cell." if avoidable else ""
    return [
        f"Disconnected: {many:,} of the {len(evaluated):,} architectures evaluated with seed {first.seed}, "
        f"{cut(front)} of the {len(front)} on its front, and {selected} of the {len(found)} selected. No path joins "
        f"image and classifier, so that every image gets the same logits.{leave}"
    ]


def compare(
    found: Sequence[SearchResult],
    trained: Mapping[str, TrainingRecords],
    domain: Architectures,
    minimised: Sequence[str] = (),
    random: Sequence[SearchResult] = (),
    chosen_by: Collection[str] = (),
) -> list[Comparison]:
    """What each truth says of the selected architectures and of the baselines; nothing goes back into the search.

    Args:
        found: the searches.
        trained: accuracies by truth.
        domain: what was searched.
        minimised: costs that were objectives.
        random: random searches with the same objective and as many evaluations.
        chosen_by: truths that the names in the objective were chosen by.
    """
    return [_compared(name, about, found, domain, minimised, random, chosen_by) for name, about in trained.items()]


def _compared(
    name: str,
    about: TrainingRecords,
    found: Sequence[SearchResult],
    domain: Architectures,
    minimised: Sequence[str],
    random: Sequence[SearchResult],
    chosen_by: Collection[str],
) -> Comparison:
    truth = SearchTruth(name, about.table, domain)
    judged = judge(found, truth, domain, minimised)
    front = [] if judged.front is None else [judged.front.sentence()]
    timed = domain.budget.by_clock  # then nothing is known of what was not searched
    return Comparison(
        name,
        {key: truth.protocol[key] for key in _PROTOCOL if key in truth.protocol},
        (*_remarks(about.table, name, domain, chosen_by), *front),
        judged,
        judge(random, truth, domain, minimised) if random else None,
        () if timed else tuple(largest_that_fits(domain, truth, size) for size in ("params", "macs")),
        None if timed else trained_at_random(found, domain, truth, about.validation, about.seconds),
        tuple(by_seconds(found, truth)),
    )


def at_random(settings: Settings) -> Settings:
    """The random search that a search is compared with: as many evaluations, in steps of the same size."""
    return replace(settings, algorithm=RandomSearch())


def _remarks(table: object, name: str, domain: Architectures, chosen_by: Collection[str]) -> Iterator[str]:
    """What a reader of the accuracies must know."""
    if _meant(name) in set(map(_meant, chosen_by)):
        yield "The names in the objective were chosen by these accuracies, which helps the search."
    networks = _spec(table.networks) if isinstance(table, TruthTable) else None
    if networks not in (None, domain.space.spec):
        yield f"These are accuracies of {networks}; networks, sizes and budget of the search are {domain.space.spec}."


def _meant(name: str) -> str:
    try:
        return str(TruthName.parse(name))
    except ZcbenchError:
        return name


def _spec(space: str) -> str | None:
    try:
        return spaces.get(space).spec
    except ZcbenchError:
        return None
