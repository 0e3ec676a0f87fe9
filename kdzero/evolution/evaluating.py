"""Evaluates candidates in this process or in workers; each result is logged as soon as it is there."""

import math
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from zcbench.benchmarks.training.log import Key, TrainingLog
from zcbench.errors import Interrupted
from zcbench.kdzero.evolution.candidates import (
    CANDIDATE,
    VANILLA,
    CandidateJob,
    CandidateMaker,
    CandidateRow,
    prepare,
)
from zcbench.kdzero.evolution.fitness import Fitness
from zcbench.kdzero.evolution.terms import oriented
from zcbench.kdzero.genome import Genome
from zcbench.runtime.crew import TRANSIENT, Crew
from zcbench.runtime.execution import Execution
from zcbench.runtime.pool import Ending
from zcbench.runtime.progress import Bar
from zcbench.runtime.stop import Stop
from zcbench.search.algorithms.loop import Evaluated


class SearchInterrupted(Interrupted):
    """A distiller search that was stopped by Ctrl-C or SIGTERM; what was evaluated is kept."""


class CandidateEvaluation:
    """Evaluates genomes: their terms, oriented so that higher is better. Workers live until it is left.

    Args:
        job: what all candidates have in common.
        fitness: which terms count.
        log: rows that are there, and where new ones go.
        bar: counts what is finished, and what this search finds finished in the log.
        stop: asked before each candidate.
        execution: where candidates are evaluated, and the seconds that one may take. The results are the same.
    """

    def __init__(
        self,
        job: CandidateJob,
        fitness: Fitness,
        log: TrainingLog[CandidateRow],
        bar: Bar,
        stop: Stop,
        execution: Execution,
    ) -> None:
        self._job, self._fitness, self._log, self._bar = job, fitness, log, bar
        self._crew = Crew(
            prepare,
            job,
            execution.executor,
            stop,
            limit=lambda key: execution.timeout,
            files=job.files,
            watch=bar.watch,
        )
        self._again = set(TRANSIENT) if execution.retry_failed else set[str]()
        self._done: dict[Key, None] = {}
        self.fresh = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._crew.__exit__(kind, error, at)

    def __call__(self, genomes: Sequence[Genome]) -> list[Evaluated[Genome]]:
        """One entry per genome, in order.

        Raises:
            SearchInterrupted: Ctrl-C or SIGTERM.
            StoreError: the disk is full or the folder cannot be written.
        """
        keys = [Key(genome.formula, CANDIDATE, self._job.recipe.seed) for genome in genomes]
        self._carry_out(keys)
        return [self._entry(genome, self._log.rows[key]) for genome, key in zip(genomes, keys)]

    def vanilla(self) -> CandidateRow:
        """The row of the student that is trained as long, without a teacher."""
        key = Key(self._job.arch, VANILLA, self._job.recipe.seed)
        self._carry_out([key])
        return self._log.rows[key]

    def row(self, genome: Genome) -> CandidateRow:
        """All that is known of a genome that was evaluated."""
        return self._log.rows[Key(genome.formula, CANDIDATE, self._job.recipe.seed)]

    @property
    def maker(self) -> CandidateMaker:
        """What evaluates in this process."""
        own = self._crew.own
        assert isinstance(own, CandidateMaker)
        return own

    def _entry(self, genome: Genome, row: CandidateRow) -> Evaluated[Genome]:
        chosen = self._fitness
        values = (math.nan,) * len(chosen.terms)
        if row.ok:
            values = oriented(row.measured, chosen.terms, chosen.sharpness)
        return Evaluated(genome, values, row.status, row.reason, row.seconds)

    def _carry_out(self, keys: Sequence[Key]) -> None:
        missing = [key for key in self._log.missing(keys, self._again) if key not in self._done]
        known = dict.fromkeys(keys).keys() - set(missing) - self._done.keys()
        self._done |= dict.fromkeys(known)
        self._bar.find(self._log.rows[key].status for key in known)
        for ending in self._crew.work(deque(missing)):
            self._keep(ending)
        if any(key not in self._done for key in missing):
            raise SearchInterrupted(
                f"Stopped: {len(self._log.rows):,} trainings are finished and kept in {self._log.file}. Run the same "
                f"command again to go on."
            )

    def _keep(self, ending: Ending[Key]) -> None:
        row = CandidateRow(ending.task, ending.failure, ending.reason) if ending.failure else ending.result
        self._log.add(row)
        self._done[ending.task] = None
        self.fresh += 1
        self._bar.add([row.status])
