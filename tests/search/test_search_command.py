"""``zcbench search`` as a user meets it: the contract, repetition, resumption, and bad input."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import zcbench
from zcbench.benchmarks.data import hardware_costs
from zcbench.benchmarks.ranking import Ranking
from zcbench.benchmarks.store import Store
from zcbench.cli.winners import winners
from zcbench.errors import RankingError
from zcbench.proxies import REGISTRY
from zcbench.streams import numpy_stream

SPACE = "nasbench201(channels=4,cells=1)"
SMALL = ["--space", SPACE, "--dataset", "noise", "--image-size", "8", "--batch-size", "8", "--no-report"]
SHORT = ["--evaluations", 12, "--population", 6, "--tournament", 3, "--step", 3]
CONTRACT = ["--space", "nasbench201", "--proxies", "macs", "--algorithm", "evolution", "--max-params", "1.0M"]


def content(folder: Path) -> dict:
    """``search.json`` without what depends on time."""
    whole = json.loads((folder / "search.json").read_text())
    assert "wall_seconds" in whole.pop("times")
    return whole


@pytest.fixture
def truth(tmp_path):
    """An invented accuracy that grows with the MACs, for every cell."""
    space = zcbench.spaces.get("nasbench201")
    costs = space.costs(space)
    file = tmp_path / "truth.csv"
    pd.DataFrame({"arch": costs["arch"], "accuracy": 50 + costs["macs"] / 1e7}).to_csv(file, index=False)
    return file


def test_the_contract(zcbench_command, tmp_path):
    """The best obeys the budget and is the first of its kind in the trace; the same seed gives the same content."""
    command = ["search", *CONTRACT, "--evaluations", 200, "--seed", 0, "--no-report", "--out"]
    for name in ("one", "two"):
        result = zcbench_command(*command, tmp_path / name, ZCBENCH_DATA=str(tmp_path))
        assert result.returncode == 0, result.stderr
    first = content(tmp_path / "one")
    space, best = zcbench.spaces.get("nasbench201"), first["best"]
    assert best["arch"] in space and space.params(best["arch"]) <= 1e6 and best["space"] == space.spec
    assert len(first["history"]) == 200 == len({row["arch"] for row in first["history"]})
    assert all(row["costs"]["params"] <= 1e6 for row in first["history"])
    assert best["value"] == max(row["value"] for row in first["history"])
    assert first == content(tmp_path / "two")


def test_another_seed_is_another_search(zcbench_command, tmp_path):
    """Invariance: the seed reaches the draws."""
    for seed in (0, 1):
        zcbench_command(
            "search", *CONTRACT, "--evaluations", 20, "--seed", seed, "--no-report", "--out", tmp_path / str(seed)
        )
    assert content(tmp_path / "0")["history"] != content(tmp_path / "1")["history"]


def test_workers_do_not_change_the_search(zcbench_command, tmp_path):
    """Invariance: in this process and in two others the content is the same, scores bit for bit."""
    for workers in (0, 2):
        out = tmp_path / str(workers)
        result = zcbench_command(
            "search", *SMALL, *SHORT, "--proxies", "naswot,l2_norm", "--workers", workers, "--out", out
        )
        assert result.returncode == 0, result.stderr
    assert content(tmp_path / "0") == content(tmp_path / "2")


def test_an_interrupted_search_goes_on(zcbench_command, tmp_path, monkeypatch):
    """Invariance: stopped half-way and started again it ends as if it had never stopped, and scores nothing twice."""
    command = ["search", *SMALL, *SHORT, "--proxies", "log_rank(macs,naswot)", "--workers", 0, "--out"]
    assert zcbench_command(*command, tmp_path / "whole").returncode == 0
    scored = []
    save = Store.save

    def counting(self, rows):
        rows = list(rows)
        scored.extend((row.arch, row.seed, row.proxy) for row in rows)
        if len(scored) == 7:
            save(self, rows)
            raise KeyboardInterrupt
        save(self, rows)

    monkeypatch.setattr(Store, "save", counting)
    with pytest.raises((KeyboardInterrupt, AssertionError)):
        assert zcbench_command(*command, tmp_path / "torn").returncode == 0
    assert not (tmp_path / "torn" / "search.json").exists()
    assert zcbench_command(*command, tmp_path / "torn").returncode == 0
    assert content(tmp_path / "torn") == content(tmp_path / "whole")
    assert len(scored) == len(set(scored)) == 12


def test_a_finished_folder_is_not_taken_for_another_search(zcbench_command, fails, tmp_path):
    """The same request is answered again; another one is refused with what differs."""
    command = ["search", *CONTRACT, "--evaluations", 10, "--no-report", "--out", tmp_path]
    assert zcbench_command(*command).returncode == 0
    assert zcbench_command(*command).returncode == 0
    assert "evaluations: 10 → 11" in fails("search", *CONTRACT, "--evaluations", 11, "--no-report", "--out", tmp_path)


def test_truth_and_repeats(zcbench_command, truth, tmp_path):
    """Closed form: accuracy grows with the MACs, so that evolution by MACs has no regret and the largest is best."""
    command = ["search", *CONTRACT, "--evaluations", 300, "--repeats", 3, "--truth", truth, "--out", tmp_path / "out"]
    result = zcbench_command(*command, "--formats", "png")
    assert result.returncode == 0, result.stderr
    judged = content(tmp_path / "out")["truths"]["truth.csv"]
    assert judged["regret"]["mean"] == pytest.approx(0, abs=1e-6)
    assert judged["baselines"]["largest by macs"]["regret"] == pytest.approx(0, abs=1e-6)
    assert judged["baselines"]["random search, same objective"]["regret"]["mean"] > 0
    assert "the picks" in result.stdout and (tmp_path / "out" / "report" / "index.html").is_file()


def test_the_truth_does_not_steer(zcbench_command, truth, tmp_path):
    """Invariance: with the accuracies turned round every pick and every proposal stays."""
    turned = tmp_path / "turned.csv"
    table = pd.read_csv(truth)
    table.assign(accuracy=100 - table["accuracy"]).to_csv(turned, index=False)
    for name, file in (("one", truth), ("other", turned)):
        command = ["search", *CONTRACT, "--evaluations", 30, "--truth", file, "--no-report", "--out", tmp_path / name]
        assert zcbench_command(*command).returncode == 0
    one, other = content(tmp_path / "one"), content(tmp_path / "other")
    assert one["history"] == other["history"] and one["best"] == other["best"]
    assert one["truths"] != other["truths"]


@pytest.fixture(scope="module")
def run(zcbench_command, tmp_path_factory) -> Path:
    """A ranked run of twelve small cells, against an accuracy that grows with the MACs."""
    folder = tmp_path_factory.mktemp("ranked")
    space = zcbench.spaces.get(SPACE)
    archs = space.sample(numpy_stream("tests"), 12, subset="unique")
    (folder / "archs.txt").write_text("\n".join(archs))
    accuracy = [50 + space.macs(arch) / 1e6 for arch in archs]
    pd.DataFrame({"arch": archs, "accuracy": accuracy}).to_csv(folder / "own.csv", index=False)
    out = folder / "run"
    result = zcbench_command(
        *["bench", "--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--draws", 10],
        *["--proxies", "macs,l2_norm,naswot", "--seeds", 1, "--workers", 0, "--formats", "png"],
        *["--archs", folder / "archs.txt", "--truth", folder / "own.csv", "--out", out],
    )
    assert result.returncode == 0, result.stderr
    return out


def test_the_best_of_a_ranking(zcbench_command, fails, run, tmp_path):
    """The names are those of the ranking, the criterion is in the trace; another space is taken on demand only."""
    common = [
        "search",
        *SHORT,
        "--dataset",
        "noise",
        "--image-size",
        8,
        "--batch-size",
        8,
        "--no-report",
        "--workers",
        0,
    ]
    own = [*common, "--space", SPACE, "--out", tmp_path / "search", "--proxies"]
    assert zcbench_command(*own, f"top:2@{run}:tau").returncode == 0
    source = content(tmp_path / "search")["request"]["sources"]["rankings"][0]
    assert source["names"][0] == "macs" and source["column"] == "tau" and source["truths"] == ["own.csv"]
    other = [*common, "--space", "s0", "--out", tmp_path / "other", "--proxies", f"top:1@{run}"]
    assert "is about the space nasbench201(channels=4,cells=1), and s0 is searched" in fails(*other)
    assert zcbench_command(*other, "--transfer").returncode == 0
    assert "Did you mean 'tau'" in fails(*own, f"top:2@{run}:tauu")
    assert "There is no ranking in" in fails(*own, f"top:2@{tmp_path}/nowhere")
    assert "Expected top:K@RUN" in fails(*own, "top:none@run")


def test_stored_scores_are_searched(zcbench_command, fails, run, tmp_path):
    """Only what has scores is proposed, nothing is computed, and scores of another space are refused."""
    command = ["search", *SHORT, "--no-report", "--scores", run, "--proxies", "log_rank(macs,naswot)", "--out"]
    result = zcbench_command(*command, tmp_path / "search", "--space", SPACE, "--algorithm", "random")
    assert result.returncode == 0, result.stderr
    found = content(tmp_path / "search")
    archs = set((run.parent / "archs.txt").read_text().split())
    assert {row["arch"] for row in found["history"]} == archs
    assert not (tmp_path / "search" / "scores.sqlite").exists()
    assert "and nasbench201(channels=16,cells=5) is searched" in fails(*command, tmp_path / "no")


def test_a_proxy_that_fails_on_a_part(zcbench_command, tmp_path):
    """The failing architectures keep their status, are never picked, and the search goes on."""
    plugin = tmp_path / "moody.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('moody', reads='costs', higher_is_better=True)\n"
        "def moody(signals):\n    n = signals.costs.n_convs\n    return float('nan') if n > 10 else float(n)\n"
    )
    command = ["search", *SMALL, *SHORT, "--proxies", "moody", "--plugin", plugin, "--algorithm", "random", "--out"]
    result = zcbench_command(*command, tmp_path / "out", "--evaluations", 40)
    assert result.returncode == 0, result.stderr
    found = content(tmp_path / "out")
    failed = [row for row in found["history"] if "status" in row]
    assert failed and all(row["status"] == "nan" and row["value"] is None for row in failed)
    assert found["statuses"] == {"ok": 40 - len(failed), "nan": len(failed)}
    assert found["best"]["value"] == max(row["value"] for row in found["history"] if row["value"] is not None) == 10


def test_a_proxy_that_always_fails(fails, tmp_path):
    """The status and the reason of the first failure stand in the message."""
    plugin = tmp_path / "never.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('never', reads='costs', higher_is_better=True)\n"
        "def never(signals):\n    return float('nan')\n"
    )
    message = fails("search", *SMALL, *SHORT, "--proxies", "never", "--plugin", plugin, "--out", tmp_path / "out")
    assert "None of the 12 architectures" in message and "'nan'" in message


def test_a_teacher_aware_search(zcbench_command, fails, tmp_path):
    """S0 under a teacher of another space; a teacher that is none, and one that is nowhere, are refused by name."""
    command = ["search", "--space", "s0", *SMALL[2:], *SHORT, "--workers", 0, "--out", tmp_path / "out", "--proxies"]
    result = zcbench_command(*command, "kd:diswot", "--teacher", "resnet:resnet14", "--evaluations", 6)
    assert result.returncode == 0, result.stderr
    found = content(tmp_path / "out")
    assert found["request"]["sources"]["scores"]["protocol"]["teacher"] == "resnet14"
    assert "resnet21" in fails(*command, "kd:diswot", "--teacher", "resnet:resnet21")
    large = ["search", "--space", "resnet_large", *SMALL[2:], "--out", tmp_path / "large", "--proxies", "kd:kd"]
    assert "Expected a teacher by name" in fails(*large)


def test_a_latency_budget_by_the_clock(zcbench_command, tmp_path):
    """All that is proposed was timed and fits; started again, the times are read and the result is the same."""
    command = ["search", *SMALL, *SHORT, "--proxies", "params", "--max-latency", 1000, "--latency-device", "here"]
    for _ in range(2):
        assert zcbench_command(*command, "--out", tmp_path).returncode == 0
    found = content(tmp_path)
    assert all(0 < row["costs"]["latency"] <= 1000 for row in found["history"])
    timed = {json.loads(line)["arch"] for line in (tmp_path / "timings.jsonl").read_text().splitlines()[1:]}
    assert {row["arch"] for row in found["history"]} <= timed


@pytest.mark.data
def test_the_front_under_a_measured_latency(zcbench_command, data_dir, tmp_path):
    """Published latencies: what the edge TPU could not run is not proposed; the share of the true front is one."""
    command = ["search", "--algorithm", "nsga2", "--minimise", "latency", "--latency-device", "edgetpu", "--no-report"]
    command += ["--proxies", "params", "--evaluations", 120, "--truth", "nasbench201/cifar10", "--out", tmp_path]
    result = zcbench_command(*command, ZCBENCH_DATA=str(data_dir))
    assert result.returncode == 0, result.stderr
    found = content(tmp_path)
    assert all(row["costs"]["latency"] > 0 for row in found["history"])
    assert found["request"]["sources"]["costs"]["latency"]["not measurable"] > 0
    assert 0.3 < found["truths"]["nasbench201/cifar10"]["front"]["hypervolume ratio"]["mean"] <= 1


@pytest.mark.data
def test_the_largest_cell(zcbench_command, data_dir, tmp_path):
    """Published: without a budget the most MACs are those of the all-3x3 cell, whose CIFAR-10 accuracy is 93.76."""
    command = ["search", "--proxies", "macs", "--evaluations", 300, "--truth", "nasbench201/cifar10", "--no-report"]
    assert zcbench_command(*command, "--out", tmp_path, ZCBENCH_DATA=str(data_dir)).returncode == 0
    found = content(tmp_path)
    assert found["best"]["costs"] == {"params": 1531546, "macs": 220119680, "depth": 50}
    judged = found["truths"]["nasbench201/cifar10"]
    assert judged["accuracy"]["mean"] == pytest.approx(93.76, abs=0.005)
    assert judged["accuracies"]["best"] == pytest.approx(94.3733, abs=1e-4)
    rows = {row["trainings"]: row["mean"] for row in judged["baselines"]["random search that trains"]}
    assert rows[1000] > 93.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-params", "10k"], "smallest values found are params 73,306 parameters"),
        (["--max-params", "many"], "'many' was given as a limit"),
        (["--proxies", "mcas"], "'mcas' is no known proxy, size or ensemble. Did you mean 'macs'"),
        (["--proxies", ","], "The objective is made of nothing"),
        (["--proxies", "log_rank(macs,sinflow)"], "Did you mean 'synflow'"),
        (["--rule", "logrank"], "'logrank' is no known rule"),
        (["--algorithm", "nsga"], "'nsga' is no known search algorithm. Did you mean 'nsga2'"),
        (["--algorithm", "nsga2"], "NSGA-II was given 1 objective"),
        (["--algorithm", "nsga2", "--minimise", "params", "--proxies", "macs,depth"], "no value without a group"),
        (["--algorithm", "local", "--proxies", "macs,depth"], "may lead it in a circle, and"),
        (["--preset", "diswott"], "Did you mean 'diswot'"),
        (["--population", "20000"], "A population of 20000 was asked for, and only 9445 different"),
        (["--population", "0"], "A population of 0 was given"),
        (["--algorithm", "nsga2", "--minimise", "params", "--population", "0"], "A population of 0 was given"),
        (["--algorithm", "nsga2", "--minimise", "params", "--crossover", "1.5"], "crossover=1.5 was given"),
        (["--tournament", "0"], "A tournament of 0"),
        (["--evaluations", "0"], "evaluations=0"),
        (["--max-latency", "5"], "without a device"),
        (["--max-energy", "5", "--latency-device", "here"], "Energy cannot be measured"),
        (["--archs", "known"], "without --truth"),
        (["--minimise", "price", "--algorithm", "nsga2"], "'price' is no known cost"),
        (["--scores", "nowhere"], "No scores at 'nowhere'"),
        (["--space", "nasbench301"], "Did you mean 'nasbench201'"),
        (["--truth", "nasbench201/cifar11"], "Did you mean"),
        (["--space", "resnet", "--truth", "nasbench201/cifar10-16/kd"], "Expected a truth of what is searched"),
        (["--formats", "gif"], "'gif' is no known figure format"),
    ],
)
def test_bad_input_is_one_clear_message(arguments, message, fails, tmp_path):
    """Each says what was given and what to do, and no result is left."""
    defaults = ["search", "--proxies", "macs", "--evaluations", 20000, "--step", 500, "--out", tmp_path / "out"]
    assert message in fails(*defaults, *arguments, ZCBENCH_DATA=str(tmp_path))
    assert not (tmp_path / "out" / "search.json").exists()


def test_a_population_larger_than_the_space_costs_no_evaluation(fails, tmp_path):
    """Sixty-four networks and a population of a hundred: refused before the first of them is scored."""
    command = ["search", "--space", "s0", "--dataset", "noise", "--batch-size", 8, "--proxies", "zen"]
    command += ["--population", 100, "--evaluations", 60, "--workers", 0, "--out", tmp_path / "out"]
    assert "A population of 100 was asked for, and only 64 different" in fails(*command)
    with Store(tmp_path / "out" / "scores.sqlite") as store:
        assert store.scores().empty


def test_what_has_no_effect_is_said(zcbench_command, tmp_path):
    """By construction: each option that decides nothing is named with the reason, on the screen and in the result."""
    command = ["search", "--proxies", "macs", "--evaluations", 12, "--step", 4, "--algorithm", "random", "--no-report"]
    idle = ["--population", 7, "--tournament", 2, "--inits", 3, "--reference", 4, "--latency-device", "raspi4"]
    idle += ["--teacher-seed", 5, "--rule", "rank_sum"]
    result = zcbench_command(*command, *idle, "--baselines", "--out", tmp_path / "one")
    assert result.returncode == 0, result.stderr
    told = content(tmp_path / "one")["remarks"]
    assert told == [
        "Without effect: --population, --tournament (the algorithm is random).",
        "Without effect: --inits (sizes need no network).",
        "Without effect: --reference (a single score is no rank).",
        "Without effect: --latency-device (neither latency nor energy is limited or minimised).",
        "Without effect: --baselines (no truth was named).",
        "Without effect: --teacher-seed (nothing compares with a teacher).",
        "Without effect: --rule (there is one name to maximise).",
    ]
    assert all(line in result.stdout for line in told)
    assert zcbench_command(*command, "--out", tmp_path / "two").returncode == 0
    assert content(tmp_path / "two")["remarks"] == []
    short = ["search", "--proxies", "macs", "--evaluations", 12, "--no-report", "--out", tmp_path / "three"]
    assert zcbench_command(*short).returncode == 0
    assert "The first population of 36 took all 12 evaluations" in content(tmp_path / "three")["remarks"][0]


@pytest.mark.data
def test_latencies_are_of_the_images_that_the_scores_are_of(zcbench_command, data_dir, tmp_path):
    """By construction: scores of CIFAR-100 images are searched under the latencies that were measured for CIFAR-100."""
    made = ["bench", "--archs", 8, "--proxies", "n_convs", "--seeds", 1, "--dataset", "cifar100", "--workers", 0]
    result = zcbench_command(*made, "--out", tmp_path / "run", ZCBENCH_DATA=str(data_dir))
    assert result.returncode == 0, result.stderr
    command = ["search", "--proxies", "n_convs", "--scores", tmp_path / "run", "--evaluations", 8, "--no-report"]
    command += ["--algorithm", "random", "--max-latency", 1000, "--latency-device", "raspi4", "--out", tmp_path / "out"]
    result = zcbench_command(*command, ZCBENCH_DATA=str(data_dir))
    assert result.returncode == 0, result.stderr
    latency = hardware_costs("cifar100", data_dir).set_index("arch")["raspi4_latency"]
    for row in content(tmp_path / "out")["history"]:
        assert row["costs"]["latency"] == latency[row["arch"]]


def test_another_list_of_as_many_is_another_search(zcbench_command, fails, tmp_path):
    """The folder holds a search among ten architectures; ten others are refused."""
    archs = zcbench.spaces.get("nasbench201").subset("live")[:20]
    for name, some in (("one", archs[:10]), ("other", archs[10:])):
        (tmp_path / name).write_text("\n".join(some))
    command = ["search", "--proxies", "macs", "--evaluations", 5, "--population", 4, "--tournament", 2, "--no-report"]
    command += ["--out", tmp_path / "out", "--archs"]
    assert zcbench_command(*command, tmp_path / "one").returncode == 0
    assert "another search" in fails(*command, tmp_path / "other")


def test_help_explains_every_option(zcbench_command):
    """Help is printed with its usage line."""
    result = zcbench_command("search", "--help")
    assert result.returncode == 0 and "Usage: zcbench search" in result.stdout and "top:K@RUN" in result.stdout


def test_a_preset(zcbench_command, tmp_path):
    """Published: population 36 and tournament 8 (arXiv:2303.15678); what is given besides wins."""
    command = ["search", "--proxies", "macs", "--preset", "diswot", "--evaluations", 50, "--no-report"]
    assert zcbench_command(*command, "--out", tmp_path).returncode == 0
    request = content(tmp_path)["request"]
    assert (request["population"], request["tournament"], request["evaluations"]) == (36, 8, 50)
    assert len(content(tmp_path)["history"]) == 50


def test_live_cells_are_proposed_unless_others_are_asked_for(zcbench_command, tmp_path):
    """By construction: by default all that is proposed is live; of the whole space the disconnected are counted."""
    space = zcbench.spaces.get("nasbench201")
    live = set(space.subset("live"))
    common = ["search", "--proxies", "params", "--algorithm", "random", "--evaluations", 300, "--no-report"]
    for name, options in (("live", []), ("all", ["--archs", "all"]), ("unique", ["--archs", "unique"])):
        assert zcbench_command(*common, *options, "--out", tmp_path / name).returncode == 0
    archs = {name: [row["arch"] for row in content(tmp_path / name)["history"]] for name in ("live", "all", "unique")}
    assert set(archs["live"]) <= live and not set(archs["all"]) <= live
    assert set(archs["unique"]) <= set(space.subset("unique"))
    assert content(tmp_path / "live")["request"]["architectures"] == "the subset 'live'"
    assert content(tmp_path / "all")["request"]["architectures"] == "all"
    cut = sum(space.depth(arch) == 0 for arch in archs["all"])
    assert cut > 0
    (told,) = content(tmp_path / "all")["remarks"]
    assert told.startswith(
        f"Disconnected: {cut} of the 300 architectures evaluated with seed 0, 0 of the 1 on its front"
    )
    assert "and 0 of the 1 picked." in told
    assert "--archs live" in told


def test_disconnected_picks_are_said(zcbench_command, tmp_path):
    """By construction: with fewest-is-best the picks are cells without a path; none is picked among the live."""
    plugin = tmp_path / "shallow.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('shallow', reads='costs', higher_is_better=False)\n"
        "def shallow(signals):\n    return float(signals.costs.depth)\n"
    )
    command = ["search", *SMALL, "--proxies", "shallow", "--plugin", plugin, "--algorithm", "random", "--repeats", 2]
    command += ["--evaluations", 200, "--workers", 0, "--out"]
    result = zcbench_command(*command, tmp_path / "all", "--archs", "all")
    assert result.returncode == 0, result.stderr
    assert "and 2 of the 2 picked" in content(tmp_path / "all")["remarks"][0] and "2 of the 2 picked" in result.stdout
    assert zcbench_command(*command, tmp_path / "live").returncode == 0
    assert not any("picked" in line and "and 0 of" not in line for line in content(tmp_path / "live")["remarks"])


def test_a_space_without_dead_operations_is_searched_whole(zcbench_command, tmp_path):
    """By construction: S0 knows no live subset; all 64 networks are proposed and nothing is said."""
    command = ["search", "--space", "s0", "--proxies", "params", "--algorithm", "random", "--evaluations", 70]
    assert zcbench_command(*command, "--no-report", "--out", tmp_path).returncode == 0
    assert len(content(tmp_path)["history"]) == 64 and content(tmp_path)["remarks"] == []


def test_scores_of_a_part_are_searched_where_they_are_live(zcbench_command, fails, tmp_path):
    """By construction: of scored cells only the live ones are proposed, and all of them when all are asked for."""
    space = zcbench.spaces.get(SPACE)
    dead = [arch for arch in space if arch not in set(space.subset("live"))][:6]
    (tmp_path / "archs.txt").write_text("\n".join([*dead, *space.subset("live")[:8]]))
    made = ["bench", "--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--seeds", 1]
    made += [
        "--archs",
        tmp_path / "archs.txt",
        "--proxies",
        "n_convs",
        "--workers",
        0,
        "--draws",
        2,
        "--formats",
        "png",
    ]
    truth = pd.DataFrame({"arch": list(space), "accuracy": [place / 200 for place in range(len(space))]})
    truth.to_csv(tmp_path / "own.csv", index=False)
    result = zcbench_command(*made, "--truth", tmp_path / "own.csv", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    command = ["search", "--space", SPACE, "--proxies", "n_convs", "--scores", tmp_path / "run", "--no-report"]
    command += ["--algorithm", "random", "--evaluations", 50, "--out"]
    for name, options, many in (("live", [], 8), ("all", ["--archs", "all"], 14)):
        assert zcbench_command(*command, tmp_path / name, *options).returncode == 0
        assert len(content(tmp_path / name)["history"]) == many
    (tmp_path / "dead.txt").write_text("\n".join(space.subset("live")[9:12]))
    message = fails(*command, tmp_path / "none", "--archs", tmp_path / "dead.txt")
    assert "has scores or accuracies" in message


@pytest.fixture(scope="module")
def plugged(zcbench_command, tmp_path_factory) -> tuple[Path, Path]:
    """A ranked run in which a plug-in's score is best, and the plug-in."""
    folder = tmp_path_factory.mktemp("plugged")
    plugin = folder / "of_the_user.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('of_the_user', reads=('costs', 'gradients'), higher_is_better=True)\n"
        "def of_the_user(signals):\n    return signals.costs.macs + 1e6 * signals.costs.depth\n"
    )
    space = zcbench.spaces.get(SPACE)
    archs = space.sample(numpy_stream("tests"), 12, subset="unique")
    (folder / "archs.txt").write_text("\n".join(archs))
    accuracy = [50 + (space.macs(arch) + 1e6 * space.depth(arch)) / 1e6 for arch in archs]
    pd.DataFrame({"arch": archs, "accuracy": accuracy}).to_csv(folder / "own.csv", index=False)
    made = ["bench", "--space", SPACE, "--dataset", "noise", "--image-size", 8, "--batch-size", 8, "--draws", 2]
    made += ["--proxies", "macs,az_complexity,of_the_user,naswot", "--plugin", plugin, "--seeds", 1, "--workers", 0]
    made += ["--formats", "png", "--archs", folder / "archs.txt", "--truth", folder / "own.csv"]
    result = zcbench_command(*made, "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    return folder / "run", plugin


@pytest.mark.parametrize("column", ["", ":tau:{truth}"])
@pytest.mark.parametrize("ranked", [True, False])
def test_a_winner_of_a_plugin_names_the_plugin(column, ranked, zcbench_command, fails, plugged, tmp_path, monkeypatch):
    """By construction: without its plug-in the winner is unknown here; the message says which file to give."""
    run, plugin = plugged
    truth = run.parent / "own.csv"
    if not ranked:
        shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("ranking"))
        run, column = tmp_path / "run", ":tau:{truth}"
    elif column:
        column = ":tau:own.csv"
    command = ["search", *SMALL, *SHORT, "--workers", 0, "--out", tmp_path / "out"]
    command += ["--proxies", f"top:1@{run}{column.format(truth=truth)}"]
    known = dict(REGISTRY._items)
    monkeypatch.setattr(REGISTRY, "_items", {name: item for name, item in known.items() if name != "of_the_user"})
    message = fails(*command)
    assert "of_the_user" in message and f"--plugin {plugin}" in message and "Did you mean" not in message
    monkeypatch.setattr(REGISTRY, "_items", known)
    assert zcbench_command(*command, "--plugin", plugin).returncode == 0
    assert content(tmp_path / "out")["request"]["sources"]["rankings"][0]["names"] == ["of_the_user"]


