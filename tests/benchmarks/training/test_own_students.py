"""Students, data and losses of one's own, and the student trained alone beside."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from zcbench.benchmarks.training.student import StudentFiles, Teaching, read_student, train_student
from zcbench.cli import app
from zcbench.cli.students import read_distillers
from zcbench.distill import Recipe, TrainingData, train
from zcbench.distill.training.data.named import kept_data, named_data
from zcbench.errors import ArchitectureError, BatchError, ProtocolError, TeacherError, UnknownNameError, ZcbenchError
from zcbench.plugins import PluginError, load_file
from zcbench.streams import seeded

SOURCE = """
import torch
from dataclasses import dataclass
from torch import nn
from torch.utils.data import TensorDataset

@dataclass
class Answer:
    logits: torch.Tensor

class Small(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, classes)
    def forward(self, images):
        return Answer(self.head(self.body(images)))

def make(num_classes, image_shape): return Small(num_classes, image_shape[0])
def large(num_classes): return nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, num_classes))
def seven(): return nn.Sequential(nn.Flatten(), nn.Linear(192, 7))
def text(): return "no network"

def data():
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    images = torch.randn(60, 3, 8, 8, generator=stream)
    images[torch.arange(60), labels] += 1
    return TensorDataset(images[:40], labels[:40]), TensorDataset(images[40:], labels[40:])

def apart(student, teacher): return (student - teacher).square().mean()
"""
RECIPE = Recipe(epochs=2, batch_size=8, lr=0.05)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def data_of(file: Path) -> TrainingData:
    return kept_data(f"{file}:data")


def test_everything_of_ones_own(file: Path, tmp_path: Path) -> None:
    """Independent path: the weights of the command are those of `train` on the function's network and data."""
    out = tmp_path / "out"
    words = ["--student", f"{file}:make", "--teacher", f"{file}:large", "--dataset", f"{file}:data"]
    options = [
        "--epochs",
        2,
        "--batch-size",
        8,
        "--lr",
        0.05,
        "--augmentation",
        "none",
        "--metrics",
        "top5,calibration",
    ]
    text = run("distill", *words, "--distillers", f"kd,{file}:apart", "--baseline", *options, "--out", out)
    result = json.loads((out / "result.json").read_text())
    assert result["student"]["function"] == "mine.py:make" and len(result["student"]["file_sha256"]) == 64
    assert [loss["name"] for loss in result["losses"]] == ["kd", "apart"] and "test_calibration" in result
    assert f"The student alone: {result['baseline']['test_accuracy']:.2f} %. Difference:" in text and "top5:" in text
    space: dict[str, object] = {"__name__": "written_out"}
    exec(SOURCE, space)
    networks = {}
    for role, name in (("student", "make"), ("teacher", "large")):
        with seeded(role, 0):
            given = {"num_classes": 3, "image_shape": (3, 8, 8)} if role == "student" else {"num_classes": 3}
            networks[role] = space[name](**given).train()  # type: ignore[operator]
    data = data_of(file)
    train(networks["teacher"], None, data, RECIPE)
    train(networks["student"], networks["teacher"], data, RECIPE, distillers=["kd", space["apart"]])  # type: ignore[list-item]
    weights = torch.load(out / "student.pt")
    for name, tensor in networks["student"].state_dict().items():
        torch.testing.assert_close(weights[name], tensor)


def test_the_baseline(file: Path, tmp_path: Path) -> None:
    """Invariance: the student beside is the one of a training without a teacher, bit for bit; the other is the same."""
    student, data = read_student(f"{file}:make"), data_of(file)
    teaching = Teaching(teachers=[f"{file}:large"])
    both = train_student(student, data, tmp_path / "both", RECIPE, teaching=teaching, baseline=True)
    taught = train_student(student, data, tmp_path / "taught", RECIPE, teaching=teaching)
    alone = train_student(student, data, tmp_path / "alone", RECIPE)
    assert both.training.loss == taught.training.loss and both.alone is not None
    assert (both.baseline, both.alone.loss) == (alone.accuracy, alone.training.loss) and taught.baseline is None
    assert both.gain == both.accuracy - alone.accuracy and alone.gain == 0
    one, other = (both.alone.network.state_dict(), alone.student.state_dict())
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "both" / "baseline" / "log.csv").exists()


