"""Detection: outputs, loss and metric in training, boxes that follow their images, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zcbench import spaces
from zcbench.distill import Recipe, TrainingData, get, train
from zcbench.distill.errors import RecipeError, TrainingStopped
from zcbench.distill.outputs import Outputs
from zcbench.distill.tasks import Detection, Segmentation, read_task, task_of
from zcbench.distill.tasks import precision as precisions
from zcbench.distill.tasks.boxes import box_iou
from zcbench.distill.tasks.detection_losses import focal_loss
from zcbench.distill.training.data.augmentation import CropFlip, Cut
from zcbench.distill.training.data.named import named_data
from zcbench.errors import BatchError, UnknownNameError
from zcbench.kdzero.genome import Genome
from zcbench.spaces.dense import Detector
from zcbench.spaces.listing import SpaceError

SIDE, CLASSES = 16, 4
SHAPE = (3, SIDE, SIDE)
TASK = Detection("retinanet", levels=(4, 8), width=8, depth=1, scales=1)
FCOS = replace(TASK, head="fcos")
RECIPE = Recipe(epochs=2, batch_size=8, augmentation="crop_flip", lr=0.01)


def network(seed: int = 0, arch: str = "resnet8", task: Detection = TASK) -> Detector:
    made = task.build(spaces.get("resnet"), arch, CLASSES, seed, SHAPE, "default")
    assert isinstance(made, Detector)
    return made


def boxes(count: int, seed: int = 0, most: int = 3) -> Tensor:
    """Boxes of four classes; every fourth image has none."""
    stream = torch.Generator().manual_seed(seed)
    low = torch.randint(0, 8, (count, most, 2), generator=stream)
    high = low + torch.randint(3, 8, (count, most, 2), generator=stream)
    classes = torch.randint(-1, CLASSES, (count, most, 1), generator=stream)
    classes[::4] = -1
    return torch.where(classes < 0, -1.0, torch.cat([classes, low, high], 2).float())


def data(count: int = 24, seed: int = 0, task: Detection = TASK) -> TrainingData:
    """Images and boxes of four classes."""
    images = torch.randn(count + 8, *SHAPE, generator=torch.Generator().manual_seed(seed))
    labels = boxes(count + 8, seed)
    return TrainingData(images[:count], labels[:count], images[count:], labels[count:], CLASSES, task=task)


def rows(task: Detection, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    (own,), _, targets = task.rows([Outputs(logits=outputs)], [], task.targets(labels, SHAPE))
    return own.logits, targets


@pytest.mark.parametrize("task", [TASK, FCOS])
def test_perfect_outputs(task: Detection) -> None:
    """Closed form: outputs that equal their targets have an average precision of 100 %, and no loss of boxes."""

    class Perfect(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            targets = task.targets(labels, SHAPE)
            classes = torch.arange(CLASSES).view(1, -1, 1) == targets[:, :1]
            offsets = targets[:, 1:5] if task.head == "retinanet" else targets[:, 1:5].clamp_min(1e-9).log()
            return torch.cat([40.0 * classes - 20, offsets, targets[:, 5:6].logit(1e-6)], 1)[:, : CLASSES + task._extra]

    labels = torch.full((3, 2, 5), -1.0)
    labels[0, 0], labels[1] = torch.tensor([1.0, 2, 2, 10, 12]), torch.tensor([[3.0, 0, 0, 7, 7], [0, 9, 8, 16, 15]])
    found = task.measure(Perfect(), [(torch.zeros(3, *SHAPE), labels)])
    assert [found[name] for name in ("ap", "ap50", "accuracy")] == pytest.approx([100] * 3)
    entropy = found["loss"]  # that of the centre-ness is not 0
    assert entropy < 1e-3 if task.head == "retinanet" else 0 < entropy < 1
    image = task.predicted(Perfect(), torch.zeros(3, *SHAPE))[1]
    kept = image[image[:, 0] >= 0]
    assert sorted(kept[:, 0].tolist()) == [0, 3]
    assert torch.allclose(kept[kept[:, 0].argsort(), 1:5], labels[1].flip(0)[:, 1:], atol=1e-3)


@pytest.mark.parametrize("task", [TASK, FCOS])
def test_loss_is_a_sum_over_images(task: Detection) -> None:
    """Independent formula: for each image the sums over its places by max(1, positives), averaged over images."""
    outputs = network(task=task).eval()(torch.randn(5, *SHAPE)).detach()
    labels = boxes(5)
    found = task.loss(*rows(task, outputs, labels), None, 0.0).item()
    expected = []
    for image, own in zip(outputs, labels):
        targets = task.targets(own[None], SHAPE)[0]
        counts = targets[0] != -2
        positive = targets[0] >= 0
        focal = focal_loss(image[:CLASSES, counts].T, targets[0, counts]).sum()
        offsets, wanted = image[CLASSES:, positive], targets[:, positive]
        if task.head == "retinanet":
            box = (offsets - wanted[1:5]).abs().sum()
        else:
            away = offsets[:4].exp()
            corners = [torch.cat([-part[:2], part[2:]]).T for part in (away, wanted[1:5])]
            iou = (
                torch.stack(
                    [
                        box_iou(*(part[place : place + 1] for part in corners)).squeeze()
                        for place in range(int(positive.sum()))
                    ]
                )
                if positive.any()
                else torch.zeros(0)
            )
            around = torch.maximum(away, wanted[1:5])
            hull = (around[0] + around[2]) * (around[1] + around[3])
            areas = [(part[0] + part[2]) * (part[1] + part[3]) for part in (away, wanted[1:5])]
            union = (areas[0] + areas[1]) / (1 + iou)
            chance = offsets[4].sigmoid()
            centred = -(wanted[5] * chance.log() + (1 - wanted[5]) * (1 - chance).log())
            box = (1 - iou + (hull - union) / hull + centred).sum()
        expected.append((focal + box).item() / max(1, int(positive.sum())))
    assert found == pytest.approx(sum(expected) / 5, rel=1e-4)
    parts = [
        task.measure(network(task=task), zip(images.split(size), labels.split(size)))
        for size in (5, 2)
        for images in [torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(3))]
    ]
    assert parts[0]["loss"] == pytest.approx(parts[1]["loss"], rel=1e-5) and parts[0]["ap"] == parts[1]["ap"]


def test_kd_is_the_binary_divergence() -> None:
    """Independent formula: KL divergence of two softened sigmoids, mean over classes of the anchors that count."""
    labels = boxes(3)
    one, other = (torch.randn(3, CLASSES + 4, 60, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    (student,), (teacher,), targets = TASK.rows(
        [Outputs(logits=one)], [Outputs(logits=other)], TASK.targets(labels, SHAPE)
    )
    (student, flags), (teacher, _) = (TASK.compared(outputs, targets) for outputs in (student, teacher))
    found = get("kd(temperature=2)")(student, teacher).item()
    kept = TASK.targets(labels, SHAPE)[:, 0] != -2
    p, q = ((values[:, :CLASSES].movedim(1, 2)[kept] / 2).double().sigmoid() for values in (one, other))
    expected = 4 * (q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()).mean()
    assert found == pytest.approx(expected.item(), rel=1e-4)
    assert int(flags.sum()) == int((targets[:, 0] >= 0).sum())


def test_boxes_follow_their_images() -> None:
    """Invariance: after crops and flips a box is around the pixels that it was around; outside ones are left out."""
    labels = boxes(40, seed=3, most=1)
    images = torch.zeros(40, 1, SIDE, SIDE)
    for image, (label, left, top, right, bottom) in zip(images, labels[:, 0].int().tolist()):
        if label >= 0:
            image[:, top:bottom, left:right] = 1
    cut = CropFlip(40, 4, None, seed=1).cut(0, 0, 40)
    moved, found = cut.maps(images, torch.zeros(1)), TASK.cropped(labels, cut, (SIDE, SIDE))
    kept = 0
    for image, before, own in zip(moved[:, 0], labels[:, 0], found[:, 0]):
        if own[0] >= 0:
            rows_, columns = (image.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
            assert own.tolist() == [before[0], columns[0], rows_[0], columns[-1] + 1, rows_[-1] + 1]
            kept += 1
    assert 20 < kept < int((labels[..., 0] >= 0).sum())
    far = Cut(torch.tensor([[0, 0]]), torch.tensor([False]), 100)
    assert TASK.cropped(labels[1:2], far, (SIDE, SIDE)).unique().tolist() == [-1]


@pytest.mark.parametrize("loss", ["kd", "cwd", "at", "fitnet", "sp", "review"])
def test_losses_train_a_student(loss: str) -> None:
    """By construction: the student changes, terms are finite, and the rows have the metrics of the task."""
    student = network()
    before = {name: value.clone() for name, value in student.named_parameters()}
    result = train(student, network(1, "resnet14"), data(), RECIPE, distillers=[loss])
    row = result.kept
    assert result.score == row["test_ap"] and 0 <= row["test_ap"] <= row["test_ap50"] <= 100
    assert math.isfinite(row[loss]) and row["train_accuracy"] >= 0
    assert any(not torch.equal(before[name], value) for name, value in student.named_parameters())


@pytest.mark.parametrize(
    "formula", ["l2(no(norm_HW(satt(features))))", "4^2 kl(no(no(no(logits/4))))", "l1(no(no(batchnorm(features))))"]
)
def test_evolved_losses_read_the_pyramid(formula: str) -> None:
    """By construction: genomes of the finest level and of class logits are computed, and change the student."""
    recipe, distiller = replace(RECIPE, epochs=1), Genome.parse(formula).distiller
    alone, taught = network(), network()
    train(alone, None, data(), recipe)
    result = train(taught, network(1), data(), recipe, distillers=[distiller])
    assert all(math.isfinite(value) for value in result.kept.values())
    assert not torch.equal(alone.head.logits.weight, taught.head.logits.weight)


@pytest.mark.parametrize("head", ["retinanet", "fcos"])
def test_resumed_bit_for_bit(tmp_path: Path, head: str) -> None:
    """Invariance: a training that is stopped and started again gives the weights and rows of one that was not."""
    task = replace(TASK, head=head)

    def run(file: Path | None, stop: int | None = None) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
        asked = iter(range(1000))
        halt = None if stop is None else lambda: next(asked) >= stop
        recipe = replace(RECIPE, validation=0.25, select="ap", batch_size=6)
        student, teacher, given = network(task=task), network(1, task=task), data(task=task)
        found = train(student, teacher, given, recipe, distillers=["kd", "cwd"], checkpoint=file, stop=halt)
        return student.state_dict(), [{**row, "seconds": 0} for row in found.history]

    whole = run(None)
    for steps in (2, 4):
        with pytest.raises(TrainingStopped):
            run(tmp_path / f"{steps}", steps)
        rest = run(tmp_path / f"{steps}")
        assert whole[1] == rest[1] and all(torch.equal(value, rest[0][name]) for name, value in whole[0].items())


@pytest.mark.parametrize(
    "option",
    [
        {"head": "fcos"},
        {"levels": (2, 4)},
        {"width": 12},
        {"depth": 3},
        {"size": 3},
        {"scales": 2},
        {"ratios": (1.0,)},
        {"beyond": "backbone"},
        {"alpha": 0.5},
        {"gamma": 1.0},
        {"box": 3.0},
        {"score": 0.0},
        {"overlap": 0.2},
    ],
)
def test_every_option_has_an_effect(option: dict[str, object]) -> None:
    """Invariance, broken: another value changes the network, the loss, or what is found; the spec keeps it."""

    def figures(task: Detection) -> tuple[object, ...]:
        own = network(task=task)
        outputs = own.eval()(torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))).detach()
        outputs[:, :CLASSES] += 4 * torch.randn(outputs[:, :CLASSES].shape, generator=torch.Generator().manual_seed(1))
        found = task.detections(outputs, SHAPE)
        return outputs.shape, outputs.sum().item(), task.loss(*rows(task, outputs, boxes(2, 1)), None, 0.0), found.shape

    task = replace(TASK, **option)
    assert figures(task) != figures(TASK) and figures(task) == figures(task)
    assert read_task(task.spec) == task


def test_class_weights_and_recipes() -> None:
    """Closed form: the loss is linear in the class weights; smoothed labels are refused."""
    logits, targets = rows(TASK, torch.randn(4, CLASSES + 4, 60), boxes(4))
    plain, doubled, none = (
        TASK.loss(logits, targets, weight, 0.0).item()
        for weight in (None, torch.full((CLASSES,), 2.0), torch.zeros(CLASSES))
    )
    assert doubled - none == pytest.approx(2 * (plain - none), rel=1e-4) and none > 0
    row = train(network(), None, data(), replace(RECIPE, class_weights="balanced", epochs=1)).history[0]
    assert math.isfinite(row["ce"])
    with pytest.raises(RecipeError, match="label_smoothing"):
        train(network(), None, data(), replace(RECIPE, label_smoothing=0.1))


def test_refused_losses_networks_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: losses of an embedding, networks and data of another task, no pycocotools."""
    given = data()
    with pytest.raises(RecipeError, match="'rkd' reads embedding"):
        train(network(), network(1), given, RECIPE, distillers=["rkd"])
    for other in (spaces.get("resnet").build("resnet8", 4), network(task=replace(TASK, levels=(4, 8, 16)))):
        with pytest.raises(BatchError, match="none of the task detection"):
            train(network(), other, given, RECIPE, distillers=["kd"])
    narrow = TASK.build(spaces.get("resnet"), "resnet8", 3, 0, SHAPE, "default")
    with pytest.raises(BatchError, match="4 classes and a network 3"):
        train(narrow, None, given, RECIPE)
    with pytest.raises(BatchError, match="labels are of the task 'detection'"):
        given.with_task(Segmentation())
    scenes = "digits_scenes(side=16,images=4,test_images=4)"
    with pytest.raises(BatchError, match="labels are of the task 'segmentation'"):
        named_data(scenes).with_task(TASK)
    assert named_data(scenes, labels="boxes").with_task(TASK).num_classes == 10
    assert task_of(torch.zeros(2, 3, 5)) == Detection() and task_of(torch.zeros(2, 3, 5).long()) == Segmentation()

    def missing() -> None:
        raise RecipeError("pycocotools")

    monkeypatch.setattr("zcbench.distill.tasks.detection.require_pycocotools", missing)
    with pytest.raises(RecipeError, match="pycocotools"):
        train(network(), None, given, RECIPE)


