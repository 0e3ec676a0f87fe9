"""Odd inputs end in a sentence: no traceback, no hang, and nothing is accepted that is wrong.

The counts of the long run add up to more than 2,000; each kind has a small share of it in every run of the tests.
"""

import json
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pandas as pd
import pyarrow.parquet as pq
import pytest

import zcbench
from zcbench import datasets, distill, spaces
from zcbench.benchmarks.ranking.ensembles import choose
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.scoring import bundled, packing
from zcbench.benchmarks.scoring.folder import load_run
from zcbench.benchmarks.truths import packed as packed_truths
from zcbench.benchmarks.truths.bundled import bundled_files
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import ZcbenchError
from zcbench.proxies import REGISTRY
from zcbench.specification import read_specification, split_list, write_specification
from zcbench.streams import numpy_stream

from ..command import zcbench_command
from .mutations import altered, damaged, text

SPACE = "nasbench201(channels=4,cells=1)"
SMALL = (
    "--space",
    SPACE,
    "--dataset",
    "noise",
    "--image-size",
    "8",
    "--batch-size",
    "4",
    "--seeds",
    "1",
    "--workers",
    "0",
)
LIMIT = 60  # seconds that one input may take


def cases(short: int, long: int) -> pytest.MarkDecorator:
    """Seeds: a few in every run, and the rest in the long one."""
    many = [
        pytest.param(range(short * part, short * (part + 1)), marks=pytest.mark.long)
        for part in range(1, long // short)
    ]
    return pytest.mark.parametrize("seeds", [range(short), *many], ids=lambda seeds: f"from-{seeds.start}")


@contextmanager
def in_time(what: object) -> Iterator[None]:
    """Fail where a block hangs."""

    def late(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"{what!r} takes more than {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(function: Callable[[], object], given: object) -> object:
    """What ``function`` gives, or the error that zcbench raised on purpose, which is a short text."""
    with in_time(given):
        try:
            return function()
        except ZcbenchError as error:
            refused = error
    assert str(refused).strip() and len(str(refused)) < 6000, given
    return refused


@cases(60, 720)
def test_architecture_strings(seeds: range) -> None:
    """Invariance: a string is refused, or it stands for an architecture of the space, whose own form is its own."""
    for seed in seeds:
        draw = random.Random(f"architectures {seed}")
        space = spaces.get(draw.choice(spaces.names()))
        given = text(draw, tuple(space.sample(numpy_stream("fuzz", seed, place)) for place in range(2)))
        found = tried(lambda given=given, space=space: space.canonical(given), given)
        if isinstance(found, str):
            assert space.canonical(found) == found and space[space.index(given)] in (given, found), given


SPECIFICATIONS = (
    "kd(temperature=2.0)",
    "nasbench201(channels=4,cells=1)",
    "cifar10(files=2,side=16)",
    "dkd(alpha=1,beta=8)",
)
NAMES = (
    "nasbench201/cifar10",
    "s0/cifar100/kd",
    "nasbench201/cifar10/valid@12",
    "synflow",
    "kd:at",
    "naswot",
    "digits",
)
FORMULAS = ("log_rank(macs,jacov)", "rank_sum(snip,jacov),az_nas", "all", "none", "log_rank(macs,kd:kd(temperature=2))")


@cases(30, 300)
def test_specifications(seeds: range) -> None:
    """Round trip: what is read with options is written and read as the same; a list is its parts."""
    for seed in seeds:
        draw = random.Random(f"specifications {seed}")
        given = text(draw, SPECIFICATIONS + FORMULAS)
        found = tried(lambda given=given: read_specification(given), given)
        if isinstance(found, tuple) and found[1]:
            again = read_specification(write_specification(*found))
            assert repr(again) == repr(found), given
        assert all(part == part.strip() and part for part in split_list(given)), given


@cases(30, 300)
def test_names(seeds: range, tmp_path: Path) -> None:
    """By construction: each look-up gives what has the name, or the sentence of an error."""
    look_ups: dict[str, Callable[[str], object]] = {
        "space": lambda name: spaces.get(name).spec,
        "proxy": lambda name: REGISTRY.get(name).name,
        "loss": lambda name: distill.get(name).name,
        "truth": lambda name: zcbench.truth(name, tmp_path),
        "scores": bundled.card,
        "ensembles": lambda name: choose(name, REGISTRY.names(), REGISTRY.names()),
    }
    for seed in seeds:
        draw = random.Random(f"names {seed}")
        kind = draw.choice(list(look_ups))
        given = text(draw, NAMES + FORMULAS + SPECIFICATIONS)
        found = tried(lambda kind=kind, given=given: look_ups[kind](given), (kind, given))
        if kind == "proxy" and isinstance(found, str) and ":" not in found:
            assert found == given


@cases(25, 250)
def test_data_set_options(seeds: range, tmp_path: Path) -> None:
    """Invariance: `task` and `load` accept and refuse alike, and agree on classes and image shape."""
    numbers = [
        "0",
        "1",
        "2",
        "8",
        "16",
        "1437",
        "1438",
        "100000",
        "-3",
        "1.5",
        "True",
        "'8'",
        "None",
        "[8]",
        "1e2",
        "9" * 50,
    ]
    for seed in seeds:
        draw = random.Random(f"data sets {seed}")
        options = [
            f"{draw.choice(['images', 'test_images', 'side', 'files', 'sides'])}={draw.choice(numbers)}" for _ in "12"
        ]
        name = draw.choice(["digits", "digits", "noise", "cifar10"])
        given = (
            f"{name}({','.join(options[: draw.randint(1, 2)])})" if draw.random() < 0.8 else text(draw, SPECIFICATIONS)
        )
        task = tried(lambda given=given: datasets.task(given), given)
        if "noise" in given and not isinstance(task, ZcbenchError) and task[1][1] > 64:  # type: ignore[index]
            continue  # gigabytes
        found = tried(lambda given=given: datasets.load(given, tmp_path), given)
        if isinstance(found, datasets.ImageSet):
            assert task == (found.num_classes, found.image_shape), given
            assert found.image_shape[1] <= 1024 and 1 <= len(found) <= 2048


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six architectures with its ranking, its packed file, and the truth that it was ranked by."""
    home = tmp_path_factory.mktemp("fuzz")
    space = spaces.get(SPACE)
    archs = space.sample(numpy_stream("fuzz"), 6, subset="unique")
    (home / "archs.txt").write_text("\n".join(archs))
    pd.DataFrame({"arch": archs, "accuracy": range(50, 56)}).to_csv(home / "truth.csv", index=False)
    words = [*SMALL, "--archs", home / "archs.txt", "--truth", home / "truth.csv", "--proxies", "params,macs,l2_norm"]
    result = zcbench_command("bench", *words, "--draws", 5, "--formats", "png", "--out", home / "run")
    assert result.returncode == 0, result.stderr
    packing.pack([home / "run"], home / "scores.parquet")
    shutil.rmtree(home / "run" / "report")
    return home


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables of scores have the same rows, but for the rounding of seconds in a packed file."""
    return one.drop(columns="seconds").equals(other.drop(columns="seconds"))


@cases(15, 300)
def test_damaged_run_folders(seeds: range, run: Path, tmp_path: Path) -> None:
    """Oracle: the scores before the damage; a file that can be read all the same gives these and no others."""
    truth = {"truth.csv": TruthTable.from_csv(run / "truth.csv")}
    whole, ranking = load_run(run / "run")[1], Ranking.load(run / "run" / "ranking")
    for seed in seeds:
        draw, folder = random.Random(f"folders {seed}"), tmp_path / str(seed)
        shutil.copytree(run / "run", folder)
        file = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"))
        if file.suffix == ".json" and draw.random() < 0.7:
            file.write_text(json.dumps(altered(draw, json.loads(file.read_text()))))
        else:
            file.write_bytes(damaged(draw, file.read_bytes()))
        what = f"seed {seed}: {file.name}"
        loaded = tried(lambda folder=folder: load_run(folder)[1], what)
        assert isinstance(loaded, ZcbenchError) or same(loaded, whole), what  # type: ignore[arg-type]
        tried(lambda folder=folder: rank_run(folder, truth, draws=2), what)
        read = tried(lambda folder=folder: Ranking.load(folder / "ranking"), what)
        if isinstance(read, Ranking):
            assert read.scores.equals(ranking.scores) and read.table.equals(ranking.table), what
            tried(lambda read=read: read.top(3), what)
        shutil.rmtree(folder)


@cases(15, 210)
def test_damaged_packed_files(seeds: range, run: Path, tmp_path: Path) -> None:
    """Oracle: the rows before the damage; a file that can be read all the same gives these and no others."""
    truth = next(iter(bundled_files().values()))
    whole, trained = packing.read(run / "scores.parquet")[1], packed_truths.trainings(truth)
    for seed in seeds:
        draw, file = random.Random(f"packed {seed}"), tmp_path / f"{seed}.parquet"
        origin = draw.choice([run / "scores.parquet", truth])
        if draw.random() < 0.5:
            table = pq.read_table(origin)
            ((key, card),) = [(key, card) for key, card in table.schema.metadata.items() if key.startswith(b"zcbench")]
            card = json.dumps(altered(draw, json.loads(card))).encode()
            pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key: card}), file)
        else:
            file.write_bytes(damaged(draw, origin.read_bytes()))
        what = f"seed {seed}: {origin.name}"
        loaded = tried(lambda file=file: packing.read(file)[1], what)
        assert isinstance(loaded, ZcbenchError) or same(loaded, whole), what  # type: ignore[arg-type]
        rows = tried(lambda file=file: packed_truths.trainings(file), what)
        assert isinstance(rows, ZcbenchError) or rows.equals(trained), what  # type: ignore[attr-defined]
        tried(lambda file=file: packed_truths.read(file), what)
        tried(lambda file=file: bundled.card(file), what)
        tried(lambda file=file: TruthTable.read(file), what)
        shown = zcbench_command("scores", "show", file)
        assert shown.returncode in (0, 1) and "Traceback" not in shown.stderr, what


