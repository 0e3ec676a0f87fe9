"""Looking up truths by name, on small files and on the published ones."""

from pathlib import Path

import numpy as np
import pytest

from zcbench import spaces
from zcbench.benchmarks.truths.catalogue import SOURCES
from zcbench.benchmarks.truths.data import hardware_costs
from zcbench.benchmarks.truths.lookup import TruthName, TruthTable, table_path, truth
from zcbench.errors import ChecksumError, DataError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nasbench201/cifar10", "nasbench201/cifar10/test@200"),
        ("nasbench201/ImageNet16-120/valid", "nasbench201/imagenet16-120/valid@200"),
        ("nasbench201/cifar10/test@12", "nasbench201/cifar10/test@12"),
        ("nasbench201/cifar100@12", "nasbench201/cifar100/test@12"),
        ("nasbench-macro/cifar10", "nasbench_macro/cifar10/test@50"),
        ("mine/digits", "mine/digits/test"),
        ("s0/cifar100", "s0/cifar100/test"),
        ("s0/cifar100/vanilla", "s0/cifar100/test"),
        ("S0/CIFAR100/kd", "s0/cifar100/test/kd"),
        ("autoformer/cifar100/test/gain", "autoformer/cifar100/test/gain"),
        ("mine/digits/valid/kd@30", "mine/digits/valid/kd@30"),
    ],
)
def test_names_in_full(name: str, full: str) -> None:
    """Closed form: the name with its defaults written out, which is its own full name."""
    assert str(TruthName.parse(name)) == full == str(TruthName.parse(full))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar10", "SPACE/DATASET"),
        ("nasbench201", "SPACE/DATASET"),
        ("nasbench201/cifar10/test@0", "SPACE/DATASET"),
        ("../../etc/passwd", "SPACE/DATASET"),
        ("nasbench21/cifar10", "space.*Did you mean 'nasbench201'"),
        ("nasbench201/cifar11", "data set.*Did you mean 'cifar10'"),
        ("nasbench201/cifar10/val", "split.*Did you mean 'valid'"),
        ("nasbench201/cifar10@100", "epochs.*'200'"),
        ("s0/cifar100/kdd", "split or setting.*Did you mean 'kd'"),
        ("s0/cifar100/test/gian", "setting.*Did you mean 'gain'"),
        ("nasbench201/cifar10/kd", "setting.*vanilla"),
        ("s0/cifar100/test/kd/more", "SPACE/DATASET"),
    ],
)
def test_unknown_names_have_the_nearest(name: str, message: str) -> None:
    """Oracle: the part that is wrong is named, with the nearest known one."""
    with pytest.raises(UnknownNameError, match=message):
        truth(name)


def test_known_but_absent_names_the_command() -> None:
    """Oracle: the message is a command that makes it."""
    with pytest.raises(DataError, match="zcbench data fetch nasbench201/cifar100/valid@200"):
        truth("nasbench201/cifar100/valid")


def test_sources_need_no_import_step(small: Path) -> None:
    """Closed form: the small csv by hand; the mean table wins over the single runs, which stay within reach."""
    mean, runs = truth("nasbench201/cifar10", small), truth("nasbench201/cifar10", small, per_seed=True)
    assert mean["accuracy"].tolist() == [90.0, 91.0, 92.0]
    assert mean["arch"].tolist() == list(spaces.get("nasbench201"))[:3]
    assert runs["accuracy"].tolist() == [90.0, 91.0, 91.0, 92.0, 92.0, 93.0]
    assert runs["seed"].tolist() == [0, 1, 0, 1, 0, 1]
    assert mean.protocol["sha256"] == {"nats_bench.csv": SOURCES["nats-bench-landscape"].sha256}


def test_single_runs_stand_in_for_a_missing_mean(small: Path) -> None:
    """Closed form: without the table of means, the mean of the two runs."""
    (small / SOURCES["nats-bench-landscape"].place).unlink()
    assert truth("nasbench201/cifar10", small)["accuracy"].tolist() == [90.5, 91.5, 92.5]


def test_means_have_no_single_runs(small: Path) -> None:
    """Oracle: CIFAR-100 is published as means only."""
    with pytest.raises(DataError, match="Leave per_seed out"):
        truth("nasbench201/cifar100", small, per_seed=True)


