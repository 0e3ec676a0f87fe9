"""``zcbench distill`` and ``zcbench truth build`` from the command line."""

import json
import platform
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import zcbench
from zcbench import spaces
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.training.student import read_student
from zcbench.benchmarks.truths.sources import sha256
from zcbench.cli import app
from zcbench.cli.students import read_distillers
from zcbench.distill.errors import CheckpointError, RecipeError, TrainingStopped
from zcbench.distill.training.checkpoint import content_sha256
from zcbench.errors import ArchitectureError, ProtocolError, RankingError, UnknownNameError
from zcbench.plugins import load_file
from zcbench.streams import seeded

from ..command import Result, zcbench_command
from ..processes import as_before

SPACE = "nasbench201(channels=2,cells=1)"
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
COMMON = ["--space", SPACE, "--dataset", "digits(images=96,test_images=50)", "--epochs", "1", "--batch-size", "32"]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def distilled(out: Path, *words: object) -> dict[str, object]:
    run("distill", "--student", CELL, "--out", out, *COMMON, *words)
    return dict(json.loads((out / "result.json").read_text()))


def anew(out: Path, *words: object) -> Result:
    """The same command as a new process runs it, which has loaded no plug-in."""
    with as_before():
        return zcbench_command("distill", "--student", CELL, "--out", out, *COMMON, *words)


def test_distill(tmp_path: Path) -> None:
    """By construction: weights that load into a fresh build, log, curves, result; a second call trains nothing."""
    words = ("--teacher", f"{SPACE}:{CELL}", "--distillers", "kd(temperature=2),at", "--weights", "ce=.5,at=10")
    first = distilled(tmp_path, *words)
    assert first["weights"] == {"ce": 0.5, "kd(temperature=2.0)": 1.0, "at": 10.0}
    fresh = spaces.get(SPACE).build(CELL, image_shape=(3, 8, 8))
    fresh.load_state_dict(torch.load(tmp_path / "student.pt", weights_only=True))
    made = {path.name for path in tmp_path.iterdir()}
    assert made >= {"student.pt", "teacher0.pt", "log.csv", "log.json", "curves.png", "curves.svg", "result.json"}
    assert distilled(tmp_path, *words) == first


def test_teacher_from_a_checkpoint(tmp_path: Path) -> None:
    """Invariance: the weights that a first call has trained give the student that training them again gives."""
    first = distilled(tmp_path / "one", "--teacher", CELL)
    second = distilled(tmp_path / "two", "--teacher", CELL, "--teacher-checkpoint", tmp_path / "one" / "teacher0.pt")
    assert first["test_loss"] == second["test_loss"] and not (tmp_path / "two" / "teacher0.pt").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--scenario", "teacher"),
        ("--scenario", "teacher", "--teacher", f"{CELL},{CELL}", "--mixture", "adaptive"),
        ("--scenario", "self"),
        ("--scenario", "mutual", "--distillers", "kd(temperature=1)"),
        ("--scenario", "assistant", "--teacher", f"{CELL},{CELL}"),
    ],
)
def test_scenarios(tmp_path: Path, words: tuple[str, ...]) -> None:
    """By construction: each ends with a student and its figures."""
    result = distilled(tmp_path, *words)
    assert result["scenario"] == words[1] and 0 <= float(str(result["test_accuracy"])) <= 100
    assert (tmp_path / "student.pt").exists()


def test_the_result_says_what_was_trained(tmp_path: Path) -> None:
    """Closed form: weights of 1 among students, the seed of the last generation, a mixture where two teach."""
    mutual = distilled(tmp_path / "mutual", "--scenario", "mutual", "--distillers", "kd", "--weights", "kd=2")
    assert (mutual["weights"], mutual["mixture"]) == ({"ce": 1.0, "kd": 2.0}, None)
    own = distilled(tmp_path / "self", "--scenario", "self", "--generations", 3, "--seed", 4)
    assert own["student"]["seed"] == own["recipe"]["seed"] == 6 and own["weights"] == {"ce": 0.1, "kd": 0.9}
    chain = distilled(tmp_path / "chain", "--scenario", "assistant", "--teacher", f"{CELL},{CELL}", "--seed", 4)
    assert (chain["student"]["seed"], chain["recipe"]["seed"]) == (4, 5)
    both = distilled(tmp_path / "two", "--teacher", f"{CELL},{CELL}", "--mixture", "adaptive")
    assert both["mixture"] == "adaptive" and both["student"]["seed"] == both["recipe"]["seed"] == 0


