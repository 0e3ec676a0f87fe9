"""Plug-in files on the command line: what they define is known everywhere, and what they do wrong is one sentence."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import zcbench
from zcbench.benchmarks.ranking.evidence import ProxyFacts
from zcbench.benchmarks.ranking.ranking import rank
from zcbench.benchmarks.ranking.study import known_facts, rank_run
from zcbench.benchmarks.scoring.folder import load_run
from zcbench.benchmarks.scoring.packing import pack
from zcbench.errors import UnknownNameError
from zcbench.plugins import PluginError, load_file
from zcbench.streams import numpy_stream

from .command import fails, zcbench_command
from .processes import as_before

PLUGIN = '''
from zcbench import proxy, spaces
from zcbench.spaces import NASBench201

class Own(NASBench201):
    name = "own_space"

    def __init__(self, channels: int = 4) -> None:
        super().__init__(channels, 1)
        self.spec = f"own_space(channels={channels})"

spaces.register("own_space", Own)

@proxy("less_is_more", reads="parameters", higher_is_better=False)
def less_is_more(signals):
    """Minus the number of parameters: lower is better by its declaration."""
    return -float(sum(weight.numel() for weight in signals.parameters.values()))
'''
TRAINING = ["--dataset", "digits(images=400,test_images=64)", "--batch-size", "64", "--epochs", "1"]
BATCH = ["--dataset", "noise", "--batch-size", "8"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plug-in file, ten architectures, and an accuracy that grows with their parameters."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "own.py").write_text(PLUGIN)
    space = zcbench.spaces.get("nasbench201(channels=4,cells=1)")
    archs = space.sample(numpy_stream("plugins"), 10, subset="unique")
    (folder / "archs.txt").write_text("\n".join(archs))
    accuracy = [50 + space.params(arch) / 1e3 for arch in archs]
    pd.DataFrame({"arch": archs, "accuracy": accuracy}).to_csv(folder / "truth.csv", index=False)
    return folder


def commands(home: Path, out: Path) -> dict[str, list[object]]:
    """Every command that has --space, small."""
    first, second, *_ = (home / "archs.txt").read_text().splitlines()
    ranked = ["--archs", home / "archs.txt", "--truth", home / "truth.csv", "--draws", 5, "--formats", "png"]
    scored = ["--proxies", "params,less_is_more", "--seeds", 1, "--workers", 1]
    return {
        "bench": ["bench", *BATCH, "--image-size", 8, *ranked, *scored, "--out", out],
        "search": ["search", *BATCH, "--proxies", "less_is_more", "--evaluations", 4, "--no-report", "--out", out],
        "truth": [
            *("truth", "build", *TRAINING, "--archs", home / "archs.txt", "--settings", "vanilla", "--seeds", 1),
            *("--workers", 1, "--out", out),
        ],
        "distill": ["distill", *TRAINING, "--student", first, "--teacher", second, "--out", out],
        "evolve": [
            *("evolve-distiller", *TRAINING, "--student", first, "--teacher", second, "--teacher-epochs", 1),
            *("--preset", "tiny", "--evaluations", 2, "--population", 2, "--workers", 1, "--no-report", "--out", out),
        ],
    }


@pytest.mark.parametrize("name", ["bench", "search", "truth", "distill", "evolve"])
def test_a_space_of_a_plugin_file(home: Path, tmp_path: Path, name: str) -> None:
    """By construction: every command that has --space takes one of a plug-in, in its workers too."""
    words = [*commands(home, tmp_path / "out")[name], "--space", "own_space(channels=4)"]
    result = zcbench_command(*words, "--plugin", home / "own.py")
    assert result.returncode == 0, result.stderr


def test_every_command_with_a_space_takes_plugins() -> None:
    """By construction: the parameters of the commands."""
    import typer

    from zcbench.cli import app

    def walk(command: object) -> list[object]:
        inside = getattr(command, "commands", {})
        return [command] + [found for part in inside.values() for found in walk(part)]

    with_space = 0
    for command in walk(typer.main.get_command(app)):
        names = {parameter.name for parameter in getattr(command, "params", [])}
        with_space += "space" in names
        assert "plugin" in names or "space" not in names, command
    assert with_space == 7


def test_ranking_without_the_plugin_of_the_space_names_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By construction: the file of the run, its name alone for a packed one; with the plug-in there is a ranking."""
    words = [*commands(home, tmp_path / "run")["bench"], "--space", "own_space", "--plugin", home / "own.py"]
    assert zcbench_command(*words, "--workers", 0).returncode == 0
    pack([tmp_path / "run"], tmp_path / "scores.parquet")
    for place, file in (("run", home / "own.py"), ("scores.parquet", "own.py")):
        rank = ["rank", tmp_path / place, "--truth", home / "truth.csv", "--draws", 5]
        assert zcbench_command(*rank).returncode == 0
        with monkeypatch.context() as another_process:
            another_process.delitem(zcbench.spaces.SPACES._items, "own_space")
            message = fails(*rank)
        assert "of the space own_space(channels=4), which a plug-in defines and nothing here does" in message
        assert message.endswith(f"give it as --plugin {file}.")