@pytest.mark.parametrize(
    "words", [("--scenario", "mutual"), ("--scenario", "assistant", "--teacher", "FILE:large,FILE:make")]
)
def test_the_baseline_of_other_scenarios(file: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """By construction: with the seed and the recipe of the student's own training."""
    given = [word.replace("FILE", str(file)) for word in words]
    common = ["--student", f"{file}:make", "--dataset", f"{file}:data", "--epochs", 1, "--batch-size", 8]
    run("distill", *common, *given, "--baseline", "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    run("distill", *common, "--seed", result["recipe"]["seed"], "--out", tmp_path / "alone")
    alone = json.loads((tmp_path / "alone" / "result.json").read_text())
    if given[1] == "mutual":
        assert result["baseline"]["test_loss"] == alone["test_loss"]
    assert result["baseline"]["steps"] == alone["steps"] == 5


def test_validation_images_on_the_command_line(file: Path, tmp_path: Path) -> None:
    """By construction: the epoch is printed, and the result has its figures."""
    common = ["--student", f"{file}:make", "--dataset", f"{file}:data", "--epochs", 3, "--batch-size", 4]
    options = ["--validation", 0.2, "--select", "balanced_accuracy", "--ema", 0.5, "--clip", 1, "--accumulation", 2]
    text = run("distill", *common, *options, "--class-weights", "balanced", "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    log = json.loads((tmp_path / "out" / "log.json").read_text())["history"]
    epoch = result.get("epoch", 3)
    assert f"(epoch {epoch}, by balanced_accuracy)" in text
    assert result["validation_balanced_accuracy"] == max(row["validation_balanced_accuracy"] for row in log)
    assert {result["recipe"][name] for name in ("ema", "clip", "validation")} == {0.5, 1.0, 0.2}


def test_the_number_of_an_architecture() -> None:
    """By construction: the string at that place of the space; an architecture of digits alone is itself."""
    assert read_student("nasbench201:1462").arch == read_student("1462").arch
    assert read_student("s0:111").arch == "111" and read_student("s0:0").arch == read_student("s0:111").space[0]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("FILE:text", TeacherError, r"The student's function .* returns str"),
        ("FILE:seven", TeacherError, r"returns \(2, 7\) for 2 images, and the images have 3 classes"),
        ("FILE:nothing", UnknownNameError, "no known name in"),
        ("nowhere.py:make", PluginError, "No plug-in at"),
        ("nasbench201:99999", ArchitectureError, "Expected a number from 0 to 15,624"),
    ],
)
def test_bad_students(file: Path, tmp_path: Path, given: str, error: type[ZcbenchError], message: str) -> None:
    """Bad input: before anything is trained."""
    with pytest.raises(error, match=message):
        train_student(given.replace("FILE", str(file)), data_of(file), tmp_path / "out", RECIPE)
    assert not list(tmp_path.rglob("*.training"))


def test_bad_options(file: Path, tmp_path: Path) -> None:
    """Bad input: an initialisation for a function, an unknown metric, a loss that is none."""
    with pytest.raises(ProtocolError, match="leave the initialisation out"):
        train_student(f"{file}:make", data_of(file), tmp_path / "a", RECIPE, init="kaiming")
    files = StudentFiles(metrics=["top4"])
    with pytest.raises(UnknownNameError, match="'top4'"):
        train_student(f"{file}:make", data_of(file), tmp_path / "b", RECIPE, files=files)
    with pytest.raises(UnknownNameError, match="no known name in"):
        read_distillers(f"{file}:aparrt", "nasbench201", None)
    plugin = tmp_path / "sets.py"
    plugin.write_text("from zcbench.datasets import dataset\n@dataset('sized')\ndef sized(split): return None\n")
    load_file(plugin)
    with pytest.raises(BatchError, match="no option 'side'"):
        named_data("sized(side=3)")
