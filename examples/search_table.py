"""One search per objective on NAS-Bench-201, held against all three data sets: a table in Markdown.

    python examples/search_table.py OUT [--scores nasbench201] [--archs all] [--repeats 20] [--evaluations 1000]
        [OBJECTIVE ...]

The last column has random searches by the same objective. Each search is kept in a folder of OUT; a second call makes
only those that are missing. Scores are looked up: the seconds are those which they took when they were made. Without
--scores only sizes can be searched by; --archs names the only architectures that a search may propose: live, a file, or
all of the space, as published searches do.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from once import once

from zcbench.benchmarks.ranking.ensembles import choose
from zcbench.benchmarks.scoring.bundled import load
from zcbench.reports.wording import slug, truth_label

TRUTHS = ("nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/imagenet16-120")
SIZES = ("params", "macs", "n_convs", "depth", "width")


def main() -> None:
    """Search by every objective, and print the table."""
    given = _arguments()
    objectives = given.objectives or _all(given.scores)
    found = {name: _searched(name, given) for name in objectives}
    print("| objective | evaluations | scoring, s |", " | ".join(map(truth_label, TRUTHS)), "| at random |")
    print("|---|---:|---:|" + "---|" * (len(TRUTHS) + 1))
    for name, content in found.items():
        print(_line(name, content))
    for label, rows in _baselines(next(iter(found.values()))).items():
        print(f"| {label} | | |", " | ".join(rows), "| |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("objectives", nargs="*")
    parser.add_argument("--scores")
    parser.add_argument("--archs", default="all")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=1000)
    return parser.parse_intermixed_args()


def _all(scores: str | None) -> list[str]:
    """The sizes, every proxy that has scores, and every named ensemble of them."""
    scored = set() if scores is None else set(load(scores)[1]["proxy"])
    ensembles = (item.name for item in choose("all", scored, scored))
    return list(dict.fromkeys([*SIZES, *sorted(scored), *(ensembles if scored else ())]))


def _searched(objective: str, given: argparse.Namespace) -> dict[str, Any]:
    """Content of ``search.json``, made if it is not there."""
    command = ["search", "--preset", "diswot", "--proxies", objective]
    command += ["--evaluations", str(given.evaluations), "--repeats", str(given.repeats), "--formats", "png"]
    command += [part for truth in TRUTHS for part in ("--truth", truth)]
    command += ["--scores", given.scores] if given.scores else []
    command += ["--archs", given.archs]
    return once(given.out / slug(objective), "search.json", command)


def _line(objective: str, content: Mapping[str, Any]) -> str:
    seconds = content["times"]["scoring_seconds"]
    evaluations = [one["evaluations"] for one in content["repeats"]]
    cells = [_told(content["truths"][truth]["accuracy"]) for truth in TRUTHS]
    figures = f"{sum(evaluations) / len(evaluations):,.0f} | {sum(seconds) / len(seconds):,.0f}"
    drawn = [content["truths"][truth]["baselines"].get("random search, same objective") for truth in TRUTHS]
    random = " · ".join("–" if one is None else f"{one['accuracy']['mean']:.2f}" for one in drawn)
    return f"| {objective} | {figures} | {' | '.join(cells)} | {random} |"


def _baselines(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Rows of what needs no proxy, and of the best that there is."""
    rows: dict[str, list[str]] = {}
    for truth in TRUTHS:
        judged = content["truths"][truth]
        for size in ("params", "macs"):
            largest = judged["baselines"][f"largest by {size}"]
            rows.setdefault(f"largest by {size}", []).append(f"{largest['accuracy']:.2f}")
        for row in judged["baselines"].get("random search that trains", ()):
            trained = f"{_told(row)} ({row['training_seconds']:,.0f} s)" if "training_seconds" in row else _told(row)
            rows.setdefault(f"random search, {row['trainings']:,} trained", []).append(trained)
        rows.setdefault("best cell", []).append(f"{judged['accuracies']['best']:.2f}")
    return rows


def _told(spread: Mapping[str, Any]) -> str:
    return f"{spread['mean']:.2f} ± {spread['sd']:.2f}" if spread["sd"] is not None else f"{spread['mean']:.2f}"


if __name__ == "__main__":
    main()
