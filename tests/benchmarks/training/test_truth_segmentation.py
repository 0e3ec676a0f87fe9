"""A truth of segmentation networks, from its trainings to scores that are ranked against it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import zcbench
from zcbench import spaces
from zcbench.benchmarks.scoring.conditions import prepare
from zcbench.benchmarks.scoring.options import Setup
from zcbench.benchmarks.truths.lookup import truth
from zcbench.cli import app
from zcbench.distill import Recipe, train
from zcbench.distill.tasks import read_task
from zcbench.distill.training.data.named import named_data
from zcbench.errors import BatchError, ZcbenchError
from zcbench.runtime.execution import Execution
from zcbench.spaces.dense import DenseNetwork, build_dense

DATA = "digits_scenes(side=16,images=48,test_images=8,digits=1)"
BUILD = (
    *("truth", "build", "--task", "segmentation(width=8)", "--space", "resnet", "--dataset", DATA, "--seeds", "1"),
    *(
        "--teacher",
        "1-1-1@8-8-8-16",
        "--distillers",
        "cwd",
        "--epochs",
        "3",
        "--batch-size",
        "8",
        "--optimizer",
        "adamw",
    ),
    *("--lr", ".01", "--workers", "0"),
)
ARCHS = ("1-1-1@8-8-8-8", "1-1-2@8-8-8-16", "1-1-1@8-16-8-8")


def run(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth of three backbones, alone and under a teacher."""
    home = tmp_path_factory.mktemp("segmentation")
    (home / "archs.txt").write_text("\n".join(ARCHS))
    run(*BUILD, "--archs", home / "archs.txt", "--out", home / "truth")
    return home


def test_the_accuracy_is_the_mean_iou_of_a_training(folder: Path) -> None:
    """Independent path: the same network trained by `train`; the protocol names task and metric."""
    table = truth(str(folder / "truth" / "vanilla.parquet"))
    task, space = read_task("segmentation(width=8)"), spaces.get("dense(backbone='resnet',width=8)")
    assert table.networks == space.spec and table.protocol["metric"] == "mean IoU"
    recipe = Recipe(epochs=3, batch_size=8, optimizer="adamw", lr=0.01, layout="channels_last")
    data = named_data(DATA).with_task(task)
    network = space.build(ARCHS[1], 11, 0, (3, 16, 16))
    expected = train(network, None, data, recipe).score
    assert table.set_index("arch")["accuracy"][ARCHS[1]] == pytest.approx(expected)
    about = json.loads((folder / "truth" / "truth.json").read_text())["protocol"]
    assert about["task"] == task.spec and about["teacher"]["space"] == space.spec


def test_networks_of_the_truth_are_scored_on_masks(folder: Path) -> None:
    """By construction: space and teacher of the truth, a batch with masks, and sizes that count the head."""
    setup = Setup(dataset=DATA, batch_size=8, teacher="resnet:1-1-1@8-8-8-16")
    done = zcbench.bench(
        folder / "run",
        truth=str(folder / "truth" / "kd.parquet"),
        sample=zcbench.Sample(ARCHS),
        setup=setup,
        proxies="params,snip,kd:at",
        seeds=1,
        execution=Execution(workers=0),
    )
    assert set(done.scores["status"]) == {"ok"}
    scores = done.scores.set_index(["proxy", "arch"])["value"]
    built = spaces.get("dense(backbone='resnet',width=8)").build(ARCHS[0], 11, 0, (3, 16, 16))
    assert scores["params", ARCHS[0]] == sum(weight.numel() for weight in built.parameters())


def test_conditions_of_dense_networks() -> None:
    """By definition: a teacher of another space has the students' head; class 255 is left out of the loss."""
    space = spaces.get("dense(backbone='resnet',head='pspnet')")
    made = prepare(Setup(space=space, dataset=DATA, batch_size=4, teacher="s0:111"))
    teacher = made.build_teacher()
    assert isinstance(teacher, DenseNetwork) and len(teacher.head) == 4
    with pytest.raises(BatchError, match="image_size"):
        prepare(Setup(space=space, dataset=DATA, image_size=16, teacher="none"))


def test_a_network_of_ones_own() -> None:
    """Independent path: the same proxies of `zcbench.score` on the batch with masks that the name stands for."""
    network = build_dense(spaces.get("resnet"), "1-1-1@8-8-8-8", num_classes=11, image_shape=(3, 16, 16))
    found = zcbench.score_network(network, Setup(dataset=DATA, batch_size=4), "snip,naswot,epe_nas")
    assert [one.status for one in found.scores] == ["ok", "ok", "not_applicable"]
    batch = prepare(Setup(space="dense", dataset=DATA, batch_size=4, teacher="none")).batch
    expected = zcbench.score(network, batch, ["snip", "naswot"])
    assert {one.proxy: one.value for one in found.scores[:2]} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "segmentation", "--dataset", "digits"), "labels are of the task 'classification'"),
        (("--task", "classification"), "labels are of the task 'segmentation'"),
        (("--space", "dense(backbone='resnet')"), "Expected: a space of classifiers"),
    ],
)
def test_what_does_not_fit_the_task(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """By definition: data of another task, and a space of dense networks beside the task that makes it."""
    with pytest.raises(ZcbenchError, match=said.replace("(", r"\(")):
        run(*BUILD, *words, "--archs", "2", "--out", tmp_path)
