"""The CIFAR readers, on files written here in the official layout and on the real ones."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from zcbench import datasets
from zcbench.errors import BatchError, DataError, UnknownNameError


def write_cifar10(folder: Path, files: list[str], images: int = 5) -> np.ndarray:
    """CIFAR-10 files as its authors wrote them: Python 2 text keys, which protocol 2 stores as bytes here."""
    (folder / "cifar-10-batches-py").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (len(files), images, 3072), dtype=np.uint8)
    for file, data in zip(files, pixels):
        content = {
            b"data": data,
            b"labels": list(range(images)),
            b"batch_label": b"x",
            b"filenames": [b"a.png"] * images,
        }
        (folder / "cifar-10-batches-py" / file).write_bytes(pickle.dumps(content, protocol=2))
    return pixels


def test_normalisation_by_hand(tmp_path):
    """Closed form: (x / 255 - mean) / std with CIFAR-10's usual constants, rows in channel, row, column order."""
    pixels = write_cifar10(tmp_path, ["data_batch_1"])

    images = datasets.load("cifar10", tmp_path).images

    blue = pixels[0][3].reshape(3, 32, 32)[2, 4, 7] / 255
    assert images.dtype == torch.float32
    assert images.shape == (5, 3, 32, 32)
    assert images[3, 2, 4, 7].item() == pytest.approx((blue - 0.4465) / 0.2616, rel=1e-5)


def test_partial_folder_says_so(tmp_path):
    """By construction: two of five files hold ten images; told to want all, the error names the missing ones."""
    write_cifar10(tmp_path, ["data_batch_1", "data_batch_4"])

    found = datasets.load("cifar10", tmp_path)

    assert "data_batch_1, data_batch_4 of 5" in found.description
    assert len(found) == 10
    with pytest.raises(
        DataError, match=r"lacks data_batch_2, data_batch_3, data_batch_5.*Run 'zcbench data fetch cifar10'"
    ):
        datasets.load("cifar10", tmp_path, partial=False)
    with pytest.raises(DataError, match="lacks test_batch"):
        datasets.load("cifar10", tmp_path, split="test")


def test_the_first_files_whatever_else_is_there(tmp_path):
    """Invariance: two files of five chosen by name are the set that a folder with just these two is."""
    (tmp_path / "two").mkdir()
    (tmp_path / "five").mkdir()
    write_cifar10(tmp_path / "two", ["data_batch_1", "data_batch_2"])
    write_cifar10(tmp_path / "five", [f"data_batch_{i}" for i in range(1, 6)])
    some, chosen = datasets.load("cifar10", tmp_path / "two"), datasets.load("cifar10(files=2)", tmp_path / "five")
    assert (chosen.name, chosen.description) == (some.name, some.description)
    assert datasets.batch(chosen, 4).sha256 == datasets.batch(some, 4).sha256
    assert len(datasets.load("cifar10(files=2)", tmp_path / "five", split="train")) == 10
    with pytest.raises(DataError, match="lacks data_batch_3"):
        datasets.load("cifar10(files=3)", tmp_path / "two")
    with pytest.raises(BatchError, match="files=6 was given"):
        datasets.load("cifar10(files=6)", tmp_path / "five")
    with pytest.raises(UnknownNameError, match="'file'"):
        datasets.load("cifar10(file=2)", tmp_path / "five")
    with pytest.raises(UnknownNameError, match="option of the data set 'digits'"):
        datasets.load("digits(files=1)")


def test_missing_folder_names_path_and_remedy(tmp_path, monkeypatch):
    """By construction: an empty folder, given directly or by the environment."""
    monkeypatch.setenv("ZCBENCH_DATA", str(tmp_path))
    for given in (tmp_path, None):
        with pytest.raises(DataError) as caught:
            datasets.load("cifar100", given)
        assert str(tmp_path / "cifar-100-python") in str(caught.value)
        assert "zcbench data fetch cifar100" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 1, 200, 5000, 15000])
