"""A search repeated over seeds, then held against what was trained, and against what costs less."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import ZcbenchError
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.algorithms.random_search import RandomSearch
from zcbench.search.architectures import Architectures
from zcbench.search.conduct import SearchResult, Settings, conduct
from zcbench.search.evaluation import Evaluation
from zcbench.search.judging import SearchTruth, by_seconds, judge, largest_that_fits, trained_at_random
from zcbench.search.objective import Objective


@dataclass(frozen=True, eq=False)
class TrainingRecords:
    """What is known of trainings, for one truth.

    Attributes:
        table: accuracies that judge, columns ``arch, accuracy``.
        validation: accuracies that a search by training chooses by; None where they are not known.
        seconds: time that each training takes; None where it is not known.
    """

    table: pd.DataFrame
    validation: pd.Series | None = None
    seconds: pd.Series | None = None


Progress = Callable[[str, int, int], object]
"""Called with what is under way, evaluations done, and evaluations asked for."""


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

        def watch(trace: Any, what: str = what) -> None:
            if progress:
                progress(what, len(trace.history), settings.evaluations)

        found.append(conduct(domain, evaluation, objective, settings, seed, watch))
    return found


def check_known(trained: Mapping[str, TrainingRecords], domain: Architectures) -> None:
    """Refuse a truth that knows nothing of what is to be searched; best before the search.

    Raises:
        SearchError: as `zcbench.search.judging.Truth` says. Where a cost is a clock's, only the space is looked at.
    """
    for name, about in trained.items():
        if not domain.by_clock:
            SearchTruth(name, about.table, domain)
        elif not any(arch in domain.space for arch in about.table["arch"]):
            raise SearchError(
                f"The truth {name!r} has no architecture of {domain.space.spec}. Expected a truth of what is searched; "
                f"name another one, or search without a truth."
            )


def disconnected(found: Sequence[SearchResult], domain: Architectures) -> list[str]:
    """How many picks, and how many architectures and members of the front of the first search, are disconnected.

    No path of such a network joins image and classifier: it gives every image the same logits, and its depth is 0.
    """

    def cut(archs: Sequence[str]) -> int:
        return int((domain.costs.column("depth", archs) == 0).sum())

    first = found[0]
    evaluated = [one.candidate for one in first.trace.history]
    front = [evaluated[place] for place in first.front]
    picks, many = cut([one.arch for one in found]), cut(evaluated)
    if not picks and not many:
        return []
    what = (
        f"{many:,} of the {len(evaluated):,} architectures evaluated with seed {first.seed}, {cut(front)} of the "
        f"{len(front)} on its front, and {picks} of the "
    )
    leave = " --archs live leaves out all of them but the empty cell." if "live" in domain.space.subsets else ""
    return [
        f"Disconnected: {what}{len(found)} picked. No path joins image and classifier, so that every image gets the "
        f"same logits.{leave if domain.subset != 'live' else ''}"
    ]


def held_against(
    found: Sequence[SearchResult],
    trained: Mapping[str, TrainingRecords],
    domain: Architectures,
    evaluation: Evaluation,
    random: Sequence[SearchResult] = (),
    chosen_by: Collection[str] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each truth says of the picks and of the baselines; nothing goes back into the search.

    Args:
        found: the searches.
        trained: accuracies by truth.
        domain: what was searched.
        evaluation: what was looked at.
        random: random searches with the same objective and as many evaluations.
        chosen_by: truths that the names in the objective were chosen by.

    Returns:
        Per truth the judgement, and per truth what depends on the time that scoring took.
    """
    truths: dict[str, Any] = {}
    times: dict[str, Any] = {}
    for name, about in trained.items():
        truth = SearchTruth(name, about.table, domain)
        judged = judge(found, truth, domain, evaluation.values.minimised)
        truths[name] = {
            "protocol": _short(truth.protocol),
            "remarks": [*_remarks(name, about.table, domain, chosen_by), *_front(judged.get("front"))],
            **judged,
            "baselines": _baselines(found, about, truth, domain, random, evaluation.values.minimised),
        }
        times[name] = by_seconds(found, truth)
    return truths, {"by_seconds": {name: rows for name, rows in times.items() if rows}}


def at_random(settings: Settings) -> Settings:
    """The random search that a search is held against: as many evaluations, in steps of the same size."""
    return replace(settings, algorithm=RandomSearch())


def _baselines(
    found: Sequence[SearchResult],
    about: TrainingRecords,
    truth: SearchTruth,
    domain: Architectures,
    random: Sequence[SearchResult],
    minimised: Sequence[str],
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if not domain.by_clock:
        result |= {f"largest by {size}": largest_that_fits(domain, truth, size) for size in ("params", "macs")}
    if random:
        judged = judge(random, truth, domain, minimised)
        names = ("accuracy", "regret", "by_evaluations", "front")
        result["random search, same objective"] = {name: judged[name] for name in names if name in judged}
    if about.validation is not None and not domain.by_clock:
        seeds, evaluations = [one.seed for one in found], max(len(one.trace.history) for one in found)
        result["random search that trains"] = trained_at_random(
            domain, truth, about.validation, seeds, about.seconds, evaluations
        )
    return result


def _remarks(name: str, table: pd.DataFrame, domain: Architectures, chosen_by: Collection[str]) -> Iterator[str]:
    """What a reader of the accuracies must know."""
    if _meant(name) in set(map(_meant, chosen_by)):
        yield "The names in the objective were chosen by these accuracies, which helps the pick."
    networks = _spec(table.networks) if isinstance(table, TruthTable) else None
    if networks not in (None, domain.space.spec):
        yield f"These are accuracies of {networks}; networks, sizes and budget of the search are {domain.space.spec}."


def _front(front: Mapping[str, Any] | None) -> Iterator[str]:
    """What the judgement says of the front that was found."""
    if front is None:
        return
    what = f"in accuracy and {', '.join(front['costs'])}"
    share, alone = (front.get("hypervolume ratio") or {}).get("mean"), front.get("of one architecture")
    if share is None or alone is None:
        yield f"How much of the true front was found, {what}: {front.get('remark', 'too few accuracies are known')}."
    else:
        yield (
            f"The front that was found covers {100 * share:.1f} % of the hypervolume of the true one, {what}; the best "
            f"single architecture covers {100 * alone:.1f} %."
        )


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


def _short(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a truth's protocol that says what was trained."""
    names = ("name", "space", "dataset", "split", "setting", "epochs", "aggregation", "source")
    return {name: protocol[name] for name in names if name in protocol}
