"""Selection of an ensemble on one half of the architectures, and its evaluation on the other half."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.libra import libra
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import RankingError, unknown
from zcbench.streams import numpy_stream

Members = tuple[str, ...]
METHODS = {"beam": "log_rank", "libra": "rank_sum"}
"""Methods of selection, and the rule of their ensembles."""

Criterion = Callable[[statistics.Array], float]


@dataclass(frozen=True)
class SelectionOptions:
    """What an ensemble is chosen from, and by which criterion.

    Attributes:
        candidates: proxies to choose from; all if omitted.
        max_members: largest ensemble.
        beam: ensembles of each size that the search carries on.
        seed: names the stream of the split.
        given: a size, such as ``params``, that is controlled for: the criterion is then the partial tau-b given it.
        pick_from: architectures that a search would score: the criterion is then the expected accuracy of the
            best-scored of as many random ones.
        method: ``beam``, a beam search for the criterion over ensembles by ``log_rank``, or ``libra``, the three
            proxies of `zcbench.benchmarks.ranking.libra` by ``rank_sum``, whatever the criterion.

    Raises:
        RankingError: a value is out of range, or both ``given`` and ``pick_from`` are there.
        UnknownNameError: ``given`` is no size, or there is no such method.
    """

    candidates: tuple[str, ...] | None = None
    max_members: int = 4
    beam: int = 30
    seed: int = 0
    given: str | None = None
    pick_from: int | None = None
    method: str = "beam"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown("method of a selection", self.method, METHODS)
        if self.given not in (None, *SIZES):
            raise unknown("size", str(self.given), SIZES)
        if self.given is not None and self.pick_from is not None:
            raise RankingError("Both a size to control for and pick_from were given. Expected one of them or none.")
        for option, value in (("max_members", self.max_members), ("beam", self.beam)):
            if value < 1:
                raise RankingError(f"{option}={value} was given. Expected a whole number of at least 1, such as 4.")

    @property
    def rule(self) -> str:
        """Rule of the ensembles that are chosen from."""
        return METHODS[self.method]

    @property
    def measure(self) -> str:
        """The criterion for one truth, in words."""
        if self.pick_from is not None:
            return f"accuracy of the best-scored of {self.pick_from:,}"
        return "tau-b" if self.given is None else f"partial tau-b given {self.given}"


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen ensemble, and how it was chosen.

    Attributes:
        options: with the candidates in alphabetical order.
        trace: the best ensemble of each size, columns ``size, members, mean`` and one column per truth: the criterion
            over the training half.
        judged: the same ensembles over the judging half, computed after the selection.
        training: architectures that the selection used.
        judging: the others.
    """

    options: SelectionOptions
    trace: pd.DataFrame
    judged: pd.DataFrame
    training: tuple[str, ...]
    judging: tuple[str, ...]

    @property
    def members(self) -> Members:
        """Members of the chosen ensemble, in alphabetical order; of LIBRA in the order of their choice."""
        if self.options.method == "libra":
            return tuple(self.trace["members"].iloc[-1])
        return tuple(self.trace["members"].iloc[int(self.trace["mean"].argmax())])

    @property
    def truths(self) -> list[str]:
        """The truths, whose mean is maximised."""
        return list(map(str, self.trace.columns[3:]))

    def to_json(self) -> dict[str, object]:
        """What was chosen from what, and how, for ``selection.json``."""
        how = self.options
        return {
            "rule": how.rule,
            "measure": how.measure,
            "criterion": f"mean {how.measure} over {', '.join(self.truths)} on the training half",
            "candidates": list(how.candidates or ()),
            "search": "libra"
            if how.method == "libra"
            else f"beam search, width {how.beam}, up to {how.max_members} members",
            "split": f"halves of the classes, seed {how.seed}",
            "architectures": {"training": len(self.training), "judging": len(self.judging)},
            "chosen": list(self.members),
            "best of each size": self.trace.to_dict("records"),
            "on the judging half": self.judged.to_dict("records"),
        }

    def save(self, folder: Path) -> None:
        """Write ``selection.json`` and the two halves, ``training.txt`` and ``judging.txt``."""
        (folder / "selection.json").write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        for half, archs in (("training", self.training), ("judging", self.judging)):
            (folder / f"{half}.txt").write_text("".join(f"{arch}\n" for arch in archs), encoding="utf-8")