def test_sizes_can_be_left_out(zcbench_command, plugged, run, tmp_path):
    """By construction: macs, params and what is made of sizes alone (az_complexity) go, naswot and l2_norm stay."""
    command = ["search", *SMALL, *SHORT, "--workers", 0, "--proxies", f"top:9@{run}"]
    names = {}
    for name, options in (("with", []), ("without", ["--no-sizes"])):
        result = zcbench_command(*command, *options, "--out", tmp_path / name)
        assert result.returncode == 0, result.stderr
        names[name] = content(tmp_path / name)["request"]["sources"]["rankings"][0]["names"]
    assert "macs" in names["with"] and set(names["without"]) == {"l2_norm", "naswot"}
    told = content(tmp_path / "without")["remarks"]
    assert any("top:9@" in line and "has 2 different names" in line for line in told)
    ranked = Ranking.load(plugged[0] / "ranking")
    assert "az_complexity" in set(ranked.table["proxy"])
    found = winners(f"top:9@{plugged[0]}", "nasbench201", sizes=False)
    assert set(found.names) == {"of_the_user", "naswot"} and found.about["sizes"] == "left out"
    with pytest.raises(RankingError, match="beside sizes"):
        winners(f"top:9@{plugged[0]}", "nasbench201", sizes=False, prefix="m")


