"""The intervals of a ranking cover what they claim; the script is an example."""

import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "interval_coverage.py"


@pytest.mark.data
def test_intervals_hold_the_value_over_the_whole_set(data_dir: Path) -> None:
    """Known values: 60 samples of 200 cells, eight proxies; intervals that draw classes of cells are too wide."""
    example: dict[str, Any] = runpy.run_path(str(EXAMPLE))
    cells, given = example["population"]("all", "nasbench201/cifar10"), Namespace(repeats=60, draws=200, seed=0)
    assert len(cells) == 15625
    shares = {unit: example["coverage"](cells, 200, unit, given) for unit in ("architectures", "classes")}
    for label in example["LABELS"]:
        mean = {unit: float(row[label].split()[0]) for unit, row in shares.items()}
        assert mean["architectures"] == pytest.approx(0.95, abs=0.04)
        assert mean["classes"] > 0.97


@pytest.mark.data
def test_halves_of_the_classes_are_drawn_whole(data_dir: Path) -> None:
    """Invariance: a half holds every cell of its classes, and about half of the classes of all cells."""
    example: dict[str, Any] = runpy.run_path(str(EXAMPLE))
    cells = example["population"]("live", "nasbench201/cifar10")
    half = example["sampled"](cells, None, np.random.default_rng(0))
    assert cells["unit"].isin(half["unit"]).sum() == len(half)
    assert half["unit"].nunique() == cells["unit"].nunique() // 2
