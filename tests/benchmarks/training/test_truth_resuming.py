"""Trainings of a truth whose workers are killed. The oracle is the truth that nobody disturbed."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from zcbench import Execution, distill, spaces
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.benchmarks.training import building
from zcbench.benchmarks.training.building import TruthResult, build_truth
from zcbench.benchmarks.training.conditions import KDSetting, TruthConditions
from zcbench.benchmarks.training.workers import CHECKPOINTS, TruthJob, TruthMaker
from zcbench.distill import Recipe, TeacherOutputs
from zcbench.distill.errors import RecipeError
from zcbench.errors import ProtocolError

from ...distill.training.conftest import make_data
from .mortal import mortal, steps

SPACE = spaces.get("nasbench201(channels=2,cells=1)")
RECIPE = Recipe(epochs=4, batch_size=8)  # 5 steps an epoch
TEACHER = TeacherChoice(SPACE[1462], seed=1000)
FIGURES = ["arch", "setting", "seed", "status", "accuracy", "loss", "train_loss", "epochs", "steps"]


def built(out: Path, setting: KDSetting, recipe: Recipe = RECIPE, **execution: object) -> TruthResult:
    conditions = TruthConditions(SPACE, make_data(), "noise", recipe, setting)
    how = Execution(**execution)  # type: ignore[arg-type]
    return build_truth(conditions, [SPACE[6111]], out, settings=["kd"], seeds=[0, 1], execution=how)


def figures(result: TruthResult) -> pd.DataFrame:
    return result.trainings[FIGURES].sort_values(["setting", "seed"], ignore_index=True)


@pytest.mark.parametrize("where", ["workers", pytest.param("local:2", marks=pytest.mark.long)])
def test_a_killed_worker_is_resumed_by_another(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariance: a worker, or one of Dask, is killed in the third epoch; same rows, that epoch alone is repeated."""
    monkeypatch.setattr(building, "TruthJob", partial(TruthJob, checkpoint_seconds=1e-9))
    tables, made = {}, {}
    for name, after in (("killed", 14), ("whole", 10_000)):
        plugin = mortal(tmp_path / name, after, "getpid" if where == "workers" else "getppid")
        cluster = None if where == "workers" else where
        setting = KDSetting(TEACHER, Recipe(epochs=1, batch_size=8), ["mortal"])
        result = built(tmp_path / f"out-{name}", setting, workers=1, plugins=(plugin,), cluster=cluster)
        tables[name], made[name] = figures(result), steps(plugin)
        assert not (tmp_path / f"out-{name}" / CHECKPOINTS).exists()
        distill.REGISTRY._items.pop("mortal")
    pd.testing.assert_frame_equal(tables["killed"], tables["whole"])
    assert (tmp_path / "killed" / "dead").exists()
    lost = 5 if where == "workers" else 10  # of the killed training, and of the one that the killed worker did beside
    assert made["whole"] < made["killed"] <= made["whole"] + lost + 4


def test_stored_outputs_change_nothing(tmp_path: Path) -> None:
    """Invariance: two workers with stored outputs in single precision give the rows of outputs in memory."""
    outputs, first = TeacherOutputs("float32", tmp_path / "outputs"), Recipe(epochs=1, batch_size=8)
    stored = built(tmp_path / "stored", KDSetting(TEACHER, first, ["kd", "at"], outputs=outputs))
    memory = built(tmp_path / "memory", KDSetting(TEACHER, first, ["kd", "at"]), workers=0)
    pd.testing.assert_frame_equal(figures(stored), figures(memory))
    assert len(list((tmp_path / "outputs").iterdir())) == 1
    with pytest.raises(ProtocolError, match="stored_outputs"):
        built(tmp_path / "stored", KDSetting(TEACHER, first, ["kd", "at"]))
    crops = Recipe(epochs=4, batch_size=8, augmentation="crop_flip")
    with pytest.raises(RecipeError, match="Expected augmentation 'none'"):
        built(tmp_path / "crops", KDSetting(TEACHER, first, outputs=outputs), crops)


def test_a_folder_that_workers_do_not_see(tmp_path: Path) -> None:
    """Bad input: the teacher cannot be kept there, one sentence; a student alone is trained without a checkpoint."""
    unseen = tmp_path / "elsewhere"
    job = TruthJob(SPACE, make_data(), RECIPE, teacher=TEACHER, teacher_recipe=RECIPE, folder=unseen)
    with pytest.raises(ProtocolError, match=r"is not on this machine.*Expected one that all workers see"):
        TruthMaker(job)(building.Key(TEACHER.arch, "teacher", 1000))
    assert TruthMaker(job)(building.Key(SPACE[6111], "vanilla", 0)).ok and not unseen.exists()
