"""NAS-Bench-201 under attack: the reader, the names, and the published agreement with clean accuracy."""

from pathlib import Path

import pytest
from scipy.stats import kendalltau

from zcbench.benchmarks.truths.lookup import truth
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.published.attacks import ATTACKS, attacked
from zcbench.errors import UnknownNameError

CELL = "|none~0|+|skip_connect~0|avg_pool_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|none~2|"


def test_a_line_of_the_file(tmp_path: Path) -> None:
    """Closed form: operations of a cell by hand, NASLib listing edges by their start, and a float with noise."""
    file = tmp_path / "attacks.csv"
    file.write_text('net,val_accs,fgsm@Linf_eps-1.0\n"(1, 0, 2, 4, 3, 1)",90.0,46.699999999999996\n')
    assert attacked(file, "fgsm@Linf_eps-1.0").values.tolist() == [[CELL, 46.7]]


def test_names_of_attacks() -> None:
    """Oracle: the full name, from its short forms; 32 attacks."""
    full = "nasbench201/cifar10/test/fgsm-1.0@200"
    assert str(TruthName.parse("nasbench201/cifar10/fgsm-1.0")) == full
    assert str(TruthName.parse("nasbench201/cifar10/test/fgsm-1.0")) == full
    assert sum(len(sizes) for _, sizes in ATTACKS.values()) == 32


def test_an_unknown_attack_names_the_nearest() -> None:
    """Oracle: the message."""
    with pytest.raises(UnknownNameError, match=r"fgsm-1\.5.*fgsm-"):
        TruthName.parse("nasbench201/cifar10/test/fgsm-1.5")


@pytest.mark.parametrize(
    ("attack", "with_valid", "with_test"),
    [("fgsm-1.0", 0.50, 0.55), ("square-1.0", 0.44, 0.485), ("pgd-1.0", 0.04, 0.09), ("apgd-1.0", -0.185, -0.145)],
)
def test_agreement_with_clean_accuracy(data_dir: Path, attack: str, with_valid: float, with_test: float) -> None:
    """Oracle: Kendall's tau of the file with the published clean validation accuracy, and SciPy on ours."""
    found = truth(f"nasbench201/cifar10/{attack}", data_dir).set_index("arch")["accuracy"]
    assert len(found) == 15625
    for split, expected in (("valid", with_valid), ("test", with_test)):
        clean = truth(f"nasbench201/cifar10/{split}", data_dir).set_index("arch")["accuracy"]
        assert kendalltau(found, clean.reindex(found.index)).statistic == pytest.approx(expected, abs=0.006)
