"""One row of the ranking table: every statistic of one proxy against one truth."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.evidence import Evidence, common, coverage
from zcbench.benchmarks.ranking.sizes import CONTROLS
from zcbench.benchmarks.scoring.resamples import tau_spread

Row = dict[str, object]
"""One row of the ranking table, by column."""


def rows(evidence: Evidence, archs: list[str], k: float) -> dict[tuple[int, int], Row]:
    """All rows of a set of architectures, by the places of truth and proxy, without intervals and reliability.

    The truths of one proxy follow each other, since they share computations.

    Args:
        evidence: scores, accuracies and sizes.
        archs: the set.
        k: size of the top: a number, or a share of n if below 1.
    """
    shared = {truth: common(evidence, truth, archs) for truth in evidence.accuracies.columns}
    return {
        (t, p): _row(evidence, proxy, truth, archs, k, shared[truth]) | {"truth": truth}
        for p, proxy in enumerate(evidence.values.columns)
        for t, truth in enumerate(evidence.accuracies.columns)
        if evidence.learned.get(proxy, truth) == truth
    }


def _row(evidence: Evidence, proxy: str, truth: str, archs: list[str], k: float, shared: "pd.Index[str]") -> Row:
    """One row of the table, without intervals and reliability."""
    accuracy = evidence.accuracies.loc[archs, truth].dropna()
    score = evidence.values.loc[accuracy.index, proxy].dropna()
    x, y = score.to_numpy(), accuracy[score.index].to_numpy()
    sizes = {name: evidence.sizes.loc[score.index, name].to_numpy() for name in CONTROLS}
    row = _statistics(x, y, sizes["macs"], k) | _partials(x, y, sizes)
    row |= {"n_common": len(shared), "tau_common": _tau_over(shared, score, accuracy)}
    row |= tau_spread(evidence.trials[proxy].loc[score.index], y)
    about = dict(evidence.about.loc[proxy])
    share, made = coverage(evidence, proxy, accuracy.index)
    notes = [about["note"], made, *_notes(x, y, row)]
    if len(accuracy) < len(archs):
        notes.append(f"accuracy known for {len(accuracy)} of {len(archs)}")
    return about | row | {"proxy": proxy, "n": len(x), "coverage": share, "note": "; ".join(filter(None, notes))}


def _tau_over(shared: "pd.Index[str]", score: pd.Series, accuracy: pd.Series) -> float:
    """Tau-b over some architectures; NaN where one of them has no score."""
    if not shared.isin(score.index).all():
        return statistics.NAN
    return _correlation("tau", score[shared].to_numpy(), accuracy[shared].to_numpy())


def _statistics(x: statistics.Array, y: statistics.Array, macs: statistics.Array, k: float) -> dict[str, float]:
    best, worst = statistics.ranks_at_k(x, y, k)
    return {
        "tau": _correlation("tau", x, y),
        "rho": _correlation("rho", x, y),
        "pearson": statistics.pearson(x, y),
        "weighted_tau": statistics.weighted_kendall(x, y),
        "ndcg": statistics.ndcg(x, y),
        "precision_at_k": statistics.precision_at_k(x, y, k),
        "k": statistics.count(k, len(x)),
        "best_rank_at_k": best,
        "worst_rank_at_k": worst,
        "regret": statistics.regret(x, y),
        "tau_top10": statistics.top_kendall(x, y),
        "tau_within_macs_bins": statistics.kendall_within_bins(x, y, macs),
        "information_gain": statistics.information_gain(x, y, macs),
    }


def _partials(x: statistics.Array, y: statistics.Array, sizes: Mapping[str, statistics.Array]) -> dict[str, float]:
    together = {"rho_given_sizes": statistics.partial_spearman(x, y, sizes["params"], sizes["macs"])}
    return together | {
        f"{label}_given_{name}": statistics.partial(*(_correlation(label, *pair) for pair in ((x, y), (x, z), (y, z))))
        for label in ("tau", "rho")
        for name, z in sizes.items()
    }


def _correlation(label: str, one: statistics.Array, other: statistics.Array) -> float:
    """Tau-b or rho of two columns, cached for the rows that follow each other."""
    return _of_bytes(label, one.tobytes(), other.tobytes())


@lru_cache(maxsize=64)
def _of_bytes(label: str, one: bytes, other: bytes) -> float:
    correlation = {"tau": statistics.kendall, "rho": statistics.spearman}[label]
    return correlation(np.frombuffer(one), np.frombuffer(other))


def _notes(x: statistics.Array, y: statistics.Array, row: Mapping[str, float]) -> list[str]:
    """Reasons of missing numbers."""
    if len(x) < 3:
        return ["fewer than 3 values"]
    if statistics.constant(x, y):
        return ["constant" if statistics.constant(x) else "constant accuracy"]
    return [f"not separable from {name}" for name in CONTROLS if np.isnan(row[f"tau_given_{name}"])]