def test_truths_weigh_alike(run, tmp_path):
    """Slow reference: the mean of tau over the truths by hand; a truth under a second name does not count twice."""
    ranking = Ranking.load(run / "ranking")
    first = ranking.table[ranking.table["subset"] == "all"]
    taus = {"macs": (0.9, 0.1, 0.1), "naswot": (0.5, 0.6, 0.6), "l2_norm": (0.2, 0.7, 0.7)}
    tables, accuracies = [], {}
    for place, truth in enumerate(("a", "b", "b again")):
        rows = first[first["proxy"].isin(list(taus))].assign(truth=truth)
        tables.append(rows.assign(tau=[taus[name][place] for name in rows["proxy"]]))
        accuracies[truth] = ranking.accuracies["own.csv"] * (1.0 if truth == "a" else -1.0)
    made = replace(ranking, table=pd.concat(tables, ignore_index=True), accuracies=pd.DataFrame(accuracies))
    made.save(tmp_path / "ranking")
    found = winners(f"top:3@{tmp_path}", "nasbench201")
    assert found.names == ["naswot", "macs", "l2_norm"]  # .55, .50, .45; with b twice l2_norm were before macs
    assert found.about["truths"] == ["a", "b"]
    assert winners(f"top:1@{tmp_path}:tau:b", "nasbench201").names == ["l2_norm"]


