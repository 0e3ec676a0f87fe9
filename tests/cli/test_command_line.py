"""The command line as a user meets it: small runs, and the bad inputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import zcbench
from zcbench.streams import numpy_stream

from ..cells import write_cells
from ..command import fails, zcbench_command

SPACE = "nasbench201(channels=4,cells=1)"
COMMANDS = [f"proxies {name}" for name in ("list", "show", "check")]
COMMANDS += [f"data {name}" for name in ("list", "show", "fetch", "import", "verify")]
COMMANDS += ["ensembles select", "scores compare"]
SMALL = ["--space", SPACE, "--dataset", "noise", "--image-size", "8", "--batch-size", "8", "--draws", "20"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve architectures, an invented accuracy that grows with their MACs, and a plug-in."""
    folder = tmp_path_factory.mktemp("files")
    write_cells(folder, SPACE, "truth.csv")
    (folder / "mine.py").write_text(
        "from zcbench import proxy\n"
        "@proxy('last_layer', reads='parameters', higher_is_better=True)\n"
        "def last_layer(signals):\n"
        "    return list(signals.parameters.values())[-1].norm().item()\n"
    )
    return folder


@pytest.fixture(scope="module")
def run(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a plug-in, two workers and a report."""
    out = tmp_path_factory.mktemp("runs") / "first"
    plugin, chosen = files / "mine.py", ["--proxies", "all,-kd:*"]
    result = zcbench_command("bench", *SMALL, *inputs(files), *chosen, "--seeds", 2, "--plugin", plugin, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


def inputs(files: Path) -> list[object]:
    return ["--archs", files / "archs.txt", "--truth", files / "truth.csv"]


def test_bench_leaves_scores_ranking_and_report(run):
    """Everything is there; a truth that grows with the MACs gives MACs the tau 1; the plug-in takes part."""
    ranking = pd.read_parquet(run / "ranking" / "table.parquet").query("subset == 'all'").set_index("proxy")
    assert ranking.loc["macs", "tau"] == pytest.approx(1)
    assert {"last_layer", "snip", "diswot_relation", "grasp"} <= set(ranking.index)
    protocol = json.loads((run / "ranking" / "protocol.json").read_text())["protocol"]
    assert protocol["scores"]["init seeds"] == [0, 1]
    assert (run / "report" / "index.html").stat().st_size > 10_000
    assert any((run / "report" / "figures").glob("*.svg"))


def test_a_second_identical_run_computes_nothing(run, files):
    """The summary line counts no new scores."""
    again = ["bench", *SMALL, *inputs(files), "--seeds", 2, "--plugin", files / "mine.py", "--out", run]
    told = zcbench_command(*again, "--proxies", "all,-kd:*", "--formats", "png").stderr
    assert "0 of them new" in told
    phases = [told.index(f"\n{phase}: ") for phase in ("Ranking", "Figures and page", "Report")]
    page = run / "report" / "index.html"
    assert phases == sorted(phases) and told.endswith(f"Report: {page}; open it with 'zcbench runs open {run}'.\n")


def test_rank_and_report_read_what_is_there(run, files):
    """Another truth and plug-in file on the command line; the table names protocol, proxies and interval."""
    ranked = zcbench_command("rank", run, "--truth", files / "truth.csv", "--plugin", files / "mine.py", "--draws", 10)
    assert ranked.returncode == 0, ranked.stderr
    assert "Batch: 8 of 2,048 images" in ranked.stdout
    assert " rows: the best, sizes," in ranked.stdout and "last_layer" in ranked.stdout
    assert ranked.stderr.endswith(f"draw it with 'zcbench report {run}'.\n")
    assert zcbench_command("report", run, "--formats", "png").stderr.endswith("'.\n")


def test_ensembles_are_ranked_by_default_and_by_formula(run, files):
    """The free one without being asked for; a formula with commas; one without scores is refused by name."""
    table = pd.read_parquet(run / "ranking" / "table.parquet").set_index("proxy")
    assert set(table.loc["log_rank(macs,jacov)", "kind"]) == {"ensemble"}
    rank = ["rank", run, "--truth", files / "truth.csv", "--plugin", files / "mine.py", "--draws", 10, "--ensembles"]
    shown = zcbench_command(*rank, "log_rank(depth,snip),rank_sum(snip,last_layer)", "--csv").stdout
    assert "rank_sum(snip,last_layer)" in shown and "log_rank(depth,snip)" in shown and "jacov)" not in shown
    assert "Did you mean 'snip'" in fails(*rank, "rank_sum(snpi,jacov)")
    assert "of ridge, boosting and none" in fails(*rank, "none", "--supervised", "rigde", code=2)


def test_proxies_are_listed_shown_and_checked(files):
    """The list has direction and source, the page its formula, the check its findings."""
    listed = zcbench_command("proxies", "list", "--plugin", files / "mine.py").stdout
    assert "arXiv:2006.04647" in listed and "last_layer" in listed
    assert "log |" in zcbench_command("proxies", "show", "naswot").stdout.replace(r"\log \lvert", "log |")
    assert "az_progressivity" in listed and "r_{ik}" in zcbench_command("proxies", "show", "az_nas").stdout
    checked = zcbench_command("proxies", "check", "l2_norm")
    assert (checked.returncode, checked.stdout.count("holds")) == (0, 8)


def test_a_proxy_that_breaks_the_contract_fails_the_check(tmp_path):
    """Exit code 1, and the broken promise is named."""
    plugin = tmp_path / "bad.py"
    plugin.write_text(
        "from zcbench import proxy\n@proxy('flat', reads='logits', higher_is_better=True)\n"
        "def flat(signals):\n    return 1.0\n"
    )
    checked = zcbench_command("proxies", "check", "flat", "--plugin", plugin)
    assert checked.returncode == 1
    assert "BROKEN not constant over ten architectures: 1 different values" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "nasbench301"], "'nasbench301' is no known space. Did you mean 'nasbench201'"),
        (["--proxies", "sinflow"], "'sinflow' is no known proxy. Did you mean 'synflow'"),
        (["--truth", "nasbench201/cifar11"], "Did you mean"),
        (["--dataset", "cifar"], "'cifar' is no known data set."),
        (["--dataset", "cifar10"], "cifar-10-batches-py"),
        (["--archs", "nine"], "archs='nine' was given. Expected a number"),
        (["--archs", "99999"], "a sample of 99999 architectures"),
        (["--batch-size", "1"], "at least two images"),
        (["--teacher", "|none~0|"], "is no NAS-Bench-201 cell"),
        (["--plugin", "missing.py"], "No plug-in at 'missing.py'"),
    ],
)
def test_bad_input_is_one_clear_message(arguments, message, files, tmp_path):
    """Each says what was given and what to do, and nothing is left half-done."""
    defaults = ["bench", *SMALL, *inputs(files), "--seeds", 1, "--workers", 0, "--proxies", "params,l2_norm"]
    assert message in fails(*defaults, "--out", tmp_path / "run", *arguments, ZCBENCH_DATA=str(tmp_path))


def test_architectures_that_are_none_or_too_few(files, tmp_path):
    """A malformed line is named with its place; two architectures are refused before they are scored."""
    bad = tmp_path / "bad.txt"
    bad.write_text("|nor_conv_3x3~0|+|nor_conv_5x5~0|none~1|+|none~0|none~1|none~2|\n")
    common = ["bench", *SMALL, "--truth", files / "truth.csv", "--proxies", "params", "--out", tmp_path / "run"]
    assert "edge 0→2 names the operation 'nor_conv_5x5'" in fails(*common, "--archs", bad)
    two = tmp_path / "two.txt"
    two.write_text("\n".join((files / "archs.txt").read_text().split()[:2]))
    assert "knows 2 of the 2 architectures. Expected at least 3" in fails(*common, "--archs", two)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top-k", 0], "k=0"),
        (["--supervised", "ridge"], "accuracies to learn from"),
        (["--proxies", "all,-snpi"], "Did you mean 'snip'"),
    ],
)
def test_what_cannot_be_ranked_is_said_before_scoring(words, message, files, tmp_path):
    """The message, and no score made."""
    common = ["bench", *SMALL, *inputs(files), "--proxies", "params", "--out", tmp_path / "run"]
    assert message in fails(*common, *words)
    assert not (tmp_path / "run" / "scores.sqlite").exists()


@pytest.mark.parametrize("words", [[], ["--space", SPACE]])
def test_an_empty_truth(words, tmp_path):
    """A shell's empty variable is no truth, and neither is a comma: one clear message."""
    told = fails("bench", "--truth", "", *words, "--out", tmp_path / "run", code=2)
    assert "--truth was given an empty value" in told
    assert "No truth is named" in fails("bench", "--truth", ",", *words, "--out", tmp_path / "run")


def test_two_truths_of_one_file_name(run, files, tmp_path):
    """Each is ranked, under its path; a single one goes by its name."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kd.csv").write_text((files / "truth.csv").read_text())
    both = f"{tmp_path / 'a' / 'kd.csv'},{tmp_path / 'b' / 'kd.csv'}"
    options = ["--plugin", files / "mine.py", "--draws", 5, "--out", tmp_path / "out"]
    assert zcbench_command("rank", run, "--truth", both, *options).returncode == 0
    table = pd.read_parquet(tmp_path / "out" / "ranking" / "table.parquet")
    assert set(table["truth"]) == {str(tmp_path / name / "kd.csv") for name in ("a", "b")}


def test_a_truth_that_knows_little_of_a_subset(run, files, tmp_path):
    """The subset is left out and the others are ranked: here only those that are not their class's own form."""
    space = zcbench.spaces.get(SPACE)
    dead = [arch for arch in space if arch not in set(space.subset("live"))][:20]
    known = pd.read_csv(files / "truth.csv").head(2)
    others = pd.DataFrame({"arch": dead, "accuracy": range(20)})
    pd.concat([known, others]).to_csv(tmp_path / "few.csv", index=False)
    archs = tmp_path / "archs.txt"
    archs.write_text("\n".join([*dead, *(files / "archs.txt").read_text().split()]))
    common = ["bench", *SMALL, "--archs", archs, "--truth", tmp_path / "few.csv", "--proxies", "params,macs"]
    assert zcbench_command(*common, "--seeds", 1, "--out", tmp_path / "run").returncode == 0
    table = pd.read_parquet(tmp_path / "run" / "ranking" / "table.parquet")
    assert set(table["subset"]) == {"all"} and table["n"].max() == 22


def test_letters_that_a_pipe_cannot_write(run, files):
    """A table with Greek letters into Latin-1: question marks, and the command ends well."""
    words = ["rank", str(run), "--truth", str(files / "truth.csv"), "--plugin", str(files / "mine.py"), "--draws", "5"]
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1:strict"}
    result = subprocess.run([sys.executable, "-m", "zcbench", *words], capture_output=True, env=latin, check=False)
    assert result.returncode == 0 and b" ? " in result.stdout, result.stderr


def test_a_readme_that_is_no_reference_is_kept(tmp_path):
    """The folder is refused, the file as it was."""
    (tmp_path / "README.md").write_text("# Mine")
    assert "is not an index of this reference" in fails("proxies", "docs", "--out", tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine" and len(list(tmp_path.iterdir())) == 1


def test_truth_for_other_architectures(files, tmp_path):
    """The error says how many of the scored architectures the truth knows."""
    archs = zcbench.spaces.get(SPACE).sample(numpy_stream("others"), 5, subset="unique")
    others = tmp_path / "others.csv"
    pd.DataFrame({"arch": archs, "accuracy": range(5)}).to_csv(others, index=False)
    common = ["bench", *SMALL, "--archs", files / "archs.txt", "--proxies", "params", "--out", tmp_path / "run"]
    assert "knows 0 of the 12 architectures" in fails(*common, "--truth", others)


def test_a_changed_protocol_is_refused(run, files):
    """The run keeps its scores; the message names what differs."""
    arguments = ["bench", *SMALL, *inputs(files), "--plugin", files / "mine.py", "--out", run]
    assert "init: default → kaiming" in fails(*arguments, "--init", "kaiming")


def test_a_damaged_truth_file_and_a_folder_without_a_run(files, tmp_path):
    """Both are named with what to do."""
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and nothing else")
    assert "nowhere" in fails("rank", tmp_path / "nowhere", "--truth", files / "truth.csv")
    assert "broken.parquet" in fails("bench", *SMALL, "--archs", 5, "--truth", broken, "--out", tmp_path / "run")


def test_help_version_and_usage():
    """Help names every command, a wrong option is exit code 2."""
    help_text = zcbench_command("--help").stdout
    assert all(command in help_text for command in ("bench", "rank", "report", "proxies", "data"))
    assert zcbench_command("--version").stdout.strip() == f"zcbench {zcbench.__version__}"
    assert zcbench_command("bench", "--no-such-option").returncode == 2


def test_the_examples_keep_the_contract():
    """The plug-ins in ``examples/`` pass the check, also those that are handed the network."""
    examples = Path(__file__).parents[2] / "examples"
    plugins = ["--plugin", examples / "my_proxy.py", "--plugin", examples / "as_released.py"]
    checked = zcbench_command("proxies", "check", "grad_norm_sq", "zen_released", "naswot_eval", *plugins)
    assert (checked.returncode, checked.stdout.count("holds")) == (0, 24), checked.stdout


@pytest.mark.parametrize("command", ["bench", "rank", "report", "search", *COMMANDS])
def test_every_command_explains_itself(command):
    """Help is printed for each, with its usage line."""
    result = zcbench_command(*command.split(), "--help")
    assert (result.returncode, f"Usage: zcbench {command}" in result.stdout) == (0, True), result.stderr


def test_import_is_light():
    """Importing the façade and printing help load neither torch nor pandas."""
    code = "import sys, zcbench, zcbench.cli; print([m for m in ('torch', 'pandas') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("room", ["proxies", "benchmarks", "distill", "spaces", "reports", "search"])
def test_a_room_refuses_its_bare_name(room):
    """From the source folder, ``import proxies`` would make a second registry."""
    source = Path(__file__).parents[2]
    if not (source / room).is_dir():
        pytest.skip("runs in the source tree only")
    result = subprocess.run([sys.executable, "-c", f"import {room}"], cwd=source, capture_output=True, text=True)
    assert f"Expected: 'import zcbench.{room}'" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top-k", "inf"], "--top-k was given inf. Expected a finite number"),
        (["--timeout", "nan"], "--timeout was given nan"),
        (["--proxies", ""], "--proxies was given an empty value"),
        (["--out", " "], "--out was given an empty value"),
        (["--plugin", ""], "--plugin was given an empty value"),
        (["--seeds", "99999999"], "--seeds"),
        (["--confidence", "nan"], "--confidence"),
    ],
)
def test_values_that_say_nothing_are_wrong_usage(words, message, files, tmp_path):
    """Exit code 2, the option by name, and no folder made."""
    told = fails("bench", *SMALL, *inputs(files), "--proxies", "params", "--out", tmp_path / "run", *words, code=2)
    assert message in told.replace("\n", " ") and not (tmp_path / "run").exists()


