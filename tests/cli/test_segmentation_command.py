"""``zcbench distill --task segmentation`` from the command line."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.command import distilled as run
from zcbench.distill.errors import RecipeError
from zcbench.errors import BatchError, TeacherError

DATA = "digits_scenes(side=16,images=24,test_images=8)"
COMMON = ("--task", "segmentation", "--dataset", DATA, "--student", "resnet:resnet8", "--batch-size", "8")
TAUGHT = (*COMMON, "--teacher", "resnet:resnet14", "--distillers", "kd,cwd", "--epochs", "2")


def test_student_beside_alone_and_teacher(tmp_path: Path) -> None:
    """By construction: mean IoU of student, student alone and teacher in result.json, on terminal and page."""
    said = run(*TAUGHT, "--baseline", "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["task"] == "segmentation" and result["metric"] == {"name": "miou", "title": "mean IoU"}
    figures = result["test_miou"], result["baseline"]["test_miou"], result["teacher_details"][0]["test_miou"]
    assert all(0 < figure < 100 for figure in figures)
    assert f"Test mean IoU {figures[0]:.2f} %" in said and f"The student alone: {figures[1]:.2f} %" in said
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Mean IoU by epoch" in page and "Predictions on test images" in page
    assert (tmp_path / "report" / "figures" / "predictions.svg").is_file()
    names = torch.load(tmp_path / "student.pt", weights_only=True)
    assert {name.partition(".")[0] for name in names} == {"backbone", "head"}


def test_killed_and_resumed(tmp_path: Path) -> None:
    """Invariance: killed with SIGKILL after a checkpoint and started again, it has the bits of an unbroken run."""
    words = (*TAUGHT, "--epochs", "3", "--checkpoint-every", "1", "--task", "segmentation(head='pspnet')")
    run(*words, "--out", tmp_path / "whole")
    command = [sys.executable, "-m", "zcbench", "distill", *words, "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint, deadline = tmp_path / "killed" / "teacher0.training", time.monotonic() + 600
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() in (-signal.SIGKILL, 0) and checkpoint.exists()
    run(*words, "--out", tmp_path / "killed")
    one, other = (torch.load(tmp_path / name / "student.pt", weights_only=True) for name in ("whole", "killed"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_exported_program(tmp_path: Path) -> None:
    """Invariance: the exported program gives the logits of each pixel for any number of images."""
    run(*COMMON, "--epochs", "1", "--export", "pt2", "--out", tmp_path)
    program = torch.export.load(tmp_path / "student.pt2").module()
    assert program(torch.zeros(3, 3, 16, 16)).shape == (3, 11, 16, 16)


def test_a_task_of_a_plug_in(tmp_path: Path) -> None:
    """By construction: a task is one class; a subclass in a plug-in file is found by its name, with its options."""
    file = tmp_path / "own.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from zcbench.distill.tasks import Segmentation\n"
        "@dataclass(frozen=True)\n"
        "class Dice(Segmentation):\n"
        "    share: float = 0.5\n"
        "    name: ClassVar[str] = 'dice'\n"
        "    def loss(self, logits, labels, weight, smoothing):\n"
        "        p = logits.float().softmax(1)\n"
        "        y = p.new_zeros(p.shape).scatter(1, labels[:, None], 1)\n"
        "        dice = 1 - (2 * (p * y).sum(0) + 1) / (p.sum(0) + y.sum(0) + 1)\n"
        "        return super().loss(logits, labels, weight, smoothing) + self.share * dice.mean()\n"
    )
    run(*COMMON, "--task", "dice(share=2.0,stride=4)", "--plugin", file, "--epochs", "1", "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["task"] == "dice(stride=4,share=2.0)" and 0 < result["test_miou"] < 100


def test_refusals(tmp_path: Path) -> None:
    """By construction: data and teachers of another task, losses that segmentation does not have."""
    with pytest.raises(BatchError, match="labels are of the task 'classification'"):
        run(*COMMON, "--dataset", "digits(images=32,test_images=8)", "--out", tmp_path / "1")
    with pytest.raises(BatchError, match="labels are of the task 'segmentation'"):
        run(*COMMON, "--task", "classification", "--out", tmp_path / "2")
    with pytest.raises(RecipeError, match="'rkd' reads embedding"):
        run(*TAUGHT, "--distillers", "rkd", "--out", tmp_path / "3")
    file = tmp_path / "own.py"
    file.write_text(
        "from torch import nn\n"
        "def classifier(num_classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))\n"
    )
    with pytest.raises(TeacherError, match=r"Expected logits \(2, 11, 16, 16\)"):
        run(*TAUGHT, "--teacher", f"{file}:classifier", "--out", tmp_path / "4")
