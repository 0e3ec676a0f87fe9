"""Published accuracies of teacher-student pairs: figures of the data folder, and a file that is not downloaded."""

from pathlib import Path

import pytest
from scipy.stats import kendalltau

from zcbench.benchmarks.truths import data
from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.published.pairs import METHODS, distilled, gain
from zcbench.errors import DataError

HEAD = "source,teacher,student,teacher_top1,student_vanilla_top1,method,student_top1\n"


def test_lines_of_the_file(tmp_path: Path) -> None:
    """Closed form: a figure, a gap in the table, and a column whose heading is in doubt."""
    file = tmp_path / "cifar100_pairs.csv"
    lines = ("R,resnet56,resnet20,72.34,69.06,KD,70.66", "R,vgg13,vgg8,74.64,70.36,KD,", "m,a,b,,,KD,70.0")
    file.write_text(HEAD + "\n".join(lines))
    assert distilled(file, "KD").values.tolist() == [["resnet56:resnet20", 70.66]]
    assert gain(file).values.tolist() == [["resnet56:resnet20", 1.6]]


@pytest.mark.data
def test_figures_of_the_tables(data_dir: Path) -> None:
    """Published figures: four distillers beat the student alone in all 13 pairs; tau .63 and .23."""
    alone = truth("pairs/cifar100", data_dir).set_index("arch")["accuracy"]
    better = []
    for setting, (_, rows) in METHODS.items():
        own = truth(f"pairs/cifar100/{setting}", data_dir).set_index("arch")["accuracy"]
        assert len(own) == rows
        better += [setting] if len(own) == 13 and (own > alone.reindex(own.index)).all() else []
    assert better == ["kd", "sp", "pkt", "crd"]
    kd = truth("pairs/cifar100/kd", data_dir).set_index("arch")["accuracy"]
    assert kendalltau(kd, alone.reindex(kd.index))[0] == pytest.approx(0.63, abs=0.005)


def test_a_transcribed_file_is_not_downloaded(tmp_path: Path) -> None:
    """Closed form: the message says where the file must lie."""
    with pytest.raises(DataError, match=r"cannot be downloaded.*cifar100_pairs\.csv"):
        data.fetch(["pairs/cifar100/kd"], tmp_path)