def test_balanced_weights_are_kept_for_the_training_that_goes_on(tmp_path: Path) -> None:
    """By construction: a second call reads them, as they might come out another way elsewhere."""
    words = ("--teacher", CELL, "--distillers", "at", "--weights", "balanced")
    first = distilled(tmp_path, *words)
    assert json.loads((tmp_path / "balanced.json").read_text()) == first["weights"]
    (tmp_path / "balanced.json").write_text('{"ce": 1.0, "at": 3.0}')
    with pytest.raises(CheckpointError, match="objective was"):
        distilled(tmp_path, *words)


LOSS = """from zcbench.distill import distiller
from {helper} import scale
FACTOR = {factor}
@distiller("{name}", reads="logits")
def mine(student, teacher):
    return scale(FACTOR * {sign}(student.logits - teacher.logits).square().mean())
"""


def loss_file(folder: Path, name: str, factor: float = 0.001, sign: str = "") -> Path:
    helper = folder / f"helper_of_{name}.py"
    helper.write_text("def scale(loss):\n    return 1.0 * loss\n")
    file = folder / f"{name}.py"
    file.write_text(LOSS.format(name=name, factor=factor, helper=helper.stem, sign=sign))
    return file


@pytest.mark.parametrize(
    ("change", "scenario"),
    [
        pytest.param("constant", "teacher", marks=pytest.mark.long),
        ("formula", "mutual"),
        ("comment", "teacher"),
    ],
)
def test_an_edited_loss_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, scenario: str) -> None:
    """Bad input: the folder keeps its loss, finished or not; in a fresh folder the new one is trained and recorded."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"edited_{change}_{scenario}"
    file = loss_file(tmp_path, name)
    teacher = ("--teacher", CELL) if scenario == "teacher" else ()
    words = ("--scenario", scenario, *teacher, "--distillers", name, "--plugin", file)
    with as_before():
        first = distilled(tmp_path / "run", *words)
        assert distilled(tmp_path / "run", *words) == first
    if change == "comment":
        file.write_text(file.read_text() + "# another version\n")
    else:
        loss_file(tmp_path, name, *((1000.0,) if change == "constant" else (0.001, "-")))
    again = anew(tmp_path / "run", *words)
    assert again.returncode == 1 and f"the code of the loss {name} is not what it was" in " ".join(again.stderr.split())
    assert anew(tmp_path / "fresh", *words).returncode == 0
    fresh = json.loads((tmp_path / "fresh" / "result.json").read_text())
    assert (fresh["test_loss"] == first["test_loss"]) == (change == "comment")
    assert fresh["plugins"] == {str(file): sha256(file)} != first["plugins"]


TEACHER = """from torch import nn
class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    def forward(self, images):
        return {factor} * self.layers(images)
KEPT = []
def make():
    return Teacher()
def again():
    KEPT.append(Teacher()) if not KEPT else None
    return KEPT[0]
