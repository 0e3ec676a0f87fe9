"""Accuracies of networks trained under a teacher: the readers, the published values, and what is refused."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from scipy.stats import kendalltau, spearmanr

from zcbench import spaces
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.published.auto_prox import auto_prox, auto_prox_gain
from zcbench.benchmarks.truths.published.diswot_s0 import s0, s0_gain
from zcbench.benchmarks.truths.summary import summary
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import DataError
from zcbench.storage import pickles

AUTOFORMER = {
    "arch": {"hidden_dim": 216, "mlp_ratio": [3.5, 4.0] * 6, "depth": 12, "num_heads": [3, 4] * 6},
    "c100_base_acc": 68.0,
    "c100_kd_acc": 76.5,
}
PIT = {
    "arch": {"base_dim": 16, "mlp_ratio": 6, "depth": [2, 8, 4], "num_heads": [2, 4, 4]},
    "c100_base_acc": 70.0,
    "c100_kd_acc": 69.5,
}


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    """Two files in the form of DisWOT's: accuracies without and with a teacher."""
    alone, under = tmp_path / "cls.txt", tmp_path / "kd.txt"
    alone.write_text("111 60.2000\n557 72.0\n")
    under.write_text("111 61.87\n557 74.8600\n\n")
    return alone, under


def _saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_lines_of_s0(texts: tuple[Path, Path]) -> None:
    """Closed form: two lines by hand, and their differences."""
    alone, under = texts
    assert s0(alone).values.tolist() == [["111", 60.2], ["557", 72.0]]
    assert s0_gain(under, alone).values.tolist() == [["111", 1.67], ["557", 2.86]]


@pytest.mark.parametrize("line", ["112 60", "111", "111 sixty", "111 60 61", "1111 60"])
def test_bad_line_of_s0_is_named(tmp_path: Path, line: str) -> None:
    """Oracle: the message has the file, the line's number and the line."""
    file = tmp_path / "kd.txt"
    file.write_text(f"111 60\n{line}\n")
    with pytest.raises(DataError, match=rf"kd\.txt', line 2: '{line}' was given"):
        s0(file)


def test_configurations_become_architectures(tmp_path: Path) -> None:
    """Closed form: one configuration of each space by hand, and strings that the space builds."""
    former, pit = _saved(tmp_path / "a.pth", [AUTOFORMER]), _saved(tmp_path / "p.pth", [PIT])
    table = auto_prox(former, space="autoformer", column="c100_kd_acc")
    assert table.values.tolist() == [["216/" + ",".join(["3.5x3", "4x4"] * 6), 76.5]]
    gain = auto_prox_gain(pit, space="pit", dataset="c100")
    assert gain.values.tolist() == [["16/6/2-8-4/2-4-4", -0.5]]


def test_rows_without_an_accuracy_are_left_out(tmp_path: Path) -> None:
    """Closed form: the second of two files has no accuracy without a teacher."""
    bare = AUTOFORMER | {"c100_base_acc": None, "arch": AUTOFORMER["arch"] | {"hidden_dim": 240}}
    files = [_saved(tmp_path / f"{i}.pth", [row]) for i, row in enumerate((AUTOFORMER, bare))]
    assert len(auto_prox(*files, space="autoformer", column="c100_base_acc")) == 1
    assert len(auto_prox(*files, space="autoformer", column="c100_kd_acc")) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": AUTOFORMER["arch"] | {"depth": 13}}, "a depth of 13 for 12 layers"),
        ({"arch": AUTOFORMER["arch"] | {"hidden_dim": 200}}, "the width reads '200'"),
        ({"arch": AUTOFORMER["arch"] | {"num_heads": [3]}}, "ValueError"),
        ({"arch": {}}, "KeyError: 'mlp_ratio'"),
        ({"arch": None}, "TypeError"),
    ],
)
def test_bad_configuration_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """Oracle: the message has the file, the row's number and what is wrong."""
    file = _saved(tmp_path / "a.pth", [AUTOFORMER, AUTOFORMER | change])
    with pytest.raises(DataError, match=rf"a\.pth', row 1: Expected a configuration of autoformer.*{message}"):
        auto_prox(file, space="autoformer", column="c100_kd_acc")


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", ["torch", "plain"])
def test_code_in_a_checkpoint_never_runs(tmp_path: Path, protocol: str) -> None:
    """Invariance: a pickle that would make a file is refused, and no file is made."""
    file, made = tmp_path / "evil.pth", tmp_path / "made"
    evil = [AUTOFORMER, Touch(made)]
    if protocol == "torch":
        torch.save(evil, file)
    else:
        file.write_bytes(pickle.dumps(evil, protocol=2))
    with pytest.raises(DataError, match=r"evil\.pth.*weights_only"):
        pickles.load_checkpoint(file)
    assert not made.exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "zip of something else", "missing"])
def test_damaged_checkpoint_is_named(tmp_path: Path, damage: str) -> None:
    """Oracle: whatever the damage, one error that names the file and what to do."""
    file = _saved(tmp_path / "a.pth", [AUTOFORMER])
    if damage == "zip of something else":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("hello", "world")
    elif damage == "missing":
        file.unlink()
    else:
        file.write_bytes({"truncated": file.read_bytes()[:-200], "empty": b"", "text": b"hello\n" * 50}[damage])
    with pytest.raises(DataError, match=r"a\.pth.*fetch it again"):
        pickles.load_checkpoint(file)


