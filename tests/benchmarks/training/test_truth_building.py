"""The truth builder: a resumable run whose tables the benchmark takes."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from zcbench import spaces
from zcbench.benchmarks.scoring.sampling import stratified, uniform
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.benchmarks.statistics import agreed, seed_agreement
from zcbench.benchmarks.training.building import TruthInterrupted, TruthResult, build_truth
from zcbench.benchmarks.training.conditions import KDSetting, TruthConditions
from zcbench.benchmarks.training.log import FILE, Key, TrainingLog, TrainingRow
from zcbench.benchmarks.training.packing import pack
from zcbench.benchmarks.training.protocol import TruthProtocol, sample_in
from zcbench.benchmarks.training.tables import counted, make_tables
from zcbench.benchmarks.training.workers import TruthJob, TruthMaker
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.packed import trainings as packed
from zcbench.cli import app
from zcbench.distill.errors import HyperparameterError, RecipeError, WeightError
from zcbench.distill.training.loop import train
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import ArchitectureError, ProtocolError, StoreError, UnknownNameError
from zcbench.plugins import PluginError
from zcbench.runtime.execution import Execution

from ...distill.training.conftest import make_data
from ...distill.training.test_resuming import small_disk

SPACE = spaces.get("nasbench201(channels=2,cells=1)")
ARCHS = stratified(SPACE, 3, subset="live")
TEACHER = TeacherChoice(SPACE[1462], seed=1000)
RECIPE = Recipe(epochs=2, batch_size=8)
COLUMNS = ["arch", "setting", "seed", "status", "accuracy", "loss", "train_accuracy", "train_loss", "epochs", "steps"]


def build(out: Path, archs: list[str] | None = None, **options: Any) -> TruthResult:
    """`build_truth` from loose keywords: those of its records, in this process if not told."""
    given = {"recipe": RECIPE, "teacher": TEACHER, "workers": 0, **options}
    how = {field.name: given.pop(field.name) for field in fields(Execution) if field.name in given}
    recipes = {"recipe": given.pop("teacher_recipe", None)}
    kd = recipes | {name: given.pop(name) for name in ("teacher", "distillers", "weights") if name in given}
    own = {name: given.pop(name) for name in ("recipe", "init", "device") if name in given}
    data, setting = given.pop("data", make_data()), KDSetting(**kd) if kd["teacher"] else None
    conditions = TruthConditions(given.pop("space", SPACE), data, "noise", kd=setting, **own)
    return build_truth(conditions, archs or ARCHS, out, execution=Execution(**how), **given)


def rows(result: TruthResult) -> pd.DataFrame:
    return result.trainings[COLUMNS].sort_values(["setting", "arch", "seed"], ignore_index=True)


def about(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text())["protocol"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TruthResult:
    """Three cells, two settings, two seeds, in this process."""
    return build(tmp_path_factory.mktemp("truth") / "whole")


def test_what_is_recorded(built: TruthResult) -> None:
    """Independent computation: one training done by hand, under the teacher that the builder kept."""
    assert built.statuses == {"ok": 12} and built.fresh == 12 and len(built.trainings) == 13
    data, recipe = make_data(), replace(RECIPE, seed=1)
    student, teacher = (
        SPACE.build(arch, 3, seed, data.image_shape) for arch, seed in ((ARCHS[1], 1), (TEACHER.arch, 1000))
    )
    train(teacher, None, data, RECIPE)
    by_hand = train(student, teacher, data, recipe, distillers=["kd"])
    log = TrainingLog(built.folder / FILE, TrainingRow)
    row = log.rows[Key(ARCHS[1], "kd", 1)]
    assert row.accuracy == by_hand.accuracy and row.loss == pytest.approx(by_hand.loss, rel=1e-6)
    assert row.train_accuracy == by_hand.train_accuracy and (row.epochs, row.steps) == (2, 10)


def test_tables_are_truths(built: TruthResult) -> None:
    """By construction: the files are read by the name of a truth; gain is the difference of the runs of one seed."""
    single = {
        name: truth(built.folder / f"{name}.parquet", per_seed=True).set_index(["arch", "seed"])["accuracy"]
        for name in ("vanilla", "kd", "gain")
    }
    assert all(len(table) == 6 for table in single.values())
    np.testing.assert_allclose(single["gain"], (single["kd"] - single["vanilla"]).loc[single["gain"].index])
    mean = truth(built.folder / "kd.parquet")
    assert mean["n_runs"].tolist() == [2, 2, 2] and mean.protocol["name"] == "nasbench201/noise/test/kd@2"
    assert mean.protocol["teacher"]["arch"] == TEACHER.arch and mean.protocol["distillation"] == {"ce": 0.1, "kd": 0.9}
    assert (built.folder / "archs.txt").read_text().split() == ARCHS


def test_workers_change_nothing(built: TruthResult, tmp_path: Path) -> None:
    """Invariance: two worker processes give the same figures, bit for bit, and the same tables row by row."""
    two = build(tmp_path / "two", workers=2)
    pd.testing.assert_frame_equal(rows(two), rows(built))
    protocol = TruthProtocol.from_json(about(built.folder))
    mixed = make_tables(built.trainings.sample(frac=1, random_state=0), protocol)
    for setting, table in built.tables.items():
        pd.testing.assert_frame_equal(pd.DataFrame(two.tables[setting]), pd.DataFrame(table))
        pd.testing.assert_frame_equal(pd.DataFrame(mixed[setting]), pd.DataFrame(table))


def test_a_row_does_not_depend_on_the_rest(built: TruthResult, tmp_path: Path) -> None:
    """Invariance: one architecture alone, its settings asked for one after the other, gives its rows of the whole."""
    build(tmp_path / "one", ARCHS[2:], settings=["vanilla"], teacher=None)
    result = build(tmp_path / "one", ARCHS[2:])
    assert result.fresh == 2 and result.statuses == {"ok": 4}
    whole = rows(built)
    expected = whole[whole["arch"].isin([ARCHS[2], TEACHER.arch])].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows(result), expected)


def test_seeds_added_without_a_teacher_keep_it_in_the_tables(tmp_path: Path) -> None:
    """Invariance: a table that says who taught says so still when plain trainings are added to its folder."""
    build(tmp_path / "one", ARCHS[:1], seeds=(0,))
    before = truth(tmp_path / "one" / "kd.parquet").protocol
    build(tmp_path / "one", ARCHS[:1], seeds=(0, 1), settings=["vanilla"], teacher=None)
    assert truth(tmp_path / "one" / "kd.parquet").protocol["teacher"] == before["teacher"] is not None
    gain = truth(tmp_path / "one" / "gain.parquet").protocol
    assert gain["teacher"] == before["teacher"]


def test_what_is_tried_again_is_counted_once(tmp_path: Path) -> None:
    """Closed form: two trainings, one of which lacked the time, are two when it is tried again."""
    done = build(tmp_path / "one", ARCHS[:1], settings=["vanilla"], teacher=None)
    (_, second), log = done.trainings.to_dict("records"), TrainingLog(tmp_path / "one" / FILE, TrainingRow)
    log.add(TrainingRow(Key(second["arch"], second["setting"], second["seed"]), "timeout"))
    console = Console(file=io.StringIO(), width=200)
    options = {"settings": ["vanilla"], "teacher": None, "retry_failed": True, "console": console}
    assert build(tmp_path / "one", ARCHS[:1], **options).statuses == {"ok": 2}
    assert "2 of 2 trainings, 1 of them new" in console.file.getvalue() and "no failures" in console.file.getvalue()


def test_a_separator_of_lines_in_a_reason(tmp_path: Path) -> None:
    """Invariance: letters that some take for the end of a line are letters of a row."""
    log, row = (
        TrainingLog(tmp_path / FILE, TrainingRow),
        TrainingRow(Key("a", "kd", 0), "error", "one\u2028two\x85three"),
    )
    log.add(row)
    assert TrainingLog(tmp_path / FILE, TrainingRow).rows == {Key("a", "kd", 0): row}


def test_a_way_of_sampling_that_is_misspelt(tmp_path: Path) -> None:
    """Bad input: named, with what there is, before anything is trained."""
    words = ["truth", "build", "--space", SPACE.spec, "--out", str(tmp_path / "run"), "--sample", "stratifed"]
    result = CliRunner().invoke(app, words)
    assert "'stratifed'. Expected one of stratified and uniform." in result.output and result.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_distiller_of_ones_own(tmp_path: Path) -> None:
    """Invariance: from a file, in a worker, the bits of the same loss that is built in; another file is refused."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from zcbench.distill import distiller\nfrom zcbench.distill.losses.kd import kd\n\n\n"
        "@distiller('kd_again', reads='logits')\n"
        "def kd_again(student, teacher):\n    return kd.function(student, teacher)\n"
    )
    options = {"seeds": (0,), "settings": ["kd"]}
    own = {**options, "distillers": ["kd_again"], "weights": {"ce": 0.1, "kd_again": 0.9}, "plugins": [file]}
    mine, theirs = build(tmp_path / "mine", workers=1, **own), build(tmp_path / "theirs", **options)
    pd.testing.assert_frame_equal(rows(mine), rows(theirs))
    file.write_text(file.read_text() + "# another version")
    with pytest.raises(PluginError, match="was edited after this process had loaded it"):
        build(tmp_path / "mine", **own)


