"""The catalogue of trained teachers. The oracles: the weights that other commands train, and the files themselves."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import zcbench
from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.catalogue import TrainedTeacher, find, placed
from zcbench.benchmarks.scoring.conditions import prepare
from zcbench.benchmarks.scoring.options import Setup
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, read_teacher
from zcbench.benchmarks.training import teachers as training
from zcbench.benchmarks.training.building import build_truth
from zcbench.benchmarks.training.conditions import KDSetting, TruthConditions
from zcbench.benchmarks.training.student import Teaching, train_student
from zcbench.benchmarks.training.teachers import train_teacher
from zcbench.distill import Recipe, TrainingData
from zcbench.errors import ProtocolError, TeacherError, UnknownNameError
from zcbench.kdzero.command import _teacher as teacher_of_a_search
from zcbench.runtime.execution import Execution

from ...command import fails, zcbench_command

SPACE = spaces.get("nasbench201(channels=2,cells=1)")
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
IMAGES = "digits(images=96,test_images=50)"
RECIPE = Recipe(epochs=1, batch_size=32, seed=7)
FUNCTION = """
from torch import nn

def make(num_classes, image_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[0] * image_shape[1] * image_shape[2], num_classes))
"""


def data() -> TrainingData:
    return TrainingData.of(datasets.load(IMAGES), datasets.load(IMAGES, split="test"))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One teacher, ``cell``."""
    folder = tmp_path_factory.mktemp("catalogue")
    train_teacher(CELL, data(), RECIPE, name="cell", space=SPACE.spec, catalogue=folder)
    return folder