def test_a_checkpoint_of_something_else_is_named(tmp_path: Path) -> None:
    """Oracle: the type that was found and the one that was expected."""
    file = _saved(tmp_path / "a.pth", {"weight": torch.zeros(2)})
    with pytest.raises(DataError, match=r"holds a dict\. Expected a list of rows"):
        auto_prox(file, space="pit", column="c100_kd_acc")


def test_a_gain_may_be_negative_and_an_accuracy_may_not(tmp_path: Path) -> None:
    """Closed form: percentage points from -100 to 100; they survive a trip through the stored file."""
    about = {"name": "mine/digits/gain", "space": "mine", "dataset": "digits", "setting": "gain", "aggregation": "none"}
    rows = [{"arch": "a", "accuracy": -4.3}, {"arch": "b", "accuracy": 0.5}]
    table = TruthTable.from_rows(rows, about)
    assert TruthTable.read(table.write(tmp_path / "t.parquet"))["accuracy"].tolist() == [-4.3, 0.5]
    with pytest.raises(DataError, match=r"Row 0: accuracy is -4\.3\. Expected percent, from 0 to 100"):
        TruthTable.from_rows(rows, about | {"setting": "kd"})
    with pytest.raises(DataError, match="percentage points, from -100 to 100"):
        TruthTable.from_rows([{"arch": "a", "accuracy": -101}], about)


@pytest.mark.data
def test_published_values_of_s0(data_dir: Path) -> None:
    """Published numbers: the ends of both tables, the mean gain, and the correlations with size."""
    alone, under, gain = (
        truth(f"s0/cifar100/{setting}", data_dir).set_index("arch") for setting in ("vanilla", "kd", "gain")
    )
    assert list(alone.index) == list(under.index) == list(spaces.get("s0"))
    assert (alone["accuracy"].idxmin(), alone["accuracy"].min()) == ("111", 60.20)
    assert (alone["accuracy"].idxmax(), alone["accuracy"].max()) == ("777", 72.56)
    assert (under["accuracy"].idxmin(), under["accuracy"].min()) == ("111", 61.87)
    assert (under["accuracy"].idxmax(), under["accuracy"].max()) == ("557", 74.86)
    assert gain["accuracy"].mean() == pytest.approx(1.764, abs=5e-4)
    assert kendalltau(alone["accuracy"], under["accuracy"]).statistic == pytest.approx(0.836, abs=5e-4)
    costs = spaces.get("s0").costs(under.index, num_classes=100)
    assert kendalltau(costs["params"], under["accuracy"]).statistic == pytest.approx(0.873, abs=5e-4)
    assert spearmanr(costs["params"], under["accuracy"]).statistic == pytest.approx(0.968, abs=5e-4)
    assert kendalltau(costs["macs"], under["accuracy"]).statistic == pytest.approx(0.657, abs=5e-4)
    assert set(under["setting"]) == {"kd"}


@pytest.mark.data
def test_published_values_of_the_transformers(data_dir: Path) -> None:
    """Published numbers: AutoFormer's rank correlation of -.384 between both settings; 100 and 200 networks."""
    for space, counts in (("autoformer", (100, 200, 100)), ("pit", (100, 100, 100))):
        for dataset in ("cifar100", "flowers", "chaoyang"):
            tables = [truth(f"{space}/{dataset}/{setting}", data_dir) for setting in ("vanilla", "kd", "gain")]
            assert tuple(map(len, tables)) == counts
            both = tables[0].merge(tables[1], on="arch")
            assert (both["accuracy_y"] - both["accuracy_x"]).tolist() == pytest.approx(tables[2]["accuracy"].tolist())
    alone, under = (truth(f"autoformer/cifar100/{setting}", data_dir) for setting in ("vanilla", "kd"))
    both = alone.merge(under, on="arch")
    assert spearmanr(both["accuracy_x"], both["accuracy_y"]).statistic == pytest.approx(-0.384, abs=5e-4)


@pytest.mark.data
def test_every_transformer_is_of_its_space(data_dir: Path) -> None:
    """Invariance: each published configuration parses, and its string is the canonical one."""
    for name in ("autoformer", "pit"):
        space = spaces.get(name)
        for arch in truth(f"{name}/cifar100/kd", data_dir)["arch"]:
            assert space.canonical(arch) == arch


@pytest.mark.data
def test_summary_says_what_is_known_and_what_is_not(data_dir: Path) -> None:
    """Published numbers: the best distilled network of S0; and the teacher, which the file does not tell."""
    told = summary("s0/cifar100/kd", data_dir)
    assert told.highest == (74.86, "557")
    assert told.protocol["setting"] == "kd"
    assert told.protocol["teacher"].startswith("not stated")
    assert told.protocol["source"] == "lliai/DisWOT-CVPR2023@dffe4e6:exps/s1-gt-kd.txt"
    assert "percentage points" in summary("s0/cifar100/gain", data_dir).protocol["quantity"]
    assert told.runs is None


def test_summary_of_runs(tmp_path: Path) -> None:
    """Closed form: three architectures with two runs in the same order, 2 apart: rho 1, standard deviation sqrt(2)."""
    file = tmp_path / "mine.csv"
    file.write_text(
        "arch,seed,accuracy\n"
        + "".join(f"{arch},{seed},{80 + i + 2 * seed}\n" for i, arch in enumerate("abc") for seed in (0, 1))
    )
    told = summary(file)
    assert (told.runs.counts, told.runs.rho, told.runs.spread) == ({2: 3}, 1.0, pytest.approx(2**0.5))
    assert (told.lowest, told.median, told.highest) == ((81.0, "a"), 82.0, (83.0, "c"))
