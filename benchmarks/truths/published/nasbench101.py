"""NAS-Bench-101: CIFAR-10 test accuracy of all 423,624 cells after 108 epochs, mean of three runs."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench import spaces
from zcbench.benchmarks.truths.sources import PublishedTruth, Source, register
from zcbench.errors import DataError
from zcbench.lazy import Postponed
from zcbench.storage import pickles

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_UNPACKED = 100_000_000  # bytes; the file has 10 million

_FILE = Source(
    "nasbench101",
    "NiccoloCavagnero/FreeREA",
    "9c2a726cd3adf526c43ae52a515a8fc5ea927fe7",
    "cached_metrics/nasbench101/cifar10/accuracies.pkl.gz",
    "84bcca117040f6f499e81743baee1ffaa3865f014bc7489fb1833dc06905f55e",
    1844769,
    "MIT; numbers from google-research/nasbench (Apache-2.0)",
)


def nasbench101(path: Path) -> pd.DataFrame:
    """Accuracies whose row i is the cell with the i-th smallest fingerprint, which is the order of the space.

    Raises:
        DataError: the file is damaged, or does not hold as many accuracies as there are cells.
    """
    cells = spaces.get("nasbench101").subset()
    try:
        with gzip.open(path) as stream:
            table = pickles.loads(stream.read(_UNPACKED))
        accuracies = 100 * table["accuracy"].to_numpy(dtype=float)
    except (OSError, EOFError, zlib.error, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {error}. Fetch it again.") from error
    if len(accuracies) != len(cells):
        raise DataError(f"{str(path)!r} has {len(accuracies):,} accuracies. Expected {len(cells):,}; fetch it again.")
    return pd.DataFrame({"arch": cells, "accuracy": accuracies})


register(
    PublishedTruth(
        "nasbench101/cifar10/test@108",
        (_FILE,),
        nasbench101,
        423_624,
        aggregation="mean over 3 runs",
        notes=(("cells", "not in the file; row i is the cell with the i-th smallest fingerprint"),),
    )
)
