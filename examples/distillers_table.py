"""Which distiller teaches best, and does a ranking at initialisation know it? A table in Markdown.

    python examples/distillers_table.py OUT --ranking RUN [--students resnet:resnet8 ...] [--seeds 3] [--workers 2]
    python examples/distillers_table.py OUT --extra evolved=runs/evolved/distiller.json --single kd dist --seeds 5
    python examples/distillers_table.py OUT --extra "review=--distillers pkd --frame review" --single --random-pairs 0
    python examples/distillers_table.py OUT --ablate runs/evolved/distiller.json --single --random-pairs 0
    python examples/distillers_table.py OUT --strength 2 --no-diswot

The teacher, a ResNet-20 unless told otherwise, is trained first, then every student under it with every distiller and
seed, each by ``zcbench distill`` in a folder of OUT; a second call makes only what is missing. Losses have the weights
that balance their gradients with that of the cross-entropy in the first step, except in the row "kd, .1 and .9", and
those of --extra and --ablate, which have weight 1: files of evolved distillers, or, for --extra, any options of
``zcbench distill``, such as a frame, a scenario or other teachers; --ablate puts one part of such a
distiller at a time back to the plainest. Beside single distillers there are pairs: the two that RUN ranks first, by tau
and by tau given parameters, and pairs drawn at random from those of the table. With --strength each single distiller is
trained once more with so many times its balanced weight, and a second table compares every pair with its two members.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from once import once
from scipy import stats

from zcbench.kdzero.evolution import ablations
from zcbench.kdzero.genome import read_distiller
from zcbench.reports.wording import slug

#: One of the teacher's family, and the cell of NAS-Bench-201 that is best on CIFAR-10; both have its three stages.
STUDENTS = (
    "resnet:resnet8",
    "nasbench201(channels=8,cells=1):"
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
)
SINGLE = ("kd", "dkd", "dist", "fitnet", "at", "sp", "rkd", "pkd", "cwd", "review")
DISWOT_PARTS = "diswot_semantic,diswot_relation"
DATASET = "cifar10(files=1,side=16,test_images=5000)"
RANKED_BY = "s0/cifar100/kd"
ALONE, PUBLISHED = "alone", "kd, .1 and .9"


class Row(NamedTuple):
    """One line of the table: its label, and what ``zcbench distill`` is told.

    ``of`` is the row whose balanced weights, times --strength, take the place of the options.
    """

    label: str
    options: tuple[str, ...]
    of: "Row | None" = None


def main() -> None:
    """Train what is missing, and print a table for every student."""
    given = _arguments()
    rows = _rows(given)
    teacher = given.out / "teacher"
    common = ["--dataset", given.dataset, "--teacher", "none"]
    learnt = train(teacher, given.teacher, [*common, "--epochs", str(given.teacher_epochs), "--seed", "1000"])
    jobs = [(student, row, seed) for seed in range(given.seeds) for student in given.students for row in rows]
    jobs.sort(key=lambda job: job[1].of is not None)
    with ThreadPoolExecutor(given.workers) as pool:
        results = list(pool.map(lambda job: _student(given, *job), jobs))
    print(f"Teacher: {given.teacher}, {learnt['test_accuracy']:.2f} %.")
    for student in given.students:
        own = {job[1:]: result for job, result in zip(jobs, results, strict=True) if job[0] == student}
        print(f"\n**{student.partition(':')[2]}**\n\n{_table(rows, own, given.seeds)}")
        if given.strength is not None:
            print(f"\n{_pairs_table(rows, own, given.seeds)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ranking", help=f"run or packed scores, ranked by {RANKED_BY}")
    parser.add_argument("--single", nargs="*", default=SINGLE, help="distillers that are trained by themselves")
    parser.add_argument(
        "--extra", action="append", default=[], metavar="LABEL=FILE|OPTIONS", help="an evolved distiller, or options"
    )
    parser.add_argument("--ablate", help="an evolved distiller, whose parts are left out in turn", metavar="FILE")
    parser.add_argument("--teacher", default="resnet:resnet20")
    parser.add_argument("--diswot", action=argparse.BooleanOptionalAction, default=True, help="the rows of DisWOT")
    parser.add_argument("--students", nargs="+", default=STUDENTS)
    parser.add_argument("--dataset", default=DATASET)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--teacher-epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--random-pairs", type=int, default=3)
    parser.add_argument("--strength", type=float, help="train single distillers with so many times their weight too")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _rows(given: argparse.Namespace) -> list[Row]:
    rows = [Row(ALONE, ("--teacher", "none")), Row(PUBLISHED, ("--distillers", "kd"))]
    rows += [_balanced(name, name) for name in given.single]
    if given.strength is not None:
        rows += [Row(f"{given.strength:g} x {row.label}", (), row) for row in rows[2:]]
    if given.diswot:
        rows += [Row("DisWOT†", ("--distillers", "kd,diswot_distillation")), _balanced(DISWOT_PARTS, DISWOT_PARTS)]
    if given.ranking is not None:
        by = {column: f"top:2@{given.ranking}:{column}:{RANKED_BY}" for column in ("tau", "given_params")}
        rows += [_balanced(f"top 2 by {column}", distillers) for column, distillers in by.items()]
    rows += [_extra(*text.split("=", 1)) for text in given.extra]
    if given.ablate is not None:
        found = read_distiller(given.ablate)
        changed = {"whole": found} | ablations(found)
        rows += [Row(label, ("--distillers", genome.distiller.name)) for label, genome in changed.items()]
    pairs = list(combinations(given.single, 2))
    drawn = np.random.default_rng(0).choice(len(pairs), min(len(pairs), given.random_pairs), replace=False)
    return rows + [_balanced(f"random: {', '.join(pairs[i])}", ",".join(pairs[i])) for i in drawn]


def _extra(label: str, text: str) -> Row:
    return Row(label, tuple(shlex.split(text)) if text.startswith("--") else ("--distillers", text))


def _balanced(label: str, distillers: str) -> Row:
    return Row(label, ("--distillers", distillers, "--weights", "balanced"))


def _student(given: argparse.Namespace, student: str, row: Row, seed: int) -> dict[str, Any]:
    weights = ["--teacher-checkpoint", str(given.out / "teacher" / "student.pt")]
    taught = [] if "--teacher" in row.options else ["--teacher", given.teacher, *weights]
    recipe = ["--dataset", given.dataset, "--epochs", str(given.epochs), "--augmentation", "none", "--seed", str(seed)]
    options = row.options
    if row.of is not None:
        options = _stronger(_student(given, student, row.of, seed)["weights"], given.strength)
    return train(given.out / slug(student) / slug(row.label) / str(seed), student, [*taught, *options, *recipe])


def _stronger(balanced: Mapping[str, float], strength: float) -> tuple[str, ...]:
    """Options of the losses of ``balanced``, each with ``strength`` times its weight; cross-entropy keeps its own."""
    weights = {name: weight * strength for name, weight in balanced.items() if name != "ce"}
    return ("--distillers", ",".join(weights), "--weights", ",".join(f"{name}={w!r}" for name, w in weights.items()))


def train(out: Path, student: str, options: Sequence[str]) -> dict[str, Any]:
    """Content of ``result.json``, made if it is not there."""
    command = ["distill", "--student", student, *options, "--threads", "1", "--evaluate-every", "100"]
    return once(out, "result.json", command)


def _table(rows: Sequence[Row], results: Mapping[tuple[Row, int], Mapping[str, Any]], seeds: int) -> str:
    """Mean and spread of each row, its gain over plain training and over kd with the same seeds."""
    accuracies = _accuracies(rows, results, seeds)
    lines = ["| distiller | weights | accuracy (sd) | over plain training | over kd |", "|---|---|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: -accuracies[row.label].mean()):
        own = accuracies[row.label]
        gains = [_interval(own - accuracies[other]) if row.label != other else "–" for other in (ALONE, PUBLISHED)]
        weights = [results[row, seed]["weights"] for seed in range(seeds)]
        lines.append(
            f"| {row.label} | {_weights(weights)} | {own.mean():.2f} ({own.std():.2f}) | {' | '.join(gains)} |"
        )
    return "\n".join(lines)


def _pairs_table(rows: Sequence[Row], results: Mapping[tuple[Row, int], Mapping[str, Any]], seeds: int) -> str:
    """Gain of each balanced pair over either of its losses, and over their mean, as strong as the pair."""
    accuracies = _accuracies(rows, results, seeds)
    strong = {row.of.label: accuracies[row.label] for row in rows if row.of is not None}
    lines = ["| pair | over the first | over the second | over their mean |", "|---|---:|---:|---:|"]
    over_mean = []
    for row in rows:
        members = [strong[name] for name in results[row, 0]["weights"] if name in strong]
        if len(members) == 2:
            own, mean = accuracies[row.label], sum(members) / 2
            over_mean.append(own - mean)
            lines.append(f"| {row.label} | {' | '.join(_interval(own - other) for other in (*members, mean))} |")
    return "\n".join([*lines, f"| all {len(over_mean)} | | | {_interval(sum(over_mean) / len(over_mean))} |"])


def _accuracies(rows: Sequence[Row], results: Mapping[tuple[Row, int], Mapping[str, Any]], seeds: int) -> pd.DataFrame:
    """Test accuracy, one line a seed and one column a row of the table."""
    return pd.DataFrame({row.label: [results[row, seed]["test_accuracy"] for seed in range(seeds)] for row in rows})


def _weights(given: Sequence[Mapping[str, float]]) -> str:
    """Mean over the seeds of the weight of every loss."""
    means = pd.DataFrame(list(given)).mean()
    return ", ".join(f"{name} {value:.3g}" for name, value in means.items() if name != "ce" or value != 1) or "–"


def _interval(differences: "pd.Series[float]") -> str:
    """Mean and 95 % interval by Student's t of differences that are paired by seed."""
    mean, error = differences.mean(), stats.sem(differences)
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    return f"{mean:+.2f} ± {half:.2f}"


if __name__ == "__main__":
    main()
