"""Rankings of teacher-student pairs: over all of them, and over comparisons in which one side is the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.statistics.correlations import NAN, kendall
from zcbench.errors import RankingError
from zcbench.spaces import Space
from zcbench.spaces.measuring import measure

COLUMNS = (
    "truth", "proxy", "kind", "n", "tau", "tau_low", "tau_high",
    "one_teacher", "one_teacher_comparisons", "one_student", "one_student_comparisons",
)  # fmt: skip


def tau_within(scores: pd.Series, accuracies: pd.Series, groups: pd.Series) -> tuple[float, int]:
    r"""Agreement of the order of scores with that of accuracies, over comparisons inside a group only.

    .. math::  \tau_w = \frac{1}{|P|} \sum_{(i, j) \in P} \operatorname{sgn}(a_i - a_j) \operatorname{sgn}(y_i - y_j)

    P are the comparisons of two architectures of one group whose accuracies differ; equal scores count 0.

    Args:
        scores: a, by architecture; NaN where there is none.
        accuracies: y.
        groups: name of the group of each architecture.

    Returns:
        In [-1, 1], NaN without a comparison, and the number of comparisons.

    Example:
        >>> index = ["a", "b", "c", "d"]
        >>> scores, accuracies = pd.Series([1, 2, 3, 4], index), pd.Series([50, 60, 70, 65], index)
        >>> tau_within(scores, accuracies, pd.Series(["x", "x", "y", "y"], index))
        (0.0, 2)
    """
    table = pd.DataFrame({"score": scores, "accuracy": accuracies, "group": groups}).dropna()
    total = count = 0
    for _, rows in table.groupby("group"):
        first, second = np.triu_indices(len(rows), 1)
        signs = [np.sign(values[first] - values[second]) for values in rows[["score", "accuracy"]].to_numpy(float).T]
        total += int(np.sum(signs[0] * signs[1]))
        count += int(np.count_nonzero(signs[1]))
    return (total / count if count else NAN), count


def pair_table(ranking: Ranking) -> pd.DataFrame:
    """Proxies and sizes of a ranking of pairs, the sizes of the teachers among them.

    Returns:
        One row per (truth, proxy), best first: ``truth, proxy, kind, n``; ``tau`` over all pairs and its interval;
        ``one_teacher``, `tau_within` the students of one teacher, and ``one_student``, within the teachers of one
        student, with the numbers of comparisons. A size of the teacher has no interval.

    Raises:
        RankingError: the ranking is of no space of pairs.
    """
    space = _space(ranking)
    names = {arch: space.parse(arch) for arch in ranking.scores.index}
    teachers, students = (pd.Series({arch: parts[place] for arch, parts in names.items()}) for place in (0, 1))
    columns = {str(name): values for frame in (ranking.scores, ranking.sizes) for name, values in frame.items()}
    columns |= _teacher_sizes(space, ranking)
    rows = []
    for truth, accuracies in ranking.accuracies.items():
        known = ranking.to_frame(str(truth), "all").set_index("proxy")
        for name, scores in columns.items():
            rows.append(
                {
                    "truth": truth,
                    "proxy": name,
                    **_overall(name, scores, accuracies, known),
                    **_within("one_teacher", scores, accuracies, teachers),
                    **_within("one_student", scores, accuracies, students),
                }
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["truth", "tau"], ascending=[True, False], kind="stable", ignore_index=True)


def _overall(name: str, scores: pd.Series, accuracies: pd.Series, known: pd.DataFrame) -> dict[str, object]:
    if name in known.index:
        return {column: known.loc[name, column] for column in ("kind", "n", "tau", "tau_low", "tau_high")}
    both = pd.concat([scores, accuracies], axis=1).dropna().to_numpy(float).T
    return {"kind": "size of the teacher", "n": both.shape[1], "tau": kendall(*both), "tau_low": NAN, "tau_high": NAN}


def _within(name: str, scores: pd.Series, accuracies: pd.Series, groups: pd.Series) -> dict[str, object]:
    tau, count = tau_within(scores, accuracies, groups)
    return {name: tau, f"{name}_comparisons": count}


def _teacher_sizes(space: Space, ranking: Ranking) -> Mapping[str, pd.Series]:
    """Parameters and MACs of the teacher of each pair, for the images and classes of the ranking."""
    card = ranking.protocol["scores"]
    shape, classes = tuple(card["image_shape"]), int(card["num_classes"])
    archs = list(map(str, ranking.scores.index))
    once: dict[str, tuple[int, int]] = {}
    for arch in archs:
        name = space.teacher_of(arch)
        if name not in once:
            cost = measure(partial(space.teacher, arch, classes, 0, shape), shape)
            once[name] = cost.params, cost.macs
    return {
        f"teacher_{size}": pd.Series([once[space.teacher_of(arch)][place] for arch in archs], archs, float)
        for place, size in enumerate(("params", "macs"))
    }


def _space(ranking: Ranking) -> Space:
    name = str(ranking.protocol["scores"]["space"])
    if not (space := spaces.get(name)).paired:
        raise RankingError(
            f"The ranking is of {name}, whose architectures are no pairs of a teacher and a student. Expected a run "
            "of a space of pairs; make one by 'zcbench bench --space pairs --truth pairs/cifar100/kd'."
        )
    return space
