"""Boxes of data sets: scenes of digits, and folders in the layouts of COCO and Pascal VOC."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zcbench import datasets
from zcbench.datasets import dense
from zcbench.datasets.dense.boxes import VOC
from zcbench.datasets.dense.scenes import load_scenes
from zcbench.distill.training.data.named import named_data
from zcbench.errors import BatchError, DataError, UnknownNameError

STREAM = np.random.default_rng(0)
Content = dict[str, Any]


def save(path: Path, height: int, width: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(STREAM.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def instances() -> Content:
    """Two images of 20x16 and 16x16 pixels, one of them without a box; categories with gaps, as in COCO."""
    return {
        "images": [
            {"id": 139, "file_name": "000000000139.jpg", "width": 20, "height": 16},
            {"id": 285, "file_name": "000000000285.jpg", "width": 16, "height": 16},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}],
        "annotations": [
            {"id": 1, "image_id": 139, "category_id": 13, "bbox": [2, 3, 10.5, 8], "iscrowd": 0},
            {"id": 2, "image_id": 139, "category_id": 1, "bbox": [0, 0, 20.4, 4], "iscrowd": 0},
            {"id": 3, "image_id": 139, "category_id": 90, "bbox": [0, 0, 8, 8], "iscrowd": 1},
            {"id": 4, "image_id": 285, "category_id": 90, "bbox": [5, 5, 0, 3], "iscrowd": 0},
        ],
    }


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A folder in the layout of COCO 2017 with the same images for both splits."""
    for name in ("train2017", "val2017"):
        for number, width in ((139, 20), (285, 16)):
            save(tmp_path / name / f"000000000{number}.jpg", 16, width)
        file = tmp_path / "annotations" / f"instances_{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(instances()))
    return tmp_path


