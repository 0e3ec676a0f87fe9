"""Teacher-student pairs on CIFAR-100: accuracies of 13 pairs under 14 distillers, of the student alone and the gain.

Figures of the tables of two public repositories, transcribed into one file: HobbitLong/RepDistiller (BSD-2-Clause) and
megvii-research/mdistiller (MIT; ``dkd`` alone). A setting is a distiller; ``kd`` is Hinton's. Of mdistiller the pair
``resnet32x4:mobilenetv2`` is left out: its heading is probably wrong, and its accuracies alone are not stated.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.truths.sources import PublishedTruth, Source, difference, register
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_SOURCE = Source(
    "kd-cifar100-tables",
    "HobbitLong/RepDistiller",
    "b84f547c5db6a35318d4671d7d5c4de74c822403",
    "cifar100_pairs.csv",
    "c19e41789e194af3e9ec62e1ff075b858a64dd03a828a71fd57ca5e705231be5",
    9310,
    "BSD-2-Clause, MIT (dkd); transcribed from the READMEs of HobbitLong/RepDistiller and megvii-research/mdistiller",
    transcribed=True,
)

#: Method in the file, and number of pairs, of every setting.
METHODS = {
    "kd": ("KD", 13),
    "fitnet": ("FitNet", 13),
    "at": ("AT", 13),
    "sp": ("SP", 13),
    "cc": ("CC", 13),
    "vid": ("VID", 13),
    "rkd": ("RKD", 13),
    "pkt": ("PKT", 13),
    "ab": ("AB", 13),
    "ft": ("FT", 13),
    "fsp": ("FSP", 6),
    "nst": ("NST", 13),
    "crd": ("CRD", 13),
    "dkd": ("DKD", 10),
}


def distilled(path: Path, method: str) -> pd.DataFrame:
    """Accuracy of the student of each pair, ``teacher:student``, under one method."""
    table = pd.read_csv(path)
    rows = table[(table["method"] == method) & table[["teacher_top1", "student_top1"]].notna().all(axis=1)]
    return _named(rows, "student_top1")


def alone(path: Path) -> pd.DataFrame:
    """Accuracy of the student of each pair, trained without the teacher."""
    rows = pd.read_csv(path)
    return _named(rows[rows["method"] == "KD"], "student_vanilla_top1")


def gain(path: Path, method: str = "KD") -> pd.DataFrame:
    """Accuracy under one method minus that without a teacher."""
    return difference(distilled(path, method), alone(path))


def _named(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return pd.DataFrame({"arch": rows["teacher"] + ":" + rows["student"], "accuracy": rows[column]})


_NOTES = (("teacher", "that of each pair, trained"), ("recipe", "240 epochs, SGD, batch 64; see the READMEs"))
_MEAN = "values as published: means over runs, how many is not stated for each"

register(
    PublishedTruth("pairs/cifar100/test@240", (_SOURCE,), alone, 13, aggregation=_MEAN),
    PublishedTruth(
        "pairs/cifar100/test/gain@240",
        (_SOURCE,),
        gain,
        13,
        aggregation="differences of published values",
        notes=(("quantity", "accuracy under kd minus accuracy without, in percentage points"), *_NOTES),
    ),
    *(
        PublishedTruth(
            f"pairs/cifar100/test/{setting}@240",
            (_SOURCE,),
            partial(distilled, method=method),
            rows,
            aggregation=_MEAN,
            notes=_NOTES,
        )
        for setting, (method, rows) in METHODS.items()
    ),
)