def test_stored_tables_come_first_and_the_variable_is_read(
    small: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order of look-up: the data directory's table, the user's table, the sources."""
    monkeypatch.setenv("ZCBENCH_DATA", str(small))
    name = "nasbench201/cifar10/test@200"
    about = {"name": name, "space": "nasbench201", "dataset": "cifar10", "epochs": 200}
    for folder, accuracy in ((home, 55.0), (small, 66.0)):
        TruthTable.from_rows([{"arch": "a", "accuracy": accuracy}], about).write(table_path(folder, name))
        assert truth("nasbench201/cifar10")["accuracy"].tolist() == [accuracy]


def test_wrong_source_file_is_refused(small: Path) -> None:
    """Oracle: one byte more is another sha256; the message has both and the command."""
    path = small / SOURCES["nats-bench-landscape"].place
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ChecksumError, match=r"nats_bench\.csv.*Expected.*zcbench data fetch nats-bench-landscape"):
        truth("nasbench201/cifar10", small)


def test_answers_do_not_share_state(small: Path) -> None:
    """Invariance: what a caller does to its table does not reach the next caller."""
    first = truth("nasbench201/cifar10", small)
    first.loc[0, "accuracy"], first.protocol["name"] = 1.0, "spoilt"
    second = truth("nasbench201/cifar10", small)
    assert second["accuracy"][0] == 90.0
    assert second.protocol["name"] == "nasbench201/cifar10/test@200"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_path_of_your_own(tmp_path: Path, ending: str) -> None:
    """Closed form: a csv with two runs of one architecture, and the same table as Parquet."""
    file = tmp_path / "mine.csv"
    file.write_text("arch,accuracy,seed\na,90,0\na,92,1\n")
    if ending == "parquet":
        file = TruthTable.from_csv(file).write(tmp_path / "mine.parquet")
    assert truth(str(file))["accuracy"].tolist() == [91.0]
    assert truth(file, per_seed=True)["accuracy"].tolist() == [90.0, 92.0]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "index", "best"),
    [
        ("nasbench201/cifar10", 6111, 94.3733),
        ("nasbench201/cifar100", 9930, 73.5133),
        ("nasbench201/imagenet16-120", 857, 47.3111),
        ("nasbench201/cifar10/valid", 6111, 91.6067),
        ("nasbench201/cifar100/valid", 9930, 73.4933),
    ],
)
def test_published_maxima(data_dir: Path, name: str, index: int, best: float) -> None:
    """Published numbers: the best architecture of each data set and its accuracy, to four decimals."""
    table = truth(name, data_dir).set_index("arch")["accuracy"]
    assert len(table) == 15625
    assert table.idxmax() == spaces.get("nasbench201")[index]
    assert table.max() == pytest.approx(best, abs=5e-5)


@pytest.mark.data
def test_number_of_runs(data_dir: Path) -> None:
    """Published counts: 7,456 architectures were trained twice and 8,169 three times."""
    assert truth("nasbench201/cifar10/valid", data_dir)["n_runs"].value_counts().to_dict() == {2: 7456, 3: 8169}


@pytest.mark.data
@pytest.mark.parametrize(("dataset", "step"), [("cifar100", 100 / 5000), ("imagenet16-120", 100 / 3000)])
def test_derived_validation_lies_on_its_grid(data_dir: Path, dataset: str, step: float) -> None:
    """Closed form: n runs over 5,000 (3,000) images make a mean that is a multiple of 100 / (5,000 n)."""
    table = truth(f"nasbench201/{dataset}/valid", data_dir)
    counts = table["accuracy"] / step * table["n_runs"].astype(float)
    assert np.abs(counts - counts.round()).max() < 1e-3


@pytest.mark.data
def test_two_sources_agree(data_dir: Path) -> None:
    """Independent reference: MeCo's runs average to NATS-Bench's mean except for the 2,433 with a run missing."""
    runs = truth("nasbench201/cifar10", data_dir, per_seed=True).groupby("arch")["accuracy"].mean()
    mean = truth("nasbench201/cifar10", data_dir).set_index("arch")["accuracy"]
    assert (np.abs(runs - mean) > 1e-5).sum() <= 2433


def _connected(arch: str) -> bool:
    """Whether data can flow from the cell's input to its output, by walking the edges."""
    alive = [part.split("~")[0] != "none" for part in arch.split("|") if "~" in part]
    edges = dict(zip([(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)], alive, strict=True))
    reached = {0}
    for node in (1, 2, 3):
        if any(edges[start, node] and start in reached for start in range(node)):
            reached.add(node)
    return 3 in reached


@pytest.mark.data
def test_hardware_costs_name_the_right_cells(data_dir: Path) -> None:
    """Independent reference: the 341 disconnected cells are the fastest on the GPU; no wrong edge order does that."""
    costs = hardware_costs("cifar10", data_dir)
    connected = costs["arch"].map(_connected)
    assert set(costs["arch"]) == set(spaces.get("nasbench201"))
    assert (~connected).sum() == 341
    assert costs["edgegpu_latency"][~connected].max() < costs["edgegpu_latency"][connected].min()
    assert costs["edgetpu_latency"].isna().any()
    assert costs.drop(columns="arch").min().min() > 0