def test_without_pycocotools(monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: the message names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.cocoeval", None)
    with pytest.raises(RecipeError, match=r"Install 'zcbench\[detection\]'"):
        precisions.require_pycocotools()


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([0, 1, 1, 17, 4], "image 1 of 16x16 pixels has a box with the edges 1, 1, 17, 4"),
        ([0, -1, 1, 7, 4], "edges -1, 1, 7, 4"),
        ([0, 5, 1, 5, 4], "edges 5, 1, 5, 4"),
        ([4, 1, 1, 7, 4], "the class 4. Expected class indices from 0 to 3"),
        ([0.5, 1, 1, 7, 4], "the class 0.5"),
        ([0, 1, 1, 7, math.nan], "finite"),
    ],
)
def test_refused_boxes(box: list[float], said: str) -> None:
    """By construction: boxes outside the image or without area, classes out of range, NaN."""
    given = data()
    labels = given.labels.clone()
    labels[1, 0] = torch.tensor(box)
    with pytest.raises(BatchError, match=said):
        replace(given, labels=labels)


def test_refused_forms() -> None:
    """By construction: another number of images or columns, whole numbers."""
    given = data()
    for labels, said in (
        (given.labels[:-1], "boxes of 23"),
        (given.labels[..., :4], r"boxes \(N, K, 5\)"),
        (given.labels.long(), "floating"),
    ):
        with pytest.raises(BatchError, match=said):
            replace(given, labels=labels)


def test_names() -> None:
    """By construction: options are those of the class; values out of range and unknown metrics are refused."""
    task = read_task("detection(head='fcos',levels=(8,16,32,64,128),width=256,depth=4,size=4)")
    assert task == Detection("fcos", (8, 16, 32, 64, 128), 256, 4, 4) and read_task(task.spec) == task
    with pytest.raises(UnknownNameError, match="retinanet"):
        read_task("detection(head='retina')")
    with pytest.raises(SpaceError, match="alpha=2"):
        read_task("detection(alpha=2)")
    with pytest.raises(SpaceError, match="ratios"):
        Detection(ratios=(0.0,))
    with pytest.raises(UnknownNameError, match="ap50"):
        TASK.metrics(["miou"], 4)
    assert [metric.name for metric in TASK.metrics(["ap", "loss"], 4)] == ["ap"]
    assert TASK.near_chance(0.5, 10, 100) and not TASK.near_chance(5.0, 10, 100)
