"""Trackers: what bench, search and distill send, and what a tracker that is missing or fails costs."""

import json
import math
import sys
import types
from pathlib import Path

import pytest

import zcbench
from zcbench import Execution, ReportOptions, Setup, datasets
from zcbench.benchmarks.training.student import StudentFiles, Teaching, train_student
from zcbench.distill import Recipe
from zcbench.errors import UnknownNameError
from zcbench.search import Candidates, RandomSearch, Settings, Telling, run_search
from zcbench.streams import numpy_stream
from zcbench.trackers import TRACKERS, TrackedRun, TrackerError, TrackerWarning, recorded

from ..command import zcbench_command

SPACE = "nasbench201(channels=2,cells=1)"
CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
PLUGIN = """
import json
from zcbench.trackers import tracker

@tracker("lines")
class Lines:
    def start(self, run):
        self.file = open(run.folder / "tracked.jsonl", "w")
        self.write(name=run.name, parameters=dict(run.parameters))
    def metrics(self, values, step=None):
        self.write(step=step, values=dict(values))
    def end(self, files):
        self.write(files=[file.name for file in files])
        self.file.close()
    def write(self, **line):
        print(json.dumps(line), file=self.file)
"""


class Fake:
    """Keeps what it is sent; fails in the methods of ``failing``."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.rows: list[tuple[dict[str, float], int | None]] = []
        self.files: list[str] | None = None

    def start(self, run: TrackedRun) -> None:
        self.fail("start")
        self.run = run

    def metrics(self, values, step=None) -> None:
        self.fail("metrics")
        self.rows.append((dict(values), step))

    def end(self, files) -> None:
        self.fail("end")
        self.files = [file.name for file in files]

    def fail(self, method: str) -> None:
        if method in self.failing:
            raise OSError(f"no server for {method}")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "lines.py"
    file.write_text(PLUGIN)
    return file


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "tracked.jsonl").read_text().splitlines()]


def send_two(tracker: object, folder: Path) -> None:
    with recorded(tracker, "bench", folder, {}) as recording:
        recording.metrics({"tau": 1})
        recording.metrics({"tau": 2})


def bench(folder: Path, tracker: object, **options) -> zcbench.BenchResult:
    space = zcbench.spaces.get(SPACE)
    archs = space.sample(numpy_stream("trackers"), 8, subset="unique")
    truth = {"mine": {arch: 50 + space.macs(arch) / 1e6 for arch in archs}}
    frames = {name: zcbench.benchmarks.truths.own.own_accuracies(known, archs) for name, known in truth.items()}
    return zcbench.bench(
        folder,
        truth=frames["mine"],
        sample=zcbench.Sample(archs),
        setup=Setup(space=SPACE, dataset="noise", image_size=8, batch_size=4, teacher="none"),
        proxies="macs,l2_norm",
        seeds=1,
        execution=Execution(workers=0),
        options=zcbench.RankingOptions(draws=0),
        report=ReportOptions(("png",), tracker=tracker),
        **options,
    )


def test_a_ranking(tmp_path: Path) -> None:
    """Invariance: the statistics that are sent are those of the table; the same by way of `report`."""
    fake, again = Fake(), Fake()
    done = bench(tmp_path / "run", fake)
    sent = {name: value for values, _ in fake.rows for name, value in values.items()}
    for row in done.ranking.to_frame(subset="all").itertuples():
        for column in ("tau", "rho"):
            if not math.isnan(getattr(row, column)):
                assert sent[f"{column}/{row.truth}/{row.proxy}"] == getattr(row, column)
    assert fake.run.name == "bench/run" and fake.run.parameters["setup.space"] == SPACE
    assert fake.files == ["index.html", "table.parquet"] and {step for _, step in fake.rows} == {None}
    zcbench.report(tmp_path / "run", ReportOptions(("png",), tracker=again))
    assert again.rows == fake.rows and again.run.name == "report/run"


def test_a_search(tmp_path: Path, plugin: Path) -> None:
    """Invariance: one step for each evaluation, with its numbers; the command with a plug-in sends the same."""
    fake, settings = Fake(), Settings(RandomSearch(), evaluations=6)
    outcome = run_search("macs", tmp_path / "call", Candidates(SPACE), settings, tracker=fake, telling=Telling())
    values = [row["value"] for row, step in fake.rows if step is not None]
    assert values == [row.value for row in outcome.history] and fake.files == ["search.json"]
    assert [step for _, step in fake.rows[:6]] == [1, 2, 3, 4, 5, 6]
    words = ["search", "--space", SPACE, "--proxies", "macs", "--algorithm", "random", "--evaluations", 6]
    result = zcbench_command(
        *words, "--no-report", "--plugin", plugin, "--tracker", "lines", "--out", tmp_path / "command"
    )
    assert result.returncode == 0, result.stderr
    first, *rows, last = lines(tmp_path / "command")
    assert first["name"] == "search/command" and first["parameters"]["algorithm"] == "random"
    assert [(row["values"], row["step"]) for row in rows] == fake.rows and last == {"files": ["search.json"]}


def test_a_training(tmp_path: Path, plugin: Path) -> None:
    """Invariance: the rows of the log at their steps, those of the teacher under its name, and the final figures."""
    fake = Fake()
    images = datasets.load("digits(images=64)"), datasets.load("digits(test_images=32)", split="test")
    result = train_student(
        f"{SPACE}:{CELL}",
        images,
        tmp_path / "call",
        Recipe(epochs=2, batch_size=32),
        teaching=Teaching(teachers=[CELL]),
        files=StudentFiles(tracker=fake),
    )
    own = [(row, step) for row, step in fake.rows if "loss" in row]
    assert [step for _, step in own] == [2, 4]
    assert [row for row, _ in own] == [
        {name: row[name] for name in row if name != "step"} for row in result.training.history
    ]
    assert [step for row, step in fake.rows if "teacher0/loss" in row] == [2, 4]
    final, step = fake.rows[-1]
    assert final["final/test_accuracy"] == result.accuracy and step is None
    assert fake.files == ["result.json", "log.csv", "student.pt"]
    assert fake.run.parameters["recipe.epochs"] == 2 and fake.run.parameters["losses"] == "kd"
    words = ["distill", "--student", f"{SPACE}:{CELL}", "--dataset", "digits(images=64,test_images=32)", "--epochs", 1]
    out = tmp_path / "command"
    done = zcbench_command(*words, "--batch-size", 32, "--plugin", plugin, "--tracker", "lines", "--out", out)
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in lines(out)[1:-1]] == [2, None]


def test_failures_cost_no_result(tmp_path: Path) -> None:
    """By construction: a tracker that cannot start is an error before the work; one that fails later is a warning."""
    with pytest.raises(TrackerError, match="'Fake' cannot start: OSError: no server for start"):
        bench(tmp_path / "start", Fake("start"))
    assert not (tmp_path / "start" / "scores.sqlite").exists()
    for method in ("metrics", "end"):
        with pytest.warns(TrackerWarning, match=f"no server for {method}.*Nothing more is sent") as warned:
            send_two(Fake(method), tmp_path)
        assert len(warned) == 1


def test_failed_work_leaves_no_files(tmp_path: Path) -> None:
    """By construction: the run is ended without files, and the error goes on."""
    fake = Fake()

    def fail() -> None:
        with recorded(fake, "bench", tmp_path, {}) as recording:
            recording.files = [Path(__file__)]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert fake.files == []


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """By construction: what is missing, infinite, a text or a truth value is not sent."""
    fake = Fake()
    with recorded(fake, "bench", tmp_path, {"a": {"b": [1, 2]}, "none": None, "empty": []}) as recording:
        recording.metrics({"a": None, "b": math.nan, "c": math.inf, "d": "text", "e": True, "f": 2}, 3)
        recording.metrics({"a": None})
    assert fake.rows == [({"f": 2.0}, 3)] and fake.run.parameters == {"a.b": "1, 2"}


def test_unknown_and_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input: the nearest name; without the package, what to do. Nothing is imported for a list of names."""
    assert {"mlflow", "tensorboard", "wandb"} <= {*TRACKERS}
    with pytest.raises(UnknownNameError, match=r"'tensorbord' is no known tracker. Did you mean 'tensorboard'"):
        bench(tmp_path / "run", "tensorbord")
    for name, module in {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "mlflow": "mlflow"}.items():
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(TrackerError, match=f"The tracker '{name}' cannot be imported.*Install its package"):
            bench(tmp_path / "run", name)


