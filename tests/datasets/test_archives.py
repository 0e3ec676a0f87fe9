"""Archives of images: downloaded from a local folder, checked and unpacked. The oracle is what the test packed."""

import hashlib
import io
import pickle
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from zcbench import datasets
from zcbench.benchmarks.truths import data
from zcbench.datasets import archives, imagenet16
from zcbench.datasets.cifar import CIFAR10, CIFAR100, Layout
from zcbench.errors import ChecksumError, DataError, UnknownNameError
from zcbench.storage.downloads import RemoteFile


def cifar(file: Path, layout: Layout) -> None:
    """An archive in the official layout with three images a file, and one member too many."""
    drawn = np.random.default_rng(0)
    with tarfile.open(file, "w:gz") as archive:
        for name in (*layout.train_files, layout.test_file, layout.meta_file, "readme.html"):
            content = {b"data": drawn.integers(256, size=(3, 3072), dtype=np.uint8), layout.label_key: [0, 1, 2]}
            packed = pickle.dumps(content)
            member = tarfile.TarInfo(f"{layout.folder}/{name}")
            member.size = len(packed)
            archive.addfile(member, io.BytesIO(packed))


def imagenet(file: Path, names: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """An archive with six images a member, half of them of classes above 120."""
    drawn, parts = np.random.default_rng(len(names)), []
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            pixels = drawn.integers(256, size=(6, 768), dtype=np.uint8)
            labels = np.array([1, 120, 121, 1000, 7, 300])
            content = io.BytesIO()
            np.savez(content, data=pixels, labels=labels, mean=np.zeros(768))
            archive.writestr(name, content.getvalue())
            parts.append((pixels[[0, 1, 4]].reshape(-1, 3, 16, 16), labels[[0, 1, 4]] - 1))
    return parts


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small archives, whose checksums are the pinned ones."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    cifar(folder / "cifar-10-python.tar.gz", CIFAR10)
    cifar(folder / "cifar-100-python.tar.gz", CIFAR100)
    imagenet(folder / "Imagenet16_train_npz.zip", [f"train_data_batch_{number}.npz" for number in (2, 10, 1)])
    imagenet(folder / "Imagenet16_val_npz.zip", ["val_data.npz"])
    monkeypatch.setattr(imagenet16, "COUNTS", {"train": 9, "test": 3})
    for name, archive in archives.ARCHIVES.items():
        own = []
        for file in archive.files:
            content = (folder / file.name).read_bytes()
            own.append(RemoteFile(file.url, len(content), hashlib.sha256(content).hexdigest()))
        monkeypatch.setitem(archives.ARCHIVES, name, replace(archive, files=tuple(own)))
    return folder


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_cifar(mirror: Path, tmp_path: Path) -> None:
    """Oracle: the files of the official layout, byte for byte, and nothing else; the set can be loaded."""
    report = data.fetch(["cifar10", "cifar100"], tmp_path / "d", mirror.as_uri())
    assert report["kind"].tolist() == ["images"] * 2
    wanted = [f"cifar-10-batches-py/{name}" for name in ("batches.meta", *CIFAR10.train_files, "test_batch")]
    assert left(tmp_path / "d") == sorted(
        [*wanted, *(f"cifar-100-python/{name}" for name in ("meta", "test", "train"))]
    )
    with tarfile.open(mirror / "cifar-10-python.tar.gz") as archive:
        for name in wanted:
            assert archive.extractfile(name).read() == (tmp_path / "d" / name).read_bytes()
    assert len(datasets.load("cifar10", tmp_path / "d")) == 15
    listed = data.list_data(tmp_path / "d").set_index("name")
    assert listed.loc[["cifar10", "imagenet16-120"], "where"].tolist() == [str(tmp_path / "d"), "not here"]


def test_imagenet16(mirror: Path, tmp_path: Path) -> None:
    """Oracle: the images of classes 1 to 120, batch after batch by number, labels from 0; other sides and parts too."""
    data.fetch(["imagenet16-120"], tmp_path / "d", mirror.as_uri())
    assert left(tmp_path / "d") == ["imagenet16-120/test.npz", "imagenet16-120/train.npz"]
    parts = imagenet(tmp_path / "again.zip", [f"train_data_batch_{number}.npz" for number in (2, 10, 1)])
    train = datasets.load("imagenet16-120", tmp_path / "d")
    assert torch.equal(train.pixels, torch.from_numpy(np.concatenate([parts[number][0] for number in (2, 0, 1)])))
    assert train.labels.tolist() == [0, 119, 6] * 3 and datasets.task("imagenet16-120") == (120, (3, 16, 16))
    small = datasets.load("imagenet16-120(images=2,side=8)", tmp_path / "d")
    assert (len(small), small.image_shape, small.num_classes) == (2, (3, 8, 8), 120)


@pytest.mark.parametrize("name", ["cifar10", "imagenet16-120"])
def test_archives_on_this_machine(mirror: Path, tmp_path: Path, name: str) -> None:
    """Invariance: an import of the archive, or of its folder, gives the files of a download; archives stay."""
    data.fetch([name], tmp_path / "d", mirror.as_uri())
    before = left(mirror)
    archives.import_archive(mirror / archives.ARCHIVES[name].files[0].name, tmp_path / "e")
    report = data.import_folder(mirror, tmp_path / "f")
    assert set(report["status"]) == {"imported"}
    for folder in ("e", "f"):
        for file in left(tmp_path / "d"):
            assert (tmp_path / folder / file).read_bytes() == (tmp_path / "d" / file).read_bytes()
    assert left(mirror) == before


def test_bad_archives(mirror: Path, tmp_path: Path) -> None:
    """Bad input: a damaged archive, one of two, another file, an unknown name; nothing is left."""
    file = mirror / "cifar-10-python.tar.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    with pytest.raises(ChecksumError, match=r"sha256 is not the pinned one.*--mirror URL.*'zcbench data import PATH'"):
        data.fetch(["cifar10"], tmp_path / "d", mirror.as_uri())
    with pytest.raises(ChecksumError, match="is not the published file"):
        archives.import_archive(file, tmp_path / "d")
    (mirror / "Imagenet16_val_npz.zip").unlink()
    with pytest.raises(DataError, match=r"No archive of images at .*Imagenet16_val_npz\.zip"):
        archives.import_archive(mirror / "Imagenet16_train_npz.zip", tmp_path / "d")
    with pytest.raises(DataError, match=r"No archive of images at .*mine\.zip"):
        archives.import_archive(tmp_path / "mine.zip")
    with pytest.raises(UnknownNameError, match="Did you mean 'cifar10'"):
        data.fetch(["cifar1"], tmp_path / "d", mirror.as_uri())
    with pytest.raises(DataError, match="Run 'zcbench data fetch imagenet16-120'"):
        datasets.load("imagenet16-120", tmp_path / "d")
    assert left(tmp_path / "d") == []


def test_another_number_of_images(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input: an archive with fewer images of the 120 classes than the published one."""
    monkeypatch.setattr(imagenet16, "COUNTS", {"train": 10, "test": 3})
    with pytest.raises(DataError, match=r"has 9 train images.*Expected 10"):
        data.fetch(["imagenet16-120"], tmp_path / "d", mirror.as_uri())


def test_a_full_disk(mirror: Path, tmp_path: Path) -> None:
    """Bad input: a file stands where the images belong."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "cifar-10-batches-py").write_text("")
    with pytest.raises(DataError, match=r"Cannot unpack the images of 'cifar10'.*--data-dir"):
        archives.import_archive(shutil.copy(mirror / "cifar-10-python.tar.gz", tmp_path), tmp_path / "d")
