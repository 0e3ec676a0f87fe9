"""Data sets of one's own: image files in folders, plug-ins, functions. The oracle is what the test has written."""

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zcbench import datasets
from zcbench.datasets import ImageSet, own
from zcbench.datasets.base import resized
from zcbench.datasets.folder import FolderImages, folder_splits
from zcbench.distill.errors import RecipeError
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.named import kept_data, named_data
from zcbench.distill.training.data.streaming import StreamedData
from zcbench.errors import BatchError, DataError, UnknownNameError, ZcbenchError
from zcbench.plugins import PluginError, load_file
from zcbench.specification import SpecificationError

SOURCE = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from zcbench.datasets import ImageSet, dataset

def drawn(count, seed):
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 8, 8, generator=stream), torch.arange(count) % 3

@dataset("{name}")
def mine(split, count=12):
    return drawn(count if split == "train" else 6, int(split == "train"))

def bytes_of(split):
    images, labels = drawn(6, 0)
    return (images * 255).byte(), labels

def whole(split, data_dir):
    images, labels = drawn(6, 0)
    return ImageSet("whole", split, images, labels, 5, (0.0,), (1.0,), str(data_dir))

def pair(): return TensorDataset(*drawn(12, 1)), TensorDataset(*drawn(6, 0))
def loaders(): return tuple(DataLoader(data, 4) for data in pair())
def one(): return TensorDataset(*drawn(12, 1))
def broken(split): raise RuntimeError("no disk")
def odd(split): return torch.zeros(4, 2, 8, 8), torch.zeros(4)
number = 3
"""


def draw_images(root: Path, sides: tuple[int, ...] = (8,)) -> dict[str, np.ndarray]:
    """Two classes with four training and two test images each; pixels by file."""
    drawn, pixels = np.random.default_rng(0), {}
    for split, count in (("train", 4), ("val", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                side = sides[number % len(sides)]
                file = root / split / name / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels[f"{split}/{name}/{number}"] = drawn.integers(256, size=(side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels[f"{split}/{name}/{number}"]).save(file)
    return pixels


def test_a_folder(tmp_path: Path) -> None:
    """Slow reference: files in order, classes by name, mean and deviation of the training images, area average."""
    pixels = draw_images(tmp_path)
    train, test = (datasets.load(str(tmp_path), split=split) for split in ("train", "test"))
    assert (len(train), len(test), train.num_classes, train.labels.tolist()) == (8, 4, 2, [0] * 4 + [1] * 4)
    every = np.stack([value for name, value in pixels.items() if name.startswith("train")]) / 255
    mean, std = every.mean((0, 1, 2)), every.std((0, 1, 2))
    assert train.mean == pytest.approx(mean, abs=1e-6) and test.std == pytest.approx(std, abs=1e-6)
    wanted = torch.from_numpy((pixels["val/dog/1"] / 255 - mean) / std).permute(2, 0, 1).float()
    torch.testing.assert_close(test.images[3], wanted, rtol=1e-5, atol=1e-5)
    small = datasets.load(f"folder(path={str(tmp_path)!r},side=4,images=3)")
    assert small.labels.tolist() == [0, 0, 1] and small.image_shape == (3, 4, 4)
    raw = torch.from_numpy(pixels["train/dog/0"]).permute(2, 0, 1).float()[None] / 255
    torch.testing.assert_close(small.pixels[2], resized(raw, 4)[0])
    assert datasets.task(str(tmp_path)) == (2, (3, 8, 8)) and len(datasets.batch(train, 4)) == 4


def test_a_folder_is_streamed(tmp_path: Path) -> None:
    """Invariance: the same images as in memory; without a test folder a fifth is held out; the classes stay."""
    draw_images(tmp_path)
    streamed = named_data(f"folder(path={str(tmp_path)!r},side=6)")
    kept = kept_data(f"folder(path={str(tmp_path)!r},side=6)")
    assert isinstance(streamed, StreamedData) and len(streamed) == 8 and streamed.num_classes == 2
    torch.testing.assert_close(streamed.take(torch.arange(8))[0], kept.images)
    loaded = datasets.load(f"folder(path={str(tmp_path)!r},side=6)")
    torch.testing.assert_close(kept.images, loaded.images, rtol=1e-5, atol=1e-5)
    alone = named_data(str(tmp_path / "train"))
    assert (len(alone), alone.test_count, alone.num_classes) == (7, 1, 2)


def test_images_of_many_sizes(tmp_path: Path) -> None:
    """Bad input: two sizes are named with what to do; with a side they are one."""
    draw_images(tmp_path, (8, 9))
    with pytest.raises(DataError, match=r"has 9x9 pixels, and the first image 8x8.*side="):
        datasets.load(str(tmp_path))
    with pytest.raises(BatchError, match=r"shapes \(3, 8, 8\) and \(3, 9, 9\)"):
        kept_data(str(tmp_path))
    assert datasets.load(str(tmp_path), image_size=8).images.shape == (8, 3, 8, 8)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "val" / "fox").mkdir(), "The class 'fox'"),
        (lambda root: (root / "train" / "cat" / "0.png").write_bytes(b"no image"), r"Cannot read .*0\.png"),
        (lambda root: [file.unlink() for file in root.rglob("*.png")], "No image in"),
    ],
)
def test_damaged_folders(tmp_path: Path, damage, message: str) -> None:
    """Bad input: each names the file or the folder."""
    draw_images(tmp_path)
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        datasets.load(str(tmp_path), split="test")
    with pytest.raises(DataError, match="No folder of images at"):
        folder_splits(tmp_path / "nowhere")


def test_few_images_are_of_all_classes(tmp_path: Path) -> None:
    """By construction: the first of each class in turn."""
    draw_images(tmp_path)
    assert FolderImages(tmp_path / "train", count=5).targets == [0, 0, 0, 1, 1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE.replace("{name}", f"mine_{tmp_path.name}"))
    return path


def test_a_plug_in(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: by its name, with options and without, to score and to train on; also from an entry point."""
    load_file(file)
    name = f"mine_{tmp_path.name}"
    assert name in datasets.names() and datasets.task(name) == (3, (3, 8, 8))
    assert len(datasets.load(name)) == 12 and len(datasets.load(f"{name}(count=5,images=4,side=4)")) == 4
    assert datasets.load(name, split="test").labels.tolist() == [0, 1, 2, 0, 1, 2]
    data = named_data(f"{name}(count=9)")
    assert (len(data), data.test_count, data.num_classes) == (9, 6, 3)
    point = EntryPoint("elsewhere", "json:loads", "zcbench.datasets")
    monkeypatch.setattr(own.REGISTRY, "_entry_points", {"elsewhere": point})
    monkeypatch.setattr(EntryPoint, "load", lambda self: own.REGISTRY.get(name))
    assert len(datasets.load("elsewhere(count=6)")) == 6


