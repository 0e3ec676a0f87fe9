"""What the commands do, in Python: one call each, the same numbers, and nothing loaded before it is used."""

import subprocess
import sys

import pandas as pd
import pytest

import zcbench
from zcbench import Execution, RankingOptions, ReportOptions, Sample, Setup
from zcbench.errors import ProtocolError, RankingError, UnknownNameError
from zcbench.streams import numpy_stream

from ..command import zcbench_command

SPACE = "nasbench201(channels=4,cells=1)"
SETUP = Setup(space=SPACE, dataset="noise", image_size=8, batch_size=8)
HERE, FEW = Execution(workers=0), RankingOptions(draws=5)


@pytest.fixture(scope="module")
def archs() -> list[str]:
    return zcbench.spaces.get(SPACE).sample(numpy_stream("workflows"), 12, subset="unique")


@pytest.fixture(scope="module")
def truth(archs: list[str]) -> dict[str, pd.DataFrame]:
    """An invented accuracy that grows with the MACs."""
    space = zcbench.spaces.get(SPACE)
    return {"mine": pd.DataFrame({"arch": archs, "accuracy": [50 + space.macs(arch) / 1e6 for arch in archs]})}


@pytest.fixture(scope="module")
def done(archs, truth, tmp_path_factory) -> zcbench.BenchResult:
    return zcbench.bench(
        tmp_path_factory.mktemp("run"),
        truth=truth,
        sample=Sample(archs),
        setup=SETUP,
        proxies="macs,l2_norm",
        seeds=1,
        execution=HERE,
        options=FEW,
        report=ReportOptions(("png",)),
    )


def test_bench_scores_ranks_and_reports(done, archs):
    """By construction: MACs order a truth that grows with them; every score, the ranking and the page are there."""
    assert len(done.scores) == 24 and set(done.scores["arch"]) == set(archs) and done.run.fresh == 24
    table = done.ranking.table.query("subset == 'all'").set_index("proxy")
    assert table.loc["macs", "tau"] == pytest.approx(1) and done.ranking.protocol["ranking"]["draws"] == 5
    assert done.page.is_file() and done.page.parent.parent == done.folder


def test_rank_gives_the_same_and_report_draws_it(done, truth):
    """Invariance: ranked again from its folder, with the tables or from a file; the page of the kept ranking."""
    again = zcbench.rank(done.folder, truth, options=FEW)
    pd.testing.assert_frame_equal(again.table, done.ranking.table)
    assert zcbench.report(done.folder, ReportOptions(("png",), "A title")) == done.page
    assert "A title" in done.page.read_text()


def test_the_command_gives_the_same(done, archs, truth, tmp_path):
    """Invariance: the same study by options; equal scores and ranking, and the run of Python is resumed by it."""
    (tmp_path / "archs.txt").write_text("\n".join(archs))
    truth["mine"].to_csv(tmp_path / "mine", index=False)
    (tmp_path / "mine").rename(tmp_path / "mine.csv")
    words = ["--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--seeds", 1, "--draws", 5]
    words += ["--archs", tmp_path / "archs.txt", "--truth", tmp_path / "mine.csv", "--proxies", "macs,l2_norm"]
    before = done.scores
    result = zcbench_command("bench", *words, "--workers", 0, "--formats", "png", "--out", done.folder)
    assert result.returncode == 0 and "0 of them new" in result.stderr, result.stderr
    pd.testing.assert_frame_equal(done.scores, before)
    table = pd.read_parquet(done.folder / "ranking" / "table.parquet")
    columns = [name for name in table if name != "truth"]
    pd.testing.assert_frame_equal(table[columns], done.ranking.table[columns])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"report": ReportOptions(("gif",))}, UnknownNameError, "figure format"),
        ({"truth": ","}, RankingError, "No truth is named"),
        ({"proxies": "sinflow"}, UnknownNameError, "synflow"),
        ({"ensembles": "log_rank(macs,snip)"}, RankingError, "snip"),
        ({"setup": Setup(space=SPACE, dataset="noise", batch_size=1)}, zcbench.errors.BatchError, "two images"),
    ],
)
def test_what_cannot_be_done_is_refused_before_scoring(given, error, message, archs, truth, tmp_path):
    """Bad input: one error, and no folder."""
    usual = {"truth": truth, "sample": Sample(archs), "setup": SETUP, "proxies": "macs", "execution": HERE}
    with pytest.raises(error, match=message):
        zcbench.bench(tmp_path / "run", **(usual | given))
    assert not (tmp_path / "run").exists()


def test_records_refuse_what_is_out_of_range():
    """Bad input: at once, where the record is made."""
    for make, message in (
        (lambda: Execution(workers=-1), "workers=-1"),
        (lambda: Execution(timeout=0), "timeout=0"),
        (lambda: Setup(dtype="int8"), "dtype='int8'"),
        (lambda: Setup(layout="diagonal"), "layout='diagonal'"),
    ):
        with pytest.raises(ProtocolError, match=message):
            make()


def test_names_load_when_they_are_used():
    """By construction: records of options need no PyTorch; every public name is there and is listed."""
    code = "import sys, zcbench; zcbench.Sample, zcbench.Setup, zcbench.Execution, zcbench.RankingOptions; "
    code += "print([m for m in ('torch', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    for package in (zcbench, zcbench.benchmarks):
        assert all(getattr(package, name) is not None for name in package.__all__) and set(package.__all__) <= {
            *dir(package)
        }
        with pytest.raises(AttributeError, match="nothing_of_this_name"):
            _ = package.nothing_of_this_name
