"""One function per public source: its file in, plain rows out.

Each returns a frame with the columns ``arch`` and ``accuracy`` (percent), with ``seed`` where the source gives single
runs, and with ``n_runs`` where it tells how many runs a mean is over. None of the sources names the seeds it trained
with, so ``seed`` numbers the runs of an architecture from 0 in the source's order.
"""

import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zcbench import spaces
from zcbench.errors import ArchitectureError, DataError
from zcbench.spaces import ProductSpace
from zcbench.storage import pickles

_CELL = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_NASLIB_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NASLIB_EDGES = (0, 1, 3, 2, 4, 5)  # NASLib lists edges by their start, NAS-Bench-201 by their end


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
    return _runs((_CELL.format(*(_OPS[op] for op in ops)), accuracies) for ops, accuracies in runs.items())


def mini(path: Path, column: str) -> pd.DataFrame:
    """Accuracies after 12 epochs from ``mini-bench-arch-cell-accs.pd``; ``column`` is one of its own."""
    table = pickles.load(path)
    return pd.DataFrame({"arch": table["cellstr"], "accuracy": table[column].astype(float)})


def macro(path: Path) -> pd.DataFrame:
    """Three CIFAR-10 test accuracies for each of NAS-Bench-Macro's networks, whose names are eight block digits."""
    table = json.loads(path.read_text())
    return _runs((arch, row["test_acc"]) for arch, row in table.items())


def s0(path: Path) -> pd.DataFrame:
    """CIFAR-100 accuracies of DisWOT's 64 ResNets from ``s1-gt-*.txt``: an architecture and its accuracy in each line.

    Raises:
        DataError: a line holds anything else.
    """
    rows = [_s0_row(path, number, line) for number, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    return pd.DataFrame(rows, columns=["arch", "accuracy"])


def s0_gain(under: Path, alone: Path) -> pd.DataFrame:
    """What distillation adds to each of the 64, in percentage points."""
    return _difference(s0(under), s0(alone))


def auto_prox(*paths: Path, space: str, column: str) -> pd.DataFrame:
    """One accuracy of the transformers in ``gt_*.pth``, those that have it; ``column`` is one of the files' own.

    Raises:
        DataError: a file is damaged, runs code when it is loaded, or a row holds no configuration of the space.
    """
    rows = [
        row
        for path in paths
        for number, entry in enumerate(_entries(path))
        if (row := _auto_prox_row(path, number, entry, space, column))[1] is not None
    ]
    return pd.DataFrame(rows, columns=["arch", "accuracy"])


def auto_prox_gain(path: Path, space: str, dataset: str) -> pd.DataFrame:
    """What distillation adds to each transformer, in percentage points."""
    under, alone = (auto_prox(path, space=space, column=f"{dataset}_{kind}_acc") for kind in ("kd", "base"))
    return _difference(under, alone)


def hardware(path: Path) -> pd.DataFrame:
    """Latency (ms) and energy (mJ) on six devices from ``hw_*.csv``; NaN where a device could not run the network."""
    table = pd.read_csv(path).replace(-1, np.nan)
    return table.assign(net=[_from_naslib(net) for net in table["net"]]).rename(columns={"net": "arch"})


def _from_naslib(net: str) -> str:
    ops = ast.literal_eval(net)
    return _CELL.format(*(_NASLIB_OPS[ops[edge]] for edge in _NASLIB_EDGES))


def _runs(table: Iterable[tuple[str, list[float]]]) -> pd.DataFrame:
    """Rows arch, seed, accuracy from the list of accuracies that each architecture has."""
    rows = [(arch, seed, accuracy) for arch, runs in table for seed, accuracy in enumerate(runs)]
    return pd.DataFrame(rows, columns=["arch", "seed", "accuracy"])


def _difference(more: pd.DataFrame, less: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of ``more`` minus those of ``less`` for the architectures of both, rounded as the sources are."""
    both = more.merge(less, on="arch", suffixes=("", "_less"), validate="one_to_one")
    return both.assign(accuracy=(both["accuracy"] - both["accuracy_less"]).round(4))[["arch", "accuracy"]]


def _s0_row(path: Path, number: int, line: str) -> tuple[str, float]:
    try:
        arch, accuracy = line.split()
        spaces.get("s0").parse(arch)
        return arch, float(accuracy)
    except ValueError as error:  # ArchitectureError is one
        raise DataError(
            f"{str(path)!r}, line {number}: {line!r} was given. Expected a network of S0 and its accuracy, such as "
            f"'557 74.86'; fetch the file again. ({error})"
        ) from error


def _entries(path: Path) -> list[Any]:
    content = pickles.load_checkpoint(path)
    if not isinstance(content, list):
        raise DataError(f"{str(path)!r} holds a {type(content).__name__}. Expected a list of rows; fetch it again.")
    return content


def _auto_prox_row(path: Path, number: int, entry: Any, space: str, column: str) -> tuple[str, float | None]:
    try:
        return _CONFIGURATIONS[space](entry["arch"]), entry[column]
    except (ArchitectureError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{str(path)!r}, row {number}: Expected a configuration of {space} under 'arch' and an accuracy under "
            f"{column!r}; fetch the file again. ({type(error).__name__}: {error})"
        ) from error


def _autoformer_string(given: Mapping[str, Any]) -> str:
    layers = zip(given["mlp_ratio"], given["num_heads"], strict=True)
    values = [f"{value:g}" for layer in layers for value in layer]
    if len(values) != 2 * given["depth"]:
        raise ValueError(f"a depth of {given['depth']} for {len(values) // 2} layers")
    return _written("autoformer", f"{given['hidden_dim']}", *values)


def _pit_string(given: Mapping[str, Any]) -> str:
    heads = "-".join(map(str, given["num_heads"]))
    return _written("pit", str(given["base_dim"]), str(given["mlp_ratio"]), *map(str, given["depth"]), heads)


def _written(name: str, *values: str) -> str:
    """String of the architecture with these values, once it is known to be of the space."""
    space = spaces.get(name)
    assert isinstance(space, ProductSpace)
    return space.canonical(space.write(values))


_CONFIGURATIONS = {"autoformer": _autoformer_string, "pit": _pit_string}
