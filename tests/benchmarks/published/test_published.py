"""Scores that others published beside ours: independent correlations, published counts, damaged files."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import zcbench
from zcbench.benchmarks.published import comparing, tables
from zcbench.benchmarks.published.tables import Conditions, PublishedScores, cell_of
from zcbench.benchmarks.scoring import bundled
from zcbench.errors import ChecksumError, DataError, RankingError

RUN = "nasbench201-1000"


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).set_index("arch")


@pytest.fixture(scope="module")
def ours() -> pd.DataFrame:
    _, scores, _ = bundled.load(RUN)
    scores = scores[(scores["proxy"] == "jacov") & (scores["status"] == "ok")]
    return scores.pivot(index="arch", columns="seed", values="value")


@pytest.fixture
def folder(tmp_path: Path, ours: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with one published table: our second seed and noise, one value missing, one infinite."""
    noise = np.random.default_rng(0).normal(0, 50, len(ours))
    values = (ours[1] + noise).to_numpy(copy=True)
    values[0], values[1] = np.nan, np.inf
    place = tmp_path / "sources" / "published-scores" / "small.csv"
    place.parent.mkdir(parents=True)
    pd.DataFrame({"arch": ours.index, "theirs": values}).to_csv(place, index=False)
    known = PublishedScores(
        "us/nasbench201/cifar10",
        "nasbench201",
        "small.csv",
        hashlib.sha256(place.read_bytes()).hexdigest(),
        "this test",
        Conditions("cifar10", 128, 32, 10),
        {"theirs": "jacov"},
        _read,
    )
    monkeypatch.setattr(comparing, "TABLES", (known,))
    return tmp_path


def test_correlations_are_those_of_scipy(folder: Path, ours: pd.DataFrame) -> None:
    """Slow reference: scipy on the architectures that are finite in both; the mean over the three pairs of seeds."""
    found = zcbench.compare_published([RUN], folder)
    row = found.table.iloc[0]
    both = ours.iloc[:, :1].join(_read(folder / "sources/published-scores/small.csv")).iloc[2:].dropna()
    assert row["n"] == len(both)
    assert row["rho"] == pytest.approx(stats.spearmanr(both[0], both["theirs"])[0])
    assert row["tau"] == pytest.approx(stats.kendalltau(both[0], both["theirs"])[0])
    assert row["low"] < row["rho"] < row["high"]
    known = ours.loc[both.index].dropna()
    pairs = [stats.spearmanr(known[a], known[b])[0] for a, b in ((0, 1), (0, 2), (1, 2))]
    assert row["own"] == pytest.approx(np.mean(pairs))
    assert row["own_seeds"] == 3
    assert np.isnan(row["theirs"])
    assert found.conditions[0]["differences"] == ["batch 64 for 128"]


def test_the_ceiling_comes_from_another_run_of_the_same_conditions(folder: Path, ours: pd.DataFrame) -> None:
    """Invariance: the run of one seed has the ceiling of the run of three, on the architectures of both."""
    alone = zcbench.compare_published(["nasbench201"], folder).table.iloc[0]
    assert np.isnan(alone["own"])
    both = zcbench.compare_published(["nasbench201", RUN], folder).table
    assert len(both) == 2
    assert both["own"].iloc[0] == pytest.approx(both["own"].iloc[1], abs=0.01)


def test_refusals(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Closed form: a damaged file, a folder without any, and a run of another space, each with its reason."""
    with pytest.raises(RankingError, match="Expected runs of nasbench201"):
        zcbench.compare_published(["docs/results/scores/s0-resnet56-b0.parquet"], folder)
    with pytest.raises(DataError, match="sources/published-scores"):
        zcbench.compare_published([RUN], tmp_path_factory.mktemp("empty"))
    (folder / "sources/published-scores/small.csv").write_text("arch,theirs\n")
    with pytest.raises(ChecksumError, match="damaged or another version"):
        zcbench.compare_published([RUN], folder)


def test_differences_of_conditions() -> None:
    """Closed form: what differs is named, what one side does not state is left out."""
    one = Conditions("noise", 16, 64, 10, "default")
    assert one.differences(replace(one, batch_size=32, init=None)) == ["batch 16 for 32"]
    assert one.differences(one) == []


@pytest.mark.data
def test_digits_of_the_transnas_table(data_dir: Path) -> None:
    """Published counts: parameters of 40 cells, read off the string, are those of the table (63 classes)."""
    path = data_dir / "sources/published-scores/nasbench-suite-zero.transnas-micro.class_scene.csv"
    table = pd.read_csv(path)
    assert len(table) == 2128
    some = table.iloc[np.random.default_rng(0).choice(len(table), 40, replace=False)]
    space = zcbench.spaces.get("transnas_micro")
    counted = [space.params(cell_of(net), 63, (3, 256, 256)) for net in some["net"]]
    assert np.allclose(np.array(counted) / 1e6, some["params"], rtol=1e-5)


@pytest.mark.data
def test_bundled_scores_agree_with_published_ones(data_dir: Path) -> None:
    """Published scores: 9,445 live cells; data-free and one-pass proxies agree as two draws of either do."""
    table = zcbench.compare_published(["nasbench201", RUN], data_dir).table
    rows = table[(table["run"] == "nasbench201") & (table["published"] == tables.TABLES[0].name)].set_index("proxy")
    assert rows.loc["params", ["n", "rho"]].tolist() == [9445, pytest.approx(1)]
    assert (rows.loc[["synflow", "naswot"], "rho"] > 0.99).all()
    close = rows.loc[["snip", "grad_norm", "fisher", "jacov", "l2_norm"]]
    assert (close["rho"] > close[["own", "theirs"]].min(axis=1) - 0.01).all()