@pytest.mark.parametrize(
    "text", ["top:0@run", "top:inf@run", "top:-1@run", "top:1.5@run", "top:9999999999@run", "top:٣@run", "top:@run"]
)
def test_no_number_of_winners(text, fails, tmp_path):
    """Closed form: K is a whole number of at least 1."""
    message = fails("search", "--proxies", text, "--out", tmp_path / "out")
    assert "Expected top:K@RUN with K of at least 1" in message or "no known proxy" in message


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--minimise", "params"], "Without effect on what is proposed: --minimise (the algorithm is evolution; only"),
        (["--minimise", "params", "--algorithm", "random"], "--minimise (the algorithm is random; only nsga2"),
        (["--minimise", "params", "--algorithm", "local"], "--minimise (the algorithm is local; only nsga2"),
        (["--minimise", ","], "Without effect: --minimise (it names no cost)."),
        (["--transfer"], "Without effect: --transfer (no name is taken from a ranking of another space)."),
        (["--no-sizes"], "Without effect: --no-sizes (no name is taken from a ranking)."),
        (["--formats", "png"], "Without effect: --formats (no report is drawn)."),
        (["--scores", "nasbench201", "--teacher", "largest"], "--teacher (scores are looked up)."),
        (["--algorithm", "nsga2", "--minimise", "params", "--population", 40], "The first population of 40 took all"),
    ],
)
def test_more_that_has_no_effect(options, told, zcbench_command, tmp_path):
    """By construction: each is said in the result, and nothing is said of options that stand at their defaults."""
    command = ["search", "--proxies", "macs", "--evaluations", 40, "--no-report", *options, "--out", tmp_path]
    result = zcbench_command(*command)
    assert result.returncode == 0, result.stderr
    remarks = [line for line in content(tmp_path)["remarks"] if "Disconnected" not in line]
    assert len(remarks) == 1 and told in remarks[0]


