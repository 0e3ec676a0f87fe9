"""Stored outputs of a teacher. The oracles: the outputs in memory, bit for bit, and the files themselves."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from zcbench import datasets, spaces
from zcbench.distill import Recipe, Teacher, TeacherOutputs, TrainingData, train
from zcbench.distill.errors import CheckpointError, RecipeError
from zcbench.distill.training import stored
from zcbench.distill.training.teaching import chosen
from zcbench.errors import StoreError, UnknownNameError
from zcbench.streams import seeded

from .conftest import make_data
from .test_resuming import small_disk

SPACE = spaces.get("nasbench201(channels=2,cells=1)")
READS = frozenset({"logits", "embedding", "features", "stages", "classifier"})
RECIPE = Recipe(epochs=2, batch_size=8)
WIDE = -1  # maps of more than one memory layout
LOSSES = ["kd", "at", "srrl"]


def network(index: int = 1462, seed: int = 1) -> nn.Module:
    data = make_data()
    if index == WIDE:
        return spaces.get("resnet").build("1-1-1@8-8-8-16", data.num_classes, seed, data.image_shape)
    return SPACE.build(SPACE[index], data.num_classes, seed, data.image_shape)


def student_under(outputs: TeacherOutputs | None, recipe: Recipe = RECIPE) -> dict[str, torch.Tensor]:
    return train(
        network(WIDE, 2), Teacher(network(WIDE), outputs=outputs), make_data(), recipe, distillers=LOSSES
    ).network.state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_float32_changes_no_bit(tmp_path: Path, precision: str, layout: str) -> None:
    """Invariance: students under outputs in memory and in files have the same weights, also from a second process."""
    recipe = Recipe(epochs=2, batch_size=8, precision=precision, layout=layout)
    expected = student_under(None, recipe)
    for _ in range(2):
        assert equal(student_under(TeacherOutputs("float32", tmp_path), recipe), expected)
    assert len(list(tmp_path.iterdir())) == 1


def test_float16_is_the_rounded_output(tmp_path: Path) -> None:
    """By construction: each output is that in memory, rounded to half precision and back; the classifier is exact."""
    data, teacher = make_data(), Teacher(network(), outputs=TeacherOutputs("float16", tmp_path))
    exact = teacher.remembered(data, READS, "float32")
    kept = teacher.stored(data, READS, "float32")
    places = torch.tensor([3, 0, 11])
    assert exact is not None
    wanted, found = dict(chosen(exact, places).tensors()), dict(kept.chosen(places).tensors())
    assert wanted.keys() == found.keys() == READS
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, wanted[name] if name == "classifier" else wanted[name].half().float())
    found["logits"] += 1  # a batch is a copy, whatever a loss does to it
    assert not torch.equal(found["logits"], dict(kept.chosen(places).tensors())["logits"])


def test_outputs_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: only what is missing is computed; other weights, images or types have other files."""
    calls: list[int] = []
    add = stored._Writer.add
    monkeypatch.setattr(stored._Writer, "add", lambda self, tensor: (calls.append(len(tensor)), add(self, tensor))[1])
    how, data = TeacherOutputs("float16", tmp_path), make_data()

    def made(reads: frozenset[str], index: int = 1462, images: TrainingData = data, how: TeacherOutputs = how) -> int:
        calls.clear()
        Teacher(network(index), outputs=how).stored(images, reads, "float32")
        return len(calls)

    assert made(frozenset()) == 1 and made(frozenset({"logits"})) == 0
    assert made(frozenset({"embedding", "logits"})) == 1 and made(frozenset({"embedding"})) == 0
    assert made(frozenset(), index=6111) == made(frozenset(), images=data.first(9)) == 1
    assert made(frozenset(), how=TeacherOutputs("float32", tmp_path)) == 1 and len(list(tmp_path.iterdir())) == 4


