"""The official files: small ones written in the official formats, read back through the authors' own packages."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from zcbench import spaces
from zcbench.benchmarks.truths import data
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.official import from_nas_bench_201, from_nats_bench
from zcbench.errors import ChecksumError, DataError

nas_201 = pytest.importorskip("nas_201_api.api_utils", reason="needs the extra 'official'")
nats = pytest.importorskip("nats_bench.api_utils", reason="needs the extra 'official'")

SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
SEEDS = {12: (777,), 200: (777, 888, 999)}


def accuracy(index: int, epochs: int, dataset: str, split: str, seed: int) -> float:
    """Last-epoch accuracy that the synthetic benchmark holds."""
    return 20 + index + epochs / 10 + 2 * list(SETS).index(dataset) + len(split) / 10 + (seed - 777) / 111


def results(package: Any, index: int, arch: str, epochs: int) -> dict[str, Any]:
    """State of one architecture's results, built by the authors' own classes."""
    archive = package.ArchResults(index, arch)
    for dataset, splits in SETS.items():
        for seed in SEEDS[epochs]:
            curve = dict.fromkeys(range(epochs), 10.0)
            run = package.ResultsCount(dataset, None, curve, curve, 1.5, 220.0, {"arch_str": arch}, seed, epochs, None)
            run.update_train_info(curve, curve, curve, curve)
            for split in splits:
                last = {f"{split}@{i}": 1.0 for i in range(epochs)}
                last[f"{split}@{epochs - 1}"] = np.float64(accuracy(index, epochs, dataset, split, seed))
                run.update_eval(last, last, last)
            archive.update(dataset, seed, run)
    return archive.state_dict()


@pytest.fixture(scope="module")
def archs() -> list[str]:
    return list(spaces.get("nasbench201"))[:3]


@pytest.fixture(scope="module")
def pth(archs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    infos = OrderedDict(
        (i, {"less": results(nas_201, i, arch, 12), "full": results(nas_201, i, arch, 200)})
        for i, arch in enumerate(archs)
    )
    path = tmp_path_factory.mktemp("official") / "NAS-Bench-201-small.pth"
    torch.save({"meta_archs": archs, "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}, path)
    return path


@pytest.fixture(scope="module")
def tss(archs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("NATS-tss-small-simple")
    nats.pickle_save({"meta_archs": archs, "evaluated_indexes": {0, 1, 2}}, str(folder / "meta.pickle"))
    for i, arch in enumerate(archs):
        state = {"12": results(nats, i, arch, 12), "200": results(nats, i, arch, 200)}
        nats.pickle_save(state, str(folder / f"{i:06d}.pickle"))
    return folder


@pytest.mark.parametrize("kind", ["pth", "tss"])
@pytest.mark.parametrize(
    ("name", "dataset", "split", "epochs"),
    [
        ("nasbench201/cifar10/test@200", "cifar10", "ori-test", 200),
        ("nasbench201/cifar10/valid@200", "cifar10-valid", "x-valid", 200),
        ("nasbench201/cifar100/test@200", "cifar100", "x-test", 200),
        ("nasbench201/cifar100/valid@12", "cifar100", "x-valid", 12),
        ("nasbench201/imagenet16-120/test@12", "ImageNet16-120", "x-test", 12),
        ("nasbench201/imagenet16-120/valid+test@200", "ImageNet16-120", "ori-test", 200),
    ],
)
def test_means_of_the_right_recipe_and_split(
    request: pytest.FixtureRequest, archs: list[str], kind: str, name: str, dataset: str, split: str, epochs: int
) -> None:
    """Closed form: the mean over all seeds of the last epoch, as it was written; both packages agree."""
    read = from_nas_bench_201 if kind == "pth" else from_nats_bench
    tables = read(request.getfixturevalue(kind), trust=True)
    means = [np.mean([accuracy(i, epochs, dataset, split, seed) for seed in SEEDS[epochs]]) for i in range(3)]
    assert tables[name]["accuracy"].tolist() == pytest.approx(means)
    assert tables[name]["arch"].tolist() == archs
    assert tables[name]["n_runs"].tolist() == [len(SEEDS[epochs])] * 3
    assert len(tables) == 16


def test_stored_and_looked_up(pth: Path, tss: Path, tmp_path: Path) -> None:
    """Invariance: importing either kind of official file makes the same truth."""
    for name, path in (("a", pth), ("b", tss)):
        assert len(data.import_official(path, tmp_path / name, trust=True)) == 16
    one, other = (truth("nasbench201/cifar10", tmp_path / name) for name in "ab")
    assert one["accuracy"].tolist() == pytest.approx(other["accuracy"].tolist())


def test_a_recipe_that_was_not_trained_is_left_out(pth: Path) -> None:
    """Oracle: without its 12-epoch CIFAR-100 runs, the file has three tables fewer, as its first release did."""
    content = torch.load(pth, weights_only=False)
    for info in content["arch2infos"].values():
        info["less"]["dataset_seed"].pop("cifar100")
    tables = from_nas_bench_201(content)
    assert len(tables) == 13
    assert not any("cifar100" in name and name.endswith("@12") for name in tables)


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_a_folder_of_plain_data_needs_no_trust(tss: Path) -> None:
    """Invariance: the reader that runs nothing gives the same tables as the package's own."""
    plain, trusted = from_nats_bench(tss), from_nats_bench(tss, trust=True)
    assert plain.keys() == trusted.keys()
    for name, table in plain.items():
        pd.testing.assert_frame_equal(pd.DataFrame(table), pd.DataFrame(trusted[name]))


def test_untrusted_files_run_nothing(pth: Path, tss: Path, tmp_path: Path) -> None:
    """By construction: a payload that would create a file; without trust or a checksum an error says what to do."""
    mark = tmp_path / "it-ran"
    for file in tss.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    nats.pickle_save({"12": Payload(mark)}, str(tmp_path / "000001.pickle"))
    torch.save(Payload(mark), tmp_path / "bad.pth")
    for read, path in ((from_nas_bench_201, tmp_path / "bad.pth"), (from_nats_bench, tmp_path)):
        with pytest.raises(DataError, match=r"Nothing was run.*trust=True"):
            read(path)
    assert not mark.exists()
    with pytest.raises(DataError, match=r"more than tensors.*trust=True"):
        from_nas_bench_201(pth)
    with pytest.raises(ChecksumError):
        from_nas_bench_201(pth, sha256="0" * 64)
    assert from_nas_bench_201(pth, sha256=hashlib.sha256(pth.read_bytes()).hexdigest())


def test_damaged_official_files_are_named(pth: Path, tss: Path, tmp_path: Path) -> None:
    """Oracle: a cut file, a dictionary of something else, a folder without its index."""
    cut = tmp_path / "cut.pth"
    cut.write_bytes(pth.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"cut\.pth"):
        from_nas_bench_201(cut, trust=True)
    with pytest.raises(DataError, match="meta_archs"):
        from_nas_bench_201({"weights": 1})
    with pytest.raises(DataError, match="no NATS-Bench folder"):
        from_nats_bench(tmp_path, trust=True)
    for source in tss.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "000001.pickle.pbz2").write_bytes(b"BZh9 damaged")
    with pytest.raises(DataError, match="is damaged"):
        from_nats_bench(tmp_path, trust=True)


def test_missing_package_names_the_extra(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the message is the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "nas_201_api", None)
    with pytest.raises(DataError, match=r"pip install zcbench\[official\]"):
        from_nas_bench_201(pth, trust=True)
