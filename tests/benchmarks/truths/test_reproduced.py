"""How far the residual of a truth given all sizes reproduces."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, rankdata

import zcbench
from tests.command import zcbench_command
from zcbench.benchmarks.truths.reproduced import Reproduction, reproduced
from zcbench.benchmarks.truths.table import TruthTable

SPACE = "nasbench201"


def _store(folder: Path, name: str, archs: list[str], accuracy: np.ndarray, **more: object) -> None:
    space, dataset, split = name.split("/")
    protocol = {"name": name, "space": space, "dataset": dataset, "split": split, "source": "made", "licence": "none"}
    rows = pd.DataFrame({"arch": archs, "accuracy": accuracy, **more})
    suffix = ".runs" if "seed" in more else ""
    path = folder / "truth" / f"{name.replace('/', '__')}{suffix}.parquet"
    path.parent.mkdir(exist_ok=True)
    TruthTable.from_rows(rows, protocol).write(path)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, list[str], np.ndarray]:
    """Accuracies on two data sets, and two runs of the first, of 40 cells; their parts beyond size are the same."""
    rng = np.random.default_rng(0)
    archs = list(zcbench.spaces.get(SPACE))[5000:5400:10]
    own, noise = rng.random(40), rng.random((3, 40))
    _store(tmp_path, f"{SPACE}/made/test", archs, 50 + 20 * own)
    _store(tmp_path, f"{SPACE}/other/test", archs, 40 + 20 * own + noise[0])
    _store(tmp_path, f"{SPACE}/third/valid", archs, 40 + 20 * noise[1])
    runs = [f"{arch}" for arch in archs] * 2
    seeds = [0] * 40 + [1] * 40
    _store(tmp_path, f"{SPACE}/made/test", runs, np.concatenate([50 + 20 * own, 50 + 20 * noise[2]]), seed=seeds)
    return tmp_path, archs, own


def test_residuals_written_out(made):
    """Oracle: least squares by NumPy on the ranks of the five sizes, and SciPy's tau of what is left."""
    folder, archs, _ = made
    found = {(one.kind, one.other): one for one in reproduced(f"{SPACE}/made/test", folder)}
    assert ("dataset", "other") in found and ("dataset", "third") not in found
    sizes = zcbench.spaces.get(SPACE).costs(archs)[["params", "macs", "n_convs", "depth", "width"]]
    design = np.column_stack([np.ones(40), *(rankdata(column) for column in sizes.to_numpy(float).T)])

    def residual(name: str) -> np.ndarray:
        ranks = rankdata(zcbench.truth(name, folder).set_index("arch").loc[archs, "accuracy"])
        return np.round(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0], 6)

    expected = kendalltau(residual(f"{SPACE}/made/test"), residual(f"{SPACE}/other/test")).statistic
    assert found["dataset", "other"].given_all == pytest.approx(expected)
    assert expected > 0.8 and found["dataset", "other"].n == 40
    assert abs(found["runs", "2 runs"].given_all) < 0.4  # the second run is noise


def test_sizes_given_restrict_the_architectures(made):
    """Invariance: with the sizes of the space for half of the architectures, these count, and no other."""
    folder, archs, _ = made
    half = zcbench.spaces.get(SPACE).costs(archs[:20]).set_index("arch")
    assert {one.n for one in reproduced(f"{SPACE}/made/test", folder, half)} == {20}


def test_without_another_table_there_is_none(tmp_path: Path):
    """Closed form: one table."""
    archs = list(zcbench.spaces.get(SPACE))[:5]
    file = tmp_path / "mine.csv"
    pd.DataFrame({"arch": archs, "accuracy": range(5)}).to_csv(file)
    assert reproduced(file) == ()


def test_words():
    """By hand."""
    one = Reproduction("dataset", "cifar100", 1000, 0.9, 0.81, 0.8)
    assert str(one) == "τ 0.81 with cifar100 (0.90 without the control, n = 1,000)"


def test_the_summary_prints_it():
    """Oracle: the line of the bundled truth, which has three runs of each network."""
    printed = zcbench_command("data", "show", "nasbench201/cifar10-16/kd").stdout
    assert "given sizes:   τ 0.39 with another of 3 runs (0.56 without the control, n = 200)" in printed


def test_a_sample_of_the_published_cells(data_dir: Path):
    """Oracle: the residuals of all 15,625 cells by NumPy and SciPy; the sample of 1,000 differs by its error."""
    found = {one.other: one for one in reproduced("nasbench201/cifar10", data_dir)}["cifar100"]
    tables = [zcbench.truth(f"nasbench201/{name}", data_dir).set_index("arch") for name in ("cifar10", "cifar100")]
    archs = list(tables[0].index)
    sizes = zcbench.spaces.get(SPACE).costs(archs)[["params", "macs", "n_convs", "depth", "width"]]
    design = np.column_stack([np.ones(len(archs)), *(rankdata(column) for column in sizes.to_numpy(float).T)])
    ranks = np.column_stack([rankdata(table.loc[archs, "accuracy"]) for table in tables])
    left = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    assert found.n == 1000
    assert found.given_all == pytest.approx(kendalltau(left[:, 0], left[:, 1]).statistic, abs=0.04)
