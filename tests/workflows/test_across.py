"""``zcbench across``: runs of two spaces, truths of each, and what is refused."""

import json
from pathlib import Path

import pandas as pd
import pytest

import zcbench
from tests.command import fails, zcbench_command
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.streams import numpy_stream

SPACES = ("nasbench201(channels=4,cells=1)", "nasbench_macro")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 8 architectures in each of two spaces, and CSV files of accuracies that grow with the parameters."""
    home = tmp_path_factory.mktemp("across")
    batch = zcbench.datasets.batch(zcbench.datasets.load("noise", image_size=8), 4)
    for name, text in zip("ab", SPACES):
        space = zcbench.spaces.get(text)
        archs = space.sample(numpy_stream("across"), 8, subset="unique" if "unique" in space.subsets else "all")
        score_run(Conditions(space, batch), archs, ["l2_norm", "snip"][: 2 if name == "a" else 1], [0], home / name)
        rows = pd.DataFrame({"space": space.name, "arch": archs, "dataset": "made"})
        for truth, slope in (("up", 1.0), ("down", -1.0)):
            accuracy = [50 + slope * space.params(arch) / 1e6 for arch in archs]
            rows.assign(accuracy=accuracy).to_csv(home / f"{name}-{truth}.csv", index=False)
    return home


def _truths(home: Path, *names: str) -> str:
    return ",".join(str(home / f"{name}.csv") for name in names)


def test_each_truth_goes_to_the_scores_of_its_space(home):
    """Oracle: the runs of the rows; tau equals that of a ranking of one run."""
    found = zcbench.compare_truths([home / "a", home / "b"], _truths(home, "b-up", "a-up", "a-down"), by="tau")
    runs = found.table.drop_duplicates("truth").set_index("truth")["run"]
    assert dict(runs) == {"a-up.csv": str(home / "a"), "a-down.csv": str(home / "a"), "b-up.csv": str(home / "b")}
    alone = zcbench.rank(home / "a", home / "a-up.csv").to_frame("a-up.csv", "all").set_index("proxy")
    own = found.table[found.table["truth"] == "a-up.csv"].set_index("proxy")
    assert own.loc["l2_norm", "tau"] == alone.loc["l2_norm", "tau"]
    assert set(found.held_out["chosen"]) == {"l2_norm"} or found.held_out.empty


def test_an_ensemble_is_ranked_where_its_members_are(home):
    """Oracle: the run b has no scores of snip."""
    found = zcbench.compare_truths(
        [home / "a", home / "b"], _truths(home, "a-up", "b-up"), ensembles="rank_sum(l2_norm,snip)", by="tau"
    )
    rows = found.table[found.table["proxy"] == "rank_sum(l2_norm,snip)"]
    assert list(rows["run"]) == [str(home / "a")]


def test_the_command_prints_the_tables_and_a_document(home):
    """Invariance: the document has the rows of the Python function."""
    options = ["across", home / "a", home / "b", "--truth", _truths(home, "a-up", "b-up"), "--by", "tau"]
    text = zcbench_command(*options)
    assert text.returncode == 0, text.stderr
    assert "1  a-up.csv: 8 architectures (all) of a" in text.stdout
    assert "Chosen on the other spaces" in text.stdout
    document = json.loads(zcbench_command(*options, "--json").stdout)
    expected = zcbench.compare_truths([home / "a", home / "b"], _truths(home, "a-up", "b-up"), by="tau")
    assert [row["proxy"] for row in document["rows"]] == list(expected.table["proxy"])
    assert {row["proxy"] for row in document["proxies"]} == set(expected.proxies.index)
    assert {"stability", "held_out", "protocol"} <= document.keys()


def test_refusals(home):
    """Oracle: the messages."""
    both = ["across", home / "a", home / "b"]
    assert "No truth goes to the run" in fails(*both, "--truth", _truths(home, "a-up"))
    assert "in common with every run" in fails("across", home / "a", "--truth", _truths(home, "b-up"))
    assert "tau_given_all" in fails(*both, "--truth", _truths(home, "a-up", "b-up"), "--by", "rho", code=2)
    lacking = fails("across", home / "b", "--truth", _truths(home, "b-up"), "--ensembles", "rank_sum(l2_norm,naswot)")
    assert "which no run has all of" in lacking
