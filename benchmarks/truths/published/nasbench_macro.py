"""NAS-Bench-Macro: three CIFAR-10 test accuracies of each network, each at its best test epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.truths.published.nasbench201 import single_runs
from zcbench.benchmarks.truths.sources import PublishedTruth, Source, register
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_FILE = Source(
    "nas-bench-macro",
    "xiusu/NAS-Bench-Macro",
    "61a2bfc2ca0dce04d0997e6cf498047c27d6acf2",
    "data/nas-bench-macro_cifar10.json",
    "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297",
    1178821,
    "Apache-2.0",
)


def macro(path: Path) -> pd.DataFrame:
    """Three CIFAR-10 test accuracies for each of NAS-Bench-Macro's networks, whose names are eight block digits."""
    table = json.loads(path.read_text())
    return single_runs((arch, row["test_acc"]) for arch, row in table.items())


register(
    PublishedTruth(
        "nasbench_macro/cifar10/test@50",
        (_FILE,),
        macro,
        19683,
        per_run=True,
        aggregation="single runs, each at its best test epoch",
    )
)
