"""Data sets with masks: scenes of digits, and folders in the layouts of Cityscapes and Pascal VOC."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zcbench import datasets
from zcbench.datasets import dense
from zcbench.datasets.dense.layouts import CITYSCAPES, IGNORED
from zcbench.datasets.dense.scenes import load_scenes
from zcbench.datasets.digits import load_digits
from zcbench.errors import BatchError, DataError, UnknownNameError

STREAM = np.random.default_rng(0)


def save(path: Path, values: np.ndarray, palette: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
    image.save(path)
    return path


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """Two training and one validation image of 16x8 pixels, in the layout of Cityscapes."""
    for split, name in (
        ("train", "aachen_000000_000019"),
        ("train", "bonn_000001_000019"),
        ("val", "ulm_000002_000019"),
    ):
        city = name.partition("_")[0]
        pixels = STREAM.integers(0, 256, (8, 16, 3), dtype=np.uint8)
        save(tmp_path / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", pixels)
        ids = np.arange(128, dtype=np.uint8).reshape(8, 16) % 34
        save(tmp_path / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", ids)
    return tmp_path


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Two training images and a validation image of other sizes, in the layout of Pascal VOC."""
    names = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    for split, own in names.items():
        listed = tmp_path / "ImageSets" / "Segmentation" / f"{split}.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text("\n".join(own) + "\n")
        for place, name in enumerate(own):
            size = (20 + 4 * place, 24)
            save(tmp_path / "JPEGImages" / f"{name}.jpg", STREAM.integers(0, 256, (*size, 3), dtype=np.uint8))
            mask = np.zeros(size, dtype=np.uint8)
            mask[4:12, 4:12], mask[4, 4:12] = 15, IGNORED
            save(tmp_path / "SegmentationClass" / f"{name}.png", mask, palette=True)
    return tmp_path


def test_scenes_are_a_function_of_their_options() -> None:
    """Invariance: the first images are those of a smaller set; another seed or split has others."""
    few, more = (load_scenes(side=24, images=count) for count in (3, 6))
    assert torch.equal(few.pixels, more.pixels[:3]) and torch.equal(few.labels, more.labels[:3])
    others = load_scenes(side=24, images=3, seed=1), load_scenes("test", side=24, test_images=3)
    assert not any(torch.equal(few.pixels, other.pixels) for other in others)


def test_masks_of_scenes_are_exact() -> None:
    """By construction: opaque digits of one colour: a pixel of full ink has it, and those of the mask have half."""
    scenes = load_scenes(side=32, images=40, digits=1)
    digits = load_digits("train")
    for image, mask in zip(scenes.pixels.float() / 255, scenes.labels):
        (label,) = mask[mask > 0].unique().tolist()
        assert label - 1 in digits.labels
        inside = image[:, mask > 0]
        assert inside.mean(1).min() > 0.3  # half of the darkest colour .6
        outside = image[:, mask == 0]
        assert outside.mean() < inside.mean()


def test_difficulty() -> None:
    """Invariance: places and digits are the same; brightness rises from 1 to 2."""
    easy, plain = (load_scenes(images=4, difficulty=level) for level in (1, 2))
    assert torch.equal(easy.labels, plain.labels)
    assert easy.pixels.float().mean() < plain.pixels.float().mean()


def test_cityscapes(cityscapes: Path) -> None:
    """Published: the 19 classes of the benchmark in the order of their ids, the others are ignored."""
    train, test = (dense.load(f"cityscapes(path='{cityscapes}')", split) for split in ("train", "test"))
    assert (len(train), len(test), train.num_classes, train.image_shape) == (2, 1, 19, (3, 8, 16))
    ids = np.arange(128).reshape(8, 16) % 34
    expected = [[CITYSCAPES.index(value) if value in CITYSCAPES else IGNORED for value in row] for row in ids]
    assert train.labels[0].tolist() == expected
    first = np.asarray(Image.open(next((cityscapes / "leftImg8bit" / "train" / "aachen").iterdir())))
    assert torch.equal(train.pixels[0], torch.from_numpy(first.copy()).permute(2, 0, 1))
    assert dense.load(f"cityscapes(path='{cityscapes}',side=4,images=1)").labels.shape == (1, 4, 8)


def test_voc(voc: Path) -> None:
    """By construction: palette indices are classes, 255 is ignored; with a side images of all sizes are taken."""
    test = dense.load(f"voc(path='{voc}')", "test")
    assert (test.num_classes, test.image_shape) == (21, (3, 20, 24))
    counts = torch.bincount(test.labels.flatten().long(), minlength=256)
    assert (counts[15], counts[IGNORED], counts[0]) == (56, 8, 20 * 24 - 64)
    train = dense.load(f"voc(path='{voc}',side=12)")
    assert train.pixels.shape == (2, 3, 12, 12) and set(train.labels.unique().tolist()) <= {0, 15, IGNORED}
    with pytest.raises(DataError, match=r"has 24x24 pixels, and the first image 24x20.*side="):
        dense.load(f"voc(path='{voc}')")


def test_folders_of_another_layout(cityscapes: Path, tmp_path: Path) -> None:
    """By construction: the message has the layout that was expected, and the one that was found."""
    with pytest.raises(DataError, match=r"Expected the layout of voc: JPEGImages.*has the layout of cityscapes"):
        dense.load(f"voc(path='{cityscapes}')")
    with pytest.raises(DataError, match="No folder at"):
        dense.load(f"cityscapes(path='{tmp_path / 'nothing'}')")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in"):
        dense.load(f"cityscapes(path='{tmp_path / 'empty'}')")


def test_wrong_masks(voc: Path) -> None:
    """By construction: another size, colours, an id that is too large, nothing but ignored pixels, no file."""
    file = voc / "SegmentationClass" / "2007_000033.png"
    text = f"voc(path='{voc}')"
    for values, said in (
        (np.zeros((5, 6), dtype=np.uint8), r"has the shape \(5, 6\), and its image \(20, 24, 3\)"),
        (np.zeros((20, 24, 3), dtype=np.uint8), r"has the shape \(20, 24, 3\)"),
        (np.full((20, 24), 21, dtype=np.uint8), "has the id 21. Expected ids from 0 to 20"),
        (np.full((20, 24), IGNORED, dtype=np.uint8), "has no labelled pixel"),
    ):
        save(file, values)
        with pytest.raises(DataError, match=said):
            dense.load(text, "test")
    file.write_bytes(b"")
    with pytest.raises(DataError, match="Cannot read"):
        dense.load(text, "test")
    file.unlink()
    with pytest.raises(DataError, match=re.escape("has no mask")):
        dense.load(text, "test")


def test_names_and_options() -> None:
    """By construction: unknown options, numbers out of range, a name where a class for each image is needed."""
    with pytest.raises(UnknownNameError, match="digits"):
        dense.load("digits_scenes(digit=3)")
    with pytest.raises(BatchError, match="side=8 of digits_scenes"):
        dense.load("digits_scenes(side=8)")
    with pytest.raises(BatchError, match="no path"):
        dense.load("voc(side=8)")
    with pytest.raises(BatchError, match="side=0"):
        dense.load("voc(path='x',side=0)")
    with pytest.raises(UnknownNameError, match="split"):
        dense.load("digits_scenes", "val")
    with pytest.raises(BatchError, match="Expected a class for each image"):
        datasets.load("digits_scenes(side=16)")
