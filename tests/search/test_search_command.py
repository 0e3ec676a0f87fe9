"""``zcbench search`` as a user meets it: the contract, repetition, resumption, and bad input."""

import json

import pandas as pd
import pytest

import zcbench
from zcbench.benchmarks.scoring.store import Store
from zcbench.benchmarks.truths.data import hardware_costs

from .searching import CONTRACT, FEW, SHORT, SMALL, SPACE, content


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
    assert "selected" in result.stdout and (tmp_path / "out" / "report" / "index.html").is_file()


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


def test_stored_scores_are_searched(zcbench_command, fails, run, tmp_path):
    """Only what has scores is proposed, nothing is computed, and scores of another space are refused."""
    command = ["search", *FEW, "--no-report", "--scores", run, "--proxies", "log_rank(macs,naswot)", "--out"]
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
    command = ["search", *SMALL, *FEW, "--proxies", "moody", "--plugin", plugin, "--algorithm", "random", "--out"]
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
        (["--algorithm", "nsga"], "'nsga' is no known search algorithm. Did you mean 'nsga2'"),
        (["--algorithm", "nsga2"], "NSGA-II was given 1 objective"),
        (
            ["--algorithm", "random", "--population", "7"],
            "'population' is no known option of the search",
        ),
        (["--algorithm", "nsga2", "--tournament", "7"], "'tournament' is no known option of the search algorithm"),
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
        (["--scores", "nowhere"], "No scores at 'nowhere'"),
        (["--space", "nasbench301"], "Did you mean 'nasbench201'"),
        (["--truth", "nasbench201/cifar11"], "Did you mean"),
        (["--space", "resnet", "--truth", "nasbench201/cifar10-16/kd"], "Expected a truth of what is searched"),
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
    idle = ["--inits", 3, "--reference", 4, "--latency-device", "raspi4"]
    idle += ["--teacher-seed", 5, "--rule", "rank_sum"]
    result = zcbench_command(*command, *idle, "--baselines", "--out", tmp_path / "one")
    assert result.returncode == 0, result.stderr
    told = content(tmp_path / "one")["remarks"]
    assert told == [
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
    made = ["bench", "--truth", "nasbench201/cifar10", "--archs", 8, "--proxies", "n_convs", "--seeds", 1]
    made += ["--dataset", "cifar100", "--workers", 0]
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
    assert "the result of a search of another protocol" in fails(*command, tmp_path / "other")


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
