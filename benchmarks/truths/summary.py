"""Summary of a table of trained accuracies: the content of ``zcbench data show``."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zcbench.benchmarks.statistics import NAN, spearman
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.reproduced import Reproduction, reproduced
from zcbench.errors import DataError


@dataclass(frozen=True)
class RunSummary:
    """Agreement of single trainings.

    Attributes:
        counts: number of architectures by their number of runs.
        rho: mean of Spearman's rho between two runs; NaN without two.
        spread: standard deviation within an architecture, in percentage points.
        protocol: of the table of single runs.
    """

    counts: dict[int, int]
    rho: float
    spread: float
    protocol: dict[str, Any]


@dataclass(frozen=True)
class TruthSummary:
    """Content and origin of a truth.

    Attributes:
        lowest: least accuracy, and its architecture.
        median: of the accuracies.
        highest: largest accuracy, and its architecture.
        runs: agreement of single trainings; None where they are not published.
        reproduced: agreement with other tables of the same architectures, given all sizes.
        protocol: of the truth.
    """

    lowest: tuple[float, str]
    median: float
    highest: tuple[float, str]
    runs: RunSummary | None
    reproduced: tuple[Reproduction, ...]
    protocol: dict[str, Any]


def summary(name: str | Path, data_dir: str | Path | None = None) -> TruthSummary:
    """Content and origin of the truth of this name.

    Args:
        name: of a truth, or the path of a file of your own, as in `truth`.
        data_dir: where to look; the default is ``ZCBENCH_DATA``, then the user's data directory.

    Raises:
        UnknownNameError: no such truth is known; the message has the nearest names.
        DataError: the truth is known but not here, or damaged.
        ChecksumError: a source file is not the one it should be.

    Example:
        >>> summary("s0/cifar100/kd").highest  # doctest: +SKIP
        (74.86, '557')
    """
    table = truth(name, data_dir)
    accuracy, archs = table["accuracy"].to_numpy(float), table["arch"].tolist()
    lowest, highest = ((float(accuracy[row]), archs[row]) for row in (accuracy.argmin(), accuracy.argmax()))
    return TruthSummary(
        lowest=lowest,
        median=float(np.median(accuracy)),
        highest=highest,
        runs=_runs(name, data_dir),
        reproduced=reproduced(name, data_dir),
        protocol=table.protocol,
    )


def _runs(name: str | Path, data_dir: str | Path | None) -> RunSummary | None:
    """Agreement of single trainings of an architecture, where they are published."""
    try:
        runs = truth(name, data_dir, per_seed=True)
    except DataError:
        return None
    wide = runs.pivot(index="arch", columns="seed", values="accuracy")
    counts = Counter(wide.notna().sum(axis=1).tolist())
    correlations = list(_between_runs(wide))
    return RunSummary(
        counts=dict(sorted(counts.items())),
        rho=float(np.mean(correlations)) if correlations else NAN,
        spread=float(np.sqrt(np.nanmean(wide.var(axis=1, ddof=1)))) if correlations else NAN,
        protocol=runs.protocol,
    )


def _between_runs(wide: pd.DataFrame) -> Iterator[float]:
    """Rank correlation of each pair of runs over the architectures that have both."""
    for one, other in combinations(wide.columns, 2):
        both = wide[[one, other]].dropna().to_numpy(float)
        if len(both) > 2 and np.isfinite(value := spearman(both[:, 0], both[:, 1])):
            yield value
