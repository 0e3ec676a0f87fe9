"""``zcbench distill --task detection`` from the command line."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.command import distilled as run
from zcbench import spaces
from zcbench.distill.errors import RecipeError
from zcbench.distill.tasks import read_task
from zcbench.distill.training.export import onnx_logits
from zcbench.errors import BatchError, TeacherError

TASK = "detection(width=8,depth=1)"
DATA = "digits_scenes(side=16,images=24,test_images=8)"
RECIPE = ("--optimizer", "adamw", "--batch-size", "8")
COMMON = ("--task", TASK, "--dataset", DATA, "--student", "resnet:resnet8", *RECIPE)
TAUGHT = (*COMMON, "--teacher", "resnet:resnet14", "--distillers", "kd,cwd", "--epochs", "2")


def test_student_beside_alone_and_teacher(tmp_path: Path) -> None:
    """By construction: average precision of student, student alone and teacher in result.json, terminal and page."""
    said = run(*TAUGHT, "--baseline", "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["task"] == read_task(TASK).spec and result["label_loss"] == "focal and box loss"
    assert result["metric"] == {"name": "ap", "title": "average precision"}
    figures = result["test_ap"], result["baseline"]["test_ap"], result["teacher_details"][0]["test_ap"]
    assert all(0 <= figure <= 100 for figure in figures) and result["test_ap50"] >= result["test_ap"]
    assert f"Test average precision {figures[0]:.2f} %" in said and f"The student alone: {figures[1]:.2f} %" in said
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Average precision by epoch" in page and "test focal and box loss" in page
    assert "Predictions on test images" in page and "cross-entropy" not in page.partition("result.json")[0]
    assert (tmp_path / "report" / "figures" / "predictions.svg").is_file()
    names = torch.load(tmp_path / "student.pt", weights_only=True)
    assert {name.partition(".")[0] for name in names} == {"backbone", "head", "pyramid"}


def test_killed_and_resumed(tmp_path: Path) -> None:
    """Invariance: killed with SIGKILL after a checkpoint and started again, it has the bits of an unbroken run."""
    words = (*TAUGHT, "--checkpoint-every", "1", "--augmentation", "crop_flip", "--no-report")
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


def test_exported_programs(tmp_path: Path) -> None:
    """Invariance: torch.export and ONNX give the outputs of the network, from which the task makes detections."""
    run(*COMMON, "--epochs", "1", "--export", "pt,pt2,onnx", "--no-report", "--out", tmp_path)
    images, task = torch.randn(3, 3, 16, 16), read_task(TASK)
    network = task.build(spaces.get("resnet"), "resnet8", 10, 0, (3, 16, 16), "default").eval()
    network.load_state_dict(torch.load(tmp_path / "student.pt", weights_only=True))
    expected = network(images)
    assert expected.shape == (3, 15, 21)
    program = torch.export.load(tmp_path / "student.pt2").module()
    for found in (program(images), onnx_logits(tmp_path / "student.onnx", images)):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_refusals(tmp_path: Path) -> None:
    """By construction: data and teachers of another task, losses that detection does not have."""
    with pytest.raises(BatchError, match="labels are of the task 'classification'"):
        run(*COMMON, "--dataset", "digits(images=32,test_images=8)", "--out", tmp_path / "1")
    with pytest.raises(RecipeError, match="'rkd' reads embedding"):
        run(*TAUGHT, "--distillers", "rkd", "--out", tmp_path / "3")
    file = tmp_path / "own.py"
    file.write_text(
        "from torch import nn\n"
        "def classifier(num_classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))\n"
    )
    with pytest.raises(TeacherError, match=r"Expected logits \(2, 15, 21\)"):
        run(*TAUGHT, "--teacher", f"{file}:classifier", "--out", tmp_path / "4")
