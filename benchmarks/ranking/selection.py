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
        trace: the best ensemble of each size, columns ``size, members, mean`` and one column per truth: the criterion
            over the training half.
        judged: the same ensembles over the judging half, computed once they were chosen.
        training: architectures that the choice looked at.
        judging: the others.
        protocol: rule, search and split in words, JSON-able.
    """

    members: Members
    trace: pd.DataFrame
    judged: pd.DataFrame
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
    pick_from: int | None = None,
) -> Selection:
    r"""Search for the log-rank ensemble with the highest mean tau-b on a training half.

    .. math::  s(a) = \sum_{p \in E} \log \frac{\operatorname{rank}_p(a)}{m}, \qquad
               E = \arg\max_{E} \frac{1}{|T|} \sum_{t \in T} \tau_b\bigl(s, t\bigr)

    Ranks run over all architectures that have every candidate's value (they look at no accuracy), tau over the training
    half of them. A beam search adds one member at a time to the best ensembles of the size before; up to the beam width
    it sees every ensemble of that size. The accuracies of the judging half are read when all is chosen.

    A high tau is no good pick: it counts all pairs alike, a search wants the best. With ``pick_from`` the mean of
    `statistics.expected_pick` takes the place of tau.

    Args:
        values: oriented scores, one column per proxy, by architecture.
        accuracies: one column per truth, by architecture.
        classes: class of each architecture, by architecture.
        candidates: columns to choose from; all if omitted.
        max_members: largest ensemble.
        beam: ensembles of each size that are carried on.
        seed: names the stream of the split.
        given: a size by architecture; then it is the partial tau-b given this size that counts.
        pick_from: architectures that a search would score; then it is the accuracy to expect of the best-scored among
            as many random ones that counts.

    Returns:
        A `Selection`.

    Raises:
        RankingError: an option is out of range, ``given`` and ``pick_from`` are both there, or fewer than six
            architectures have every value and accuracy.
    """
    names = sorted(values.columns if candidates is None else candidates)
    _check(names, values, max_members, beam)
    if given is not None and pick_from is not None:
        raise RankingError("Both a size to hold fixed and picks to look at were given. Expected one of them or none.")
    complete = values[names].dropna().index.intersection(accuracies.dropna().index)
    if len(complete) < 6:
        raise RankingError(
            f"{len(complete)} architectures have a value of every candidate and every accuracy. Expected at least 6; "
            f"leave out the candidates that fail often."
        )
    training, judging = split_classes(classes[complete], seed)
    if pick_from is not None and not 1 <= pick_from <= min(len(training), len(judging)):
        raise RankingError(
            f"pick_from={pick_from} was given. Expected at least 1 and at most the {len(training)} architectures of "
            f"the training half and the {len(judging)} of the judging half."
        )
    shares = values.loc[complete, names].rank() / len(complete)

    def half(archs: list[str]) -> _Half:
        size = None if given is None else given.loc[archs].to_numpy(float)
        targets = (accuracies[name].loc[archs].to_numpy(float) for name in accuracies)
        return _Half(
            {name: np.log(shares.loc[archs, name].to_numpy()) for name in names},
            [_criterion(target, size, pick_from) for target in targets],
        )

    best = _beam_search(half(training), max_members, beam)
    measured = half(judging)
    judged = [[len(members), members, *measured(members)] for _, members, *_ in best]
    columns = ["size", "members", "mean", *accuracies.columns]
    measure = _measure(given, pick_from)
    protocol = {
        "rule": "log_rank",
        "measure": measure,
        "criterion": f"mean {measure} over {', '.join(map(str, accuracies.columns))} on the training half",
        "candidates": names,
        "search": f"beam search, width {beam}, up to {max_members} members",
        "split": f"halves of the classes, seed {seed}",
        "architectures": {"training": len(training), "judging": len(judging)},
    }
    return Selection(
        members=max(best, key=lambda row: row[2])[1],
        trace=pd.DataFrame(best, columns=columns),
        judged=pd.DataFrame(judged, columns=columns),
        training=tuple(training),
        judging=tuple(judging),
        protocol=protocol,
    )


def _measure(given: pd.Series | None, pick_from: int | None) -> str:
    if pick_from is not None:
        return f"accuracy of the best-scored of {pick_from:,}"
    return "tau-b" if given is None else f"partial tau-b given {given.name}"


def _criterion(target: statistics.Array, size: statistics.Array | None, pick_from: int | None) -> Criterion:
    """Tau-b with the accuracies, what is left of it when a size is held fixed, or the accuracy of a pick."""
    if pick_from is not None:
        return partial(statistics.expected_pick, accuracy=target, drawn=pick_from)
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


class _Half(NamedTuple):
    """Logarithms of rank shares by candidate, and what is asked of their sums, one criterion per truth."""

    columns: Mapping[str, statistics.Array]
    criteria: Sequence[Criterion]

    def __call__(self, members: Members) -> list[float]:
        """Mean of the criteria of an ensemble, below all others where one is undefined, and each of them."""
        score = np.sum([self.columns[name] for name in members], axis=0)
        found = [criterion(score) for criterion in self.criteria]
        return [float(np.mean(found)) if np.isfinite(found).all() else -np.inf, *found]


def _beam_search(training: _Half, max_members: int, beam: int) -> list[list[Any]]:
    """Per size the best ensemble: size, members, mean and value of each criterion; equal ones in alphabetical order."""
    kept: list[Members] = [()]
    best = []
    for size in range(1, min(max_members, len(training.columns)) + 1):
        grown = sorted({tuple(sorted((*some, name))) for some in kept for name in training.columns if name not in some})
        found = [training(members) for members in grown]
        order = sorted(range(len(grown)), key=lambda i: (-found[i][0], grown[i]))
        kept = [grown[i] for i in order[:beam]]
        best.append([size, grown[order[0]], *found[order[0]]])
    return best
