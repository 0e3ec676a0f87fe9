"""What runs on the package alone: the example from a ranking to a trained student, whose first step is the default."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import zcbench

SCRIPT = Path(__file__).parents[1] / "examples" / "pipeline.sh"
SMALL = {
    "ARCHS": "4",
    "PROXIES": "params,snip,naswot,kd:kd,kd:at",
    "EVALUATIONS": "6",
    "EPOCHS": "1",
    "IMAGES": "digits(side=8,images=96,test_images=50)",
    "QUICK": "--draws 10 --formats png --batch-size 16 --workers 1",
    "ZCBENCH": f"{sys.executable} -m zcbench",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole example at small scale, with no data on the machine."""
    out = tmp_path_factory.mktemp("pipeline")
    settings = os.environ | SMALL | {"ZCBENCH_DATA": str(out / "nothing")}
    done = subprocess.run(["bash", str(SCRIPT), str(out)], env=settings, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stderr
    return out


def test_bench_runs_on_what_ships(folder: Path) -> None:
    """By construction: networks, architectures and all three truths of the bundled table, and a page."""
    scores = json.loads((folder / "bench" / "ranking" / "protocol.json").read_text())["protocol"]["scores"]
    assert scores["space"] == zcbench.truth("nasbench201/cifar10-16/kd").protocol["networks"]
    assert "4 sampled from those that" in scores["architectures"]
    ranking = pd.read_parquet(folder / "bench" / "ranking" / "table.parquet")
    assert set(ranking["truth"]) == {f"nasbench201/cifar10-16/{setting}" for setting in ("vanilla", "kd", "gain")}
    assert (folder / "bench" / "report" / "index.html").exists()


def test_the_student_is_what_ranking_and_search_say(folder: Path) -> None:
    """By construction: the architecture that was found, within its budget, under the losses that are ranked first."""
    found, result = (json.loads((folder / file).read_text()) for file in ("search/search.json", "student/result.json"))
    assert result["student"]["arch"] == found["best"]["arch"]
    assert found["best"]["costs"]["params"] <= 50_000
    ranked = pd.read_parquet(folder / "ranking" / "table.parquet").query("subset == 'all'")
    losses = ranked[ranked["proxy"].str.startswith("kd:")].dropna(subset="tau").sort_values("tau", ascending=False)
    trained_with = [f"kd:{name}" for name in result["weights"] if name != "ce"]
    assert trained_with and set(trained_with) == set(losses["proxy"].head(2))
    assert (folder / "student" / "student.pt").exists()