"""


def test_an_edited_teacher_is_refused(tmp_path: Path) -> None:
    """Bad input: the weights of its checkpoint are the same, the code that uses them is not."""
    file, weights = tmp_path / "own.py", tmp_path / "own.pt"
    file.write_text(TEACHER.format(factor=1))
    with seeded("tests", "teacher"):
        torch.save(load_file(file).make().state_dict(), weights)
    words = ("--teacher", f"{file}:make", "--teacher-checkpoint", weights)
    first = distilled(tmp_path / "run", *words)
    (details,) = first["teacher_details"]  # type: ignore[misc]
    assert details["checkpoint_sha256"] == sha256(weights) and details["file_sha256"] == sha256(file)
    file.write_text(TEACHER.format(factor=3))
    with pytest.raises(CheckpointError, match="the code of the teacher is not what it was"):
        distilled(tmp_path / "run", *words)
    distilled(tmp_path / "trained", *words[:2])
    file.write_text(TEACHER.format(factor=4))
    with pytest.raises(
        CheckpointError, match="the code of the student is not what it was"
    ):  # of the teacher's training
        distilled(tmp_path / "trained", *words[:2])


def test_a_function_that_gives_one_network_twice(tmp_path: Path) -> None:
    """Bad input: two teachers that are one network are refused before a student is trained."""
    file = tmp_path / "own.py"
    file.write_text(TEACHER.format(factor=1))
    with pytest.raises(RecipeError, match="share everything: they are one network"):
        distilled(tmp_path / "run", "--teacher", f"{file}:again,{file}:again")
    assert not (tmp_path / "run" / "student.training").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--distillers", "kd"),
        ("--distillers", "at,sp"),
        ("--weights", "ce=1"),
        ("--teacher", "none", "--distillers", "kd"),
    ],
)
def test_losses_without_a_teacher(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Bad input: refused by both commands, whatever is given; without the option the student is trained alone."""
    with pytest.raises(RecipeError, match="and no teacher"):
        distilled(tmp_path / "run", *words)
    if "--teacher" not in words:
        with pytest.raises(RecipeError, match="and no teacher"):
            run("truth", "build", *COMMON, "--settings", "vanilla", "--out", tmp_path / "truth", *words)
    assert list(tmp_path.iterdir()) == []
    assert distilled(tmp_path / "run")["losses"] == []