def test_minimise_with_nsga2_has_its_effect(zcbench_command, tmp_path):
    """By construction: nothing is said where costs are objectives, and one that is named twice counts once."""
    command = ["search", "--proxies", "macs", "--evaluations", 80, "--no-report", "--algorithm", "nsga2"]
    assert zcbench_command(*command, "--minimise", "params,params", "--out", tmp_path).returncode == 0
    found = content(tmp_path)
    assert found["request"]["minimised"] == ["params"] and not any("Without" in line for line in found["remarks"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--crossover", "nan"], "crossover=nan was given. Expected a share from 0 to 1"),
        (["--crossover", "inf", "--algorithm", "random"], "crossover=inf was given"),
        (["--step", "0"], "step=0 was given. Expected a whole number of at least 1"),
        (["--step", "1000000000"], "Expected at most 100,000"),
        (["--population", "1000000000"], "Expected at most 100,000"),
        (["--reference", "1000000000", "--proxies", "macs,depth"], "Expected at most 100,000"),
        (["--max-params", "inf"], "'inf' was given as a limit"),
        (["--max-macs", "nan"], "'nan' was given as a limit"),
        (["--max-depth", ""], "'' was given as a limit"),
        (["--image-size", "0"], "Expected a side of at least 1 pixel"),
        (["--image-size", "-4"], "Expected a side of at least 1 pixel"),
        (["--classes", "0"], "Expected a whole number from 1 to"),
        (["--classes", "999999999999999999999"], "Expected a whole number from 1 to"),
        (["--truth", ""], "No truth is named"),
        (["--scores", ""], "--scores was given an empty name"),
        (["--archs", "x" * 300], "--archs was given a name of 300 bytes"),
        (["--scores", "é" * 200], "--scores was given a name of 400 bytes"),
        (["--truth", "x" * 300], "--truth was given a name of 300 bytes"),
        (["--plugin", "x" * 300], "--plugin was given a name of 300 bytes"),
        (["--proxies", "top:1@" + "x" * 300], "--proxies was given a name of 300 bytes"),
        (["--out", "x" * 300], "--out was given a name of 300 bytes"),
        (["--archs", "alive"], "archs='alive' was given"),
    ],
)
def test_odd_values_are_one_sentence(options, message, fails, tmp_path):
    """By construction: what no search can be carried out with is refused before it begins."""
    command = ["search", "--proxies", "macs", "--evaluations", 10, "--out", tmp_path / "out", *options]
    assert message in fails(*command, ZCBENCH_DATA=str(tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "request": 5, "best": {}}', "\ud800"])
def test_a_damaged_result_is_named(text, fails, tmp_path):
    """By construction: a folder whose search.json is none is refused by name, and what is there stays."""
    (tmp_path / "search.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    message = fails("search", "--proxies", "macs", "--evaluations", 5, "--no-report", "--out", tmp_path)
    assert "is no result of a search" in message
    assert (tmp_path / "search.json").read_bytes() == text.encode("utf-8", "surrogatepass")


def test_results_of_before_stay_readable(zcbench_command, fails, tmp_path):
    """By construction: a result over all cells, as it was written before, is answered again when all are asked for."""
    command = ["search", *CONTRACT, "--evaluations", 10, "--no-report", "--out", tmp_path]
    assert zcbench_command(*command, "--archs", "all").returncode == 0
    before = content(tmp_path)
    assert before["request"]["architectures"] == "all" and before["format"] == 1
    assert "architectures: all → the subset 'live'" in fails(*command)
    assert zcbench_command(*command, "--archs", "all").returncode == 0
    assert content(tmp_path) == before
