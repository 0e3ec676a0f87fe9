"""`train_student`: what the command does in one call of Python."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from zcbench import datasets
from zcbench.benchmarks.training.student import StudentFiles, Teaching, train_student
from zcbench.cli import app
from zcbench.distill import Recipe, TrainingData
from zcbench.distill.errors import CheckpointError, WeightError
from zcbench.errors import ProtocolError, UnknownNameError

SPACE = "nasbench201(channels=2,cells=1)"
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
IMAGES = "digits(images=96,test_images=50)"
RECIPE = Recipe(epochs=1, batch_size=32, augmentation="crop_flip")


def data() -> TrainingData:
    return TrainingData.of(datasets.load(IMAGES), datasets.load(IMAGES, split="test"))


def test_the_command_and_the_call_give_one_student(tmp_path: Path) -> None:
    """Invariance: the same weights and, but for times and the origin, the same result.json."""
    words = ["--student", f"{SPACE}:{CELL}", "--teacher", CELL, "--distillers", "kd,at", "--weights", "at=10"]
    options = ["--dataset", IMAGES, "--epochs", "1", "--batch-size", "32", "--space", SPACE, "--out"]
    assert CliRunner().invoke(app, ["distill", *words, *options, str(tmp_path / "command")]).exit_code == 0
    teaching = Teaching(teachers=[CELL], losses=["kd", "at"], weights={"at": 10})
    result = train_student(f"{SPACE}:{CELL}", data(), tmp_path / "call", RECIPE, teaching=teaching)
    one, other = (torch.load(tmp_path / name / "student.pt") for name in ("command", "call"))
    assert all(torch.equal(one[name], other[name]) for name in one) and not result.student.training
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("command", "call"))
    unlike = {"data set", "top", "plugins", "seconds"}
    assert {key: first[key] for key in first.keys() - unlike} == {key: second[key] for key in second.keys() - unlike}
    assert (result.accuracy, result.baseline) == (second["test_accuracy"], None)
    assert [item.to_dict() for item in result.teachers] == second["teacher_details"]


def test_the_baseline_is_the_student_trained_alone(tmp_path: Path) -> None:
    """Invariance: the first generation is the training without a teacher; a change of the call is refused."""
    alone = train_student(f"{SPACE}:{CELL}", data(), tmp_path / "alone", RECIPE, files=StudentFiles(exports=()))
    born_again = Teaching("self", losses=[lambda student, teacher: (student - teacher).square().mean()])
    result = train_student(f"{SPACE}:{CELL}", data(), tmp_path / "self", RECIPE, teaching=born_again)
    assert result.baseline == alone.baseline == alone.accuracy
    assert not (tmp_path / "alone" / "student.pt").exists() and (tmp_path / "self" / "student.pt").exists()
    assert json.loads((tmp_path / "self" / "result.json").read_text())["weights"] == {"ce": 1.0, "function": 1.0}
    with pytest.raises(CheckpointError, match="is of another training"):
        train_student(f"{SPACE}:{CELL}", data(), tmp_path / "alone", Recipe(epochs=2, batch_size=32))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"scenario": "tutor"}, UnknownNameError, "'tutor'"),
        ({"losses": ["kdd"]}, UnknownNameError, "'kd'"),
        ({"weights": {"at": 1.0}}, WeightError, "no term"),
        ({"weights": "balanced"}, WeightError, "without a teacher"),
        ({"weights": "even", "teachers": [CELL]}, WeightError, "Expected numbers by term, or 'balanced'"),
        ({"scenario": "assistant", "teachers": [CELL]}, ProtocolError, "at least one assistant"),
    ],
)
def test_a_teaching_that_cannot_be(given: dict[str, object], error: type[Exception], message: str) -> None:
    """Bad input: refused when the record is made, before data are read."""
    with pytest.raises(error, match=message):
        Teaching(**given)  # type: ignore[arg-type]