def split_classes(classes: pd.Series, seed: int) -> tuple[list[str], list[str]]:
    """Two halves of the architectures; a class of equal networks is in one of them.

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
    options: SelectionOptions | None = None,
    sizes: pd.DataFrame | None = None,
) -> Selection:
    r"""Search for the log-rank ensemble with the highest mean tau-b on a training half.

    .. math::  s(a) = \sum_{p \in E} \log \frac{\operatorname{rank}_p(a)}{m}, \qquad
               E = \arg\max_{E} \frac{1}{|T|} \sum_{t \in T} \tau_b\bigl(s, t\bigr)

    Ranks run over all architectures that have every candidate's value (they look at no accuracy), tau over the training
    half of them. A beam search adds one member at a time to the best ensembles of the size before; up to the beam width
    it sees every ensemble of that size. The accuracies of the judging half are read when all is chosen.

    Tau counts all pairs alike, and a search looks for the best. With ``pick_from`` the mean of
    `statistics.expected_pick` takes the place of tau.

    Args:
        values: oriented scores, one column per proxy, by architecture.
        accuracies: one column per truth, by architecture.
        classes: class of each architecture, by architecture.
        options: candidates, criterion, search and split; the default ones if omitted.
        sizes: sizes by architecture, where ``options.given`` names one of them.

    Raises:
        RankingError: a candidate has no scores, ``pick_from`` is out of range, or fewer than six architectures have
            every value and accuracy.
    """
    options = options or SelectionOptions()
    names = sorted(values.columns if options.candidates is None else options.candidates)
    _check_names(names, values)
    complete = values[names].dropna().index.intersection(accuracies.dropna().index)
    if len(complete) < 6:
        raise RankingError(
            f"{len(complete)} architectures have a value of every candidate and every accuracy. Expected at least 6; "
            f"leave out the candidates that fail often."
        )
    training, judging = split_classes(classes[complete], options.seed)
    _check_picks(options.pick_from, len(training), len(judging))
    ranks = values.loc[complete, names].rank()
    shares = ranks / len(complete)

    def half(archs: list[str]) -> _Half:
        size = None if options.given is None or sizes is None else sizes.loc[archs, options.given].to_numpy(float)
        targets = (accuracies[name].loc[archs].to_numpy(float) for name in accuracies)
        return _Half(
            {name: ranks.loc[archs, name].to_numpy() for name in names}
            if options.method == "libra"
            else {name: np.log(shares.loc[archs, name].to_numpy()) for name in names},
            [_criterion(target, size, options.pick_from) for target in targets],
        )

    learned, judge = half(training), half(judging)
    if options.method == "libra":
        targets = [accuracies[name].loc[training].to_numpy(float) for name in accuracies]
        best = _growing(libra(learned.columns, targets, _params(sizes, training)), learned)
    else:
        best = _beam_search(learned, options.max_members, options.beam)
    columns = ["size", "members", "mean", *accuracies.columns]
    return Selection(
        options=replace(options, candidates=tuple(names)),
        trace=pd.DataFrame([[len(members), members, *figures] for members, figures in best], columns=columns),
        judged=pd.DataFrame([[len(members), members, *judge(members)] for members, _ in best], columns=columns),
        training=tuple(training),
        judging=tuple(judging),
    )


def _criterion(target: statistics.Array, size: statistics.Array | None, pick_from: int | None) -> Criterion:
    """Tau-b with the accuracies, partial tau-b given a size, or the expected accuracy of the result."""
    if pick_from is not None:
        return partial(statistics.expected_pick, accuracy=target, drawn=pick_from)
    if size is None:
        return partial(statistics.kendall, accuracy=target)
    yz = statistics.kendall(target, size)
    return lambda x: statistics.partial(statistics.kendall(x, target), statistics.kendall(x, size), yz)


def _check_names(names: Sequence[str], values: pd.DataFrame) -> None:
    if lacking := [name for name in names if name not in values]:
        there = ", ".join(map(str, values.columns))
        raise RankingError(f"No scores of {', '.join(lacking)}. Expected names among {there}.")
    if not names:
        raise RankingError("No candidates are left to choose from. Expected at least one proxy.")


def _check_picks(pick_from: int | None, training: int, judging: int) -> None:
    if pick_from is not None and not 1 <= pick_from <= min(training, judging):
        raise RankingError(
            f"pick_from={pick_from} was given. Expected at least 1 and at most the {training} architectures of the "
            f"training half and the {judging} of the judging half."
        )


class _Half(NamedTuple):
    """Logarithms of rank shares by candidate, and the criteria of their sums, one per truth."""

    columns: Mapping[str, statistics.Array]
    criteria: Sequence[Criterion]

    def __call__(self, members: Members) -> list[float]:
        """Mean of the criteria of an ensemble, below all others where one is undefined, and each of them."""
        score = np.sum([self.columns[name] for name in members], axis=0)
        found = [criterion(score) for criterion in self.criteria]
        return [float(np.mean(found)) if np.isfinite(found).all() else -np.inf, *found]


def _params(sizes: pd.DataFrame | None, archs: list[str]) -> statistics.Array:
    if sizes is None:
        raise RankingError("LIBRA compares with the parameters, and no sizes were given. Expected sizes=; give them.")
    return sizes.loc[archs, "params"].to_numpy(float)


def _growing(members: Members, half: _Half) -> list[tuple[Members, list[float]]]:
    """The first member, the first two, and all three, each with its mean and value of each criterion."""
    return [(members[:size], half(members[:size])) for size in range(1, len(members) + 1)]


def _beam_search(training: _Half, max_members: int, beam: int) -> list[tuple[Members, list[float]]]:
    """Per size the best ensemble, and its mean and value of each criterion; equal ones in alphabetical order."""
    kept: list[Members] = [()]
    best = []
    for _ in range(min(max_members, len(training.columns))):
        grown = sorted({tuple(sorted((*some, name))) for some in kept for name in training.columns if name not in some})
        found = [training(members) for members in grown]
        order = sorted(range(len(grown)), key=lambda i: (-found[i][0], grown[i]))
        kept = [grown[i] for i in order[:beam]]
        best.append((grown[order[0]], found[order[0]]))
    return best
