"""What a search leaves behind: ``search.json``, for people, for the report, and for what trains the winner."""

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zcbench.errors import ZcbenchError
from zcbench.search.algorithms.contract import ALGORITHMS
from zcbench.search.algorithms.loop import SearchError
from zcbench.search.architectures import ALL, Architectures
from zcbench.search.conduct import SearchResult, Settings
from zcbench.search.evaluation import Evaluation, columns
from zcbench.search.judging import best_so_far
from zcbench.search.objective import Objective
from zcbench.storage.files import replaced

FILE = "search.json"
FORMAT = 1
_SHOWN = ("params", "macs", "depth")


def describe(
    domain: Architectures,
    evaluation: Evaluation,
    objective: Objective,
    settings: Settings,
    seeds: Sequence[int],
    sources: Mapping[str, Any],
) -> dict[str, Any]:
    """What was asked for: everything that decides the search.

    Args:
        domain: what is searched.
        evaluation: what is looked at.
        objective: what is maximised.
        settings: how.
        seeds: one search each.
        sources: where scores, names and costs come from.
    """
    aggregated = f"a fixed reference sample of {settings.reference}" if settings.reference else "the population"
    return {
        "space": domain.space.spec,
        "task": {"classes": domain.costs.num_classes, "images": list(domain.costs.image_shape)},
        "architectures": _listed(domain),
        "objective": {
            "formula": objective.formula,
            "members": list(objective.members),
            "ranks": f"within {aggregated}" if objective.needs_group else "none: one score as it is",
        },
        "minimised": list(evaluation.values.minimised),
        "limits": dict(domain.limits),
        **settings.to_json(),
        "seeds": list(seeds),
        "sources": dict(sources),
    }


def document(
    request: Mapping[str, Any],
    found: Sequence[SearchResult],
    domain: Architectures,
    evaluation: Evaluation,
    truths: Mapping[str, Any] | None = None,
    times: Mapping[str, Any] | None = None,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of ``search.json``; the same search gives the same, apart from what stands under ``times``.

    The whole trace is that of the first seed; of the others there are the picks.

    Args:
        request: from `describe`.
        found: one search per seed.
        domain: what was searched.
        evaluation: what was looked at.
        truths: what trained accuracies say, by truth; looked up after the search.
        times: further times.
        remarks: what a reader must know, such as settings that had no effect.
    """
    first, costs = found[0], list(dict.fromkeys((*_SHOWN, *domain.limits, *evaluation.values.minimised)))
    rows = _history(first, domain, evaluation, costs)
    return {
        "format": FORMAT,
        "best": {"space": domain.space.spec, **rows[first.best], "evaluation": first.best + 1, "seed": first.seed},
        "request": dict(request),
        "remarks": list(remarks),
        "front": [rows[place] for place in first.front],
        "curve": [{"evaluations": done, "position": place} for done, place in first.points],
        "stopped": first.trace.stopped,
        "proposals": first.trace.proposals,
        "statuses": dict(Counter(one.status for one in first.trace.history)),
        "best_so_far": best_so_far(found),
        "reference": list(first.reference),
        "repeats": [_repeat(one, domain, costs) for one in found],
        "truths": dict(truths or {}),
        "history": rows,
        "population": _population(first),
        "times": {
            "wall_seconds": [one.wall_seconds for one in found],
            "scoring_seconds": [one.reference_seconds + sum(row.seconds for row in one.trace.history) for one in found],
            "scoring_seconds_of_each": [one.seconds for one in first.trace.history],
            **(times or {}),
        },
    }


def _history(
    one: SearchResult, domain: Architectures, evaluation: Evaluation, costs: Sequence[str]
) -> list[dict[str, Any]]:
    seen = columns(one.trace.history, evaluation.values)
    rows = []
    for place, entry in enumerate(one.trace.history):
        scores = {name: _number(seen.iloc[place][name]) for name in evaluation.values.members}
        row = {"arch": entry.candidate, "value": _number(one.values[place]), "scores": scores}
        row |= {"costs": domain.costs.of(entry.candidate, costs)}
        rows.append(row | ({} if entry.status == "ok" else {"status": entry.status, "reason": entry.reason}))
    return rows


def _repeat(one: SearchResult, domain: Architectures, costs: Sequence[str]) -> dict[str, Any]:
    return {
        "seed": one.seed,
        "arch": one.arch,
        "value": _number(one.values[one.best]),
        "costs": domain.costs.of(one.arch, costs),
        "evaluations": len(one.trace.history),
        "proposals": one.trace.proposals,
        "failed": int((~np.isfinite(one.values)).sum()),
        "stopped": one.trace.stopped,
    }


def _population(one: SearchResult) -> list[dict[str, Any]]:
    """Positions of the population after every step in which it changed its size or members."""
    places = {entry.candidate: place for place, entry in enumerate(one.trace.history)}
    rows: list[dict[str, Any]] = []
    for done, members in one.trace.steps:
        row = [places[arch] for arch in members if arch in places]
        if row and (not rows or rows[-1]["members"] != row):
            rows.append({"evaluations": done, "members": row})
    return rows


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write ``search.json``, whole or not at all.

    Raises:
        SearchError: the folder holds another search, or cannot be written.
    """
    check_free(folder, content["request"])
    file = folder / FILE
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        with replaced(file) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SearchError(
            f"Cannot write {file}: {error}. Expected a folder with room that you may write to; name another one, and "
            f"what was scored is kept where it is."
        ) from error
    return file


def _listed(domain: Architectures) -> str:
    if domain.within is None:
        return "all" if domain.subset == ALL else f"the subset {domain.subset!r}"
    digest = hashlib.sha256("\n".join(sorted(domain.within)).encode()).hexdigest()
    return f"{len(domain.within):,} that are listed and fit (sha256 {digest[:12]})"


def check_free(folder: Path, request: Mapping[str, Any]) -> None:
    """Refuse a folder that holds the result of another search.

    Raises:
        SearchError: as the sentence says; the message lists what differs.
    """
    file = folder / FILE
    if not os.path.isfile(file):
        return
    old, new = _comparable(read(file)["request"]), _comparable(json.loads(json.dumps(request)))
    differing = [f"{key}: {old.get(key)} → {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)]
    if differing:
        raise SearchError(
            f"{folder} holds the result of another search ({'; '.join(differing)}). Expected a folder of its own for "
            f"each; name another one, or delete {FILE} to use the scores that are there."
        )


def _comparable(request: dict[str, Any]) -> dict[str, Any]:
    """A request without options that its algorithm does not have, which were written before, and with its defaults."""
    try:
        usual = ALGORITHMS.get(str(request["algorithm"]))().options()
    except ZcbenchError:  # an algorithm of a plug-in that is not loaded
        return request
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