def test_an_edited_space_is_refused_under_the_old_scores(home: Path, tmp_path: Path) -> None:
    """By construction: networks of another width are refused by name; a comment or another folder changes nothing."""
    plugin, run = tmp_path / "edited.py", tmp_path / "run"
    text = PLUGIN.replace("own_space", "edited").replace("less_is_more", "edited_proxy")
    own = ["--space", "edited", "--proxies", "params,edited_proxy", "--plugin", plugin]
    bench = [*commands(home, run)["bench"], *own, "--workers", 0]
    rank = ["rank", run, "--truth", home / "truth.csv", "--plugin", plugin, "--draws", 5]

    def call(words: list[object]) -> str:
        with as_before():  # as in a new process, which may load another version of the file
            return " ".join(zcbench_command(*words).stderr.split())

    plugin.write_text(text)
    assert "Error" not in call(bench)
    protocol, scores, _ = load_run(run)
    assert protocol.space_sha256 == protocol.teacher_space_sha256 is not None

    plugin.write_text(text.replace("(channels, 1)", "(2 * channels, 1)"))
    for refused in (bench, rank):
        assert f"the space edited(channels=4) was edited after the scores in {run} were made" in call(refused)
    assert "Error" not in call([*bench, "--out", tmp_path / "other"])
    assert load_run(tmp_path / "other")[0].space_sha256 != protocol.space_sha256

    plugin.write_text(text.replace("class Own", "# a comment\nclass Own"))
    assert "Error" not in call(bench) and load_run(run)[0] == protocol
    pd.testing.assert_frame_equal(load_run(run)[1], scores)


def test_scores_of_before_spaces_had_fingerprints(home: Path, tmp_path: Path) -> None:
    """By construction: a store without them is read, and takes those of now."""
    run, words = tmp_path / "run", commands(home, tmp_path / "run")["bench"]
    words = [*words, "--workers", 0, "--space", "own_space", "--plugin", home / "own.py"]
    assert zcbench_command(*words).returncode == 0
    now = load_run(run)[0]
    before = replace(now, space_sha256=None, teacher_space_sha256=None).to_json()
    assert "space_sha256" not in before
    with sqlite3.connect(run / "scores.sqlite") as database:
        database.execute("UPDATE protocol SET content = ?", (before,))
    assert load_run(run)[0].space_sha256 is None
    assert zcbench_command("rank", run, "--truth", home / "truth.csv", "--plugin", home / "own.py").returncode == 0
    assert zcbench_command(*words).returncode == 0 and load_run(run)[0] == now


def test_directions_are_those_of_the_registry_or_of_the_run(home: Path, tmp_path: Path) -> None:
    """Closed form: minus the parameters, lower is better: tau 1 from the run, a packed file, and with the plug-in."""
    words = [*commands(home, tmp_path / "run")["bench"], "--workers", 0, "--space", "nasbench201(channels=4,cells=1)"]
    assert zcbench_command(*words, "--plugin", home / "own.py").returncode == 0
    pack([tmp_path / "run"], tmp_path / "scores.parquet")
    truths = {"mine": pd.read_csv(home / "truth.csv")}
    _forget("less_is_more")
    for place in (tmp_path / "run", tmp_path / "scores.parquet"):
        table = rank_run(place, truths, draws=2, subsets=["all"]).table.set_index("proxy")
        assert table.loc["less_is_more", "tau"] == pytest.approx(1)
        assert not table.loc["less_is_more", "higher_is_better"] and table.loc["params", "kind"] == "baseline"
    (tmp_path / "run" / "run.json").unlink()  # of a run from before the directions were noted
    with pytest.raises(UnknownNameError, match="less_is_more"):
        rank_run(tmp_path / "run", truths, draws=2)


def _forget(name: str) -> None:
    zcbench.proxies.REGISTRY._items.pop(name, None)


