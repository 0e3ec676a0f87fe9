"""Does the fitness of a distiller search foretell the accuracy of a whole training, and which of its terms does?

    python examples/terms_table.py SEARCH OUT [--candidates 20] [--seeds 1] [--epochs 8] [--workers 2]

Of the measured candidates of a search (the folder of ``zcbench evolve-distiller``), ordered by fitness, one is drawn
from each of as many parts of equal size. The student is trained with each of them for the whole recipe of the search,
or for as many epochs as are named, on all training images, by ``zcbench distill`` in a folder of OUT; a second call
makes only what is missing. The table has the rank correlation of every quantity that the search knew with the accuracy
on the test images, over all of them and over those that end above an accuracy.
"""

import argparse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from distillers_table import train

from zcbench.kdzero.evolution import correlations, fittest, read
from zcbench.kdzero.genome import Genome
from zcbench.reports.wording import slug

_RECIPE = ("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "augmentation")


def main() -> None:
    """Train what is missing, and print the table."""
    given = _arguments()
    content = read(given.search)
    measured = [str(row["formula"]) for row in fittest(content["history"], len(content["history"]))]
    parts = np.array_split(measured, min(given.candidates, len(measured)))
    stream = np.random.default_rng(0)
    chosen = [str(stream.choice(part)) for part in parts]
    jobs = [(formula, seed) for formula in chosen for seed in range(given.seeds)]
    with ThreadPoolExecutor(given.workers) as pool:
        accuracies = list(pool.map(lambda job: _trained(given, content["protocol"], *job), jobs))
    finals = {
        formula: float(np.mean([value for (own, _), value in zip(jobs, accuracies, strict=True) if own == formula]))
        for formula in chosen
    }
    sound = {formula: accuracy for formula, accuracy in finals.items() if accuracy > given.above}
    print(
        f"{len(chosen)} candidates, {given.seeds} trainings each: {min(finals.values()):.2f} to "
        f"{max(finals.values()):.2f} %; {len(sound)} above {given.above:g} %.\n\n"
        f"| quantity | n | tau | rho | above: n | tau | rho |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    both = (correlations(content["history"], values) for values in (finals, sound))
    for rows in zip(*both, strict=True):
        print(f"| {rows[0]['quantity']} | {' | '.join(_cells(row) for row in rows)} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("search", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="of a whole training; those of the search if omitted")
    parser.add_argument("--above", type=float, default=0.0, help="accuracy of a training that the loss did not break")
    parser.add_argument("--teacher-checkpoint", type=Path, help="the teacher's weights; those in SEARCH if omitted")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _trained(given: argparse.Namespace, protocol: Mapping[str, Any], formula: str, seed: int) -> float:
    """Test accuracy of one whole training."""
    name = Genome.parse(formula).distiller.name
    student, teacher = protocol["student"], protocol["teacher"]
    options = {
        "teacher": f"{teacher['space']}:{teacher['arch']}",
        "teacher-checkpoint": given.teacher_checkpoint or given.search / "teacher.pt",
        "distillers": name,
        "dataset": protocol["dataset"],
        "seed": seed,
    }
    options |= {key.replace("_", "-"): protocol["recipe"][key] for key in _RECIPE}
    options |= {} if given.epochs is None else {"epochs": given.epochs}
    told = [str(part) for key, value in options.items() for part in (f"--{key}", value)]
    result = train(given.out / slug(formula) / str(seed), f"{student['space']}:{student['arch']}", told)
    return float(result["test_accuracy"])


def _cells(row: Mapping[str, Any]) -> str:
    return " | ".join([str(row["n"]), *("–" if row[name] is None else f"{row[name]:.2f}" for name in ("tau", "rho"))])


if __name__ == "__main__":
    main()
