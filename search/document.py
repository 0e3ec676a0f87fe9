"""The result of `run_search`, and the file ``search.json`` that it is kept in."""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zcbench.errors import ZcbenchError
from zcbench.search.algorithms.contract import ALGORITHMS
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.architectures import Architectures
from zcbench.search.conduct import SearchResult, Settings
from zcbench.search.evaluation import Evaluation, columns
from zcbench.search.judging import best_so_far
from zcbench.search.objective import Objective
from zcbench.search.study import Comparison
from zcbench.storage.run_folder import RunFolder, plain

FILE = "search.json"
FORMAT = 1
_SHOWN_IN_NOTEBOOKS = 12
_SHOWN = ("params", "macs", "depth")


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked for: everything that decides the search.

    Attributes:
        domain: what is searched.
        evaluation: what is looked at.
        objective: what is maximised.
        settings: how.
        seeds: one search each.
        scores: where the scores come from.
    """

    domain: Architectures
    evaluation: Evaluation
    objective: Objective
    settings: Settings
    seeds: Sequence[int]
    scores: Mapping[str, object]

    @property
    def costs(self) -> list[str]:
        """Costs that are shown: sizes, and all that is limited or minimised."""
        return list(dict.fromkeys((*_SHOWN, *self.domain.budget.limits, *self.evaluation.values.minimised)))

    def to_json(self) -> dict[str, object]:
        """The request as ``search.json`` has it.

        Raises:
            SearchError: an option of the algorithm has the name of something else in the request.
        """
        domain, objective, settings = self.domain, self.objective, self.settings
        ranks = f"within a fixed reference sample of {settings.reference}" if settings.reference else ""
        ranks = ranks or "within the population"
        content: dict[str, object] = {
            "space": domain.space.spec,
            "task": {"classes": domain.costs.num_classes, "images": list(domain.costs.image_shape)},
            "architectures": domain.about,
            "objective": {
                "formula": objective.formula,
                "members": list(objective.members),
                "ranks": ranks if objective.needs_group else "none: one score as it is",
            },
            "minimised": list(self.evaluation.values.minimised),
            "limits": dict(domain.budget.limits),
            "algorithm": settings.algorithm.name,
            "evaluations": settings.evaluations,
            "step": settings.step,
            "reference": settings.reference,
            "seeds": list(self.seeds),
            "sources": {
                "scores": dict(self.scores),
                "rankings": [dict(one) for one in objective.rankings],
                "costs": domain.costs.about,
            },
        }
        options = settings.algorithm.options()
        if clash := sorted(content.keys() & options.keys()):
            raise SearchError(
                f"The search algorithm {settings.algorithm.name!r} has the option {clash[0]!r}, which stands for "
                f"something else in {FILE}. Rename the option."
            )
        return {**content, **options}


@dataclass(frozen=True)
class Row:
    """One architecture that was evaluated."""

    arch: str
    value: float | None
    scores: Mapping[str, float | None]
    costs: Mapping[str, float | None]
    status: str = "ok"
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        """The row of ``search.json``; the status only where it is not ok."""
        failure = {} if self.status == "ok" else {"status": self.status, "reason": self.reason}
        own = {"scores": dict(self.scores), "costs": dict(self.costs)}
        return {"arch": self.arch, "value": self.value, **own, **failure}


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """What a search gave.

    Attributes:
        request: what was asked for.
        found: one search per seed.
        comparisons: what trained accuracies say, by truth; looked up after the search.
        remarks: what a reader must know, such as settings that had no effect.
    """

    request: Request
    found: tuple[SearchResult, ...]
    comparisons: tuple[Comparison, ...] = ()
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        known = "".join(f"; {one.truth} {one.judgement.accuracy.mean:.2f}" for one in self.comparisons)
        evaluated = f"{len(self.history):,} evaluated"
        return f"Outcome({self.arch!r} by {self.request.objective.formula}, {evaluated}{known})"

    def to_frame(self) -> pd.DataFrame:
        """One row for each architecture that the first seed evaluated: value, scores, costs and status."""
        return pd.DataFrame(
            {"arch": row.arch, "value": row.value, **row.scores, **row.costs, "status": row.status}
            for row in self.history
        )

    def _repr_html_(self) -> str:
        """The best architectures that were evaluated, as a table."""
        best = self.to_frame().sort_values("value", ascending=False, kind="stable").head(_SHOWN_IN_NOTEBOOKS)
        return f"<p>{escape(repr(self))}</p>" + best.to_html(index=False)

    @property
    def arch(self) -> str:
        """The architecture that the first seed selected."""
        return self.found[0].arch

    @property
    def best(self) -> Row:
        """That architecture with its scores and costs."""
        return self.history[self.found[0].best]

    @cached_property
    def history(self) -> list[Row]:
        """What the first seed evaluated, in order."""
        first, evaluation = self.found[0], self.request.evaluation
        seen = columns(first.trace.history, evaluation.values)
        return [
            Row(
                entry.candidate,
                _number(first.values[place]),
                {name: _number(seen.iloc[place][name]) for name in evaluation.values.members},
                self.request.domain.costs.of(entry.candidate, self.request.costs),
                entry.status,
                entry.reason,
            )
            for place, entry in enumerate(first.trace.history)
        ]

    @property
    def statuses(self) -> dict[str, int]:
        """How many architectures had which status."""
        return dict(Counter(row.status for row in self.history))

    def to_json(self) -> dict[str, object]:
        """The content of ``search.json``; the same search gives the same, apart from what stands under ``times``.

        The whole trace is that of the first seed; of the others there are the selected architectures.
        """
        first, rows = self.found[0], [row.to_json() for row in self.history]
        space = self.request.domain.space.spec
        return {
            "format": FORMAT,
            "best": {"space": space, **rows[first.best], "evaluation": first.best + 1, "seed": first.seed},
            "request": self.request.to_json(),
            "remarks": list(self.remarks),
            "front": [rows[place] for place in first.front],
            "curve": [{"evaluations": done, "position": place} for done, place in first.points],
            "stopped": first.trace.stopped,
            "proposals": first.trace.proposals,
            "statuses": self.statuses,
            "best_so_far": [point.to_json() for point in best_so_far(self.found)],
            "reference": list(first.reference),
            "repeats": [self._repeat(one) for one in self.found],
            "truths": {one.truth: one.to_json() for one in self.comparisons},
            "history": rows,
            "population": _population(first),
            "times": self._times(),
        }

    def _repeat(self, one: SearchResult) -> dict[str, object]:
        return {
            "seed": one.seed,
            "arch": one.arch,
            "value": _number(one.values[one.best]),
            "costs": self.request.domain.costs.of(one.arch, self.request.costs),
            "evaluations": len(one.trace.history),
            "proposals": one.trace.proposals,
            "failed": int((~np.isfinite(one.values)).sum()),
            "stopped": one.trace.stopped,
        }

    def _times(self) -> dict[str, object]:
        found = self.found
        curves = {one.truth: [point.to_json() for point in one.by_seconds] for one in self.comparisons}
        return {
            "wall_seconds": [one.wall_seconds for one in found],
            "scoring_seconds": [one.reference_seconds + sum(row.seconds for row in one.trace.history) for one in found],
            "scoring_seconds_of_each": [one.seconds for one in found[0].trace.history],
            "by_seconds": {name: rows for name, rows in curves.items() if rows},
        }


def _population(one: SearchResult) -> list[dict[str, object]]:
    """Positions of the population after every step in which it changed its size or members."""
    places = {entry.candidate: place for place, entry in enumerate(one.trace.history)}
    rows: list[dict[str, object]] = []
    for done, members in one.trace.steps:
        row = [places[arch] for arch in members if arch in places]
        if row and (not rows or rows[-1]["members"] != row):
            rows.append({"evaluations": done, "members": row})
    return rows


def write(folder: Path, outcome: Outcome) -> Path:
    """Write ``search.json``, whole or not at all.

    Raises:
        SearchError: the folder holds another search.
        StoreError: the folder cannot be written.
    """
    check_free(folder, outcome.request)
    return _folder(folder).write_json(FILE, outcome.to_json(), indent=1)


def check_free(folder: Path, request: Request) -> None:
    """Refuse a folder that holds the result of another search.

    Raises:
        SearchError: as the sentence says; the message lists what differs.
    """
    if os.path.isfile(folder / FILE):
        old, new = _comparable(read(folder)["request"]), _comparable(plain(request.to_json()))
        _folder(folder).require_same(old, new)


def _folder(path: Path) -> RunFolder:
    return RunFolder(path, "the result of a search", SearchError)


def _comparable(request: Mapping[str, object]) -> dict[str, object]:
    """A request without options that its algorithm does not have, which were written before, and with its defaults."""
    try:
        usual = ALGORITHMS.get(str(request["algorithm"]))().options()
    except (ZcbenchError, LookupError):  # an algorithm of a plug-in that is not loaded
        return dict(request)
    foreign = {"population", "tournament", "crossover"} - set(usual)
    kept = {name: value for name, value in request.items() if name not in foreign}
    return kept | {name: value for name, value in usual.items() if kept.get(name) is None}


def read(path: str | Path) -> dict[str, Any]:
    """Content of a ``search.json``, or of the one in a folder.

    Raises:
        SearchError: there is none, or it is damaged or of another version.
    """
    given = Path(path)
    file = given / FILE if os.path.isdir(given) else given
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] == FORMAT and isinstance(content["request"], dict) and isinstance(content["best"], dict):
            return dict(content)
        why = f"its format is {content['format']}, not {FORMAT}, or its parts are damaged"
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
    raise SearchError(f"{file} is no result of a search: {why}. Expected what 'zcbench search' writes; search again.")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
