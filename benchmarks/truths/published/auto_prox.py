"""Auto-Prox's vision transformers, AutoFormer and PiT: trained alone, under a teacher, and the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zcbench import spaces
from zcbench.benchmarks.truths.sources import Source, difference, register, three_settings
from zcbench.errors import ArchitectureError, DataError
from zcbench.lazy import Postponed
from zcbench.spaces import ProductSpace
from zcbench.storage import pickles

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Postponed("pandas")

_Configuration = Mapping[str, Any]  # as the file holds it
_REPOSITORY = ("lilujunai/Auto-Prox-AAAI24", "90ed458eff6948a6f0d23e440a8d21bbec50d091")


def _file(name: str, sha256: str, size: int) -> Source:
    return Source(f"auto-prox-vit:{name}", *_REPOSITORY, f"gt_results/gt_{name}.pth", sha256, size, "Apache-2.0")


_AUTOFORMER = _file("autoformer", "712ad277546d9f7f565ce07885be7e0b98dcd8d0724fdd1120f595b517436eca", 26671)
_AUTOFORMER_2 = _file("autoformer_2", "05f5df6a41f338fb5f47eafebfc8758c75e451606856b278ccda1c60b26e7bca", 23983)
_PIT = _file("pit", "bdda89841d4105f99ab759e3243e7a2402929ba7a8430dac12a50256aa533bb2", 12271)


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
    return difference(under, alone)


def _entries(path: Path) -> list[object]:
    content = pickles.load_checkpoint(path)
    if not isinstance(content, list):
        raise DataError(f"{str(path)!r} holds a {type(content).__name__}. Expected a list of rows; fetch it again.")
    return content


def _auto_prox_row(path: Path, number: int, entry: object, space: str, column: str) -> tuple[str, float | None]:
    try:
        row = cast("_Configuration", entry)
        return _CONFIGURATIONS[space](row["arch"]), row[column]
    except (ArchitectureError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{str(path)!r}, row {number}: Expected a configuration of {space} under 'arch' and an accuracy under "
            f"{column!r}; fetch the file again. ({type(error).__name__}: {error})"
        ) from error


def _autoformer_string(given: _Configuration) -> str:
    layers = zip(given["mlp_ratio"], given["num_heads"], strict=True)
    values = [f"{value:g}" for layer in layers for value in layer]
    if len(values) != 2 * given["depth"]:
        raise ValueError(f"a depth of {given['depth']} for {len(values) // 2} layers")
    return _written("autoformer", f"{given['hidden_dim']}", *values)


def _pit_string(given: _Configuration) -> str:
    heads = "-".join(map(str, given["num_heads"]))
    return _written("pit", str(given["base_dim"]), str(given["mlp_ratio"]), *map(str, given["depth"]), heads)


def _written(name: str, *values: str) -> str:
    """String of the architecture with these values, once it is known to be of the space."""
    space = spaces.get(name)
    assert isinstance(space, ProductSpace)
    return space.canonical(space.write(values))


_CONFIGURATIONS: dict[str, Callable[[_Configuration], str]] = {"autoformer": _autoformer_string, "pit": _pit_string}

_NOTES = (
    ("images", "not stated in the files; the repository's configurations have the test images"),
    ("schedule", "not stated in the files; the repository's configurations have 300 epochs and images of 224x224"),
)
_TEACHER = "not stated in the files; the repository's configurations have a ResNet-56 on 32x32 images"
_DATASETS = {"cifar100": "c100", "flowers": "flower", "chaoyang": "chaoyang"}  # -> the beginning of its columns


def _register(space: str, first: Source, *others: Source) -> None:
    """The truths of one space; only the networks of the first file were trained without a teacher too."""
    files = (first, *others)
    for dataset, column in _DATASETS.items():
        alone, under = (partial(auto_prox, space=space, column=f"{column}_{kind}_acc") for kind in ("base", "kd"))
        gain = partial(auto_prox_gain, space=space, dataset=column)
        parts = ((first,), alone, 100), (files, under, 100 * len(files)), ((first,), gain, 100)
        register(*three_settings(f"{space}/{dataset}/test", *parts, notes=_NOTES, teacher=_TEACHER))


_register("autoformer", _AUTOFORMER, _AUTOFORMER_2)
_register("pit", _PIT)
