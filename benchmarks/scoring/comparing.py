"""Differences between two sets of scores of the same proxies, and their effect on tau."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.scoring.packing import Scores
from zcbench.errors import RankingError

COLUMNS = ("proxy", "n", "median_difference", "largest_difference", "tau_between")


def compare(first: Scores, second: Scores, truths: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    r"""Difference of two sets of scores, proxy by proxy, over the architectures and seeds that both have.

    .. math::  d_i = \lvert a_i - b_i \rvert \, / \, \lvert b_i \rvert

    Args:
        first: scores a, as `zcbench.benchmarks.scoring.bundled.load` gives them.
        second: scores b.
        truths: accuracies by name, columns ``arch, accuracy``.

    Returns:
        One row per proxy that both have at the same version: ``n`` pairs that are ok in both; median and largest
        relative difference, in shares of one; tau-b between the two; and for each truth ``TRUTH: first`` and
        ``TRUTH: second``, tau-b of each with the accuracies, not oriented. NaN where undefined.

    Raises:
        RankingError: they have no pair in common.
    """
    keys = ["arch", "seed", "proxy", "version"]
    ok = [frame[frame["status"] == "ok"].set_index(keys)["value"] for _, frame, _ in (first, second)]
    pairs = pd.concat(ok, axis=1, join="inner", keys=["first", "second"]).reset_index()
    if pairs.empty:
        raise RankingError(
            "The two sets of scores have no architecture, seed and proxy in common. Expected runs of the same "
            "architectures; name two such."
        )
    return pd.DataFrame([_row(str(name), part, truths) for name, part in pairs.groupby("proxy")])


def _row(name: str, pairs: pd.DataFrame, truths: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    one, other = pairs["first"].to_numpy(float), pairs["second"].to_numpy(float)
    scale = np.abs(other)
    relative = np.divide(np.abs(one - other), scale, out=np.zeros_like(one), where=one != other)
    row: dict[str, object] = {
        "proxy": name,
        "n": len(pairs),
        "median_difference": float(np.median(relative)),
        "largest_difference": float(relative.max()),
        "tau_between": statistics.kendall(one, other),
    }
    for truth, table in truths.items():
        accuracy = table.set_index("arch")["accuracy"].reindex(pairs["arch"]).to_numpy(float)
        known = np.isfinite(accuracy)
        row[f"{truth}: first"] = statistics.kendall(one[known], accuracy[known])
        row[f"{truth}: second"] = statistics.kendall(other[known], accuracy[known])
    return row
