"""What a training leaves on disk: log, curves, weights, program."""

import csv
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from zcbench import spaces
from zcbench.distill.errors import CheckpointError, TrainingStopped
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.export import save_program, save_weights
from zcbench.distill.training.loop import train
from zcbench.distill.training.observers import Logbook, StepBar
from zcbench.reports.training.curves import training_curves, write_curves

from .conftest import RECIPE, make_network, same, weights
from .test_resuming import after

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"


def test_log_of_a_training_that_was_stopped(tmp_path: Path, data: TrainingData) -> None:
    """By construction: both files hold the history, the rows before the stop included."""
    state = tmp_path / "state"
    with pytest.raises(TrainingStopped):
        train(make_network(), None, data, RECIPE, checkpoint=state, observers=[Logbook(tmp_path)], stop=after(7))
    logbook = Logbook(tmp_path, {"student": "mine"})
    result = train(make_network(), None, data, RECIPE, checkpoint=state, observers=[logbook])
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == result.history
    assert json.loads((tmp_path / "log.json").read_text()) == {"student": "mine", "history": result.history}


def test_log_in_a_folder_that_cannot_be_written(tmp_path: Path, data: TrainingData) -> None:
    """Bad input: a file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="Cannot write the log"):
        train(make_network(), None, data, RECIPE, observers=[Logbook(tmp_path / "file")])


def test_bar_speaks_where_there_is_no_terminal(tmp_path: Path, data: TrainingData) -> None:
    """By construction: one line per epoch with the figures of the history."""
    with (tmp_path / "out").open("w") as file:
        bar = StepBar(Console(file=file, width=200), "student")
        result = train(make_network(), None, data, RECIPE, evaluate_every=2, observers=[bar])
    lines = (tmp_path / "out").read_text().splitlines()
    assert [line.startswith(f"student: epoch {number}: loss ") for number, line in enumerate(lines, 1)] == [True] * 3
    assert "test" not in lines[0] and f"test accuracy {result.accuracy:.2f} %" in lines[2]


def test_curves(tmp_path: Path, data: TrainingData) -> None:
    """By construction: every loss and both accuracies are lines with the numbers of the history."""
    result = train(make_network(), make_network(7), data, RECIPE, distillers=["kd"], evaluate_every=3)
    losses, accuracies = training_curves(result.history, "mine")
    drawn = {line.get_label(): list(line.get_ydata()) for axis in (losses, accuracies) for line in axis.get_lines()}
    assert set(drawn) == {"total", "cross-entropy", "kd", "cross-entropy, test", "training", "test"}
    assert drawn["kd"] == [row["kd"] for row in result.history] and drawn["test"] == [result.accuracy]
    assert [file.name for file in write_curves(result.history, tmp_path)] == ["curves.png", "curves.svg"]
    assert all(file.stat().st_size > 1000 for file in tmp_path.iterdir())


def test_weights_without_adapters(tmp_path: Path, data: TrainingData) -> None:
    """Invariance: the file holds the state of the plain architecture, after a training with adapters of its own."""
    space = spaces.get("nasbench201(channels=4,cells=1)")
    student = space.build(CELL, num_classes=3, image_shape=(3, 8, 8))
    train(student, make_network(7), data, RECIPE, distillers=["kd"])
    file = save_weights(student, tmp_path / "student.pt")
    stored = torch.load(file, weights_only=True)
    fresh = space.build(CELL, num_classes=3, image_shape=(3, 8, 8), seed=1)
    fresh.load_state_dict(stored)
    assert same(weights(fresh), weights(student))
    assert all(tensor.is_contiguous() for tensor in stored.values())


def test_program(tmp_path: Path) -> None:
    """Invariance: the program gives the network's logits for batches of other sizes, and the network is as it was."""
    network = spaces.get("nasbench201(channels=4,cells=1)").build(CELL, num_classes=3, image_shape=(3, 8, 8))
    before = weights(network)
    program = torch.export.load(save_program(network, (3, 8, 8), tmp_path / "student.pt2")).module()
    assert network.training and same(before, weights(network))
    for count in (1, 5):
        images = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))
        torch.testing.assert_close(program(images), network.eval()(images))


def test_exports_that_cannot_be_written(tmp_path: Path) -> None:
    """Bad input: no folder; and a network whose control flow depends on its input."""

    class Moody(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() * self.weight > 0 else -images

    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="Cannot write the weights"):
        save_weights(make_network(), tmp_path / "file" / "student.pt")
    with pytest.raises(CheckpointError, match="Cannot export the network"):
        save_program(Moody(), (3, 8, 8), tmp_path / "student.pt2")