def test_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: a class of an installed package is found by its name in the group ``zcbench.trackers``."""
    from importlib.metadata import EntryPoint

    monkeypatch.setitem(sys.modules, "elsewhere", types.SimpleNamespace(Fake=Fake))
    point = EntryPoint("elsewhere", "elsewhere:Fake", "zcbench.trackers")
    monkeypatch.setattr(TRACKERS, "_entry_points", {"elsewhere": point})
    with recorded("elsewhere", "bench", tmp_path, {}) as recording:
        recording.metrics({"tau": 1})
    assert recording._tracker.rows == [({"tau": 1.0}, None)]


def test_tensorboard(tmp_path: Path) -> None:
    """Reference: the reader of TensorBoard gives back numbers, steps and parameters."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with recorded("tensorboard", "bench", tmp_path, {"seeds": 3}) as recording:
        recording.metrics({"loss": 0.5, "tau/kd:at": 1}, 10)
        recording.metrics({"loss": 0.25}, 20)
    read = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [(10, 0.5), (20, 0.25)]
    assert [event.value for event in read.Scalars("tau/kd:at")] == [1]
    assert b"| seeds | 3 |" in read.Tensors("parameters/text_summary")[0].tensor_proto.string_val[0]


def test_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction, with a module in its place: steps are a metric, other numbers the summary, files an artifact."""
    calls: list[object] = []
    run = types.SimpleNamespace(
        define_metric=lambda *names, **options: calls.append((*names, *options.values())),
        log=calls.append,
        log_artifact=lambda artifact: calls.append(artifact.files),
        summary=types.SimpleNamespace(update=calls.append),
        finish=lambda: calls.append("finish"),
    )

    class Artifact:
        def __init__(self, name: str, kind: str) -> None:
            self.files = [name, kind]

        def add_file(self, file: str) -> None:
            self.files.append(Path(file).name)

    def init(**options: object) -> object:
        calls.append(options)
        return run

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init, Artifact=Artifact))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    with recorded("wandb", "bench", tmp_path / "mine", {"seeds": 3}) as recording:
        recording.metrics({"loss": 0.5}, 10)
        recording.metrics({"tau": 1})
        recording.files = [Path(__file__)]
    options, *others = calls
    assert options == {
        "project": "zcbench",
        "name": "bench/mine",
        "dir": str(tmp_path / "mine"),
        "config": {"seeds": 3},
    }
    artifact = ["bench-mine", "results", "test_trackers.py"]
    assert others == [("step",), ("*", "step"), {"step": 10, "loss": 0.5}, {"tau": 1.0}, artifact, "finish"]


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction, with a module in its place: at most 100 names in a call, of letters that MLflow takes."""
    calls: list[tuple[object, ...]] = []
    names = ("start_run", "log_params", "log_metrics", "log_artifact", "end_run")

    def listed(name: str):
        return lambda *given, **options: calls.append((name, *given, options))

    module = types.SimpleNamespace(active_run=lambda: None, **{name: listed(name) for name in names})
    monkeypatch.setitem(sys.modules, "mlflow", module)
    with recorded("mlflow", "search", tmp_path / "mine", {"seeds": 3}) as recording:
        recording.metrics({f"kd({number})": number for number in range(150)}, 7)
        recording.files = [Path(__file__)]
    assert calls[:2] == [
        ("start_run", {"run_name": "search/mine", "nested": False}),
        ("log_params", {"seeds": "3"}, {}),
    ]
    assert [len(call[1]) for call in calls[2:4]] == [100, 50] and calls[3][1]["kd_149_"] == 149
    assert calls[3][2] == {"step": 7} and calls[4:] == [("log_artifact", __file__, {}), ("end_run", {})]