def annotation(*objects: tuple[str, int, int, int, int, int], width: int = 24, height: int = 20) -> str:
    """An XML file of Pascal VOC; of each object name, four edges and whether it is difficult."""
    parts = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom, difficult in objects
    )
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{parts}</annotation>"


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Two training images and a validation image in the layout of Pascal VOC."""
    for split, names in {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}.items():
        listed = tmp_path / "ImageSets" / "Main" / f"{split}.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text("".join(f"{name}\n" for name in names))
        for name in names:
            save(tmp_path / "JPEGImages" / f"{name}.jpg", 20, 24)
            file = tmp_path / "Annotations" / f"{name}.xml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(annotation(("dog", 1, 1, 24, 20, 0), ("car", 5, 6, 10, 12, 0), ("cat", 1, 1, 4, 4, 1)))
    return tmp_path


def test_boxes_of_scenes_are_those_of_the_masks() -> None:
    """By construction: of one digit the box is the smallest around its mask; scenes are the same for both forms."""
    masks, boxes = (load_scenes("train", form, side=24, images=60, digits=1) for form in ("mask", "boxes"))
    assert torch.equal(masks.pixels, boxes.pixels) and (masks.num_classes, boxes.num_classes) == (11, 10)
    for mask, (label, *edges) in zip(masks.labels, boxes.labels[:, 0].int().tolist()):
        rows, columns = ((mask > 0).any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        assert edges == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert mask[mask > 0].unique().tolist() == [label + 1]


def test_boxes_of_covered_digits() -> None:
    """Invariance: a box has pixels of its class in all four of its outermost rows and columns."""
    masks, boxes = (load_scenes("train", form, side=32, images=80, digits=4) for form in ("mask", "boxes"))
    counts = (boxes.labels[..., 0] >= 0).sum(1)
    assert counts.min() >= 1 and counts.max() > 2
    for mask, own in zip(masks.labels, boxes.labels):
        for label, left, top, right, bottom in own[own[:, 0] >= 0].int().tolist():
            inside = mask[top:bottom, left:right] == label + 1
            assert inside.any(1)[[0, -1]].all() and inside.any(0)[[0, -1]].all()


def test_coco(coco: Path) -> None:
    """By construction: classes in the order of category ids; crowds and empty boxes left out, edges moved inside."""
    train = dense.load(f"coco(path='{coco}',side=8)")
    assert (len(train), train.num_classes, train.image_shape) == (2, 3, (3, 8, 8))
    scale = [8 / 20, 8 / 16] * 2
    expected = [[1, 2, 3, 12.5, 11], [0, 0, 0, 20, 4]]
    expected = [[label, *(edge * by for edge, by in zip(edges, scale))] for label, *edges in expected]
    assert torch.allclose(train.labels[0], torch.tensor(expected))
    assert train.labels[1].unique().tolist() == [-1]  # an image without a box
    assert len(dense.load(f"coco(path='{coco}',images=1)")) == 1
    (coco / "images").mkdir()
    (coco / "val2017").rename(coco / "images" / "val2017")
    assert dense.load(f"coco(path='{coco}',side=8)", "test").labels.shape == (2, 2, 5)
    data = named_data(f"coco(path='{coco}',side=8)")
    assert data.task.name == "detection" and data.num_classes == 3


def test_voc(voc: Path) -> None:
    """By construction: pixels are counted from 1; difficult objects are left out; masks where they are asked for."""
    found = dense.load(f"voc(path='{voc}')", "test", "boxes")
    assert found.labels.tolist() == [[[VOC.index("dog"), 0, 0, 24, 20], [VOC.index("car"), 4, 5, 10, 12]]]
    assert found.num_classes == len(VOC) == 20
    half = dense.load(f"voc(path='{voc}',side=10)", "test", "boxes").labels
    assert torch.allclose(half[0, 1, 1:], torch.tensor([4 / 2.4, 2.5, 10 / 2.4, 6]))
    with pytest.raises(DataError, match="Segmentation"):
        dense.load(f"voc(path='{voc}')", "test")


def _category(content: Content) -> None:
    content["annotations"][0]["category_id"] = 14


def _image(content: Content) -> None:
    content["annotations"][0]["image_id"] = 14


def _outside(content: Content) -> None:
    content["annotations"][0]["bbox"] = [2, 3, 30, 8]


def _three(content: Content) -> None:
    content["annotations"][0]["bbox"] = [2, 3, 30]


def _size(content: Content) -> None:
    content["images"][0]["width"] = 40


def _file(content: Content) -> None:
    content["images"][1]["file_name"] = "no.jpg"


def _none(content: Content) -> None:
    content["annotations"] = content["annotations"][2:]


def _keys(content: Content) -> None:
    del content["images"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_category, "annotation 1 in .*instances_val2017.json' is of the category 14"),
        (_image, "is of the image 14, which the file does not list"),
        (_outside, "instances_val2017.json' has a box with the edges 2, 3, 32, 11 in the image '000000000139.jpg'"),
        (_three, "Cannot read .*instances_val2017.json': ValueError"),
        (_size, r"000000000139.jpg' has 20x16 pixels, and .* says \(40, 16\)"),
        (_file, "names the image .*no.jpg', which is not there"),
        (_none, "The 2 test images of .* have no box"),
        (_keys, "Cannot read .*instances_val2017.json': KeyError"),
    ],
)
def test_wrong_files_of_coco(coco: Path, change: Callable[[Content], None], said: str) -> None:
    """By construction: the message names the file, and what is wrong in it."""
    content, file = instances(), coco / "annotations" / "instances_val2017.json"
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        dense.load(f"coco(path='{coco}',side=8)", "test")


def test_damaged_files(coco: Path, voc: Path) -> None:
    """By construction: broken JSON and XML, another size, an unknown class, a box outside, a file that is not there."""
    file = coco / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps(instances())[:-9])
    with pytest.raises(DataError, match=r"Cannot read .*instances_val2017.json'"):
        dense.load(f"coco(path='{coco}',side=8)", "test")
    with pytest.raises(DataError, match=r"16x16 pixels, and the first image 20x16.*side="):
        dense.load(f"coco(path='{coco}')")
    xml = voc / "Annotations" / "2007_000033.xml"
    for text, said in (
        (annotation(("dog", 1, 1, 4, 4, 0))[:-5], "Cannot read .*2007_000033.xml'"),
        (annotation(("dogs", 1, 1, 4, 4, 0)), "2007_000033.xml' has an object 'dogs'"),
        (annotation(("dog", 1, 1, 40, 4, 0)), "2007_000033.xml' has a box with the edges 0, 0, 40, 4"),
        (annotation(("dog", 9, 1, 4, 4, 0)), "edges 8, 0, 4, 4"),
        (annotation(("dog", 1, 1, 4, 4, 0), width=25), r"says \(25, 20\)"),
        (annotation(("dog", 1, 1, 4, 4, 1)), "have no box"),
        (annotation(("dog", 1, 1, 4, 4, 0)).replace("<xmin>1</xmin>", ""), "Cannot read .*2007_000033.xml'"),
    ):
        xml.write_text(text)
        with pytest.raises(DataError, match=said):
            dense.load(f"voc(path='{voc}')", "test", "boxes")
    xml.unlink()
    with pytest.raises(DataError, match=re.escape("2007_000033.xml")):
        dense.load(f"voc(path='{voc}')", "test", "boxes")


def test_folders_of_another_layout(coco: Path, tmp_path: Path) -> None:
    """By construction: the message has the layout that was expected."""
    with pytest.raises(DataError, match=r"Expected the layout of voc: JPEGImages.*Main"):
        dense.load(f"voc(path='{coco}')", labels="boxes")
    with pytest.raises(DataError, match="No folder at"):
        dense.load(f"coco(path='{tmp_path / 'nothing'}')")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has 0 files annotations/instances_train\*.json"):
        dense.load(f"coco(path='{tmp_path / 'empty'}')")
    (coco / "annotations" / "instances_train2014.json").write_text("{}")
    with pytest.raises(DataError, match="has 2 files"):
        dense.load(f"coco(path='{coco}')")
    (coco / "annotations" / "instances_train2014.json").unlink()
    for name in ("train2017", "val2017"):
        (coco / name).rename(tmp_path / f"other-{name}")
    with pytest.raises(DataError, match="no folder of images"):
        dense.load(f"coco(path='{coco}')")


def test_names() -> None:
    """By construction: a form that the data set does not have, and a name where a class for each image is needed."""
    with pytest.raises(UnknownNameError, match="mask"):
        dense.load("cityscapes(path='x')", labels="boxes")
    with pytest.raises(BatchError, match="masks or boxes"):
        datasets.load("coco(path='x')")
