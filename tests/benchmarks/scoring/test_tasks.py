"""Scores of networks for dense tasks: the loss of a task by name, and teachers of files."""

from pathlib import Path

import pytest
import torch

from zcbench import Setup
from zcbench.benchmarks.scoring.conditions import prepare
from zcbench.datasets import Batch
from zcbench.distill import Outputs
from zcbench.distill.losses.at import at
from zcbench.distill.tasks import read_task
from zcbench.errors import BatchError, UnknownNameError
from zcbench.spaces import get
from zcbench.spaces.dense import DenseNetwork
from zcbench.workflows.scoring import NetworkScores, score_network

NETWORKS = """
from zcbench.distill.losses.at import at
from zcbench.distill.tasks import read_task
from zcbench.spaces import get

def made(task, arch, seed):
    return read_task(task).build(get("resnet"), arch, 10 + task.startswith("seg"), seed, (3, 32, 32), "default")

def detector():
    return made("detection", "1-1-1@8-8-8-16", 0)

def teacher():
    return made("detection", "1-1-1@8-8-16-32", 1)

def segmenter():
    return made("segmentation", "1-1-1@8-8-8-16", 0)

def segmenting_teacher():
    return made("segmentation", "1-1-1@8-8-16-32", 1)
"""
DATA = "digits_scenes(side=32,images=24)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tasks") / "networks.py"
    path.write_text(NETWORKS)
    return path


def scores(file: Path, name: str, proxies: str, **setup: object) -> dict[str, float]:
    found: NetworkScores = score_network(f"{file}:{name}", Setup(dataset=DATA, batch_size=8, **setup), proxies)
    assert {one.status for one in found.scores} == {"ok"}
    return {one.proxy: one.value for one in found.scores}


def boxes() -> Batch:
    return prepare(Setup(dataset=DATA, batch_size=8, loss="detection")).batch


def networks(*archs_and_seeds: tuple[str, int]) -> list[DenseNetwork]:
    task = read_task("detection")
    made = [task.build(get("resnet"), arch, 10, seed, (3, 32, 32), "default") for arch, seed in archs_and_seeds]
    return [network for network in made if isinstance(network, DenseNetwork)]


def test_the_loss_of_a_detector(file: Path) -> None:
    """Independent path: gradients of a loss that is summed image by image, as the training measures it."""
    task, batch = read_task("detection"), boxes()
    found = scores(file, "detector", "snip,grad_norm", loss="detection")
    (network,) = networks(("1-1-1@8-8-8-16", 0))
    losses = []
    for output, labels in zip(network.train()(batch.images), batch.labels):
        targets = task.targets(labels[None], batch.image_shape)
        (rows,), _, targets = task.rows([Outputs(logits=output[None])], [], targets)
        losses.append(task.loss(rows.logits, targets, None, 0.0))
    torch.stack(losses).mean().backward()
    weights = [layer.weight for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    both = [(weight.detach(), weight.grad) for weight in weights if weight.grad is not None]
    assert len(both) == len(weights)
    assert found["snip"] == pytest.approx(sum(float((one * other).abs().sum()) for one, other in both), rel=1e-4)
    assert found["grad_norm"] == pytest.approx(sum(float(other.norm()) for _, other in both), rel=1e-4)


def test_the_loss_of_a_segmentation_by_name(file: Path) -> None:
    """Invariance: it is the loss that follows the masks."""
    names = "snip,grad_norm,zico,naswot"
    assert scores(file, "segmenter", names, loss="segmentation") == pytest.approx(
        scores(file, "segmenter", names), rel=1e-5
    )


def test_losses_between_pyramids(file: Path) -> None:
    """Independent path: attention transfer of the levels that the two networks return."""
    own, other = networks(("1-1-1@8-8-8-16", 0), ("1-1-1@8-8-16-32", 1))
    given = {"loss": "detection", "teacher": f"{file}:teacher"}
    found = scores(file, "detector", "kd:at", **given)["kd:at"]
    student, teacher = (Outputs(stages=network.train().maps(boxes().images).stages) for network in (own, other))
    assert found == pytest.approx(-at(student, teacher).item(), rel=1e-4)


def test_teachers_of_a_file_and_of_a_space_for_masks(file: Path) -> None:
    """By construction: both have the logits of a segmentation, so that each pixel is compared."""
    for teacher in (f"{file}:segmenting_teacher", "resnet:1-1-1@8-8-16-32"):
        assert scores(file, "segmenter", "kd:kd", teacher=teacher)["kd:kd"] < 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": "digits", "loss": "detection"}, r"labels of shape .*Expected floating images .* and boxes"),
        ({"dataset": DATA, "loss": "detection(head='retinanet')"}, r"returns \(8, 15, 84\) for 756 anchors"),
    ],
)
def test_labels_and_outputs_of_another_task(file: Path, given: dict[str, str], message: str) -> None:
    """Bad input: classes where boxes are expected, and a network with another head."""
    with pytest.raises(BatchError, match=message):
        score_network(f"{file}:detector", Setup(batch_size=8, **given), "snip")


@pytest.mark.parametrize("teacher", ["resnet:1-1-1@8-8-16-32", "FILE:segmenting_teacher"])
def test_a_teacher_of_dense_students(file: Path, teacher: str) -> None:
    """Invariance: the loss that is named is the one that follows the masks, and the teacher stays the same."""
    given = {"space": "dense(backbone='resnet',width=8)", "teacher": teacher.replace("FILE", str(file))}
    setups = (Setup(dataset=DATA, batch_size=8, loss=loss, **given) for loss in (None, "segmentation"))
    teachers = [prepare(setup, ["kd:kd"]).build_teacher() for setup in setups]
    named, followed = (teacher.state_dict() for teacher in teachers if teacher is not None)
    assert named.keys() == followed.keys() and all(torch.equal(named[name], followed[name]) for name in named)


def test_an_unknown_loss(file: Path) -> None:
    """Bad input: losses and tasks are named alike."""
    with pytest.raises(UnknownNameError, match="detection"):
        score_network(f"{file}:detector", Setup(dataset=DATA, loss="detect"), "snip")