VALUES = (
    "",
    " ",
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "9" * 30,
    "x",
    "x" * 300,
    "all",
    "none",
    "cuda",
    "cuda:99",
    "meta",
    "a,b",
)
OPTIONS = (
    *("--space", "--truth", "--archs", "--subset", "--archs-seed", "--proxies", "--seeds", "--dataset", "--batch-size"),
    *("--batch-seed", "--image-size", "--init", "--dtype", "--layout", "--device", "--teacher", "--teacher-checkpoint"),
    *(
        "--timeout",
        "--plugin",
        "--draws",
        "--confidence",
        "--top-k",
        "--ensembles",
        "--supervised",
        "--supervised-train",
    ),
    *("--formats", "--data-dir", "--no-such-option"),
)


TRAINED = (
    *("--student", "--teacher", "--teacher-checkpoint", "--teacher-epochs", "--distillers", "--weights", "--scenario"),
    *("--mixture", "--generations", "--dataset", "--batch-size", "--optimizer", "--lr", "--weight-decay", "--schedule"),
    *("--warmup", "--label-smoothing", "--augmentation", "--precision", "--layout", "--seed", "--init", "--device"),
    *("--export", "--settings", "--sample", "--archs", "--seeds", "--label", "--space", "--plugin", "--evaluations"),
    *("--population", "--fitness", "--validation", "--known", "--rule", "--proxies", "--algorithm", "--minimise"),
    *(
        "--max-params",
        "--latency-device",
        "--scores",
        "--truth",
        "--reference",
        "--tournament",
        "--crossover",
        "--step",
    ),
)