def test_the_result_says_what_was_used(tmp_path: Path) -> None:
    """By construction: versions, threads, device, losses, and of the teacher seed, weights and accuracy."""
    options = ("--distillers", "kd,at", "--weights", "at=0", "--seed", 3, "--threads", torch.get_num_threads())
    result: Any = distilled(tmp_path, "--teacher", CELL, *options)
    assert result["environment"] == {
        "zcbench": zcbench.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
    assert [loss["name"] for loss in result["losses"]] == ["kd"]
    (teacher,) = result["teacher_details"]
    network = spaces.get(SPACE).build(CELL, image_shape=(3, 8, 8))
    network.load_state_dict(torch.load(tmp_path / "teacher0.pt", weights_only=True))
    own = json.loads((tmp_path / "teacher0" / "log.json").read_text())["history"][-1]["test_accuracy"]
    assert (teacher["seed"], teacher["weights_sha256"], teacher["test_accuracy"]) == (3, content_sha256(network), own)
    assert teacher["recipe"]["padding"] == result["recipe"]["padding"] == 1  # an eighth of the side
    assert "gamma" not in result["recipe"] and result["recipe"]["momentum_span"] == [0.85, 0.95]


def test_a_poor_teacher_is_told(tmp_path: Path) -> None:
    """By construction: untrained weights are near chance; a student that is better than they are is told too."""
    torch.save(spaces.get(SPACE).build(CELL, image_shape=(3, 8, 8)).state_dict(), tmp_path / "weights.pt")
    words = ["--student", CELL, *COMMON[:2], "--dataset", "digits(images=960)", "--epochs", 8, "--batch-size", 32]
    words += ["--augmentation", "none", "--distillers", "kd", "--weights", "ce=1,kd=0.0001", "--teacher", CELL]
    told = run("distill", *words, "--teacher-checkpoint", tmp_path / "weights.pt", "--out", tmp_path / "run")
    assert "Warning: the teacher" in told and "is near chance (10.00 %)" in told
    assert "is worse than the student" in told and told.count("on the test images.") >= 1


def test_student_of_a_search(tmp_path: Path) -> None:
    """By construction: best.arch, with the space beside it, in it, or that of the option."""
    file = tmp_path / "search.json"
    for content, given in (
        ({"space": SPACE, "best": {"arch": CELL}}, "resnet"),
        ({"best": {"arch": CELL, "space": SPACE}}, "resnet"),
        ({"best": {"arch": CELL}}, SPACE),
    ):
        file.write_text(json.dumps(content))
        student = read_student(str(file), given)
        assert (student.space.spec, student.arch) == (SPACE, CELL)
    assert read_student(f"{SPACE}:{CELL}", "resnet").space.spec == SPACE


@pytest.mark.parametrize("content", ["", "[]", '{"best": {}}', '{"best": {"arch": "nonsense"}}'])
def test_a_file_without_a_student(tmp_path: Path, content: str) -> None:
    """Bad input: damaged, empty, or no architecture of the space."""
    (tmp_path / "search.json").write_text(content)
    with pytest.raises(ArchitectureError):
        read_student(str(tmp_path / "search.json"), SPACE)
    with pytest.raises(ArchitectureError, match="names no student"):
        read_student(str(tmp_path / "missing.json"), SPACE)


def ranking(folder: Path, taus: dict[str, float]) -> None:
    rows = [
        {"truth": "t", "subset": "all", "proxy": name, "kind": "proxy", "n": 3, "tau": tau, "tau_given_params": -tau}
        for name, tau in taus.items()
    ]
    empty = pd.DataFrame({"proxy": [], "status": [], "count": [], "example_arch": [], "reason": []})
    archs = pd.Index(["a", "b", "c"], name="arch")
    sizes = pd.DataFrame(1, archs, ["params", "macs", "n_convs", "depth", "width"])
    scores, truth = pd.DataFrame(0.0, archs, list(taus)), pd.DataFrame({"t": [1.0, 2.0, 3.0]}, archs)
    matrix = pd.DataFrame(0.0, list(taus), list(taus))
    protocol = {"scores": {"space": SPACE}}
    made = Ranking(pd.DataFrame(rows), scores, truth, sizes, {"all": matrix}, empty, protocol, {"all": ("a", "b", "c")})
    made.save(folder / "ranking")


def test_top_distillers_of_a_ranking(tmp_path: Path) -> None:
    """By construction: the best kd: proxies by tau, or by another column; what is no distiller does not count."""
    ranking(tmp_path, {"synflow": 0.9, "kd:at": 0.5, "kd:kd(temperature=2.0)": 0.7, "kd:sp": -0.2})
    names, about = read_distillers(f"top:2@{tmp_path},cc", "resnet", None)
    assert names == ["kd(temperature=2.0)", "at", "cc"] and about[0]["column"] == "tau"
    assert read_distillers(f"top:1@{tmp_path}:given_params", "nasbench201", None)[0] == ["sp"]


def test_a_ranking_without_distillers(tmp_path: Path) -> None:
    """Bad input: a run that has no kd: proxy."""
    ranking(tmp_path, {"synflow": 0.9, "macs": 0.8})
    with pytest.raises(RankingError, match="has no name that begins with 'kd:'"):
        read_distillers(f"top:2@{tmp_path}", "nasbench201", None)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--distillers", "kdd"), UnknownNameError, "'kd'"),
        (("--scenario", "assistant", "--teacher", CELL), ProtocolError, "given 1 teachers"),
        (("--scenario", "self", "--teacher", CELL), ProtocolError, "Expected none"),
        (("--scenario", "mutual", "--teacher", CELL), ProtocolError, "Expected none"),
        (
            ("--scenario", "assistant", "--teacher", f"{CELL},{CELL}", *("--teacher-checkpoint", "a") * 2),
            ProtocolError,
            "given 2 checkpoints",
        ),
        (("--teacher", CELL, "--teacher-checkpoint", "a", "--teacher-checkpoint", "b"), ProtocolError, "2 checkpoints"),
        (("--batch-size", "128"), RecipeError, "96 training images and batch_size=128"),
    ],
)
def test_wrong_options(tmp_path: Path, words: tuple[str, ...], error: type[Exception], message: str) -> None:
    """Bad input: each is an error that names what was given."""
    with pytest.raises(error, match=message):
        distilled(tmp_path, *words)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--teacher", f"{CELL},resnet:resnt20"), ArchitectureError, "resnt20"),
        (("--teacher", CELL, "--distillers", "kd", "--weights", "kd=0"), RecipeError, "no distiller"),
    ],
)
def test_what_does_not_fit_is_said_before_a_teacher_is_trained(
    tmp_path: Path, words: tuple[str, ...], error: type[Exception], message: str
) -> None:
    """Bad input: a second teacher, a weight or a loss that cannot be; no teacher has been trained for it."""
    with pytest.raises(error, match=message):
        distilled(tmp_path, *words)
    assert not list(tmp_path.glob("teacher0*"))


