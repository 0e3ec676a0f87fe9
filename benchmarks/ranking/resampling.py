"""Correlations over repeated small samples: the result of a study with few architectures."""

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.ranking.sizes import COVERED
from zcbench.errors import RankingError, unknown
from zcbench.streams import numpy_stream

COLUMNS = ("proxy", "kind", "repeats", "tau", "tau_sd", "tau_min", "tau_max", "rho", "rho_sd", "rho_min", "rho_max")


def resample(ranking: Ranking, truth: str, size: int = 50, repeats: int = 10, seed: int = 0) -> pd.DataFrame:
    """Kendall's tau-b and Spearman's rho over ``repeats`` samples of ``size`` architectures each.

    Samples are drawn without replacement among the architectures that every proxy has a value for, and are the same for
    all proxies. Dong et al., "DisWOT", CVPR 2023, arXiv:2303.15678, report means over 10 samples of 50.

    Args:
        ranking: a finished ranking.
        truth: which of its truths.
        size: architectures in a sample.
        repeats: samples.
        seed: names the stream of the samples.

    Returns:
        One row per proxy with `COLUMNS`: mean, standard deviation, least and largest of each correlation; best mean tau
        first. Supervised regressions, and what has no value for more than a tenth of the architectures, are left out.

    Raises:
        UnknownNameError: the ranking has no such truth.
        RankingError: there are fewer architectures than a sample needs.
    """
    if truth not in ranking.accuracies:
        raise unknown("truth of the ranking", truth, ranking.accuracies.columns)
    kinds = ranking.table.drop_duplicates("proxy").set_index("proxy")["kind"]
    names = [
        name
        for name in map(str, ranking.scores)
        if kinds[name] != "supervised" and ranking.scores[name].notna().mean() >= COVERED
    ]
    values = ranking.scores[names].assign(**{"": ranking.accuracies[truth]}).dropna()
    if not 3 <= size <= len(values):
        raise RankingError(
            f"Samples of {size} were asked for, and {len(values)} architectures have all values. Expected a size from "
            f"3 to that; choose another, or score more architectures."
        )
    stream = numpy_stream("resample", size, repeats, seed)
    samples = [values.iloc[stream.choice(len(values), size, replace=False)] for _ in range(repeats)]
    rows = [{"proxy": name, "kind": kinds[name], "repeats": repeats} | _correlations(samples, name) for name in names]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("tau", ascending=False, ignore_index=True)


def _correlations(samples: list[pd.DataFrame], name: str) -> dict[str, float]:
    pairs = [(sample[name].to_numpy(float), sample[""].to_numpy(float)) for sample in samples]
    found: dict[str, float] = {}
    for label, correlation in (("tau", statistics.kendall), ("rho", statistics.spearman)):
        drawn = np.array([correlation(*pair) for pair in pairs])
        spread = drawn.std(ddof=1) if len(drawn) > 1 else statistics.NAN
        found |= {label: drawn.mean(), f"{label}_sd": spread, f"{label}_min": drawn.min(), f"{label}_max": drawn.max()}
    return found
