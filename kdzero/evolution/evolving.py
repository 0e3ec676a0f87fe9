"""The distiller search."""

import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console

from zcbench.benchmarks.training.log import FILE as LOG
from zcbench.benchmarks.training.log import Key, TrainingLog
from zcbench.benchmarks.training.workers import TEACHER, TruthJob, TruthMaker
from zcbench.distill.tasks import CLASSIFICATION
from zcbench.distill.training.recipe import Recipe
from zcbench.kdzero.evolution import analysis, document
from zcbench.kdzero.evolution.candidates import CandidateJob, CandidateRow, finite
from zcbench.kdzero.evolution.deduplication import Deduplicated
from zcbench.kdzero.evolution.evaluating import CandidateEvaluation
from zcbench.kdzero.evolution.evolution import Evolution
from zcbench.kdzero.evolution.prescreening import Prescreened
from zcbench.kdzero.evolution.settings import DistillerSettings
from zcbench.kdzero.evolution.shrinkage import DistillerSpace
from zcbench.kdzero.evolution.terms import SHARPNESS
from zcbench.kdzero.evolution.untrained import KnownAccuracies, RankingValue
from zcbench.kdzero.genome import Genome, GenomeDomain
from zcbench.runtime.execution import Execution
from zcbench.runtime.messages import say
from zcbench.runtime.progress import Bar
from zcbench.runtime.stop import Stop
from zcbench.runtime.threads import one_thread
from zcbench.search.algorithms.loop import Algorithm, Evaluated, SearchError, SearchProblem, SearchTrace, pick, search
from zcbench.search.algorithms.random_search import RandomSearch
from zcbench.storage.run_folder import Json, plain
from zcbench.streams import numpy_stream

TOP = 10
"""Fittest genomes whose operations are counted."""


@dataclass(frozen=True)
class DistillerSearchResult:
    """Result of a distiller search.

    Attributes:
        content: that of ``distiller.json``; the same search gives the same.
        times: seconds, by what took them.
        file: where the content is.
    """

    content: Json
    times: Json
    file: Path


def evolve_distiller(
    job: CandidateJob,
    settings: DistillerSettings,
    out: str | Path,
    *,
    execution: Execution | None = None,
    known: KnownAccuracies | None = None,
    against: Mapping[str, analysis.Content] | None = None,
) -> DistillerSearchResult:
    """Search the loss that trains a student best under a teacher; each result is kept as soon as it is there.

    Args:
        job: student, teacher, data and the training of a candidate. Its data have validation images in the place of
            test images, as `held_out` gives them.
        settings: how to search.
        out: folder; it gets ``distiller.json``, ``candidates.csv``, ``times.json``, ``protocol.json``, the log
            ``trainings.jsonl`` and the teacher's ``teacher.pt``. A search that was stopped goes on there.
        execution: processes or a cluster, the seconds that one candidate may take in a worker, progress; two workers if
            None. The search is the same.
        known: architectures of known accuracy; how well each candidate ranks them is kept, and the pre-screen goes by
            it, and not by the student's own loss.
        against: other searches by label that this one will be compared with.

    Raises:
        SearchError: the settings cannot be carried out, the folder holds another search, one to compare with is of
            another protocol, or no candidate was measured.
        StoreError: the folder is in use or cannot be written.
        SearchInterrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
    """
    execution = execution or Execution()
    console = execution.console
    if execution.timeout is not None and execution.executor.here:
        raise SearchError("A time limit was given without workers, and only those can be ended. Expected one or more.")
    start, folder = time.monotonic(), Path(out)
    protocol = plain(document.describe(job))
    asked = asdict(settings) | {"prescreen_by": None if known is None else known.to_dict()}
    analysis.require_comparable(protocol, plain(asdict(settings.fitness)), against or {})
    home = document.home(folder)
    with home.locked():
        document.adopt(folder, protocol, asked)
        log = TrainingLog(folder / LOG, CandidateRow)
        if recipe := job.teacher_training:
            job = replace(job, teacher_file=_trained_teacher(job, recipe, folder, log, console))
        bar = Bar(console, settings.evaluations + 1, {}, "Evaluating", "trainings")
        with bar, Stop() as stop:
            with CandidateEvaluation(job, settings.fitness, log, bar, stop, execution) as evaluation:
                if job.outputs is not None and console is not None:
                    say(console, evaluation.maker.announced())
                conducted = _Conducted(job, settings, evaluation, folder, known)
                conducted.run()
        found = {"version": document.VERSION, **conducted.content(), "protocol": protocol}
        home.write_json(document.FILE, found | {"search": {**asked, "minimised": settings.fitness.formula}}, indent=1)
        content = home.read_json(document.FILE)
        times = {"wall_seconds": time.monotonic() - start, "seconds": conducted.seconds}
        home.write_json(document.TIMES, times, indent=1)
    return DistillerSearchResult(content, times, folder / document.FILE)