def test_a_teacher_with_commas_in_its_name(tmp_path: Path) -> None:
    """By construction: an AutoFormer, whose string has commas, beside another teacher; the student learns from both."""
    transformer = "autoformer:192/" + ",".join(["3.5x3"] * 12)
    words = ("--teacher", f"{transformer},resnet:resnet8", "--dataset", "digits(side=16,images=64,test_images=32)")
    assert distilled(tmp_path, *words)["teachers"] == [transformer, "resnet:resnet8"]


def test_weights_that_cannot_be_read(tmp_path: Path) -> None:
    """Bad input: wrong usage, exit code 2."""
    result = CliRunner().invoke(app, ["distill", "--student", CELL, "--out", str(tmp_path), *COMMON, "--weights", "ce"])
    assert result.exit_code == 2 and "NAME=NUMBER" in result.output


def test_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: a wish to stop leaves a checkpoint from which the same command goes on."""
    whole = distilled(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("zcbench.runtime.stop.Stop.__enter__", lambda self: setattr(self, "asked", True) or self)
        with pytest.raises(TrainingStopped, match="start it again to go on"):
            distilled(tmp_path / "run")
    assert distilled(tmp_path / "run")["test_loss"] == whole["test_loss"]


def test_truth_build_and_rank(tmp_path: Path) -> None:
    """By construction: the tables are truths that 'bench' takes, for the architectures that the folder lists."""
    out = tmp_path / "truth"
    words = ["--archs", 4, "--seeds", 1, "--teacher", CELL, "--workers", 0, "--out", out]
    told = run("truth", "build", *COMMON, *words)
    assert "vanilla: 4 architectures, 1 seed;" in told and "one run each" in told
    truths = f"{out / 'vanilla.parquet'},{out / 'kd.parquet'}"
    bench = ["--archs", out / "archs.txt", "--proxies", "params,macs", "--dataset", "digits", "--workers", 0]
    run("bench", "--space", SPACE, "--truth", truths, *bench, "--seeds", 1, "--draws", 10, "--out", tmp_path / "run")
    assert set(Ranking.load(tmp_path / "run" / "ranking").accuracies) == {"vanilla.parquet", "kd.parquet"}


def test_a_transformer_in_a_frame_with_its_exports(tmp_path: Path) -> None:
    """Invariance: the loss is named with its frame; weights and program give the same logits, without projectors."""
    words = ["--student", "deit(patch=4):16/2/2/2", "--teacher", "resnet:resnet8", "--teacher-epochs", "1"]
    more = ["--distillers", "fitnet", "--frame", "n_to_one(segments=2)", "--mixture", "gradient", "--export", "pt,pt2"]
    run("distill", *words, *more, *COMMON[2:], "--optimizer", "adamw", "--out", tmp_path)
    about = json.loads((tmp_path / "result.json").read_text())
    assert [loss["name"] for loss in about["losses"]] == ["n_to_one(segments=2)/fitnet"]
    assert about["weights"] == {"ce": 1.0, "n_to_one(segments=2)/fitnet": 1.0}
    assert "n_to_one(segments=2)/fitnet" in pd.read_csv(tmp_path / "log.csv").columns
    network = spaces.get("deit(patch=4)").build("16/2/2/2", 10, image_shape=(3, 8, 8)).eval()
    network.load_state_dict(torch.load(tmp_path / "student.pt", weights_only=True))
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    program = torch.export.load(tmp_path / "student.pt2").module()
    torch.testing.assert_close(program(images), network(images))
    with pytest.raises(ProtocolError, match="its own teacher"):
        run("distill", *words, *COMMON[2:], "--frame", "self", "--out", tmp_path / "own")