def test_a_distiller_that_is_edited_while_trainings_are_made(tmp_path: Path) -> None:
    """By construction: the loss edits its file and ends its worker; the next worker refuses the file."""
    file = tmp_path / "edited.py"
    file.write_text(
        "import os\nfrom zcbench.distill import distiller\n\n\n@distiller('edits_itself', reads='logits')\n"
        "def edits_itself(student, teacher):\n    open(__file__, 'a').write('# edited')\n    os._exit(1)\n"
    )
    options = {"distillers": ["edits_itself"], "plugins": [file], "seeds": (0,), "workers": 1}
    with pytest.raises(PluginError, match=r"edited\.py' has changed.* Put back the file, or start anew"):
        build(tmp_path / "out", **options)
    assert {key.setting for key in TrainingLog(tmp_path / "out" / FILE, TrainingRow).rows} <= {"teacher", "vanilla"}


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
if __name__ == "__main__":
    from pathlib import Path
    from tests.benchmarks.training.test_truth_building import build
    build(Path(sys.argv[2]), workers=int(sys.argv[3]))
"""


def start(folder: Path, workers: int, script: Path) -> "subprocess.Popen[bytes]":
    script.write_text(SCRIPT)
    where = str(Path(__file__).parents[3])
    return subprocess.Popen([sys.executable, str(script), where, str(folder), str(workers)], stderr=subprocess.PIPE)


def wait_for_rows(process: "subprocess.Popen[bytes]", file: Path, count: int) -> None:
    while process.poll() is None and (not file.exists() or file.read_bytes().count(b"\n") < count):
        time.sleep(0.02)


@pytest.mark.parametrize(("how", "workers"), [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGINT, 0)])
def test_stopped_and_started_again(built: TruthResult, tmp_path: Path, how: signal.Signals, workers: int) -> None:
    """Invariance: a builder that was killed or interrupted goes on to the same rows, and repeats none."""
    with start(tmp_path / "run", workers, tmp_path / "script.py") as process:
        wait_for_rows(process, tmp_path / "run" / FILE, 4)
        process.send_signal(how)
        _, told = process.communicate()
    kept = (tmp_path / "run" / FILE).read_bytes()
    whole = kept.count(b"\n")
    if how is signal.SIGINT and b"TruthInterrupted" in told:
        assert b"trainings are finished and kept in" in told
    result = build(tmp_path / "run")
    lines = (tmp_path / "run" / FILE).read_bytes()
    assert lines.startswith(kept[: kept.rfind(b"\n") + 1])
    assert 4 <= whole <= lines.count(b"\n") == 13 and result.fresh == 13 - whole
    pd.testing.assert_frame_equal(rows(result), rows(built))


def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: what is finished is in the error and in the folder."""
    always = property(lambda self: True, lambda self, value: None)
    monkeypatch.setattr("zcbench.runtime.stop.Stop.asked", always, raising=False)
    with pytest.raises(TruthInterrupted, match=r"0 of 12 trainings are finished") as caught:
        build(tmp_path / "run")
    assert caught.value.result.total == 12