def test_the_size_is_said_beforehand(tmp_path: Path) -> None:
    """Oracle: the sizes of the files, less their headers of 128 bytes."""
    data, teacher = make_data(), Teacher(network(), outputs=TeacherOutputs("float16", tmp_path))
    said = teacher.announced(data, READS, RECIPE)
    assert list(tmp_path.iterdir()) == [] and "are made once" in said
    teacher.stored(data.to("cpu", RECIPE.layout), READS, "float32")
    size = sum(file.stat().st_size - 128 for file in tmp_path.rglob("*.npy"))
    assert f"take {size / 1e6:,.1f} MB in {tmp_path}" in said
    one = teacher.reader(READS, "float32", data.images[:1]).without_gradient(data.images[:1])
    assert TeacherOutputs("float16", tmp_path).bytes(one, len(data)) == size
    assert "are in" in teacher.announced(data, READS, RECIPE)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Bad input: a changed byte, a cut file, none, a card that is no JSON; a deleted folder is made again."""
    how = TeacherOutputs("float16", tmp_path)
    student_under(how)
    (folder,) = tmp_path.iterdir()
    file, card = folder / "logits-0.npy", folder / "card.json"
    content = file.read_bytes()
    for wrong in (content[:-1] + bytes([content[-1] ^ 1]), content[:-8], b""):
        file.write_bytes(wrong)
        with pytest.raises(StoreError, match=r"logits-0.npy is damaged or was edited.*delete the folder"):
            student_under(how)
    file.unlink()
    with pytest.raises(StoreError, match=r"logits-0.npy cannot be read"):
        student_under(how)
    card.write_text("{")
    with pytest.raises(StoreError, match=r"card.json cannot be read"):
        student_under(how)
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()
    student_under(how)
    assert file.read_bytes() == content


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input: files without room are one sentence and leave nothing half written; too little is seen before."""
    how = TeacherOutputs("float16", tmp_path)
    with small_disk(600), pytest.raises(StoreError, match=r"cannot be written to .*make room"):
        student_under(how)
    assert not list(tmp_path.rglob("*.npy")) and not list(tmp_path.rglob("*.tmp"))
    monkeypatch.setattr(stored.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 10})())
    with pytest.raises(StoreError, match=r"take .* MB, and .* has 0.0 MB left"):
        student_under(how)
    monkeypatch.undo()
    student_under(how)


class Large(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        with seeded("tests", "large"):
            self.head, self.factor = nn.Linear(3, 3), factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(images.mean((2, 3))) * self.factor
        return logits


def test_outputs_that_cannot_be_stored(tmp_path: Path) -> None:
    """Bad input: beyond half precision, NaN, random augmentation, images from a stream, an unknown type."""
    data, how = make_data(), TeacherOutputs("float16", tmp_path)
    for factor, message in ((1e6, "too large for float16"), (float("nan"), "gives NaN or infinity as 'logits'")):
        with pytest.raises(RecipeError, match=message):
            train(network(), Teacher(Large(factor), outputs=how), data, RECIPE, distillers=["kd"])
    Teacher(Large(1e6), outputs=TeacherOutputs("float32", tmp_path)).stored(data, frozenset(), "float32")
    with pytest.raises(RecipeError, match=r"augmentation='crop_flip'.*Expected augmentation 'none'"):
        student_under(how, Recipe(epochs=1, batch_size=8, augmentation="crop_flip"))
    items = [(image, int(label)) for image, label in zip(data.images, data.labels)]
    stream = TrainingData.from_dataset(items, items, num_classes=3)
    with pytest.raises(RecipeError, match="read in every epoch anew"):
        train(network(6111), Teacher(network(), outputs=how), stream, RECIPE, distillers=["kd"])
    with pytest.raises(UnknownNameError, match="'float16'"):
        TeacherOutputs("float61")


def test_a_checkpoint_is_of_one_type(tmp_path: Path) -> None:
    """Bad input: a training that began with rounded outputs does not go on with exact ones."""
    how, file = TeacherOutputs("float16", tmp_path / "outputs"), tmp_path / "state"
    train(network(6111), Teacher(network(), outputs=how), make_data(), RECIPE, distillers=["kd"], checkpoint=file)
    with pytest.raises(CheckpointError, match=r"teacher outputs was \['float16'\] and is \['as computed'\]"):
        train(network(6111), Teacher(network()), make_data(), RECIPE, distillers=["kd"], checkpoint=file)


def test_half_precision_costs_little(tmp_path: Path) -> None:
    """Tolerance: on digits the loss of the student differs by under 5 %; docs/training.md has the measured spread."""
    digits = TrainingData.of(datasets.load("digits(images=320,test_images=100)"), datasets.load("digits", split="test"))
    recipe = Recipe(epochs=3, batch_size=32)
    teacher = train(SPACE.build(SPACE[1462], 10, 1, (3, 8, 8)), None, digits, recipe).network
    losses = [
        train(
            SPACE.build(SPACE[6111], 10, 2, (3, 8, 8)),
            Teacher(teacher, outputs=outputs),
            digits,
            recipe,
            distillers=["kd", "at"],
        ).loss
        for outputs in (None, TeacherOutputs("float16", tmp_path))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.05) and losses[0] != losses[1]
    card = json.loads(next(tmp_path.rglob("card.json")).read_text())
    assert card["logits"][0]["shape"] == [320, 10]