def test_truncated_file(tmp_path, keep):
    """By construction: a file cut off anywhere is named and never half read."""
    write_cifar10(tmp_path, ["data_batch_1"])
    file = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    file.write_bytes(file.read_bytes()[:keep])

    with pytest.raises(DataError, match="data_batch_1 is no readable CIFAR file"):
        datasets.load("cifar10", tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {b"data": np.zeros((2, 10), np.uint8), b"labels": [0, 1]},
        {b"data": np.zeros((2, 3072), np.float32), b"labels": [0, 1]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, [1]]},
        {b"data": np.zeros((2, 3072), np.uint8)},
    ],
)
def test_wrong_content(tmp_path, content):
    """By construction: a pickle that is read but holds something else is refused with the file's name."""
    write_cifar10(tmp_path, ["data_batch_1"])
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))

    with pytest.raises(DataError, match="data_batch_1"):
        datasets.load("cifar10", tmp_path)


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_malicious_pickle_does_not_run(tmp_path):
    """By construction: the payload would create a file; the plain unpickler proves that it works."""
    write_cifar10(tmp_path, ["data_batch_1"])
    mark = tmp_path / "it-ran"
    content = pickle.dumps({b"data": Payload(mark)}, protocol=2)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)

    with pytest.raises(DataError, match="asks for"):
        datasets.load("cifar10", tmp_path)
    assert not mark.exists()

    pickle.loads(content)
    assert mark.exists()


def test_unknown_names():
    """By construction: a typing error is answered with the nearest name."""
    with pytest.raises(UnknownNameError, match="'cifar10'"):
        datasets.load("cifar-10")
    with pytest.raises(UnknownNameError, match="split"):
        datasets.load("digits", split="valid")


@pytest.mark.data
def test_real_cifar10(data_dir):
    """Published numbers: the official md5 sums, and CIFAR-10's channel means and deviations to 1 % of one deviation."""
    folder = Path(data_dir) / "cifar-10-batches-py"
    assert hashlib.md5((folder / "data_batch_1").read_bytes()).hexdigest() == "c99cafc152244af753f735de768cd75f"

    found = datasets.load("cifar10", data_dir)
    images = found.take(torch.arange(0, len(found), 4))

    assert len(found) % 10_000 == 0
    assert images.mean((0, 2, 3)).abs().max() < 0.03
    assert (images.std((0, 2, 3)) - 1).abs().max() < 0.03


@pytest.mark.data
@pytest.mark.parametrize("split", ["train", "test"])
def test_real_cifar100(data_dir, split):
    """By construction of the set: every one of the 100 classes has equally many images."""
    found = datasets.load("cifar100", data_dir, split=split)

    counts = torch.bincount(found.labels, minlength=100)
    assert counts.unique().numel() == 1
    assert found.num_classes == 100


def forged(images: int) -> bytes:
    """A batch whose pixels are ``images`` x 3,072 bytes from wherever a four-byte array lies, by NumPy's own calls."""

    def short(text: bytes) -> bytes:
        return b"\x8c" + bytes([len(text)]) + text

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little")

    array, kind = short(b"numpy") + short(b"ndarray") + b"\x93", short(b"numpy") + short(b"dtype") + b"\x93"
    kind += short(b"S1") + b"\x89\x88\x87R\x94"
    made = short(b"numpy._core.multiarray") + short(b"_reconstruct") + b"\x93" + array + b"K\x00\x85C\x01b\x87R\x94"
    small = b"(K\x01(K\x04th\x00\x89C\x04abcdtb"
    grown = b"h\x00(K\x03" + short(b"|") + b"NNN" + number(3072 * images // 4 + 1) + number(1) + number(0) + b"tb0"
    view = array + b"((" + number(images) + number(3072) + b"t" + short(b"u1") + b"h\x01tR"
    labels = b"C\x06labels](" + b"K\x00" * images + b"e"
    return b"\x80\x04}C\x04data" + kind + b"0" + made + small + grown + b"0" + view + b"s" + labels + b"s."


@pytest.mark.parametrize("images", [1, 2, 50])
def test_pixels_of_memory_that_is_not_the_files(tmp_path, images):
    """By construction: a file of a few hundred bytes that claims thousands of pixels is refused by name."""
    write_cifar10(tmp_path, ["data_batch_1"])
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(forged(images))
    with pytest.raises(DataError, match="data_batch_1 is no readable CIFAR file"):
        datasets.load("cifar10", tmp_path)
