"""NAS-Bench-Macro: published parameters and MACs of all 6,561 networks, and which of them are the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

import zcbench
from zcbench import spaces
from zcbench.errors import ArchitectureError
from zcbench.spaces.measuring import measure

SPACE = spaces.get("nasbench_macro")


@pytest.mark.data
def test_published_sizes(data_dir: Path) -> None:
    """Published numbers: parameters and MACs of every network."""
    table = json.loads((data_dir / "sources/nas-bench-macro/nas-bench-macro_cifar10.json").read_text())
    found = SPACE.costs(table)
    assert found["params"].tolist() == [row["params"] for row in table.values()]
    assert found["macs"].tolist() == [row["flops"] for row in table.values()]


@pytest.mark.data
def test_published_accuracies(data_dir: Path) -> None:
    """Known values: the best network, tau of the sizes, and equal accuracies of strings that are one network."""
    truth = zcbench.truth("nasbench_macro/cifar10", data_dir).set_index("arch")["accuracy"]
    costs = SPACE.costs(truth.index).set_index("arch")
    assert truth.idxmax() == "22212220" and truth.max() == pytest.approx(93.1267, abs=1e-4)
    assert kendalltau(costs["params"], truth)[0] == pytest.approx(0.218, abs=5e-4)
    assert kendalltau(costs["macs"], truth)[0] == pytest.approx(0.556, abs=5e-4)
    assert all(truth[arch] == truth[SPACE.canonical(arch)] for arch in truth.index)


def test_equal_networks() -> None:
    """Closed form: (3 · 3) (3 · 7) (3 · 7) classes, since identities behind the first layer of a stage commute."""
    assert (len(SPACE), len(SPACE.subset("unique"))) == (6561, 9 * 21 * 21)
    assert SPACE.canonical("10|012|102".replace("|", "")) == "10" + "012" + "120"
    assert SPACE.canonical("00|100|001".replace("|", "")) == "00" + "100" + "010"


@pytest.mark.parametrize("arch", ["00000000", "11111111", "21010201", "22212220"])
def test_costs_are_those_of_the_network(arch: str) -> None:
    """Independent path: sizes counted on the network itself."""
    counted = measure(lambda: SPACE.network(SPACE.parse(arch), (3, 32, 32), 10), (3, 32, 32))
    assert tuple(counted) == tuple(SPACE.costs([arch]).iloc[0, 1:])


def test_network() -> None:
    """Shapes: each stage halves the image and doubles the channels."""
    network = SPACE.build("10200201").eval()
    maps = network.stem(torch.zeros(1, 3, 32, 32))
    shapes = [tuple((maps := getattr(network, f"stage{stage}")(maps)).shape[1:]) for stage in (1, 2, 3)]
    assert shapes == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]


@pytest.mark.parametrize("arch", ["", "1234567", "22212223", "222122200", "2221222x"])
def test_no_network(arch: str) -> None:
    """Bad input: another number of digits, or another digit."""
    with pytest.raises(ArchitectureError, match=r"22212220"):
        SPACE.parse(arch)


def test_a_sample_of_unique_ones() -> None:
    """Contract: a sample of a subset has members of it only, each once."""
    drawn = SPACE.sample(np.random.default_rng(0), 200, subset="unique")
    assert len(set(drawn)) == 200 and all(SPACE.canonical(arch) == arch for arch in drawn)
