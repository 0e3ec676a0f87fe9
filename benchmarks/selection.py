"""Choose an ensemble on one half of the architectures, so that it can be judged on the other."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.errors import RankingError
from zcbench.streams import numpy_stream

Members = tuple[str, ...]
Criterion = Callable[[statistics.Array], float]


class Selection(NamedTuple):
    """What was chosen, and how.

    Attributes:
        members: of the chosen ensemble, in alphabetical order.
        trace: the best ensemble of each size, columns ``size, members, tau`` and one column per truth: tau-b over the
            training half, or partial tau-b where a size was held fixed.
        training: architectures that the choice looked at.
        judging: the others.
        protocol: rule, search and split in words, JSON-able.
    """

    members: Members
    trace: pd.DataFrame
    training: tuple[str, ...]
    judging: tuple[str, ...]
    protocol: dict[str, Any]


def split_classes(classes: pd.Series, seed: int) -> tuple[list[str], list[str]]:
    """Two halves of the architectures; a class of equal networks is never divided between them.

    Args:
        classes: class of each architecture, by architecture.
        seed: names the stream of the split.
    """
    names = np.sort(classes.unique())
    chosen = set(numpy_stream("ensemble split", seed).permutation(names)[: len(names) // 2])
    inside = classes.isin(chosen)
    return list(classes.index[inside]), list(classes.index[~inside])


def select_ensemble(
    values: pd.DataFrame,
    accuracies: pd.DataFrame,
    classes: pd.Series,
    *,
    candidates: Sequence[str] | None = None,
    max_members: int = 4,
    beam: int = 30,
    seed: int = 0,
    given: pd.Series | None = None,
) -> Selection:
    r"""Search for the log-rank ensemble with the highest mean tau-b on a training half.

    .. math::  s(a) = \sum_{p \in E} \log \frac{\operatorname{rank}_p(a)}{m}, \qquad
               E = \arg\max_{E} \frac{1}{|T|} \sum_{t \in T} \tau_b\bigl(s, t\bigr)

    Ranks run over all architectures that have every candidate's value (they look at no accuracy), tau over the training
    half of them. A beam search adds one member at a time to the best ensembles of the size before; up to the beam width
    it sees every ensemble of that size. The accuracies of the judging half are never read.

    Args:
        values: oriented scores, one column per proxy, by architecture.
        accuracies: one column per truth, by architecture.
        classes: class of each architecture, by architecture.
        candidates: columns to choose from; all if omitted.
        max_members: largest ensemble.
        beam: ensembles of each size that are carried on.
        seed: names the stream of the split.
        given: a size by architecture; then it is the partial tau-b given this size that counts.

    Returns:
        A `Selection`.

    Raises:
        RankingError: an option is out of range, or fewer than six architectures have every value and accuracy.
    """
    names = sorted(values.columns if candidates is None else candidates)
    _check(names, values, max_members, beam)
    complete = values[names].dropna().index.intersection(accuracies.dropna().index)
    if len(complete) < 6:
        raise RankingError(
            f"{len(complete)} architectures have a value of every candidate and every accuracy. Expected at least 6; "
            f"leave out the candidates that fail often."
        )
    training, judging = split_classes(classes[complete], seed)
    ranks = values.loc[complete, names].rank() / len(complete)
    truths = accuracies.loc[training]
    columns = {name: np.log(ranks.loc[training, name].to_numpy()) for name in names}
    size = None if given is None else given.loc[training].to_numpy(float)
    criteria = [_criterion(truths[name].to_numpy(float), size) for name in truths]
    best = _beam_search(columns, criteria, max_members, beam)
    trace = pd.DataFrame(best, columns=["size", "members", "tau", *truths.columns])
    measure = "tau-b" if given is None else f"partial tau-b given {given.name}"
    protocol = {
        "rule": "log_rank",
        "criterion": f"mean {measure} over {', '.join(map(str, truths.columns))} on the training half",
        "candidates": names,
        "search": f"beam search, width {beam}, up to {max_members} members",
        "split": f"halves of the classes, seed {seed}",
        "architectures": {"training": len(training), "judging": len(judging)},
    }
    members: Members = max(best, key=lambda row: row[2])[1]
    return Selection(members, trace, tuple(training), tuple(judging), protocol)


def _criterion(target: statistics.Array, size: statistics.Array | None) -> Criterion:
    """Tau-b with the accuracies, or what is left of it when a size is held fixed."""
    if size is None:
        return partial(statistics.kendall, accuracy=target)
    yz = statistics.kendall(target, size)
    return lambda x: statistics.partial(statistics.kendall(x, target), statistics.kendall(x, size), yz)


def _check(names: Sequence[str], values: pd.DataFrame, max_members: int, beam: int) -> None:
    if unknown := [name for name in names if name not in values]:
        there = ", ".join(map(str, values.columns))
        raise RankingError(f"No scores of {', '.join(unknown)}. Expected names among {there}.")
    for option, value in (("max_members", max_members), ("beam", beam)):
        if value < 1:
            raise RankingError(f"{option}={value} was given. Expected a whole number of at least 1, such as 4.")
    if not names:
        raise RankingError("No candidates are left to choose from. Expected at least one proxy.")


def _beam_search(
    columns: Mapping[str, statistics.Array], criteria: Sequence[Criterion], max_members: int, beam: int
) -> list[list[Any]]:
    """Per size the best ensemble: size, members, mean and value of each criterion; equal ones in alphabetical order."""
    kept: list[Members] = [()]
    best = []
    for size in range(1, min(max_members, len(columns)) + 1):
        grown = sorted({tuple(sorted((*some, name))) for some in kept for name in columns if name not in some})
        sums = (np.sum([columns[name] for name in members], axis=0) for members in grown)
        taus = [[criterion(column) for criterion in criteria] for column in sums]
        order = sorted(range(len(grown)), key=lambda i: (-_mean(taus[i]), grown[i]))
        kept = [grown[i] for i in order[:beam]]
        first = order[0]
        best.append([size, grown[first], _mean(taus[first]), *taus[first]])
    return best


def _mean(taus: Sequence[float]) -> float:
    """Mean; below all others where one is undefined."""
    return float(np.mean(taus)) if np.isfinite(taus).all() else -np.inf
