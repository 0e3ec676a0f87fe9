"""Analysis of a finished distiller search: frequencies of operations, curves, correlations of each term.

All functions take the content of ``distiller.json``, or its ``history``, and give plain rows.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zcbench.kdzero.evolution.fitness import Fitness
from zcbench.kdzero.evolution.terms import Metrics, oriented
from zcbench.kdzero.genome import PARTS, Genome, GenomeError
from zcbench.search.algorithms.loop import Evaluated, SearchError
from zcbench.storage.run_folder import Json

_PLAIN = ("l2", "l1")

Content = Mapping[str, Any]
Quantity = Callable[[Json], float | None]


def frequencies(history: Sequence[Json], top: int = 10) -> Json:
    """How often each operation stands among the fittest, and among all that was evaluated.

    Args:
        history: rows with ``formula`` and ``fitness``, lower is better, None where there is none.
        top: how many of the fittest are looked at.

    Returns:
        ``top``, and under ``parts`` for each part one row per operation, most frequent first: ``operation``, ``top``
        and ``all``, shares of the genomes that have it. A genome has three transforms, so that their shares add up to
        more than 1.
    """
    best = fittest(history, top)
    groups = {"top": best, "all": list(history)}
    counts = {name: Counter(_operations(rows)) for name, rows in groups.items()}
    parts: dict[str, list[Json]] = {part: [] for part in PARTS}
    for part, operation in sorted(counts["all"]):
        shares = {name: counts[name][part, operation] / max(len(rows), 1) for name, rows in groups.items()}
        parts[part].append({"operation": operation, **{name: round(share, 6) for name, share in shares.items()}})
    for rows in parts.values():
        rows.sort(key=lambda row: (-row["top"], -row["all"], row["operation"]))
    return {"top": len(best), "parts": parts}


def fittest(history: Sequence[Json], top: int) -> list[Json]:
    """The rows of the lowest fitness, best first."""
    known = [row for row in history if row["fitness"] is not None]
    return sorted(known, key=lambda row: float(row["fitness"]))[:top]


def best_so_far(history: Sequence[Json]) -> list[Json]:
    """After how many evaluations which genome was the best, by the fitness over the whole history."""
    points: list[Json] = []
    for done, row in enumerate(history, 1):
        if row["fitness"] is not None and (not points or row["fitness"] < points[-1]["fitness"]):
            points.append({"evaluations": done, "formula": row["formula"], "fitness": row["fitness"]})
    return points


def on_one_scale(contents: Mapping[str, Content]) -> dict[str, list[Json]]:
    """Best-so-far curves of several searches, their terms scaled alike: as if all were one, the first one first.

    Each ends where its search does.

    Args:
        contents: searches by label; all of one protocol and one fitness.

    Raises:
        SearchError: their protocols or fitnesses differ.
    """
    first = next(iter(contents.values()))
    require_comparable(first["protocol"], first["search"]["fitness"], contents)
    chosen = Fitness(**{**first["search"]["fitness"], "terms": tuple(first["search"]["fitness"]["terms"])})
    joined = [row for content in contents.values() for row in content["history"]]
    values = iter((-chosen([_evaluated(row, chosen) for row in joined])).tolist())
    scaled = {
        label: [{**row, "fitness": _finite(next(values))} for row in content["history"]]
        for label, content in contents.items()
    }
    return {label: _to_the_end(best_so_far(rows), len(rows)) for label, rows in scaled.items()}


def _to_the_end(points: list[Json], evaluations: int) -> list[Json]:
    known = points and points[-1]["evaluations"] < evaluations
    return [*points, {**points[-1], "evaluations": evaluations}] if known else points


def require_comparable(protocol: Content, fitness: Content, others: Mapping[str, Content]) -> None:
    """Refuse searches by label that measure candidates in another way than this protocol and this fitness.

    Raises:
        SearchError: the message names the search, and what differs.
    """
    for label, other in others.items():
        pairs = [(key, protocol[key], other["protocol"].get(key)) for key in protocol]
        pairs.append(("fitness", fitness, other["search"]["fitness"]))
        differing = [f"{key}: {one} and {another}" for key, one, another in pairs if one != another]
        if differing:
            raise SearchError(
                f"The search {label!r} is of another protocol ({'; '.join(differing)}). Expected searches that differ "
                f"in how they propose alone; run it again with the same options."
            )


def correlations(history: Sequence[Json], finals: Mapping[str, float] | None = None) -> list[Json]:
    """Rank correlation of every term, of the fitness and of what is known before training with an accuracy.

    Args:
        history: rows with ``formula``, ``fitness``, ``terms``, ``proxy`` and ``ranking``; those that are not there
            have no pairs.
        finals: final accuracies by formula, from full trainings; the validation accuracy after the shortened training
            if omitted.

    Returns:
        One row per quantity: ``quantity``, ``n``, Kendall's ``tau`` and Spearman's ``rho``, both None for fewer than
        three, or for values that are all equal. Quantities are turned so that a positive number means that they
        point the right way.
    """
    from scipy.stats import kendalltau, spearmanr

    rows: list[Json] = []
    for name, of in _quantities().items():
        pairs = [(of(row), _accuracy(row, finals)) for row in history]
        known = [(x, y) for x, y in pairs if x is not None and y is not None]
        row: Json = {"quantity": name, "n": len(known), "tau": None, "rho": None}
        x, y = zip(*known) if known else ((), ())
        if len(known) >= 3 and len(set(x)) > 1 and len(set(y)) > 1:
            row |= {"tau": _finite(kendalltau(x, y).statistic), "rho": _finite(spearmanr(x, y).statistic)}
        rows.append(row)
    return rows


def ablations(genome: Genome) -> dict[str, Genome]:
    """The genome with one part at a time left out, or put back to what is plainest.

    Args:
        genome: as found.

    Returns:
        Genomes by what was changed: no transforms, the distance l2 (l1 where it was l2), weight 1, temperature 1, no
        calibration; only those that differ from the genome and make sense.

    Example:
        >>> [str(one) for one in ablations(Genome.parse("10 kl(no(no(softmax_C(logits))))")).values()]
        ['10 kl(no(no(no(logits))))', '10 l2(no(no(softmax_C(logits))))', 'kl(no(no(softmax_C(logits))))']
    """
    plain: dict[str, Json] = {
        "no transforms": {"transforms": ("no", "no", "no")},
        f"distance {_PLAIN[genome.distance == _PLAIN[0]]}": {"distance": _PLAIN[genome.distance == _PLAIN[0]]},
        "weight 1": {"weight": 1.0},
        "temperature 1": {"temperature": 1.0},
        "no calibration": {"calibration": "none"},
    }
    found: dict[str, Genome] = {}
    for label, part in plain.items():
        try:
            other = replace(genome, **part)
        except GenomeError:
            continue
        if other != genome:
            found[label] = other
    return found


def cost(history: Sequence[Json], limit: int, steps: int) -> Json:
    """Training steps that were done, and that would have been without each of the accelerations.

    Args:
        history: rows with ``steps`` and ``status``.
        limit: steps of a candidate that is not rejected.
        steps: those of the whole recipe.
    """
    done, trained = sum(row["steps"] for row in history), [row for row in history if row["status"] != "unfit"]
    rejected = sum(row["status"] == "rejected" for row in history)
    return {
        "candidates": len(history),
        "rejected": rejected,
        "steps": done,
        "steps without rejection": done + sum(limit - row["steps"] for row in trained if row["status"] == "rejected"),
        "steps without early stop": done + (len(trained) - rejected) * (steps - limit),
    }


def _operations(rows: Sequence[Json]) -> list[tuple[str, str]]:
    """Parts and operations of all genomes, each once for a genome that has it."""
    return [pair for row in rows for pair in sorted(set(Genome.parse(row["formula"]).operations()))]


def _quantities() -> dict[str, Quantity]:
    signs = {"ce": -1, "sharpness": -1, "sharpness_absolute": -1, "sharpness_second_order": -1, "cka": 1}

    def term(name: str, sign: int) -> Quantity:
        return lambda row: sign * row["terms"][name] if row.get("terms") else None

    known = {name: term(name, sign) for name, sign in signs.items()}
    fitness = {"fitness": lambda row: None if row["fitness"] is None else -row["fitness"]}
    before = {name: lambda row, name=name: row.get(name) for name in ("proxy", "ranking")}
    return {**known, "agreement": term("agreement", 1), **fitness, **before}


def _accuracy(row: Json, finals: Mapping[str, float] | None) -> float | None:
    if finals is not None:
        return finals.get(row["formula"])
    return row["terms"]["accuracy"] if row.get("terms") else None


def _evaluated(row: Json, chosen: Fitness) -> Evaluated[str]:
    if row["fitness"] is None:
        return Evaluated(row["formula"], (math.nan,) * len(chosen.terms), row["status"])
    return Evaluated(row["formula"], oriented(Metrics(**row["terms"]), chosen.terms, chosen.sharpness))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
