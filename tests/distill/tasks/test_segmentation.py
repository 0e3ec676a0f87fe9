"""Segmentation: metric and losses per pixel against independent formulas, masks in training, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.distill import Recipe, TrainingData, get, train
from zcbench.distill.errors import MissingOutput, RecipeError, ShapeMismatch, TrainingStopped
from zcbench.distill.outputs import Outputs
from zcbench.distill.tasks import CLASSIFICATION, Segmentation, read_task, task_of
from zcbench.distill.tasks.segmentation import MIOU, confusion, mean_iou
from zcbench.distill.training.data.augmentation import CropFlip
from zcbench.distill.training.data.named import kept_data, named_data
from zcbench.errors import BatchError, UnknownNameError
from zcbench.spaces.dense import DenseNetwork, build_dense

TASK = Segmentation()
SIDE = 16
RECIPE = Recipe(epochs=2, batch_size=8, augmentation="crop_flip", lr=0.02)


def network(seed: int = 0, arch: str = "resnet8") -> DenseNetwork:
    return build_dense(spaces.get("resnet"), arch, num_classes=4, seed=seed, image_shape=(3, SIDE, SIDE))


def data(count: int = 24, seed: int = 0) -> TrainingData:
    """Images and masks of four classes, with ignored pixels."""
    stream = torch.Generator().manual_seed(seed)
    images = torch.randn(count + 8, 3, SIDE, SIDE, generator=stream)
    masks = torch.randint(4, (count + 8, SIDE, SIDE), generator=stream, dtype=torch.uint8)
    masks[:, :2] = 255
    return TrainingData(images[:count], masks[:count], images[count:], masks[count:], 4, task=TASK)


def slow_miou(predicted: np.ndarray, wanted: np.ndarray, classes: int) -> float:
    """Sets of pixels, class by class."""
    shares = []
    counted = [place for place in np.ndindex(wanted.shape) if wanted[place] != 255]
    for label in range(classes):
        one = {place for place in counted if predicted[place] == label}
        other = {place for place in counted if wanted[place] == label}
        if one | other:
            shares.append(len(one & other) / len(one | other))
    return 100 * sum(shares) / len(shares)


class Fixed(nn.Module):
    """Gives logits that are handed in as images."""

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.parametrize("seed", range(4))
def test_measures_equal_slow_references(seed: int) -> None:
    """Slow references: mean IoU by sets of pixels, accuracy and cross-entropy by loops; batches make no difference."""
    stream = np.random.default_rng(seed)
    logits = stream.normal(size=(5, 6, 4, 3)).astype(np.float32)
    masks = stream.choice([0, 1, 2, 3, 255], size=(5, 4, 3)).astype(np.uint8)  # the classes 4 and 5 have no pixel
    images, labels = torch.from_numpy(logits), torch.from_numpy(masks)
    found = TASK.measure(Fixed(), [(images, labels)])
    parts = TASK.measure(Fixed(), zip(images.split(2), labels.split(2)))
    assert found["miou"] == parts["miou"] and found["loss"] == pytest.approx(parts["loss"], rel=1e-6)
    predicted = logits.argmax(1)
    assert found["miou"] == pytest.approx(slow_miou(predicted, masks, 6))
    hits, losses = [], []
    for image, row, column in np.ndindex(masks.shape):
        label = int(masks[image, row, column])
        if label != 255:
            values = [math.exp(value) for value in logits[image, :, row, column]]
            losses.append(-math.log(values[label] / sum(values)))
            hits.append(predicted[image, row, column] == label)
    assert found["accuracy"] == pytest.approx(100 * np.mean(hits))
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_mean_iou_in_closed_form() -> None:
    """Closed form: 3/4 and 4/5; a class that does not occur does not count; torchmetrics where it is installed."""
    assert mean_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])) == pytest.approx(77.5)
    logits, labels = torch.randn(200, 5), torch.randint(5, (200,))
    classification = pytest.importorskip("torchmetrics.classification")
    theirs = classification.MulticlassJaccardIndex(num_classes=5)(logits, labels).item()
    assert MIOU(logits, labels) == pytest.approx(100 * theirs, rel=1e-5)
    assert int(confusion(logits, labels).sum()) == 200


def test_losses_per_pixel_equal_independent_formulas() -> None:
    """Independent formulas in NumPy: cross-entropy and kd of every labelled pixel, averaged."""
    stream = np.random.default_rng(1)
    one, other = (stream.normal(size=(3, 4, 5, 2)) for _ in range(2))
    masks = stream.choice([0, 1, 2, 3, 255], size=(3, 5, 2)).astype(np.uint8)
    outputs = [Outputs(logits=torch.from_numpy(values)) for values in (one, other)]
    (student,), (teacher,), labels = TASK.rows(outputs[:1], outputs[1:], torch.from_numpy(masks))

    def softened(values: np.ndarray, temperature: float) -> np.ndarray:
        powers = np.exp(values / temperature)
        return powers / powers.sum(1, keepdims=True)

    kept = masks != 255
    p, q = softened(one, 4.0), softened(other, 4.0)
    expected = 16 * ((q * np.log(q / p)).sum(1)[kept]).mean()
    assert get("kd")(student, teacher).item() == pytest.approx(expected)
    chosen = np.take_along_axis(softened(one, 1.0), np.where(kept, masks, 0)[:, None].astype(int), 1)[:, 0]
    assert TASK.loss(student.logits, labels, None, 0.0).item() == pytest.approx(-np.log(chosen[kept]).mean(), rel=1e-5)
    dkd = get("dkd")(student, teacher, labels)
    rows = [Outputs(logits=values.logits[:7]) for values in (student, teacher)]
    assert dkd.isfinite() and get("dkd")(*rows, labels[:7]).isfinite()


def test_all_pixels_of_a_batch_ignored() -> None:
    """By construction: the loss is 0 with a gradient, not NaN."""
    logits = torch.zeros(0, 4, requires_grad=True)
    assert TASK.loss(logits, torch.zeros(0, dtype=torch.int64), None, 0.0).item() == 0


def test_masks_follow_their_images() -> None:
    """Invariance: an image that holds its own mask holds it after crops and flips, and 255 where it was padded."""
    masks = torch.randint(0, 7, (6, SIDE, SIDE), dtype=torch.uint8)
    crop = CropFlip(6, 3, torch.tensor([255.0]), seed=2)
    images = crop(masks[:, None].float(), 1, 0)
    moved = TASK.cropped(masks, crop.cut(1, 0, len(masks)), (SIDE, SIDE))
    assert torch.equal(images[:, 0].to(torch.uint8), moved) and bool((moved == 255).any())
    assert moved.dtype == torch.uint8 and not torch.equal(moved, masks)


@pytest.mark.parametrize("loss", ["kd", "dist", "dkd", "cwd", "at", "fitnet", "sp"])
def test_losses_train_a_student(loss: str) -> None:
    """By construction: the student changes, terms are finite, and the rows have the metrics of the task."""
    student = network()
    before = {name: value.clone() for name, value in student.named_parameters()}
    result = train(student, network(1, "resnet14"), data(), RECIPE, distillers=[loss])
    row = result.kept
    assert result.score == row["test_miou"] and 0 <= row["test_miou"] <= row["test_accuracy"] <= 100
    assert math.isfinite(row[loss]) and row["train_accuracy"] > 0
    assert any(not torch.equal(before[name], value) for name, value in student.named_parameters())


def test_student_learns_a_teacher_without_labels() -> None:
    """Invariance: under kd alone the divergence from the teacher falls, and other masks give the same bits."""
    recipe, given = replace(RECIPE, epochs=4, augmentation="none"), data()
    other = replace(given, labels=torch.where(given.labels == 255, 255, 3 - given.labels).to(torch.uint8))
    students, weights = [network(), network()], {"ce": 0.0, "kd": 1.0}
    rows = [
        train(student, network(1), images, recipe, distillers=["kd"], weights=weights).history
        for student, images in zip(students, (given, other))
    ]
    assert rows[0][-1]["kd"] < rows[0][0]["kd"] and rows[0][-1]["kd"] == rows[1][-1]["kd"]
    assert all(torch.equal(one, two) for one, two in zip(students[0].parameters(), students[1].parameters()))


def test_auxiliary_head_and_class_weights() -> None:
    """Closed form: the total is cross-entropy plus .4 of that of the auxiliary head; balanced weights are N / (K n)."""
    task = replace(TASK, auxiliary=True)
    given = data().with_task(task)
    student = task.build(spaces.get("resnet"), "resnet8", 4, 0, (3, SIDE, SIDE), "default")
    row = train(student, None, given, replace(RECIPE, epochs=1)).history[0]
    assert row["loss"] > row["ce"] * 1.2
    plain = train(network(), None, data(), replace(RECIPE, class_weights="balanced", epochs=1)).history[0]
    assert math.isfinite(plain["ce"])


def test_resumed_bit_for_bit(tmp_path: Path) -> None:
    """Invariance: a training that is stopped and started again gives the weights and rows of one that was not."""

    def run(file: Path | None, stop: int | None = None) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
        asked = iter(range(1000))
        halt = None if stop is None else lambda: next(asked) >= stop
        recipe = replace(RECIPE, validation=0.25, select="miou", batch_size=6)
        student = network()
        found = train(student, network(1), data(), recipe, distillers=["kd", "cwd"], checkpoint=file, stop=halt)
        return student.state_dict(), [{**row, "seconds": 0} for row in found.history]

    whole = run(None)
    for steps in (0, 2, 3, 5):
        with pytest.raises(TrainingStopped):
            run(tmp_path / f"{steps}", steps)
        rest = run(tmp_path / f"{steps}")
        assert whole[1] == rest[1] and all(torch.equal(value, rest[0][name]) for name, value in whole[0].items())


def test_refused_losses_networks_and_data() -> None:
    """By construction: losses without maps, networks and data of another task, wrong masks."""
    given = data()
    with pytest.raises(RecipeError, match="'srrl' reads classifier, features"):
        train(network(), network(1), given, RECIPE, distillers=["srrl"])
    with pytest.raises(BatchError, match="none of the task segmentation"):
        train(spaces.get("resnet").build("resnet8", 4), None, given, RECIPE)
    with pytest.raises(BatchError, match="none of the task segmentation"):
        train(network(), spaces.get("resnet").build("resnet8", 4), given, RECIPE, distillers=["kd"])
    digits = named_data("digits(images=32,test_images=16)")
    with pytest.raises(BatchError, match="none of the task classification"):
        train(build_dense(spaces.get("resnet"), "resnet8", num_classes=10), None, digits, RECIPE)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))
    assert train(plain, network(1), given, RECIPE, distillers=["kd"]).steps == 6  # logits alone are enough
    with pytest.raises(MissingOutput, match="has no 'stages'"):
        train(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)), network(1), given, RECIPE, distillers=["at"])
    with pytest.raises(BatchError, match="labels are of the task 'segmentation'"):
        kept_data("digits_scenes(images=4,test_images=4,side=16)")
    with pytest.raises(BatchError, match="labels are of the task 'classification'"):
        digits.with_task(TASK)
    with pytest.raises(ShapeMismatch, match="as rows"):
        get("kd")(Outputs(logits=torch.zeros(2, 3, 4, 4)), Outputs(logits=torch.zeros(2, 3, 4, 4)))


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (torch.zeros(4, 8, 9, dtype=torch.uint8), r"masks of shape \(4, 8, 9\)"),
        (torch.full((4, 8, 8), 5, dtype=torch.uint8), "with the class 5. Expected class indices from 0 to 3"),
        (torch.full((4, 8, 8), 255, dtype=torch.uint8), "4 of 4 training images have no labelled pixel"),
        (torch.zeros(4, 8, 8), "masks of torch.float32"),
    ],
)
def test_refused_masks(masks: Tensor, said: str) -> None:
    """By construction: another size, a class that is too large, images without labels, values that are no classes."""
    images, good = torch.zeros(4, 3, 8, 8), torch.zeros(4, 8, 8, dtype=torch.uint8)
    with pytest.raises(BatchError, match=said):
        TrainingData(images, masks, images, good, 4, task=TASK)


def test_names() -> None:
    """By construction: options are those of the class; unknown ones are refused."""
    task = read_task("segmentation(head='deeplabv3',rates=(2,4,6),width=32)")
    assert task == Segmentation("deeplabv3", width=32, rates=(2, 4, 6)) and read_task(task.spec) == task
    assert read_task("classification") == CLASSIFICATION == task_of(torch.zeros(3))
    with pytest.raises(UnknownNameError, match="segmentation"):
        read_task("segmentaton")
    with pytest.raises(UnknownNameError, match="stride"):
        read_task("segmentation(strides=4)")
    with pytest.raises(UnknownNameError, match="miou"):
        TASK.metrics(["top5"], 4)
    assert TASK.near_chance(8.0, 11, 100) and not TASK.near_chance(20.0, 11, 100)
