"""A whole search in one call: what ``zcbench search`` does."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zcbench.search.algorithms.random_search import RandomSearch
from zcbench.search.architectures import Architectures
from zcbench.search.candidates import Candidates
from zcbench.search.conduct import SearchResult, Settings
from zcbench.search.document import FILE, Outcome, Request, check_free, write
from zcbench.search.evaluation import Evaluation, Values
from zcbench.search.latency import Device, costs_of
from zcbench.search.objective import Objective
from zcbench.search.scores import Scoring, Source, looked_up, made, scored
from zcbench.search.study import Progress, at_random, check_known, compare, disconnected, repeated
from zcbench.search.trained import TrainingRecords, training_records
from zcbench.spaces import KnownNetworks
from zcbench.specification import split_list
from zcbench.trackers import Recording, Tracker, recorded


@dataclass(frozen=True)
class Truths:
    """Accuracies that a search is compared with after it has ended.

    Attributes:
        names: such as ``nasbench201/cifar10``, or a CSV file.
        baselines: whether to search at random too, with the same objective; where scores are looked up if None.
    """

    names: Sequence[str] = ()
    baselines: bool | None = None

    def wants_random(self, settings: Settings, free: bool) -> bool:
        """Whether to search at random too; ``free`` says that no score must be made for it."""
        wanted = free if self.baselines is None else self.baselines
        return bool(self.names) and wanted and not isinstance(settings.algorithm, RandomSearch)


@dataclass(frozen=True)
class Telling:
    """What a search says while it runs, and what is said of it.

    Attributes:
        progress: called with what is under way, evaluations done, and evaluations asked for.
        remarks: what a reader of the result must know.
    """

    progress: Progress | None = None
    remarks: Sequence[str] = ()


def run_search(
    objective: Objective | str,
    out: str | os.PathLike[str],
    candidates: Candidates | None = None,
    settings: Settings | None = None,
    *,
    scores: Scoring | str | os.PathLike[str] | None = None,
    truths: Truths | None = None,
    seeds: Sequence[int] = (0,),
    data_dir: str | Path | None = None,
    telling: Telling | None = None,
    tracker: Tracker | str | None = None,
) -> Outcome:
    """Search for an architecture without training, within a budget, and write ``search.json``.

    The search never looks at an accuracy. One that was stopped goes on where it was when it is asked for again.

    Args:
        objective: what is maximised; as a text, names or formulas separated by commas.
        out: folder of ``search.json`` and of the scores that are made.
        candidates: which architectures may be proposed, and which costs count.
        settings: algorithm and numbers.
        scores: how scores are made, or where they are looked up: a run, a packed file, or the name of a bundled table.
        truths: accuracies that the result is compared with.
        seeds: one search each.
        data_dir: folder with images and accuracies.
        telling: progress and remarks.
        tracker: where the result is sent too: a name of `zcbench.trackers.TRACKERS`, or an object.

    Raises:
        SearchError: the request cannot be carried out, or the folder holds another search.
        UnknownNameError: a name that nobody knows; the message has the nearest ones.
        DataError: images or accuracies are missing.
        TrackerError: the tracker is not installed, or cannot start.

    Example:
        >>> run_search("macs", "runs/macs", Candidates(limits={"params": 1e6})).arch  # doctest: +SKIP
    """
    goal = Objective.read(split_list(objective)) if isinstance(objective, str) else objective
    candidates, truths, telling = candidates or Candidates(), truths or Truths(), telling or Telling()
    settings = settings or Settings.of(algorithm=candidates.usual_algorithm)
    how, folder, random = Scoring() if scores is None else scores, Path(out), list[SearchResult]()
    own = isinstance(candidates.found(), KnownNetworks)
    trained = training_records(truths.names, data_dir, own=own)
    with _opened(goal, candidates, how, trained, folder, data_dir) as (domain, source):
        evaluation = Evaluation(Values(goal.members, candidates.minimise), domain.costs, source.attempts)
        request = Request(domain, evaluation, goal, settings, seeds, source.about)
        check_free(folder, request)
        with recorded(tracker, "search", folder, request.to_json()) as recording:
            if source.archs is not None and (every := domain.everything()):
                evaluation(every)  # what is looked up is looked up at once
            found = repeated(domain, evaluation, goal, settings, seeds, telling.progress)
            if truths.wants_random(settings, free=source.archs is not None or not scored(goal)):
                random = repeated(domain, evaluation, goal, at_random(settings), seeds, telling.progress)
            comparisons = compare(found, trained, domain, candidates.minimise, random, goal.chosen_by)
            said = (*telling.remarks, *_remarks(settings, candidates), *disconnected(found, domain))
            outcome = Outcome(request, tuple(found), tuple(comparisons), said)
            write(folder, outcome)
            _send(recording, outcome, folder)
    return outcome


def _send(recording: Recording, outcome: Outcome, folder: Path) -> None:
    """Each evaluation of the first seed, the selected architecture and its accuracies, and ``search.json``."""
    for number, row in enumerate(outcome.history, 1):
        scores = {f"score/{name}": value for name, value in row.scores.items()}
        costs = {f"cost/{name}": value for name, value in row.costs.items()}
        recording.metrics({"value": row.value, **scores, **costs}, number)
    best, known = outcome.best, outcome.comparisons
    recording.metrics({"best/value": best.value} | {f"best/{name}": value for name, value in best.costs.items()})
    recording.metrics({f"accuracy/{one.truth}": one.judgement.accuracy.mean for one in known})
    recording.files = [folder / FILE]


@contextmanager
def _opened(
    goal: Objective,
    candidates: Candidates,
    how: Scoring | str | os.PathLike[str],
    trained: Mapping[str, TrainingRecords],
    folder: Path,
    data_dir: str | Path | None,
) -> Iterator[tuple[Architectures, Source]]:
    """What may be proposed, and its scores, with the run that makes them held open."""
    space = candidates.found()
    source = Source(how.task, how.dataset) if isinstance(how, Scoring) else looked_up(how, goal, space)
    device = Device(candidates.latency_device, source.dataset)
    costs = costs_of(space, source.task, candidates.wanted, device, folder / "timings.jsonl", data_dir)
    domain = candidates.domain(costs, trained, source.archs)
    check_known(trained, domain)
    if isinstance(how, Scoring) and scored(goal):
        with made(space, goal, how, folder, data_dir) as source:
            yield domain, source
    else:
        yield domain, source


def _remarks(settings: Settings, candidates: Candidates) -> Iterator[str]:
    """What a reader must know of settings that have less effect than they seem to have."""
    algorithm = settings.algorithm
    if candidates.minimise and not algorithm.minimises:
        yield (
            f"Without effect on what is proposed: --minimise (the algorithm {algorithm.name} minimises no costs). The "
            f"costs choose among equal values, and make the front."
        )
    if settings.evaluations <= algorithm.initial:
        yield (
            f"The first population of {algorithm.initial} took all {settings.evaluations} evaluations: the search was "
            f"a random one. Ask for more evaluations, or for a smaller population."
        )
