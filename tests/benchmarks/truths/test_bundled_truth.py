"""The bundled truth, and how a builder's folder becomes one file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import kendalltau, rankdata

import zcbench
from zcbench import spaces
from zcbench.benchmarks.defaults import EMBEDDED, IMAGES, INSTEAD, Study, complete
from zcbench.benchmarks.scoring.choosing import choose_architectures
from zcbench.benchmarks.scoring.options import Sample, Setup
from zcbench.benchmarks.training import packing as truth_packing
from zcbench.benchmarks.training.log import FILE, Key, TrainingLog, TrainingRow
from zcbench.benchmarks.truths import data
from zcbench.benchmarks.truths import packed as packed_truths
from zcbench.benchmarks.truths.bundled import bundled_files
from zcbench.benchmarks.truths.summary import summary
from zcbench.errors import DataError, ProtocolError, UnknownNameError

from ...command import zcbench_command

SETTINGS = ("vanilla", "kd")
#: Fewest architectures, and least reliability of a setting, of each bundled truth.
LEAST = {"nasbench201/cifar10-16/test@5": (200, 0.85), "dense/digits_scenes-24/test@12": (24, 0.5)}
SHIPPED = [pytest.param(path, id=name) for name, path in bundled_files().items()]


@pytest.mark.parametrize("file", SHIPPED)
def test_what_ships(file: Path) -> None:
    """Its card and its rows agree; enough different architectures, both settings, at least two seeds, no failure."""
    card, rows = packed_truths.card(file), packed_truths.trainings(file)
    space = spaces.get(card["protocol"]["space"])
    archs = rows["arch"].unique()
    assert (len(rows), len(archs)) == (card["trainings"], card["architectures"])
    assert len(archs) >= LEAST[card["tables"]["vanilla"]["name"]][0]
    assert len({space.canonical(arch) for arch in archs}) == len(archs)
    assert set(rows["setting"]) == set(SETTINGS) and set(rows["status"]) == {"ok"}
    assert (rows.groupby(["arch", "setting"])["seed"].nunique() >= 2).all()
    assert set(rows["dataset"]) == {card["protocol"]["dataset"]}
    assert {table["licence"] for table in card["tables"].values()} == {"Apache-2.0"}
    assert f"{file.stem.replace('__', '/')}" == card["tables"]["vanilla"]["name"]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("file", SHIPPED)
def test_shipped_seeds_agree(file: Path, setting: str) -> None:
    """Independent reference: Spearman and Brown with k seeds, kr / (1 + (k-1)r), the mean r from numpy on the ranks."""
    rows = packed_truths.trainings(file)
    wide = rows[rows["setting"] == setting].pivot(index="arch", columns="seed", values="accuracy")
    between, k = np.corrcoef(rankdata(wide, axis=0).T), wide.shape[1]
    r = between[np.triu_indices(k, 1)].mean()
    stated, name = (packed_truths.card(file)["tables"][one] for one in (setting, "vanilla"))
    assert stated["reliability"] == pytest.approx(k * r / (1 + (k - 1) * r), abs=1e-4)
    assert stated["reliability"] >= LEAST[name["name"]][1]


@pytest.mark.parametrize("file", SHIPPED)
def test_shipped_tables_by_name(file: Path) -> None:
    """Independent reference: pandas on the file itself; mean over seeds, and kd minus vanilla over those of both."""
    raw = pq.read_table(file).to_pandas()
    means = raw.pivot_table(index="arch", columns="setting", values="accuracy")
    paired = raw.pivot_table(index=["arch", "seed"], columns="setting", values="accuracy").dropna()
    means["gain"] = (paired["kd"] - paired["vanilla"]).groupby("arch").mean()
    head = packed_truths.card(file)["tables"]["vanilla"]["name"].split("/test")[0]
    for setting in (*SETTINGS, "gain"):
        table = zcbench.truth(f"{head}/{setting}")
        np.testing.assert_allclose(table.set_index("arch")["accuracy"].loc[means.index], means[setting], atol=1e-9)
        assert table.protocol["setting"] == setting and table.protocol["space"] == head.partition("/")[0]
        assert zcbench.truth(f"{head}/{setting}", per_seed=True)["seed"].nunique() >= 2
    assert zcbench.truth(head).equals(zcbench.truth(f"{head}/vanilla"))


def test_what_ships_is_listed_shown_and_needs_no_download(tmp_path: Path) -> None:
    """By construction: three tables under the name, nothing is asked of the network, and a near miss is named."""
    listed = data.list_data(tmp_path).set_index("name")
    shown = listed[listed["where"] == data.SHIPS]
    assert {f"{EMBEDDED}/test@5", f"{EMBEDDED}/test/kd@5", f"{EMBEDDED}/test/gain@5"} <= set(shown.index)
    said: list[str] = []
    assert data.fetch([f"{EMBEDDED}/kd"], tmp_path, "http://127.0.0.1:1", said.append).empty
    assert "bundled with zcbench" in said[0]
    found = summary(f"{EMBEDDED}/kd", tmp_path)
    assert found.protocol["networks"] == "nasbench201(channels=8,cells=1)" and found.runs and 0 < found.runs.rho < 1
    assert "stratified" in found.protocol["sample"] and "kd" in found.protocol["distillation"]
    with pytest.raises(UnknownNameError, match=r"Did you mean 'cifar10-16'"):
        zcbench.truth("nasbench201/cifar10-61")


def test_a_table_of_your_own_comes_before_what_ships(tmp_path: Path) -> None:
    """By construction: the stored accuracy, not the bundled one."""
    (tmp_path / "mine.csv").write_text("arch,accuracy\na,90\nb,91\n")
    data.import_csv(tmp_path / "mine.csv", f"{EMBEDDED}/kd", tmp_path)
    assert zcbench.truth(f"{EMBEDDED}/kd", tmp_path)["accuracy"].tolist() == [90.0, 91.0]
    assert len(zcbench.truth(f"{EMBEDDED}/vanilla", tmp_path)) > 2


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The folder of a builder: two architectures, the second with a failure; a third one is under way."""
    folder = tmp_path / "built"
    log = TrainingLog(folder / FILE, TrainingRow)
    archs = spaces.get("nasbench201").subset("unique")[:3]
    log.add(TrainingRow(Key("r", "teacher", 9), "ok", accuracy=77.0, epochs=3))
    for number, arch in enumerate(archs):
        for seed in (0, 1):
            for setting in SETTINGS:
                row = {"arch": arch, "setting": setting, "seed": seed, "status": "ok", "epochs": 3, "seconds": 1.26}
                row |= {"accuracy": 50.0 + 3 * number + seed + 2 * (setting == "kd"), "loss": 1.0, "steps": 5}
                if (number, seed, setting) == (1, 1, "kd"):
                    row = {**row, "status": "diverged", "reason": "a loss"}
                    del row["accuracy"], row["epochs"]
                if (number, seed, setting) != (2, 1, "kd"):
                    log.add(TrainingRow.from_json(row))
    protocol = {"space": "nasbench201(channels=2,cells=1)", "dataset": "digits-8", "data": "digits", "recipe": {}}
    protocol |= {"distillation": {"kd": 1.0}, "teacher": {"arch": "r", "space": "resnet"}}
    asked = {"settings": SETTINGS, "seeds": [0, 1], "notes": {"architectures": "three"}}
    (folder / "truth.json").write_text(json.dumps({"protocol": protocol, "requests": [asked]}))
    return folder


