"""TransNAS-Bench-101: seven tasks of Taskonomy, for cells (micro) and for networks of blocks (macro)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.truths.sources import PublishedTruth, Source, register
from zcbench.lazy import Postponed

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_REPOSITORY = ("tomomasayamasaki/RBFleX-NAS", "cd3a57b39f79a1007b49444a8c6e4d6f803070cd")
_FOLDER = "designspace/Trans_Micro/data/trans"
_ACCURACY, _SSIM = "top-1 accuracy in percent", "structural similarity (SSIM), at most 1"

#: Epochs and metric of every task.
TASKS = {
    "class_scene": (25, _ACCURACY),
    "class_object": (25, _ACCURACY),
    "room_layout": (25, "negative loss (mean squared error)"),
    "jigsaw": (10, _ACCURACY),
    "segmentsemantic": (30, "mean intersection over union in percent"),
    "normal": (30, _SSIM),
    "autoencoder": (30, _SSIM),
}

#: Rows, and sha256 and size of the file of every task.
FILES = {
    "micro": (
        4096,
        {
            "autoencoder": ("0d7f9f96b89df2a01d0d9d3981443b4ca51c3dd4608a53c9c3fe1c36ca9edf55", 177017),
            "class_object": ("e8c6272680466afafe0dd7afcd5f7e0ed7f6d1dcfd9976bc08227966a7a36cc8", 172849),
            "class_scene": ("7e9e15e417d3f20c70e0e9cbef3451ff4fdfba0609cf644620f4afbaf42defa8", 172962),
            "jigsaw": ("c37189d326ef63b24a646c7e2cc833af5267d1e65c7deb2f9a7431e65b079be3", 171815),
            "normal": ("d9b5fbb319ca9e96422390b78532b24ebf848b9e35d43a9f8a02e8e5d3e5cc1d", 176129),
            "room_layout": ("77c5574436352aac0a31d187cff12a5438f821d83297930b8977b28317b4a6e9", 179759),
            "segmentsemantic": ("e3759c48a99d97038595315e543dc737c4b41da9846968dbf6467e9d07fb530f", 174247),
        },
    ),
    "macro": (
        3255,
        {
            "autoencoder": ("fc11e47410ec71e4b3d3f026f673714357a9359ba90802780fc6401f6379f05e", 132412),
            "class_object": ("8f2a61f44154d049e2840f5db5bcf8021a88f7c1af75bf3a3fc4ac1c46cb01d6", 129552),
            "class_scene": ("300f360ccf1e030bbbe02bb7c52757c93ec6b091d28152a620b88627ebd722eb", 129538),
            "jigsaw": ("e0f4176e9f69c4f06b5190c3ba784e4fe9563f24c605d357d7462e1b00b0a020", 128061),
            "normal": ("c46429d898876609136f5e4f17d7f99e212c2e4387ac650eb9c8e7b03bf556b8", 131867),
            "room_layout": ("1a0a5ccbb0de5510a410a170ddab2a9ccbcd2e37c79019e2527fdec3f40cc138", 135145),
            "segmentsemantic": ("f1f1f6867c040c2ab7cc1ab6789217cd310d347b30e27c4e6f802349cf44a60b", 131016),
        },
    ),
}


def transnas(path: Path) -> pd.DataFrame:
    """One figure of every architecture, from a list of pairs of architecture and figure."""
    return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")), columns=["arch", "accuracy"])


def _register(kind: str, task: str, rows: int, sha256: str, size: int) -> None:
    epochs, metric = TASKS[task]
    name = f"{kind}_{task}"
    source = Source(f"transnas-bench-101:{name}", *_REPOSITORY, f"{_FOLDER}/{name}.json", sha256, size, "MIT")
    register(
        PublishedTruth(
            f"transnas_{kind}/{task}/test@{epochs}",
            (source,),
            transnas,
            rows,
            aggregation="values as published, one training each",
            notes=(("quantity", metric), ("images", "Taskonomy, 256x256")),
        )
    )


for _kind, (_rows, _files) in FILES.items():
    for _task, (_sha256, _size) in _files.items():
        _register(_kind, _task, _rows, _sha256, _size)
