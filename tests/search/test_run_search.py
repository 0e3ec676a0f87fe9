"""`run_search`: what the command does in one call, with the algorithms of a plug-in, in folders of before."""

import json

import pytest

import zcbench
from zcbench.errors import ZcbenchError
from zcbench.plugins import load_file
from zcbench.search import (
    Candidates,
    RandomSearch,
    RegularisedEvolution,
    Scoring,
    SearchError,
    Settings,
    Truths,
    named,
    run_search,
)

from .searching import SPACE, content

PLUGIN = """
from dataclasses import dataclass

from zcbench.search import SearchAlgorithm, algorithm


@algorithm("strided")
@dataclass
class Strided(SearchAlgorithm):
    stride: int = 1

    def setup(self, problem):
        self.waiting = list(problem.domain.everything())[:: self.stride]

    def ask(self, n):
        asked, self.waiting = self.waiting[:n], self.waiting[n:]
        return asked
"""


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "strided.py"
    file.write_text(PLUGIN)
    return file


def test_one_call_does_what_the_command_does(zcbench_command, tmp_path):
    """Invariance: the same request gives the same content by either way, apart from the times."""
    command = ["search", "--space", SPACE, "--proxies", "log_rank(macs,naswot)", "--evaluations", 9, "--step", 3]
    command += ["--population", 6, "--tournament", 3, "--dataset", "noise", "--image-size", 8, "--batch-size", 8]
    command += ["--max-params", "9k", "--repeats", 2, "--workers", 0, "--no-report", "--out", tmp_path / "command"]
    result = zcbench_command(*command)
    assert result.returncode == 0, result.stderr
    outcome = run_search(
        "log_rank(macs,naswot)",
        tmp_path / "call",
        Candidates(SPACE, limits={"params": 9e3}),
        Settings(RegularisedEvolution(population=6, tournament=3), evaluations=9, step=3),
        scores=Scoring(dataset="noise", image_size=8, batch_size=8, execution=zcbench.Execution(workers=0)),
        seeds=range(2),
    )
    written = content(tmp_path / "call")
    assert written == content(tmp_path / "command")
    assert outcome.arch == written["best"]["arch"] and outcome.best.value == written["best"]["value"]
    assert [one.arch for one in outcome.found] == [row["arch"] for row in written["repeats"]]


def test_an_algorithm_of_a_plug_in(zcbench_command, plugin, tmp_path):
    """Closed form: an algorithm that is defined here proposes every n-th live cell, by a call and by the command."""
    load_file(plugin)
    expected = list(zcbench.spaces.get("nasbench201").subset("live")[::7][:20])
    outcome = run_search("macs", tmp_path / "call", settings=Settings(named("strided(stride=7)"), evaluations=20))
    assert [row.arch for row in outcome.history] == expected
    command = ["search", "--proxies", "macs", "--plugin", plugin, "--evaluations", 20, "--no-report"]
    result = zcbench_command(*command, "--algorithm", "strided(stride=7)", "--out", tmp_path / "command")
    assert result.returncode == 0, result.stderr
    assert content(tmp_path / "command") == content(tmp_path / "call")
    request = content(tmp_path / "call")["request"]
    assert (request["algorithm"], request["stride"]) == ("strided", 7)
    result = zcbench_command(*command, "--algorithm", "strided(stride=8)", "--out", tmp_path / "command")
    assert result.returncode == 1 and "stride: 7 → 8" in result.stderr


def test_an_option_with_the_name_of_something_else(tmp_path):
    """By construction: search.json has one place for each name."""
    file = tmp_path / "stepping.py"
    file.write_text(PLUGIN.replace("strided", "stepping").replace("stride", "step"))
    load_file(file)
    with pytest.raises(SearchError, match="'stepping' has the option 'step', which stands for something else"):
        run_search("macs", tmp_path / "out", settings=Settings(named("stepping"), evaluations=5))


@pytest.mark.parametrize(
    ("algorithm", "before"),
    [
        (RandomSearch(), {"population": 36, "tournament": 8, "crossover": None}),
        (RegularisedEvolution(population=5, tournament=2), {"population": 5, "tournament": 2, "crossover": None}),
    ],
)
def test_requests_of_before_are_answered_again(algorithm, before, tmp_path):
    """By construction: all options of all algorithms stood in a request, and null where the algorithm's own counted."""
    settings = Settings(algorithm, evaluations=8)
    run_search("macs", tmp_path, settings=settings)
    file = tmp_path / "search.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps(written | {"request": written["request"] | before}))
    run_search("macs", tmp_path, settings=settings)
    assert json.loads(file.read_text())["request"] == written["request"]
    with pytest.raises(SearchError, match=r"population: 5 → 6|algorithm: random → evolution"):
        run_search("macs", tmp_path, settings=Settings(RegularisedEvolution(6, 2), evaluations=8))


def test_stored_scores_and_truths(tmp_path):
    """Closed form: of all live cells the one with the highest stored score; its accuracy is that of the given table."""
    space = zcbench.spaces.get("nasbench201")
    costs = space.costs(space)
    costs.assign(accuracy=50 + costs["macs"] / 1e7)[["arch", "accuracy"]].to_csv(tmp_path / "own.csv", index=False)
    outcome = run_search(
        "macs",
        tmp_path / "out",
        settings=Settings(RandomSearch(), evaluations=10_000, step=500),
        scores="nasbench201",
        truths=Truths([str(tmp_path / "own.csv")]),
    )
    assert outcome.best.costs["macs"] == costs["macs"].max()
    (compared,) = outcome.comparisons
    assert compared.judgement.regret.mean == 0 and compared.random is None
    assert compared.judgement.accuracy.mean == pytest.approx(50 + costs["macs"].max() / 1e7, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": ""}, "Scores of an empty name"),
        ({"candidates": Candidates("nasbench202")}, "Did you mean 'nasbench201'"),
        ({"candidates": Candidates(archs=["|none~0|"])}, "no architecture of nasbench201"),
        ({"candidates": Candidates(archs=[])}, "Expected some"),
        ({"truths": Truths(["nasbench201/cifar11"])}, "Did you mean"),
    ],
)
def test_bad_requests(options, message, tmp_path):
    """By construction: each is one sentence, and no result is left."""
    with pytest.raises(ZcbenchError, match=message):
        run_search("macs", tmp_path / "out", settings=Settings(RandomSearch(), evaluations=4), **options)
    assert not (tmp_path / "out").exists()