def test_a_training_that_diverges_is_a_row(tmp_path: Path) -> None:
    """Bad input: a rate that is too high gives a status and a reason, no accuracy, and no table."""
    result = build(tmp_path / "run", ARCHS[:1], settings=["vanilla"], recipe=replace(RECIPE, lr=1e25))
    assert result.statuses == {"diverged": 2} and result.tables == {}
    assert result.trainings["reason"].str.contains("At step").all()


def test_a_teacher_that_diverges(tmp_path: Path) -> None:
    """Bad input: nothing can be distilled from it, and the error says so."""
    with pytest.raises(ProtocolError, match="The teacher cannot be trained: diverged: At step"):
        build(tmp_path / "run", teacher_recipe=replace(RECIPE, lr=1e25))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"archs": ["|none~0|"]}, ArchitectureError, "none"),
        ({"settings": ["vanila"]}, UnknownNameError, "'vanilla'"),
        ({"settings": []}, ProtocolError, "No settings"),
        ({"seeds": []}, ProtocolError, "No seeds"),
        ({"seeds": [-1]}, ProtocolError, "seed -1"),
        ({"teacher": None}, ProtocolError, "'kd' needs a teacher"),
        ({"workers": -1}, ProtocolError, "workers=-1"),
        ({"timeout": 0}, ProtocolError, "timeout=0"),
        ({"timeout": 5}, ProtocolError, "without workers"),
        ({"distillers": ["kdd"]}, UnknownNameError, "'kd'"),
        ({"distillers": ["kd(temperature=0)"]}, HyperparameterError, "temperature=0"),
        ({"weights": {"kd": -1}}, WeightError, "kd=-1"),
        ({"recipe": Recipe(batch_size=64)}, RecipeError, "43 training images"),
    ],
)
def test_wrong_requests(tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Bad input: each is refused before anything is trained or written."""
    with pytest.raises(error, match=message):
        build(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": replace(RECIPE, lr=0.2)}, r"recipe\.lr: 0.1 → 0.2"),
        ({"weights": {"kd": 1.0}}, r"distillation\.kd: 0.9 → 1.0"),
        ({"teacher": replace(TEACHER, seed=1)}, r"teacher\.seed: 1000 → 1"),
    ],
)
def test_one_protocol_in_a_folder(built: TruthResult, options: dict[str, Any], message: str) -> None:
    """Bad input: another recipe, loss or teacher names what differs, and trains nothing."""
    before = (built.folder / FILE).read_bytes()
    with pytest.raises(ProtocolError, match=rf"trainings of another protocol \({message}"):
        build(built.folder, **options)
    assert (built.folder / FILE).read_bytes() == before


def test_log_survives_a_torn_line_and_a_full_disk(tmp_path: Path) -> None:
    """By construction: half a line at the end is dropped and written over; without room the rows before are kept."""
    log = TrainingLog(tmp_path / FILE, TrainingRow)
    first = TrainingRow(Key("a", "kd", 0), "ok", accuracy=50.0)
    log.add(first)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"arch": "b", "set')
    log = TrainingLog(tmp_path / FILE, TrainingRow)
    size = len(json.dumps(first.to_json())) + 1
    with small_disk(size + 10), pytest.raises(StoreError, match="All trainings finished so far are kept"):
        log.add(replace(first, key=Key("a", "kd", 1)))
    assert list(TrainingLog(tmp_path / FILE, TrainingRow).rows) == [Key("a", "kd", 0)]
    log.add(TrainingRow(Key("a", "kd", 2), "worker_died"))
    again = TrainingLog(tmp_path / FILE, TrainingRow)
    wanted = [Key("a", "kd", seed) for seed in range(3)]
    assert again.missing(wanted) == wanted[1:2] and again.missing(wanted, ["worker_died"]) == wanted[1:]


def test_damaged_log(tmp_path: Path) -> None:
    """Bad input: a line in the middle that is no row is named by its number."""
    (tmp_path / FILE).write_text('{"arch": "a", "setting": "kd", "seed": 0, "status": "ok"}\nnonsense\n')
    with pytest.raises(StoreError, match="Line 2 of"):
        TrainingLog(tmp_path / FILE, TrainingRow)


def test_agreement_by_hand() -> None:
    """Closed form: two seeds with Spearman .8 have reliability 2·.8/1.8, and the ceiling is its root."""
    accuracies = {0: [1.0, 2.0, 3.0, 4.0], 1: [1.0, 2.0, 4.0, 3.0]}
    runs = [
        {"arch": str(i), "seed": seed, "accuracy": a} for seed, own in accuracies.items() for i, a in enumerate(own)
    ]
    found = asdict(seed_agreement(pd.DataFrame(runs)))
    assert found["runs"] == 2 and found["reliability"] == round(1.6 / 1.8, 4)
    assert found["ceiling"] == pytest.approx((1.6 / 1.8) ** 0.5, abs=1e-4)
    assert asdict(seed_agreement(pd.DataFrame(runs[:4]))) == {"runs": 1, "reliability": None, "ceiling": None}


def test_gain_needs_pairs() -> None:
    """By construction: only runs of one architecture and seed are subtracted; failed ones count nowhere."""
    log = [("a", "vanilla", 0, "ok", 60.0), ("a", "kd", 0, "ok", 62.5), ("a", "kd", 1, "ok", 70.0)]
    log += [("b", "vanilla", 0, "diverged", None), ("b", "kd", 0, "ok", 50.0)]
    frame = pd.DataFrame(log, columns=["arch", "setting", "seed", "status", "accuracy"]).assign(epochs=2)
    about = {"space": "s(cells=1)", "dataset": "d", "data": "", "recipe": {}, "distillation": {}, "teacher": {}}
    tables = make_tables(frame, TruthProtocol.from_json(about))
    assert {name: len(table) for name, table in tables.items()} == {"vanilla": 1, "kd": 3, "gain": 1}
    assert tables["gain"]["accuracy"].tolist() == [2.5]


def test_stratified_sample_follows_the_sizes() -> None:
    """By construction: each eighth of the cells by size holds an eighth of the sample; a function of its seed."""
    space = spaces.get("nasbench201")
    sample = stratified(space, 200, seed=3, subset="unique")
    assert sample == stratified(space, 200, seed=3, subset="unique") != stratified(space, 200, seed=4, subset="unique")
    assert len(set(sample)) == 200 and set(sample) <= set(space.subset("unique"))
    sizes = np.sort(space.costs(space.subset("unique"))["params"])
    drawn = np.sort(space.costs(sample)["params"]).reshape(8, 25)
    strata = np.array_split(sizes, 8)
    assert all(own[0] >= part[0] and own[-1] <= part[-1] for own, part in zip(drawn, strata))
    firsts = space.costs(sample[:20])["params"]
    assert firsts.min() < np.quantile(sizes, 0.3) and firsts.max() > np.quantile(sizes, 0.7)


@pytest.mark.parametrize("draw", [stratified, uniform])
@pytest.mark.parametrize("subset", ["all", "live", "unique"])
def test_a_larger_sample_begins_with_the_smaller_one(draw: Callable[..., list[str]], subset: str) -> None:
    """By construction, for every size up to 40; nothing is drawn twice."""
    space = spaces.get("nasbench201")
    whole = draw(space, 40, 5, subset)
    assert len(set(whole)) == 40 and all(draw(space, n, 5, subset) == whole[:n] for n in (1, 2, 3, 4, 6, 7, 39))


def test_a_space_that_is_too_large_to_be_listed_has_uniform_samples() -> None:
    """By construction: nested as well."""
    space = spaces.get("autoformer")
    assert uniform(space, 5)[:3] == uniform(space, 3)


def test_the_whole_subset_can_be_drawn() -> None:
    """Closed form: as many as there are, each once."""
    space = spaces.get("nasbench201")
    live = space.subset("unique")
    assert sorted(stratified(space, len(live), subset="unique")) == sorted(live)


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        ((2, (0,)), (3, (0, 1)), "3 architectures, 2 seeds"),
        ((2, (0, 1)), (3, (0,)), "3 architectures, 2 with 2 seeds and 1 with 1"),
        ((3, (0,)), (2, (0, 1)), "3 architectures, 2 with 2 seeds and 1 with 1"),
    ],
)
def test_a_truth_that_grows(
    tmp_path: Path, first: tuple[int, tuple[int, ...]], second: tuple[int, tuple[int, ...]], counts: str
) -> None:
    """Closed form: counts, list of architectures, tables and packed file agree, whichever call asked for more."""
    for archs, seeds in (first, second):
        result = build(tmp_path / "run", ARCHS[:archs], seeds=seeds, settings=["vanilla"], teacher=None)
    table, trained = result.tables["vanilla"], dict.fromkeys(TrainingLog(tmp_path / "run" / FILE, TrainingRow).rows)
    assert counted(table) == table.protocol["counts"] == counts
    assert (tmp_path / "run" / "archs.txt").read_text().split() == ARCHS
    card = pack(tmp_path / "run", tmp_path / "packed.parquet")
    assert (card["architectures"], card["trainings"], card["left_out"]) == (3, len(trained), 0)
    assert card["tables"]["vanilla"]["counts"] == counts and len(packed(tmp_path / "packed.parquet")) == len(table)


def test_a_sample_of_an_older_version_is_kept(tmp_path: Path) -> None:
    """By construction: its folder does not name the architectures of a request, and goes on with those it has."""
    origin = "{} of 'all', stratified over parameters, seed 0"
    before, now = ["x", "y"], ["a", "x", "b", "c"]
    (tmp_path / "archs.txt").write_text("x\ny\n")
    (tmp_path / "truth.json").write_text(json.dumps({"requests": [{"notes": {"architectures": origin.format(2)}}]}))
    assert sample_in(tmp_path, now[:2], origin.format(2)) == before
    assert sample_in(tmp_path, now, origin.format(4)) == ["x", "y", "a", "b"]
    assert sample_in(tmp_path, now, origin.format(4).replace("seed 0", "seed 1")) == now
    assert sample_in(tmp_path / "elsewhere", now, origin.format(4)) == now


def test_a_reliability_without_meaning_is_none() -> None:
    """Bad input: seeds in opposite order, and a constant one; also where an older table stored a negative number."""
    for other in ([4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0]):
        accuracies = {0: [1.0, 2.0, 3.0, 4.0], 1: other}
        runs = pd.DataFrame(
            [{"arch": str(i), "seed": s, "accuracy": a} for s, own in accuracies.items() for i, a in enumerate(own)]
        )
        found = asdict(seed_agreement(runs))
        assert found == {"runs": 2, "reliability": None, "ceiling": None} and agreed(found) == "reliability none"
    assert agreed({"reliability": -36.97, "ceiling": 0.0}) == "reliability none"
    assert agreed({"reliability": 0.5, "ceiling": 0.5**0.5}) == "reliability 0.500, ceiling 0.707"


def test_losses_may_come_with_the_teacher(tmp_path: Path) -> None:
    """By construction: a folder of plain trainings records no losses, takes them later, and then keeps them."""
    build(tmp_path / "run", ARCHS[:1], settings=["vanilla"], teacher=None, seeds=(0,))
    assert about(tmp_path / "run")["distillation"] is None
    build(tmp_path / "run", ARCHS[:1], seeds=(0,), distillers=["dist"])
    assert about(tmp_path / "run")["distillation"] == {"ce": 1.0, "dist": 1.0}
    with pytest.raises(ProtocolError, match=r"distillation\.ce: 1\.0 → 0\.1"):
        build(tmp_path / "run", ARCHS[:1], seeds=(0,))


def test_a_teacher_with_a_checkpoint_is_measured_once(built: TruthResult, tmp_path: Path) -> None:
    """Independent computation: the accuracy after the training of the same weights, in log and packed file."""
    teacher = replace(TEACHER, checkpoint=built.folder / "teacher.pt")
    options = {"settings": ["kd"], "teacher": teacher}
    build(tmp_path / "run", ARCHS[:1], seeds=(0,), **options)
    lines = (tmp_path / "run" / FILE).read_text().count("\n")
    build(tmp_path / "run", ARCHS[:1], seeds=(0, 1), **options)
    assert (tmp_path / "run" / FILE).read_text().count("\n") == lines + 1
    key, trained = Key(TEACHER.label, "teacher", TEACHER.seed), TrainingLog(built.folder / FILE, TrainingRow).rows
    assert TrainingLog(tmp_path / "run" / FILE, TrainingRow).rows[key].accuracy == trained[key].accuracy
    card = pack(tmp_path / "run", tmp_path / "packed.parquet")
    assert card["protocol"]["teacher"]["accuracy"] == trained[key].accuracy


@pytest.mark.parametrize("n", [0, 15_626])
def test_samples_out_of_range(n: int) -> None:
    """Bad input."""
    with pytest.raises(ProtocolError, match="Expected 1 to 15,625"):
        stratified(spaces.get("nasbench201"), n)


@pytest.mark.long
def test_a_cluster_trains_the_same(built: TruthResult, tmp_path: Path) -> None:
    """Oracle: the trainings in this process: every accuracy and loss of both settings, and of the teacher."""
    pytest.importorskip("distributed")
    pd.testing.assert_frame_equal(rows(build(tmp_path / "cluster", cluster="local:2")), rows(built), check_exact=True)


def test_a_folder_that_a_worker_does_not_see(tmp_path: Path) -> None:
    """By construction: the folder of a job is not there; the message says what to do."""
    job = TruthJob(SPACE, make_data(), RECIPE, teacher=TEACHER, teacher_recipe=RECIPE, folder=tmp_path / "elsewhere")
    with pytest.raises(ProtocolError, match=r"is not on this machine.*shared file system"):
        TruthMaker(job)(Key(TEACHER.arch, "teacher", TEACHER.seed))
    assert not (tmp_path / "elsewhere").exists()
