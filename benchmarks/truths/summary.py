"""Summary of a table of trained accuracies in a few lines: the text of ``zcbench data show``."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from zcbench.benchmarks.statistics import agreed, spearman
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import DataError

_SHOWN = ("name", "space", "dataset", "split", "setting", "epochs", "aggregation", "n", "source", "licence", "sha256")
_AGREED = ("runs", "counts", "reliability", "ceiling")  # told by `_runs`


def summary(name: str | Path, data_dir: str | Path | None = None) -> dict[str, str]:
    """Content and origin of the truth of this name: heading to text, in order.

    Args:
        name: of a truth, or the path of a file of your own, as in `truth`.
        data_dir: where to look; the default is ``ZCBENCH_DATA``, then the user's data directory.

    Raises:
        UnknownNameError: no such truth is known; the message has the nearest names.
        DataError: the truth is known but not here, or damaged.
        ChecksumError: a source file is not the one it should be.

    Example:
        >>> summary("s0/cifar100/kd")["highest"]  # doctest: +SKIP
        '74.86 (557)'
    """
    table = truth(name, data_dir)
    told = {key: table.protocol.get(key) for key in _SHOWN}
    return {
        "name": str(told["name"]),
        "space": str(told["space"]),
        "data set": f"{told['dataset']}, {told['split']} images",
        "setting": f"{told['setting']}, {told['epochs']} epochs" if told["epochs"] else str(told["setting"]),
        "architectures": f"{told['n']:,}",
        **_spread(table),
        "values": str(told["aggregation"]),
        **_runs(name, data_dir),
        **{key: str(value) for key, value in table.protocol.items() if key not in (*_SHOWN, *_AGREED)},
        "source": str(told["source"]),
        "licence": str(told["licence"]),
        "sha256": ", ".join(f"{file} {digest}" for file, digest in (told["sha256"] or {}).items()),
    }


def _spread(table: TruthTable) -> dict[str, str]:
    accuracy, archs = table["accuracy"].to_numpy(float), table["arch"].tolist()
    lowest, highest = (f"{accuracy[row]:.2f} ({archs[row]})" for row in (accuracy.argmin(), accuracy.argmax()))
    return {"lowest": lowest, "median": f"{np.median(accuracy):.2f}", "highest": highest}


def _runs(name: str | Path, data_dir: str | Path | None) -> dict[str, str]:
    """Agreement of single trainings of an architecture, where they are published."""
    try:
        runs = truth(name, data_dir, per_seed=True)
    except DataError:
        return {}
    wide = runs.pivot(index="arch", columns="seed", values="accuracy")
    counts = wide.notna().sum(axis=1).value_counts().sort_index()
    texts = {"runs": ", ".join(f"{trained:,} architectures with {count}" for count, trained in counts.items())}
    correlations = list(_between_runs(wide))
    if correlations:
        spread = float(np.sqrt(np.nanmean(wide.var(axis=1, ddof=1))))
        between = f"Spearman {np.mean(correlations):.3f} between two runs"
        texts["reliability"] = f"{between}; standard deviation {spread:.2f} within an architecture"
        if "reliability" in runs.protocol:
            texts["of the mean"] = agreed(runs.protocol)
    return {**texts, "runs from": str(runs.protocol["source"])}


def _between_runs(wide: pd.DataFrame) -> Iterator[float]:
    """Rank correlation of each pair of runs over the architectures that have both."""
    for one, other in combinations(wide.columns, 2):
        both = wide[[one, other]].dropna().to_numpy(float)
        if len(both) > 2 and np.isfinite(value := spearman(both[:, 0], both[:, 1])):
            yield value