@pytest.fixture
def own(catalogue: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue, to be damaged."""
    return Path(shutil.copytree(catalogue, tmp_path / "own"))


def weights(file: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(file, weights_only=True))


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_teacher_is_trained_once(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: a training would fail; another recipe or other images ask for one."""
    monkeypatch.setattr(training, "train", lambda *given, **options: pytest.fail("it is trained again"))
    again = train_teacher(CELL, data(), RECIPE, space=SPACE.spec, catalogue=catalogue)
    assert again.name == "cell" and [again] == zcbench.teachers(catalogue)
    for recipe, images in ((Recipe(epochs=2, batch_size=32, seed=7), data()), (RECIPE, data().first(64))):
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            train_teacher(CELL, images, recipe, space=SPACE.spec, catalogue=catalogue)
    assert not again.checkpoint.with_name("teacher.training").exists()


def test_it_is_the_teacher_that_a_truth_trains(catalogue: Path, tmp_path: Path) -> None:
    """Invariance: the builder's own teacher has the same weights, and its students the same accuracy and loss."""
    archs, images, rows = [SPACE[1462]], data(), {}
    students = Recipe(epochs=1, batch_size=32)
    for name, setting in {
        "first": KDSetting(TeacherChoice(CELL, seed=7), RECIPE),
        "taken": KDSetting(read_teacher(f"trained:{catalogue}/cell", SPACE, 7)),
    }.items():
        conditions = TruthConditions(SPACE, images, "digits", students, setting)
        execution = Execution(workers=0)
        built = build_truth(conditions, archs, tmp_path / name, settings=["kd"], seeds=[0], execution=execution)
        rows[name] = built.trainings.set_index("setting").loc["kd", ["accuracy", "loss", "train_loss"]].tolist()
        teacher = built.trainings.set_index("setting").loc["teacher"]
        assert teacher["accuracy"] == zcbench.teachers(catalogue)[0].accuracy
    assert rows["first"] == rows["taken"]
    assert equal(weights(tmp_path / "first" / "teacher.pt"), weights(find(f"trained:{catalogue}/cell").checkpoint))


def test_every_command_takes_it(catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariance: by name or hash, the same network as from the file of weights; a student learns the same."""
    monkeypatch.setenv("ZCBENCH_DATA", str(tmp_path / "data"))
    shutil.copytree(catalogue, tmp_path / "data" / "teachers")
    kept = find("trained:cell")
    by_file = read_teacher(CELL, SPACE, 3, checkpoint=kept.checkpoint)
    network = build_teacher(by_file, SPACE, "default", 10, (3, 8, 8)).state_dict()
    given = {"space": SPACE.spec, "dataset": "digits", "batch_size": 8, "data_dir": tmp_path / "data"}
    for name in ("cell", kept.key[:6], kept.sha256[:12]):
        choices = [
            read_teacher(f"trained:{name}", SPACE),
            prepare(Setup(teacher=f"trained:{name}", **given), ["params"]).teacher,
            teacher_of_a_search(f"trained:{name}", SPACE.spec, 3, None, tmp_path / "data"),
        ]
        for choice in choices:
            assert choice is not None and choice.checkpoint_sha256 == kept.sha256
            assert equal(build_teacher(choice, SPACE, "default", 10, (3, 8, 8)).state_dict(), network)
    results = [
        train_student(
            f"{SPACE.spec}:{CELL}", data(), tmp_path / f"student{len(files)}", RECIPE, teaching=Teaching(**teaching)
        )
        for teaching in ({"teachers": ["trained:cell"]}, {"teachers": [CELL], "checkpoints": [kept.checkpoint]})
        for files in (teaching,)
    ]
    assert equal(*(result.student.state_dict() for result in results))
    assert results[0].teachers[0].origin is not None and results[0].teachers[0].origin.recipe is None
    assert results[0].teachers[0].score == kept.accuracy
    assert placed("trained:cell", tmp_path / "data") == "trained:cell"


def test_a_function_is_kept_with_its_file(tmp_path: Path) -> None:
    """By construction: the user's file is gone, and the copy builds the network."""
    file = tmp_path / "mine.py"
    file.write_text(FUNCTION)
    found = train_teacher(f"{file}:make", data(), RECIPE, name="mine", catalogue=tmp_path / "kept")
    file.unlink()
    choice = read_teacher(f"trained:{tmp_path / 'kept'}/mine", SPACE)
    assert choice.label == "mine.py:make" and choice.files[1] == found.checkpoint
    state = build_teacher(choice, SPACE, "default", 10, (3, 8, 8)).state_dict()
    assert equal(dict(state), weights(found.checkpoint))
    (found.folder / "mine.py").write_text(FUNCTION + "\n")
    with pytest.raises(TeacherError, match=r"mine.py is damaged or was edited"):
        read_teacher(f"trained:{tmp_path / 'kept'}/mine", SPACE)


def test_what_is_damaged_or_edited_is_refused(own: Path) -> None:
    """Bad input: a changed byte, a cut file, none, an edited recipe, a record that is no JSON; each is named."""
    folder = next(own.glob("*/teacher.json")).parent
    file, record = folder / "teacher.pt", folder / "teacher.json"
    content, text = bytearray(file.read_bytes()), record.read_text()
    changed = bytes([*content[:500], content[500] ^ 1, *content[501:]])

    def refused(message: str) -> None:
        with pytest.raises(TeacherError, match=message):
            read_teacher(f"trained:{own}/cell", SPACE)
        with pytest.raises(TeacherError, match=message):
            train_teacher(CELL, data(), RECIPE, space=SPACE.spec, catalogue=own)
        assert [bool(one.problem) for one in zcbench.teachers(own)] == [True]

    for wrong in (changed, bytes(content[:-100])):
        file.write_bytes(wrong)
        refused("teacher.pt is damaged or was edited")
    file.unlink()
    refused("teacher.pt cannot be read: No such file")
    file.write_bytes(content)
    edited = json.loads(text)
    edited["identity"]["recipe"]["epochs"] = 100
    record.write_text(json.dumps(edited))
    refused("teacher.json was edited")
    record.write_text("{")
    assert "cannot be read" in zcbench.teachers(own)[0].problem
    record.write_text(text)
    assert TrainedTeacher.read(folder).problem == ""


def test_names_that_cannot_be(own: Path) -> None:
    """Bad input: an unknown name, a taken one, one that is none, weights twice, a trained teacher to train."""
    with pytest.raises(UnknownNameError, match="'cell'"):
        find(f"trained:{own}/cel")
    with pytest.raises(ProtocolError, match=r"has a teacher 'cell' of another recipe"):
        train_teacher(CELL, data(), Recipe(epochs=2), name="cell", space=SPACE.spec, catalogue=own)
    with pytest.raises(ProtocolError, match="Expected letters, digits"):
        train_teacher(CELL, data(), Recipe(epochs=2), name="a/b", space=SPACE.spec, catalogue=own)
    with pytest.raises(TeacherError, match="leave the checkpoint out"):
        read_teacher(f"trained:{own}/cell", SPACE, checkpoint=own / "x.pt")
    with pytest.raises(ProtocolError, match="is trained"):
        train_teacher(f"trained:{own}/cell", data(), RECIPE, catalogue=own)
    folder = next(own.glob("*/teacher.json")).parent
    twin = Path(shutil.copytree(folder, own / ("f" * 16)))
    record = json.loads((twin / "teacher.json").read_text())
    (twin / "teacher.json").write_text(json.dumps(record | {"name": "other"}))
    with pytest.raises(TeacherError, match="stands for 2 teachers"):
        find(f"trained:{own}/{record['sha256'][:8]}")


def test_the_command(tmp_path: Path) -> None:
    """The command trains, finds, and lists; as the call does."""
    words = ["teachers", "train", CELL, "--space", SPACE.spec, "--dataset", IMAGES, "--epochs", 1, "--batch-size", 32]
    options = ["--catalogue", tmp_path, "--augmentation", "none", "--seed", 7, "--name", "cell"]
    first, second = (zcbench_command(*words, *options) for _ in range(2))
    assert "cell: trained;" in first.stdout and "cell: found, not trained again;" in second.stdout
    assert f"--teacher trained:{tmp_path}/cell" in first.stderr
    called = train_teacher(CELL, data(), RECIPE, space=SPACE.spec, catalogue=tmp_path)
    listed = json.loads(zcbench_command("teachers", "list", "--catalogue", tmp_path, "--json").stdout)["rows"]
    assert [row["key"] for row in listed] == [called.key] and called.sha256[:12] in first.stdout
    called.checkpoint.write_bytes(b"")
    assert "damaged" in zcbench_command("teachers", "list", "--catalogue", tmp_path).stdout
    assert "is damaged or was edited" in fails(*words, *options)