def test_an_empty_argument_is_wrong_usage():
    """A shell's empty variable in place of a run."""
    assert "run was given an empty value" in fails("rank", "", code=2)


def test_an_option_given_twice(run, files):
    """The last one counts, as the help says, and the command tells so; one that may be repeated is not told of."""
    words = ["rank", run, "--truth", files / "truth.csv", "--plugin", files / "mine.py"]
    told = zcbench_command(*words, "--plugin", files / "mine.py", "--draws", 9, "--draws", 2)
    assert told.returncode == 0 and "--draws was given 2 times: the last one counts." in told.stderr
    assert "--plugin was given" not in told.stderr
    again = json.loads((run / "ranking" / "protocol.json").read_text())["protocol"]
    assert again["ranking"]["draws"] == 2
    assert "If an option is given twice, the last one counts" in " ".join(zcbench_command("--help").stdout.split())


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu", "meta", "cpu:0", "mps"])
def test_a_device_that_is_not_here(device, files, tmp_path, monkeypatch):
    """By construction: no GPU is found; every command that has --device says so before it begins."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for words in (
        ["bench", *SMALL, *inputs(files), "--proxies", "params"],
        ["search", "--proxies", "params"],
        ["distill", "--student", "resnet8", "--space", "resnet"],
        ["truth", "build"],
        ["evolve-distiller", "--student", "resnet8", "--teacher", "resnet20"],
    ):
        told = fails(*words, "--device", device, "--out", tmp_path / "run")
        assert f"device='{device}' was given" in told and "Expected" in told
    assert not (tmp_path / "run").exists()


LONG = "n" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["rank", LONG],
        ["rank", "nasbench201", "--truth", LONG],
        ["rank", "nasbench201", "--truth", f"{LONG}/cifar10"],
        ["rank", "nasbench201", "--truth", f"{LONG}.csv"],
        ["rank", "nasbench201", "--plugin", f"{LONG}.py"],
        ["report", LONG],
        ["resample", LONG],
        ["data", "show", LONG],
        ["data", "import", LONG],
        ["scores", "show", LONG],
        ["scores", "pack", LONG, "--out", "packed.parquet"],
        ["proxies", "show", LONG],
        ["search", "--proxies", LONG, "--out", "out"],
        ["bench", "--archs", LONG, "--out", "out"],
        ["bench", "--space", LONG, "--out", "out"],
        ["bench", "--dataset", LONG, "--out", "out"],
        ["bench", "--teacher", LONG, "--out", "out"],
        ["bench", "--proxies", LONG, "--out", "out"],
        ["distill", "--student", LONG, "--out", "out"],
        ["truth", "build", "--archs", LONG, "--out", "out"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_names_that_are_too_long_for_a_file(words, tmp_path, monkeypatch):
    """By construction: 300 letters are the name of nothing: one message of a few lines."""
    monkeypatch.chdir(tmp_path)
    told = fails(*words, ZCBENCH_DATA=str(tmp_path))
    assert 20 < len(told) < 3000


def test_a_folder_with_too_long_a_name(files):
    """By construction: no folder can have 300 letters."""
    words = ["bench", *SMALL, *inputs(files), "--seeds", 1, "--workers", 0, "--proxies", "params", "--out", LONG]
    assert "File name too long" in fails(*words)


def test_memory_that_is_not_there(monkeypatch):
    """By construction: PyTorch and Python say so in their own ways; both are one sentence, another fault is a fault."""
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1")):
        monkeypatch.setattr("zcbench.benchmarks.scoring.bundled.names", _raising(error))
        assert "The memory of this machine is not enough" in fails("scores", "list")
    monkeypatch.setattr("zcbench.benchmarks.scoring.bundled.names", _raising(RuntimeError("a fault")))
    with pytest.raises(RuntimeError, match="a fault"):
        zcbench_command("scores", "list")


def _raising(error):
    def names():
        raise error

    return names