def test_pack_and_import(built: Path, tmp_path: Path) -> None:
    """By construction: two finished architectures, the failure in its row and in no table, and the same by name."""
    file = tmp_path / "mine.parquet"
    card = truth_packing.pack(built, file)
    assert (card["architectures"], card["trainings"], card["left_out"]) == (2, 8, 1)
    rows = packed_truths.trainings(file)
    assert rows["status"].value_counts().to_dict() == {"ok": 7, "diverged": 1}
    assert packed_truths.card(file)["protocol"]["teacher"]["accuracy"] == 77.0
    stored = data.import_packed(file, tmp_path)
    assert set(stored) == {"nasbench201/digits-8/test@3"} | {f"nasbench201/digits-8/test/{s}@3" for s in ("kd", "gain")}
    assert zcbench.truth("nasbench201/digits-8/vanilla@3", tmp_path)["accuracy"].tolist() == [50.5, 53.5]
    assert zcbench.truth("nasbench201/digits-8/kd@3", tmp_path)["n_runs"].tolist() == [2, 1]
    assert zcbench.truth("nasbench201/digits-8/gain@3", tmp_path)["accuracy"].tolist() == [2.0, 2.0]
    shown = json.loads(zcbench_command("truth", "pack", built, "--out", tmp_path / "again.parquet", "--json").stdout)
    assert (shown["trainings"], len(shown["rows"])) == (8, 3) and file.read_bytes() == (
        tmp_path / "again.parquet"
    ).read_bytes()
    rows = json.loads(zcbench_command("data", "import", file, "--data-dir", tmp_path / "d", "--json").stdout)["rows"]
    assert {row["name"] for row in rows} == set(stored) and all(Path(row["path"]).is_file() for row in rows)


