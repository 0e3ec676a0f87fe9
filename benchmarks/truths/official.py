"""Read the benchmark authors' own files through their own packages, ``nas-bench-201`` and ``nats-bench``.

Both packages answer with the 12-epoch recipe and one random run unless told otherwise; here every query names its
recipe (``hp``) and averages over all runs (``is_random=False``). Both formats are pickles, so files are read by
readers that run no code. A file with other content is only opened with ``trust=True``, or with the sha256 that it must
have.
"""

import bz2
import importlib
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch

from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.sources import sha256 as checksum
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import ChecksumError, DataError
from zcbench.storage.pickles import loads

RECIPES = (12, 200)
_Api = Any  # of the authors' packages, which state no types
_KEYS = ("meta_archs", "arch2infos", "evaluated_indexes")
_VIEWS = (  # truth's data set and split; the packages' name for that training, and for its result
    ("cifar10", "valid", "cifar10-valid", "valid-accuracy"),
    ("cifar10", "test", "cifar10", "test-accuracy"),
    ("cifar100", "valid", "cifar100", "valid-accuracy"),
    ("cifar100", "test", "cifar100", "test-accuracy"),
    ("cifar100", "valid+test", "cifar100", "valtest-accuracy"),
    ("imagenet16-120", "valid", "ImageNet16-120", "valid-accuracy"),
    ("imagenet16-120", "test", "ImageNet16-120", "test-accuracy"),
    ("imagenet16-120", "valid+test", "ImageNet16-120", "valtest-accuracy"),
)


def from_nas_bench_201(
    source: str | Path | Mapping[str, object], trust: bool = False, sha256: str | None = None
) -> dict[str, TruthTable]:
    """Every truth in an official ``NAS-Bench-201-v1_*.pth`` file, or in the dictionary that it holds.

    The full file takes about 28 GB of memory: convert it once, store the tables, and query those.

    Returns:
        Tables of means over runs, by name: ``nasbench201/cifar10/test@200`` and the others that the file has.

    Raises:
        DataError: the file is missing, damaged, or holds more than plain data and is not trusted, or the package
            ``nas-bench-201`` is not installed.
        ChecksumError: the file does not have the ``sha256`` that was given.
    """
    package = _package("nas_201_api", "nas-bench-201")
    content: object
    content, about = (source, "a dictionary") if isinstance(source, Mapping) else (None, str(source))
    if content is None:
        content = _load_pth(Path(about), trust, sha256)
    if not isinstance(content, Mapping) or any(key not in content for key in _KEYS):
        raise DataError(f"{about} is no NAS-Bench-201 file. Expected a dictionary with the keys {', '.join(_KEYS)}.")
    api = package.NASBench201API(dict(content), verbose=False)
    hashes = {Path(about).name: sha256} if sha256 else {}
    return _tables(api, list(api.evaluated_indexes), {"source": f"NAS-Bench-201: {about}", "sha256": hashes})


def from_nats_bench(folder: str | Path, trust: bool = False) -> dict[str, TruthTable]:
    """Every truth in an official NATS-Bench topology folder (``NATS-tss-v1_0-3ffb9-simple``).

    Returns:
        Tables of means over runs, by name: ``nasbench201/cifar10/test@200`` and the others that the folder has.

    Raises:
        DataError: the folder is missing, damaged, or holds more than plain data and is not trusted, or the package
            ``nats-bench`` is not installed.
    """
    package, top = _package("nats_bench", "nats-bench"), Path(folder)
    if not (top / "meta.pickle.pbz2").is_file():
        raise DataError(f"{str(folder)!r} is no NATS-Bench folder: meta.pickle.pbz2 is missing. Check the path.")
    indexes = sorted(int(path.name[:6]) for path in top.glob("[0-9]" * 6 + ".pickle.pbz2"))
    try:
        content = str(top) if trust else _plain_folder(top, indexes)
        api = package.create(content, "tss", fast_mode=trust, verbose=False)
        return _tables(api, indexes, {"source": f"NATS-Bench: {folder}", "sha256": {}})
    except (OSError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"A file in {str(folder)!r} is damaged: {error}. Unpack the official archive again.") from error


def _tables(api: _Api, indexes: list[int], about: Mapping[str, object]) -> dict[str, TruthTable]:
    rows: dict[str, list[dict[str, object]]] = {}
    for index in indexes:
        for name, row in _results(api, index):
            rows.setdefault(name, []).append(row)
    return {name: TruthTable.from_rows(found, _protocol(name, about)) for name, found in rows.items()}


def _results(api: _Api, index: int) -> Iterator[tuple[str, dict[str, object]]]:
    """The name of a truth and this architecture's row in it, for each result that the benchmark has."""
    for epochs in RECIPES:
        for task in dict.fromkeys(view[2] for view in _VIEWS):
            try:
                result = api.get_more_info(index, task, hp=str(epochs), is_random=False)
            except KeyError:  # this recipe was not trained on this data set
                continue
            n_runs = len(api.arch2infos_dict[index][str(epochs)].get_dataset_seeds(task))
            for dataset, split, trained, key in _VIEWS:
                if trained == task and key in result:
                    row = {"arch": api.arch(index), "accuracy": float(result[key]), "n_runs": n_runs}
                    yield f"nasbench201/{dataset}/{split}@{epochs}", row


def _protocol(name: str, about: Mapping[str, object]) -> dict[str, object]:
    parts = TruthName.parse(name).parts()
    return {"name": name, **about, "licence": "MIT", **parts, "setting": "vanilla", "aggregation": "mean over runs"}


def _package(module: str, distribution: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"The official reader {distribution!r} is not installed. Run 'pip install zcbench[official]'."
        ) from error


def _plain_folder(top: Path, indexes: list[int]) -> dict[str, object]:
    """What a NATS-Bench folder holds, as the package takes it, read without running anything.

    Raises:
        DataError: a file holds more than plain data.
    """
    content = dict(cast("Mapping[str, object]", _plain(top / "meta.pickle.pbz2")))
    return {**content, "arch2infos": {index: _plain(top / f"{index:06d}.pickle.pbz2") for index in indexes}}


def _plain(path: Path) -> object:
    try:
        return loads(bz2.decompress(path.read_bytes()))
    except DataError as error:
        raise _untrusted(path, str(error)) from error


def _untrusted(path: Path, why: str) -> DataError:
    return DataError(
        f"{str(path)!r} is a pickle that cannot be read as plain data: {why} Opening it would run what is in it. "
        f"Nothing was run. If it comes from the authors' own release, say trust=True, or give the sha256 it must have."
    )


def _load_pth(path: Path, trust: bool, sha256: str | None) -> object:
    """What a ``.pth`` file holds; only a trusted one may hold more than plain data."""
    if sha256 is not None and (found := checksum(path)) != sha256:
        raise ChecksumError(f"{str(path)!r} has the sha256 {found}. Expected {sha256}. Download the file again.")
    try:
        return torch.load(path, map_location="cpu", weights_only=not (trust or sha256))
    except (OSError, EOFError, RuntimeError, ValueError, LookupError) as error:
        raise DataError(f"Cannot read {str(path)!r}: {error}. Check the path, or download the file again.") from error
    except pickle.UnpicklingError as error:
        if trust or sha256:
            raise DataError(f"Cannot read {str(path)!r}: {error}. Download the file again.") from error
        raise _untrusted(path, "it asks for more than tensors, numbers and text.") from error
