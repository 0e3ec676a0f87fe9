"""A leaderboard: what is added, and what its verification refuses. Small cells on noise, and the bundled accuracies."""

import json
from pathlib import Path

import pytest

from tests.command import zcbench_command
from zcbench.benchmarks import rank_run, truth
from zcbench.benchmarks.leaderboard import Board, add, verify
from zcbench.benchmarks.leaderboard.submission import Submission
from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.benchmarks.scoring import packing
from zcbench.benchmarks.scoring.options import Setup
from zcbench.errors import DataError, ProtocolError, UnknownNameError

TRUTH = "nasbench201/cifar10-16/test@5"
PLUGIN = '''from zcbench import proxy


@proxy("mine_{name}", reads="gradients", higher_is_better=True, source="a test", version={version})
def mine(signals):
    """Sum of squared gradients, times a factor."""
    return {factor} * sum(g.square().sum().item() for g in signals.gradients.values())
'''
SETUP = {"space": "nasbench201(channels=4,cells=1)", "dataset": "noise", "batch_size": 8, "image_size": 16}


@pytest.fixture
def archs(tmp_path):
    """Twelve architectures with known accuracies."""
    known = sorted(truth(TRUTH)["arch"])[::16][:12]
    file = tmp_path / "archs.txt"
    file.write_text("\n".join(known))
    return known


class Stranger:
    """Someone with a plug-in, who scores it and others."""

    def __init__(self, home: Path, name: str, archs: list[str]) -> None:
        self.home, self.name, self.archs = home, f"mine_{name}", archs
        self.plugin = home / f"plugin_{name}.py"
        self.write()

    def write(self, factor: float = 1.0, version: int = 1) -> None:
        name = self.name.removeprefix("mine_")
        self.plugin.write_text(PLUGIN.format(name=name, factor=factor, version=version))

    def score(self, run: str = "run", archs: list[str] | None = None, **setup: object) -> Path:
        from zcbench.benchmarks.scoring.conditions import prepare
        from zcbench.benchmarks.scoring.run import score_run
        from zcbench.runtime.execution import Execution

        conditions = prepare(Setup(**(SETUP | setup)))
        execution = Execution(workers=0, plugins=(self.plugin,))
        score_run(conditions, archs or self.archs, [self.name, "l2_norm"], [0], self.home / run, execution=execution)
        return self.home / run


@pytest.fixture
def stranger(tmp_path, archs, request):
    return Stranger(tmp_path, "".join(filter(str.isalnum, request.node.name)), archs)


def edited(board: Path, proxy: str, **changes: object) -> None:
    (file,) = board.glob(f"entries/*/{proxy}.json")
    content = json.loads(file.read_text())
    for name, value in changes.items():
        content[name] = content[name] | value if isinstance(value, dict) else value
    file.write_text(json.dumps(content))


def refusal(board: Path, proxy: str) -> str:
    (verdict,) = verify(board, [proxy])
    assert not verdict.passed
    assert Board(board).entry(verdict.entry.benchmark, proxy).verified is None
    return verdict.refusal


def test_from_a_plug_in_to_a_verified_line(tmp_path, stranger):
    """Oracle: the ranking of the same run, and the same architectures scored again to the bit."""
    run, board = stranger.score(), tmp_path / "board"
    entries = {entry.proxy: entry for entry in add(board, run, [TRUTH], plugin=stranger.plugin)}
    ranking = rank_run(run, {TRUTH: truth(TRUTH)})
    row = ranking.to_frame(TRUTH, "all").set_index("proxy").loc[stranger.name]
    mine, own = entries[stranger.name], entries["l2_norm"]
    assert mine.result["tau"] == pytest.approx(row["tau"])
    assert mine.difference[0] == pytest.approx(size_differences(ranking).loc[stranger.name, "difference"])
    assert (mine.plugin is not None, own.plugin) == (True, None)
    assert len(mine.conformance) == 8 and all(check["passed"] for check in mine.conformance)
    assert [(v.passed, v.drawn, v.deviation) for v in verify(board)] == [(True, 12, 0.0)] * 2
    assert all(entry.verified["drawn"] == 12 for entry in Board(board).entries())


def test_the_command_takes_the_plug_in(tmp_path, stranger):
    """Oracle: the entry of the plug-in, added and verified by the commands of the page."""
    run, board = stranger.score(), tmp_path / "board"
    add(board, run, [TRUTH], proxies=["l2_norm"])
    options = ["--plugin", stranger.plugin, "--proxies", stranger.name, "--board", board]
    assert zcbench_command("leaderboard", "add", run, *options).returncode == 0
    done = zcbench_command("leaderboard", "verify", stranger.name, "--board", board)
    assert "1 of 1 entries hold" in done.stdout