class _Conducted:
    """One search: domain, algorithm and trace."""

    def __init__(
        self,
        job: CandidateJob,
        settings: DistillerSettings,
        evaluation: CandidateEvaluation,
        folder: Path,
        known: KnownAccuracies | None,
    ) -> None:
        self._job, self._settings, self._evaluation, self._folder = job, settings, evaluation, folder
        with one_thread():
            untrained = evaluation.maker.untrained
            shapes, self._teacher = untrained.shapes, evaluation.maker.teacher_quality()
        self._ranking = None if known is None else cache(RankingValue(untrained, known))
        self._space = DistillerSpace(
            GenomeDomain(pair=shapes, mixed=job.data.task == CLASSIFICATION), settings.shrinkage
        )
        self._distinct = Deduplicated(self._space, self._signature)
        self._algorithm = self._proposing()
        self._trace = SearchTrace[Genome]()

    def run(self) -> None:
        """Train the student alone, then search."""
        how = self._settings
        self._vanilla = self._evaluation.vanilla()
        self._trace = search(
            self._algorithm, self._evaluation, how.evaluations, step=how.step, watch=self._after_a_step
        )

    def content(self) -> Json:
        """The best genome, and the whole trace."""
        history, trace = self._history(self._trace.history), self._trace
        best = pick(trace.history, self._settings.fitness)
        if best is None:
            raise _nothing(trace.history)
        genome = trace.history[best].candidate
        row = history[best]
        prescreened = self._algorithm.rows() if isinstance(self._algorithm, Prescreened) else None
        return {
            "best": {
                "formula": genome.formula,
                "fitness": row["fitness"],
                "terms": self._chosen_terms(row["terms"]),
                "validation_accuracy": row["terms"]["accuracy"],
                "distiller": genome.distiller.name,
                "evaluation": best + 1,
            },
            "warnings": self._warnings(),
            "references": {
                "teacher": self._teacher._asdict(),
                "student alone": self._alone(),
            },
            "stopped": trace.stopped,
            "proposals": trace.proposals,
            "duplicates": {one.formula: first.formula for one, first in self._distinct.duplicates.items()},
            "statuses": dict(Counter(one.status for one in trace.history)),
            "cost": analysis.cost(history, self._job.limit, self._job.steps),
            "best_so_far": analysis.best_so_far(history),
            "operations": analysis.frequencies(history, TOP),
            "correlations": analysis.correlations(history),
            "shrinkage": self._space.log,
            "prescreen": prescreened,
            "history": history,
        }

    @property
    def seconds(self) -> Json:
        """Seconds of the trainings."""
        each = [one.seconds for one in self._trace.history]
        return {"of the student alone": self._vanilla.seconds, "of all candidates": sum(each), "of each": each}

    def _proposing(self) -> Algorithm[Genome]:
        """The algorithm; both draw from one stream, so that their first candidates are the same."""
        how, rng = self._settings, numpy_stream("distiller search", self._settings.seed)
        algorithm: Algorithm[Genome]
        if how.algorithm == "random":
            algorithm = RandomSearch[Genome]().start(SearchProblem(self._distinct, rng))
        else:
            algorithm = Evolution(
                self._distinct,
                rng,
                population=how.population,
                tournament=how.tournament,
                crossover=how.crossover,
                fitness=how.fitness,
            )
        return algorithm if how.prescreen == 1 else Prescreened(algorithm, how.prescreen, self._screened)

    def _signature(self, genome: Genome) -> Hashable:
        with one_thread():
            return self._evaluation.maker.untrained.signature(genome)

    def _screened(self, genome: Genome) -> float:
        """By the ranking of known architectures if there are any, else by the student's own loss."""
        with one_thread():
            return (self._ranking or self._evaluation.maker.untrained.value)(genome)

    def _after_a_step(self, trace: SearchTrace[Genome]) -> None:
        self._space.learn(trace.history, self._settings.fitness(trace.history))
        document.write_table(self._folder, self._history(trace.history))

    def _history(self, evaluated: Sequence[Evaluated[Genome]]) -> list[Json]:
        """One row per candidate; the fitness is what is minimised, scaled over all of them."""
        fitness: np.ndarray = -self._settings.fitness(evaluated)
        rows = []
        for one, value in zip(evaluated, fitness.tolist()):
            known = self._evaluation.row(one.candidate)
            row: Json = {"formula": one.candidate.formula, "fitness": finite(value), "status": one.status}
            if self._ranking is not None:
                row["ranking"] = finite(self._screened(one.candidate))
            rows.append(row | {name: getattr(known, name) for name in ("reason", "proxy", "steps", "terms", "losses")})
        return rows

    def _chosen_terms(self, terms: Mapping[str, float]) -> dict[str, float]:
        """The terms that count, as they are, and their sum as the paper has it."""
        chosen = self._settings.fitness
        fields = {"ce": "ce", "sharpness": SHARPNESS[chosen.sharpness], "cka": "cka"}
        values = {name: terms[fields[name]] for name in chosen.terms}
        return values | {"sum": sum(-value if name == "cka" else value for name, value in values.items())}

    def _warnings(self) -> list[str]:
        alone, teacher = self._vanilla.measured.accuracy, self._teacher.accuracy
        if self._vanilla.terms is None or teacher > alone:
            return []
        return [
            f"The teacher has {teacher:.2f} % on the validation images and the student, trained alone as long as a "
            f"candidate, {alone:.2f} %. Expected a better teacher; train it longer, or give a checkpoint."
        ]

    def _alone(self) -> Json:
        """The row of the student that was trained without a teacher, but its time."""
        row = {**self._vanilla.to_json(), "reason": self._vanilla.reason}
        return {name: value for name, value in row.items() if name != "seconds"}


