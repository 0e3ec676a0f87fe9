"""Agreement of two truths over the same architectures, and the reliability of each: ``zcbench data compare``."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from zcbench import spaces
from zcbench.benchmarks.statistics import NAN, kendall, partial, reliability
from zcbench.benchmarks.statistics.agreement import agreement
from zcbench.benchmarks.statistics.bootstrap import bootstrap, interval
from zcbench.benchmarks.statistics.columns import Column, Population
from zcbench.benchmarks.statistics.comparison import Comparison
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import DataError, RankingError, UnknownNameError


@dataclass(frozen=True)
class SingleRuns:
    """Mean tau between two runs with different seeds; NaN without single runs.

    Attributes:
        first: both of the first truth.
        second: both of the second.
        between: one of each.
    """

    first: float
    second: float
    between: float


@dataclass(frozen=True)
class Relation:
    """Two accuracies of the same architectures.

    Attributes:
        n: architectures in both.
        tau: Kendall's tau-b between them, with its interval.
        rho: Spearman's rho, with its interval.
        discordant: share of the pairs that they order differently.
        given_params: partial tau given the number of parameters; NaN where the space is not known.
        reliability: of the mean over the runs of each, by Spearman and Brown; NaN without single runs.
        ceiling: the geometric mean of the two, the expected rho of two truths with equal order and independent noise. A
            truth without single runs counts as exact; NaN if both are.
        single: mean tau between single runs.
    """

    n: int
    tau: tuple[float, float, float]
    rho: tuple[float, float, float]
    discordant: float
    given_params: float
    reliability: tuple[float, float]
    ceiling: float
    single: SingleRuns


def relate(first: str | Path, second: str | Path, data_dir: str | Path | None = None, draws: int = 0) -> Relation:
    r"""Compare two truths over the architectures in both.

    .. math::  \rho_{\max} = \sqrt{r_1 r_2}

    :math:`r_1, r_2` are the reliabilities of the two means. Runs of one seed may share their noise (``zcbench truth
    build`` gives both settings of a seed one initialisation and one order of images), so the means may agree better
    than that; ``single`` compares runs of different seeds only.

    Args:
        first: a truth, as in `zcbench.benchmarks.truths.lookup.truth`.
        second: another one.
        data_dir: where to look.
        draws: of a bootstrap over architectures for the intervals (95 %); 0 for the delta method.

    Raises:
        RankingError: they have fewer than three architectures in common.
        UnknownNameError: no such truth is known.
        DataError: a truth is not here.
    """
    tables = truth(first, data_dir), truth(second, data_dir)
    one, other = (table.set_index("arch")["accuracy"] for table in tables)
    found = agreement(one, other)
    archs = found.places.index
    if len(archs) < 3:
        raise RankingError(
            f"{first} and {second} have {len(archs)} architectures in common. Expected at least 3; name two of one "
            f"space."
        )
    params = _parameters(tables[0], archs)
    y, z = (found.places[column].to_numpy(float) for column in ("first", "second"))
    ends = _intervals(y, z, np.array(list(map(str, archs))), draws)
    runs = [_runs(name, data_dir, archs) for name in (first, second)]
    reliable = tuple(NAN if table is None else _reliability(table) for table in runs)
    return Relation(
        n=len(archs),
        tau=(found.tau, ends["tau_low"], ends["tau_high"]),
        rho=(found.rho, ends["rho_low"], ends["rho_high"]),
        discordant=float(found.places["discordant"].mean()),
        given_params=NAN if params is None else partial(found.tau, kendall(params, y), kendall(params, z)),
        reliability=(reliable[0], reliable[1]),
        ceiling=_ceiling(reliable),
        single=SingleRuns(_between(runs[0], runs[0]), _between(runs[1], runs[1]), _between(runs[0], runs[1])),
    )


def _parameters(table: TruthTable, archs: "pd.Index[str]") -> "np.ndarray | None":
    """Number of parameters of each architecture; None where the space is not known."""
    try:
        space = spaces.get(table.networks)
    except UnknownNameError:
        return None
    return space.costs(list(map(str, archs)))["params"].to_numpy(float)


def _runs(name: str | Path, data_dir: str | Path | None, archs: "pd.Index[str]") -> pd.DataFrame | None:
    """Accuracies by seed of the architectures, where single runs are known."""
    try:
        runs = truth(name, data_dir, per_seed=True)
    except DataError:
        return None
    return runs.pivot(index="arch", columns="seed", values="accuracy").reindex(archs)


def _reliability(wide: pd.DataFrame) -> float:
    """That of the mean over the seeds, over the architectures that all of them have."""
    return round(reliability(wide.dropna(axis=1, how="all").dropna()), 4)


def _ceiling(reliable: tuple[float, ...]) -> float:
    known = [max(0.0, value) for value in reliable if value == value]
    return float(np.sqrt(np.prod(known))) if known else NAN


def _between(one: pd.DataFrame | None, other: pd.DataFrame | None) -> float:
    found = [] if one is None or other is None else list(_taus(one, other))
    return float(np.mean(found)) if found else NAN


def _taus(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[float]:
    """Tau of every two runs that have different seeds, over the architectures that both have."""
    for seed, another in product(one.columns, other.columns):
        if seed != another:
            both = pd.concat([one[seed], other[another]], axis=1).dropna().to_numpy(float)
            if (value := kendall(both[:, 0], both[:, 1])) == value:
                yield value


def _intervals(y: np.ndarray, z: np.ndarray, archs: np.ndarray, draws: int) -> dict[str, float]:
    """Ends of the intervals of tau and of rho."""
    if not draws:
        return Comparison(Column(y), Column(z), Population({}, np.arange(len(y)))).intervals(0.95)
    ends = [end for part in bootstrap(y[:, None], z[:, None], archs, draws) for end in interval(part)]
    return {name: float(end[0, 0]) for name, end in zip(("tau_low", "tau_high", "rho_low", "rho_high"), ends)}