def test_a_packed_truth_that_cannot_be_read(built: Path, tmp_path: Path) -> None:
    """Bad input: not one table, cut off, changed, no packed truth, another name, nothing finished, no builder."""
    file = tmp_path / "mine.parquet"
    truth_packing.pack(built, file)
    with pytest.raises(DataError, match=r"packed truth of several settings.*data import"):
        zcbench.truth(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(DataError, match="No trainings can be read"):
        packed_truths.read(file)
    file.write_bytes(whole)
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    with pytest.raises(DataError, match="not those that were packed"):
        packed_truths.read(file)
    pq.write_table(table.replace_schema_metadata({}), file)
    with pytest.raises(DataError, match="no card"):
        packed_truths.card(file)
    with pytest.raises(DataError, match=r"ends in \.parquet"):
        truth_packing.pack(built, tmp_path / "mine.csv")
    (built / FILE).write_text("")
    with pytest.raises(DataError, match="no architecture with all its trainings"):
        truth_packing.pack(built, file)
    with pytest.raises(DataError, match="Expected the folder of 'zcbench truth build'"):
        truth_packing.pack(tmp_path, file)


def study(folder: Path, truths: object = None, seeds: int | None = None, **given: object) -> Study:
    """`complete` with loose keywords: those of a sample, and of a setup whose data are in ``folder``."""
    sample = Sample(**{name: given.pop(name) for name in ("archs", "subset") if name in given})
    return complete(Setup(data_dir=folder, **given), sample, truths, seeds)


def test_what_bench_takes_when_nothing_is_named(tmp_path: Path) -> None:
    """By construction: the networks of the table; its images where they are, else digits; what is given stands."""
    chosen = study(tmp_path)
    assert chosen.setup.space == zcbench.truth(f"{EMBEDDED}/kd").protocol["networks"]
    assert chosen.truths == [f"{EMBEDDED}/{setting}" for setting in (*SETTINGS, "gain")]
    assert (chosen.sample, chosen.setup.dataset, chosen.seeds) == (Sample("all", "known"), INSTEAD, 1)
    assert "digits" in chosen.notes["images"]
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").touch()
    some = study(tmp_path, archs=9)
    assert (some.sample, some.setup.dataset, some.truths) == (Sample("9", "known"), IMAGES, chosen.truths)
    assert study(tmp_path, archs="9", subset="known") == some
    given = study(tmp_path, None, 2, dataset="noise", teacher="333")
    assert (given.setup.dataset, given.setup.teacher, given.seeds, given.notes) == ("noise", "333", 2, {})


def test_what_bench_takes_when_something_is_named(tmp_path: Path) -> None:
    """Invariance: with a space, truth, subset or file, what is published; a truth that says so brings its networks."""
    setup = Setup(space="nasbench201", dataset="cifar10", teacher="largest", data_dir=tmp_path)
    published = Study(setup, ["nasbench201/cifar10"], Sample("1000", "all"), 3)
    assert study(tmp_path, space="s0") == replace(published, setup=replace(setup, space="s0"))
    (tmp_path / "archs.txt").write_text("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    listed = str(tmp_path / "archs.txt")
    assert study(tmp_path, archs=listed) == replace(published, sample=Sample(listed, "all"))
    assert study(tmp_path, archs=["a", "b"]) == replace(published, sample=Sample(["a", "b"], "all"))
    assert study(tmp_path, archs=1000, subset="live") == replace(published, sample=Sample("1000", "live"))
    (tmp_path / "mine.csv").write_text("arch,accuracy\na,90\n")
    own = [str(tmp_path / "mine.csv")]
    assert study(tmp_path, own) == replace(published, truths=own)
    bundled = [f"{EMBEDDED}/kd"]
    assert study(tmp_path, bundled).setup.space == "nasbench201(channels=8,cells=1)"
    assert study(tmp_path, {"kd": zcbench.truth(bundled[0])}).setup.space == "nasbench201(channels=8,cells=1)"
    assert study(tmp_path, bundled, space="nasbench201").setup.space == "nasbench201"


@pytest.mark.data
def test_a_published_truth_brings_its_space(data_dir: Path) -> None:
    """Closed form: the ResNets of DisWOT are of the space s0, whose name begins that of their truth."""
    assert study(data_dir, ["s0/cifar100/kd"]).setup.space == "s0"


def test_architectures_that_the_truths_know() -> None:
    """By construction: what both tables have and the space too; a sample of it; more than there are is refused."""
    space = spaces.get("nasbench201")
    archs = space.subset("unique")[:6]
    truths = {"a": pd.DataFrame({"arch": archs[:5]}), "b": pd.DataFrame({"arch": [*archs[1:], "elsewhere"]})}
    known, told = choose_architectures(space, "all", "known", 0, truths)
    assert known == sorted(archs[1:5]) and told == "all 4 of those that a and b have"
    some, _ = choose_architectures(space, "3", "known", 0, truths)
    assert len(some) == 3 and set(some) < set(known)
    assert some == choose_architectures(space, "3", "known", 0, dict(reversed(truths.items())))[0]
    for wanted in ("5", "0"):
        with pytest.raises(ProtocolError, match="of which nasbench201 has 4"):
            choose_architectures(space, wanted, "known", 0, truths)
    with pytest.raises(ProtocolError, match="has 0"):
        choose_architectures(space, "all", "known", 0)


@pytest.mark.data
def test_shipped_truth_beside_the_published_one(data_dir: Path) -> None:
    """Published numbers: accuracies after 200 epochs on all images order the same cells alike, as far as cheap ones do.

    Measured before on 24 cells of this size after 8 epochs: tau .64; a table that has lost its order falls below .4.
    """
    own = zcbench.truth(EMBEDDED).set_index("arch")["accuracy"]
    published = zcbench.truth("nasbench201/cifar10", data_dir).set_index("arch")["accuracy"]
    assert kendalltau(own, published.loc[own.index]).statistic > 0.4
