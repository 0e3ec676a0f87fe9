"""Files of architectures and accuracies that commands are given."""

from pathlib import Path

import pandas as pd

import zcbench.spaces
from zcbench.streams import numpy_stream


def write_cells(folder: Path, space: str, truth: str) -> None:
    """Write ``archs.txt``, twelve architectures, and ``truth``, an invented accuracy that grows with their MACs."""
    chosen = zcbench.spaces.get(space)
    archs = chosen.sample(numpy_stream("tests"), 12, subset="unique")
    (folder / "archs.txt").write_text("\n".join(archs))
    accuracy = [50 + chosen.macs(arch) / 1e6 for arch in archs]
    pd.DataFrame({"arch": archs, "accuracy": accuracy}).to_csv(folder / truth, index=False)