def training(draw: random.Random, run: Path, out: Path, odd: str) -> list[object]:
    """A command that trains, or a search, with an odd value of one of its options."""
    first, second, *_ = (run / "archs.txt").read_text().splitlines()
    recipe = ["--dataset", "digits(images=64,test_images=64)", "--batch-size", "32", "--epochs", "1", "--out", out]
    kind = draw.choice(["distill", "truth", "search"])
    words: dict[str, list[object]] = {
        "distill": ["distill", "--space", SPACE, "--student", first, "--teacher", second, *recipe],
        "truth": ["truth", "build", "--space", SPACE, "--archs", "2", "--seeds", "1", "--workers", "0", *recipe],
        "search": [
            "search",
            "--space",
            SPACE,
            "--proxies",
            "params",
            "--evaluations",
            "40",
            "--no-report",
            "--out",
            out,
        ],
    }
    return [*words[kind], draw.choice(TRAINED), odd]


def command_line(draw: random.Random, run: Path, out: Path) -> list[object]:
    """A command of the command line with an odd value somewhere."""
    odd = draw.choice(VALUES) if draw.random() < 0.7 else text(draw, NAMES + SPECIFICATIONS)
    ranked = ["--truth", run / "truth.csv", "--draws", "2"]
    bench = [
        "bench",
        *SMALL,
        "--archs",
        run / "archs.txt",
        "--truth",
        run / "truth.csv",
        "--proxies",
        "params",
        "--out",
        out,
    ]
    return draw.choice(
        [
            training(draw, run, out, odd),
            training(draw, run, out, odd),
            training(draw, run, out, odd),
            [*bench, "--draws", "2", draw.choice(OPTIONS), odd],
            [*bench, "--draws", "2", draw.choice(OPTIONS), odd],
            ["rank", run / "run", *ranked, draw.choice(OPTIONS[-11:]), odd],
            ["rank", odd, *ranked],
            ["rank", run / "run", *ranked, draw.choice(["--beside", "--batches", "--subset", "--out"]), odd],
            ["resample", run / "run", draw.choice(["--truth", "--size", "--repeats", "--seed"]), odd],
            ["report", odd],
            ["data", draw.choice(["show", "compare", "fetch", "import"]), odd, *([odd] if draw.random() < 0.3 else [])],
            ["scores", draw.choice(["show", "pack", "unpack", "compare"]), odd, "--out", out],
            ["proxies", draw.choice(["show", "check"]), odd],
            ["search", "--space", SPACE, "--proxies", odd, "--evaluations", "2", "--no-report", "--out", out],
            ["ensembles", "select", run / "run", *ranked, draw.choice(["--candidates", "--given", "--beam"]), odd],
            ["resample", odd, "--size", "3"],
            [draw.choice(["", "benhc", "--version=1", "data", "-x"]), odd],
        ]
    )


@cases(12, 240)
def test_command_lines(seeds: range, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: exit code 0, 1 or 2 and no traceback; an error says something."""
    monkeypatch.chdir(tmp_path)
    for seed in seeds:
        draw = random.Random(f"command lines {seed}")
        words = command_line(draw, run, tmp_path / str(seed))
        with in_time(words):
            result = zcbench_command(*words, ZCBENCH_DATA=str(tmp_path / "data"), ZCBENCH_BASE_URL="http://127.0.0.1:9")
        assert result.returncode in (0, 1, 2), words
        assert "Traceback" not in result.stderr, words
        assert result.returncode == 0 or result.stderr.strip() or result.stdout.strip(), words
