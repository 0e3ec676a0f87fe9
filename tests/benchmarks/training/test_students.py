"""Several students in workers. The oracle is `train_student`, one after the other in this process."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

import zcbench
from zcbench import Execution, datasets
from zcbench.benchmarks.training.student import StudentFiles, Teaching, train_student
from zcbench.benchmarks.training.students import train_students
from zcbench.benchmarks.training.teachers import train_teacher
from zcbench.distill import Recipe, TeacherOutputs, TrainingData
from zcbench.distill.errors import RecipeError
from zcbench.errors import ProtocolError

from ...command import fails, zcbench_command
from .mortal import mortal, steps

IMAGES = "digits(images=96,test_images=50)"
ONE, OTHER = "resnet:1-1-1@8-8-8-8", "resnet:1-1-1@8-8-8-16"
RECIPE = Recipe(epochs=2, batch_size=32)
FIGURES = ["student", "seed", "status", "accuracy", "loss", "epochs"]


def data() -> TrainingData:
    return TrainingData.of(datasets.load(IMAGES), datasets.load(IMAGES, split="test"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("catalogue")
    train_teacher(OTHER, data(), Recipe(epochs=1, batch_size=32), name="wide", catalogue=folder)
    return f"trained:{folder}/wide"


def figures(table: pd.DataFrame) -> pd.DataFrame:
    return table[FIGURES].sort_values(["student", "seed"], ignore_index=True)


def test_workers_train_the_same_students(teacher: str, tmp_path: Path) -> None:
    """Invariance: weights and figures are those of single trainings; stored outputs are made once by two workers."""
    outputs = TeacherOutputs("float32", tmp_path / "outputs")
    teaching = Teaching(teachers=[teacher], losses=["kd", "at"], outputs=outputs)
    found = train_students(
        [ONE, OTHER], data(), tmp_path / "several", RECIPE, seeds=[0, 1], teaching=teaching, baseline=True
    )
    assert found.statuses == {"ok": 4} and found.fresh == 4 and len(list(outputs.place.iterdir())) == 1
    for _, row in found.table.iterrows():
        if row["seed"] == 0:
            recipe, alone = Recipe(epochs=2, batch_size=32, seed=0), Teaching(teachers=[teacher], losses=["kd", "at"])
            single = train_student(row["student"], data(), tmp_path / row["student"], recipe, teaching=alone)
            kept = torch.load(Path(row["folder"]) / "student.pt", weights_only=True)
            state = single.student.state_dict()
            assert all(torch.equal(kept[name], state[name]) for name in state)
            assert (row["accuracy"], row["loss"]) == (single.accuracy, single.training.loss)
            told = json.loads((Path(row["folder"]) / "result.json").read_text())
            assert told["teacher_outputs"] == "float32" and told["baseline"]["test_accuracy"] == row["baseline"]


def test_what_is_finished_is_kept(tmp_path: Path) -> None:
    """By construction: the same call trains nothing, another seed one student; what cannot be is refused."""
    here, out = Execution(workers=0), tmp_path / "out"
    first = zcbench.train_students([ONE], data(), out, RECIPE, seeds=[0], execution=here)
    assert train_students([ONE], data(), out, RECIPE, seeds=[0], execution=here).fresh == 0
    more = train_students([ONE], data(), out, RECIPE, seeds=[0, 1], execution=here)
    assert more.fresh == 1 and len(more.table) == len(pd.read_csv(out / "students.csv")) == 2
    pd.testing.assert_frame_equal(figures(more.table)[:1], figures(first.table))
    for given, message in (
        ({"recipe": Recipe(epochs=1, batch_size=32)}, "epochs: 2 → 1"),
        ({"init": "kaiming"}, "init: default → kaiming"),
        ({"students": [ONE, ONE]}, "Expected each once"),
        ({"students": []}, "No students"),
        ({"seeds": [-1]}, "seed -1"),
        ({"execution": Execution(workers=0, timeout=3)}, "without workers"),
    ):
        request = {"students": [ONE], "recipe": RECIPE, "execution": here, **given}
        with pytest.raises(ProtocolError, match=message):
            train_students(request.pop("students"), data(), out, **request)  # type: ignore[arg-type]
    outputs = TeacherOutputs("float16", tmp_path)
    with pytest.raises(ProtocolError, match="Expected the scenario 'teacher' and a teacher"):
        Teaching(outputs=outputs)
    teaching, crops = Teaching(teachers=[OTHER], outputs=outputs), Recipe(augmentation="crop_flip")
    with pytest.raises(RecipeError, match="Expected augmentation 'none'"):
        train_students([ONE], data(), tmp_path / "crops", crops, teaching=teaching)


@pytest.mark.parametrize("where", ["workers", pytest.param("local:2", marks=pytest.mark.long)])
def test_a_killed_worker_is_resumed_by_another(teacher: str, tmp_path: Path, where: str) -> None:
    """Invariance: a worker is killed in the middle; figures are those of a whole run, few steps are made twice."""
    tables, made = {}, {}
    recipe, files = Recipe(epochs=4, batch_size=16), StudentFiles(checkpoint_every=1)
    whose = "getpid" if where == "workers" else "getppid"
    for name, after in (("killed", 9), ("whole", 10_000)):
        plugin = mortal(tmp_path / name, after, whose)
        execution = Execution(workers=1, plugins=(plugin,), cluster=None if where == "workers" else where)
        zcbench.plugins.load_file(plugin)
        teaching = Teaching(teachers=[teacher], losses=["mortal"])
        result = train_students(
            [ONE], data(), tmp_path / f"out-{name}", recipe, seeds=[3], execution=execution, teaching=teaching,
            files=files,
        )  # fmt: skip
        tables[name], made[name] = figures(result.table), steps(plugin)
        zcbench.distill.REGISTRY._items.pop("mortal")
    pd.testing.assert_frame_equal(tables["killed"], tables["whole"])
    assert (tmp_path / "killed" / "dead").exists()
    assert made["killed"] <= made["whole"] + 3  # the lost step, and a look at the loss; from the start it were 8 more


def test_the_command(teacher: str, tmp_path: Path) -> None:
    """The command prints a row for each training, and the mean of each student; options without effect are refused."""
    words = ["distill", "--student", f"{ONE},{OTHER}", "--teacher", teacher, "--dataset", IMAGES, "--epochs", 1]
    options = ["--batch-size", 32, "--augmentation", "none", "--teacher-outputs", "float16", "--workers", 0]
    whole = [*words, *options, "--seeds", 2, "--data-dir", tmp_path / "data", "--out", tmp_path / "out"]
    first = zcbench_command(*whole)
    assert first.returncode == 0, first.stderr
    assert "are made once" in first.stderr and "4 of 4 students" in first.stderr
    assert first.stdout.count("over 2 seeds") == 2 and f"Students: {tmp_path / 'out' / 'students.csv'}" in first.stderr
    again = json.loads(zcbench_command(*whole, "--json").stdout)
    assert [row["seed"] for row in again["rows"]] == [0, 1, 0, 1] and again["statuses"] == {"ok": 4}
    for option in ("--timeout 3", "--retry-failed"):
        assert "Expected several students or seeds" in fails("distill", "--student", ONE, *option.split())
    assert "a worker has one thread" in fails("distill", "--student", ONE, "--seeds", 2, "--threads", 2)