@pytest.mark.parametrize("name", ["pair", "loaders", "one", "whole", "mine"])
def test_a_function(file: Path, name: str) -> None:
    """By construction: what the functions of the file draw."""
    data, images = named_data(f"{file}:{name}"), datasets.load(f"{file}:{name}")
    counts = {"one": (10, 2), "whole": (6, 6)}.get(name, (12, 6))
    assert (len(data), data.test_count) == counts and data.image_shape == images.image_shape == (3, 8, 8)
    assert data.num_classes == images.num_classes == (5 if name == "whole" else 3)
    kept = kept_data(f"{file}:{name}")
    assert isinstance(kept, TrainingData) and kept.test_images.shape == (counts[1], 3, 8, 8)


def test_bytes(file: Path) -> None:
    """Closed form: 0 is -1 and 255 is 1."""
    images = datasets.load(f"{file}:bytes_of")
    torch.testing.assert_close(images.images, images.pixels.float() / 255 * 2 - 1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("FILE:broken", PluginError, "fails: RuntimeError: no disk"),
        ("FILE:odd", BatchError, r"\(4, 2, 8, 8\) and labels of torch.float32"),
        ("FILE:number", PluginError, "Expected a function"),
        ("FILE:nothing", UnknownNameError, "no known name in"),
        ("FILE:one", BatchError, "has no test images"),
        ("cifar11", UnknownNameError, "Did you mean 'cifar10'"),
        ("folder", BatchError, r"as in folder\(path='flowers'\)"),
        ("folder(path='x',sides=3)", UnknownNameError, "Did you mean 'side'"),
        ("folder(path='x',side=0)", BatchError, "side=0"),
        ("folder(path='nowhere')", DataError, "No folder of images"),
        ("folder(3)", SpecificationError, "cannot be read"),
    ],
)
def test_bad_names(file: Path, given: str, error: type[ZcbenchError], message: str) -> None:
    """Bad input: each is one sentence that says what was expected."""
    with pytest.raises(error, match=message):
        datasets.load(given.replace("FILE", str(file)), split="test")


def test_a_function_with_options_it_does_not_take(file: Path, tmp_path: Path) -> None:
    """Bad input: an option of a plug-in's data set."""
    load_file(file)
    with pytest.raises(PluginError, match="was given 'counts', which its function does not take"):
        datasets.load(f"mine_{tmp_path.name}(counts=3)")
    assert isinstance(datasets.load("digits(images=3)"), ImageSet) and issubclass(RecipeError, ZcbenchError)