def test_the_registry_goes_before_what_a_run_noted() -> None:
    """By construction: snip is registered as higher, whatever a run says; a stranger is as the last run says."""
    made = [{"requests": [{"higher_is_better": {"snip": False, "odd": True}}, {"higher_is_better": {"odd": False}}]}]
    expected = {"snip": ProxyFacts(True, "proxy"), "odd": ProxyFacts(False, "proxy")}
    assert known_facts(["snip", "odd"], made) == expected


def test_rank_takes_directions_of_the_registry(home: Path) -> None:
    """Closed form: scores that fall as accuracy grows, of a proxy declared as lower is better, have tau 1."""
    load_file(home / "own.py")
    zcbench.proxies.proxy("lower", reads="logits", higher_is_better=False)(lambda signals: 0.0)
    archs = [f"a{i}" for i in range(6)]
    scores = pd.DataFrame(
        {"arch": archs, "proxy": "lower", "version": 1, "seed": 0, "value": [-1.0 * i for i in range(6)]}
    ).assign(status="ok", reason="", seconds=0.1)
    sizes = pd.DataFrame(
        {"arch": archs}
        | {name: [1.0 + i % 3 for i in range(6)] for name in ("params", "macs", "n_convs", "depth", "width")}
    )
    truth = pd.DataFrame({"arch": archs, "accuracy": [50.0 + i for i in range(6)]})
    table = rank(scores, {"t": truth}, sizes, draws=2).table.set_index("proxy")
    assert table.loc["lower", "tau"] == pytest.approx(1)
    assert rank(scores, {"t": truth}, sizes, draws=2, facts={"lower": ProxyFacts(True)}).table.set_index("proxy").loc[
        "lower", "tau"
    ] == pytest.approx(-1)


ENDINGS = {
    "sys.exit": "import sys\nsys.exit(3)",
    "raise SystemExit": "raise SystemExit",
    "own": "class Stop(BaseException): pass\nraise Stop('enough')",
    "generator": "raise GeneratorExit",
    "cancelled": "import asyncio\nraise asyncio.CancelledError",
    "error": "1 / 0",
    "syntax": "def :",
    "null": "\x00",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_plugin_that_ends_the_process(tmp_path: Path, ending: str) -> None:
    """By construction: however it ends, loading it is one error that names the file, which can be mended and loaded."""
    file = tmp_path / "bad.py"
    file.write_text(ENDINGS[ending])
    with pytest.raises(PluginError, match=r"bad\.py' fails to load"):
        load_file(file)
    assert "fails to load" in fails("proxies", "list", "--plugin", file)
    file.write_text("value = 1")
    assert load_file(file).value == 1


def test_an_interrupt_while_a_plugin_loads(tmp_path: Path) -> None:
    """By construction: Ctrl-C is no fault of the plug-in."""
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_file(tmp_path / "slow.py")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_proxy_that_ends_the_process(home: Path, tmp_path: Path, workers: int) -> None:
    """By construction: sys.exit in a proxy is a status of that proxy alone."""
    (tmp_path / "exit.py").write_text(
        f"import sys\nfrom zcbench import proxy\n@proxy('leaver{workers}', reads='logits', higher_is_better=True)\n"
        f"def leaver(signals):\n    sys.exit(3)\n"
    )
    out = tmp_path / "run"
    words = commands(home, out)["bench"]
    options = ["--space", "nasbench201(channels=4,cells=1)", "--plugin", tmp_path / "exit.py", "--workers", workers]
    result = zcbench_command(*words, *options, "--proxies", f"leaver{workers},l2_norm")
    assert result.returncode == 0, result.stderr
    scores = load_run(out)[1]
    assert set(scores.query(f"proxy == 'leaver{workers}'")["status"]) == {"error"}
    assert set(scores.query("proxy == 'l2_norm'")["status"]) == {"ok"}


def test_a_teacher_function_that_ends_the_process(home: Path, tmp_path: Path) -> None:
    """By construction: sys.exit in FILE.py:FUNCTION is the error of that teacher."""
    (tmp_path / "teacher.py").write_text("def build():\n    raise SystemExit(2)\n")
    words = [*commands(home, tmp_path / "run")["bench"], "--space", "nasbench201(channels=4,cells=1)"]
    options = ["--proxies", "kd:kd", "--plugin", home / "own.py", "--teacher", f"{tmp_path / 'teacher.py'}:build"]
    assert "fails: SystemExit: 2" in fails(*words, *options)
