"""Commands on a cluster of two workers. The oracle is the same command in this process: every value, bit for bit."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

pytest.importorskip("distributed")

from ...command import zcbench_command

CELLS = "nasbench201(channels=2,cells=1)"
DIGITS = ["--dataset", "digits(images=96,test_images=50)", "--epochs", 1, "--batch-size", 32, "--augmentation", "none"]


def run(words: Sequence[object], out: Path, *where: object) -> Path:
    result = zcbench_command(*words, *where, "--out", out, ZCBENCH_DATA=str(out.parent / "data"))
    assert result.returncode == 0, result.stderr
    return out


def both(words: Sequence[object], folder: Path) -> tuple[Path, Path]:
    """Folders of the command here and on the cluster."""
    return run(words, folder / "here", "--workers", 0), run(words, folder / "cluster", "--cluster", "local:2")


def trainings(folder: Path, *columns: str) -> pd.DataFrame:
    table = pd.read_csv(folder / "trainings.csv").drop(columns="seconds")
    return table.sort_values(list(columns), ignore_index=True)


def test_truth_build(tmp_path: Path) -> None:
    """A teacher, and two cells with and without it, with stored outputs that all workers share."""
    words = ["truth", "build", "--space", CELLS, "--archs", 2, "--sample", "uniform", "--seeds", 1, *DIGITS]
    here, cluster = both([*words, "--teacher", "resnet:1-1-1@8-8-8-8", "--teacher-outputs", "float32"], tmp_path)
    order = ("setting", "arch", "seed")
    pd.testing.assert_frame_equal(trainings(here, *order), trainings(cluster, *order), check_exact=True)
    assert len(trainings(here, *order)) == 5
    one, other = (torch.load(folder / "teacher.pt", weights_only=True) for folder in (here, cluster))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.long
def test_search(tmp_path: Path) -> None:
    """Scores that are made on the way, the trace, and the best."""
    words = ["search", "--space", CELLS, "--proxies", "naswot,synflow", "--evaluations", 12, "--dataset", "noise"]
    more = ["--batch-size", 8, "--algorithm", "evolution", "--no-report", "--seed", 0]
    here, cluster = both([*words, *more], tmp_path)
    first, second = (json.loads((folder / "search.json").read_text()) for folder in (here, cluster))
    for found in (first, second):
        del found["times"]
    assert first == second and len(first["history"]) == 12


@pytest.mark.long
def test_evolve_distiller(tmp_path: Path) -> None:
    """All candidates, and the student alone, under stored outputs."""
    words = ["evolve-distiller", "--teacher", "resnet:1-1-1@8-8-8-16", "--student", "resnet:1-1-1@8-8-8-8", *DIGITS]
    words[words.index("--dataset") + 1] = "digits(images=200,test_images=50)"
    more = ["--teacher-epochs", 1, "--evaluations", 6, "--seed", 0, "--no-report", "--teacher-outputs", "float32"]
    here, cluster = both([*words, *more], tmp_path)
    assert (here / "distiller.json").read_bytes() == (cluster / "distiller.json").read_bytes()


@pytest.mark.long
def test_distill(tmp_path: Path) -> None:
    """Two students with two seeds, the weights of each."""
    words = ["distill", "--student", "resnet:1-1-1@8-8-8-8,resnet:1-1-1@8-8-8-16", "--seeds", 2, *DIGITS]
    here, cluster = both([*words, "--teacher", "resnet:1-1-1@8-8-8-16"], tmp_path)
    files = sorted(file.relative_to(here) for file in here.rglob("student.pt"))
    assert len(files) == 4
    assert all((here / file).read_bytes() == (cluster / file).read_bytes() for file in files)