def _trained_teacher(
    job: CandidateJob, recipe: Recipe, folder: Path, log: TrainingLog[CandidateRow], console: Console | None
) -> Path:
    """File with the weights of the teacher, which is trained on the training images here unless it is there."""
    truth = TruthJob(
        space=job.space,
        data=job.data,
        recipe=job.recipe,
        init=job.init,
        device=job.device,
        teacher=job.teacher,
        teacher_recipe=recipe,
        folder=folder.absolute(),
    )
    key = Key(job.teacher.label, TEACHER, job.teacher.seed)
    if log.finished(key) and truth.teacher_file.exists():
        return truth.teacher_file
    say(console, f"Training the teacher {job.teacher.label}, {recipe.epochs} epochs.")
    with one_thread():
        row = TruthMaker(truth)(key)
    log.add(CandidateRow(**{**vars(row), "steps": row.steps or 0}))
    if not row.ok:
        raise SearchError(
            f"The teacher cannot be trained: {row.status}: {row.reason} Expected a trained teacher; change its "
            f"recipe, or give one with its checkpoint."
        )
    return truth.teacher_file


def _nothing(history: Sequence[Evaluated[Genome]]) -> SearchError:
    statuses = ", ".join(f"{count} {name}" for name, count in Counter(one.status for one in history).items())
    first = next((one.reason for one in history if one.status != "ok"), "")
    return SearchError(
        f"None of the {len(history)} candidates was measured ({statuses}); the first: {first}. Expected at least one; "
        f"allow more evaluations, a lower learning rate, or search without rejection."
    )