def test_bad_submissions_are_refused(tmp_path, stranger):
    """Bad input: another protocol, a missing architecture, an unknown proxy, an empty folder, no benchmark."""
    board = tmp_path / "board"
    add(board, stranger.score(), [TRUTH], proxies=["l2_norm"])
    with pytest.raises(DataError, match="has no benchmark of the protocol"):
        add(board, stranger.score("other", batch_size=4))
    (name,) = Board(board).benchmarks()
    with pytest.raises(ProtocolError, match="batch_size: 8 → 4"):
        add(board, tmp_path / "other", [name])
    with pytest.raises(DataError, match=r"scored on 9 of the 12 architectures .* the first that is missing is '\|"):
        add(board, stranger.score("fewer", stranger.archs[:9]))
    with pytest.raises(UnknownNameError, match="l2_norn"):
        add(board, tmp_path / "run", proxies=["l2_norn"])
    with pytest.raises(DataError, match="holds no leaderboard"):
        verify(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="l2_norn"):
        verify(board, ["l2_norn"])


def test_proxies_tried_on_other_architectures(tmp_path, stranger):
    """Bad input: no architecture was tried with both proxies; each by itself is a benchmark of its architectures."""
    board, one, other, both = (tmp_path / name for name in ("board", "1.parquet", "2.parquet", "both.parquet"))
    packing.pack([stranger.score("first", stranger.archs[:4])], one, proxies=["l2_norm"])
    packing.pack([stranger.score("second", stranger.archs[4:8])], other, proxies=[stranger.name])
    packing.pack([one, other], both)
    with pytest.raises(DataError, match="no arch that every proxy was tried on"):
        add(board, both, [TRUTH], plugin=stranger.plugin)
    (entry,) = add(board, both, [TRUTH], proxies=["l2_norm"])
    assert sorted(Board(board).benchmarks()[entry.benchmark].archs) == stranger.archs[:4]


def test_forged_numbers_are_refused(tmp_path, stranger):
    """An entry that its scores do not give, and scores that the networks do not give."""
    run, board = stranger.score(), tmp_path / "board"
    add(board, run, [TRUTH], proxies=["l2_norm"])
    edited(board, "l2_norm", result={"tau": 0.99})
    assert "tau of l2_norm is 0.99 in the entry and" in refusal(board, "l2_norm")
    add(board, run, proxies=["l2_norm"])
    edited(board, "l2_norm", difference=[0.5, 0.4, 0.6])
    assert "difference of l2_norm is 0.5 in the entry and" in refusal(board, "l2_norm")
    add(board, run, proxies=["l2_norm"])
    edited(board, "l2_norm", scores_sha256="0" * 64)
    assert "has the sha256" in refusal(board, "l2_norm")
    forged = tmp_path / "forged"
    packing.unpack(next((board / "submissions").glob("*.parquet")), forged)
    _forge(forged, "l2_norm")
    add(board, forged, proxies=["l2_norm"])
    assert "when scored again" in refusal(board, "l2_norm")


def _forge(run: Path, proxy: str) -> None:
    """Scores as the accuracies are, written through the store with fitting checksums."""
    from zcbench.benchmarks.scoring.folder import STORE
    from zcbench.benchmarks.scoring.packing import _rows
    from zcbench.benchmarks.scoring.store import Store

    with Store(run / STORE, write=True) as store:
        frame = store.scores()
        frame = frame[frame["proxy"] == proxy]
        accuracy = truth(TRUTH).set_index("arch")["accuracy"]
        store.save(_rows(frame.assign(value=frame["arch"].map(accuracy).to_numpy())))


def test_an_edited_plug_in_is_refused(tmp_path, stranger):
    """Another definition at the same version: in the folder, and when it is added."""
    board = tmp_path / "board"
    add(board, stranger.score(), [TRUTH], plugin=stranger.plugin)
    copy = next((board / "submissions").glob("*.py"))
    copy.write_text(copy.read_text().replace("1.0 *", "2.0 *"))
    assert "was edited since it was submitted" in refusal(board, stranger.name)


def test_an_earlier_version_is_history(tmp_path, stranger):
    """The entry of version 2 has version 1 in its history; a file of another schema is refused."""
    board = tmp_path / "board"
    (first,) = add(board, stranger.score(), [TRUTH], proxies=["l2_norm"])
    edited(board, "l2_norm", version=0)
    (second,) = add(board, tmp_path / "run", proxies=["l2_norm"])
    assert second.history == [{"version": 0, "added": first.added, "tau": first.result["tau"]}]
    edited(board, "l2_norm", schema=99)
    with pytest.raises(DataError, match="has the schema 99"):
        Board(board).entries()


def test_the_leaderboard_of_the_bundled_scores_holds():
    """Every file is of this version, and the scores that it names have the recorded fingerprints."""
    board = Board(Path(__file__).parents[3] / "docs" / "results" / "leaderboard")
    entries = board.entries()
    assert {entry.benchmark for entry in entries} == set(board.benchmarks())
    places = {(entry.scores, entry.scores_sha256) for entry in entries}
    assert all(Submission.at(board, place).card["sha256"] == sha256 for place, sha256 in places)
