"""Distillation of a segmentation or detection network on digits over photographs: a table with intervals.

    python examples/segmentation_table.py --out runs/segmentation
    python examples/segmentation_table.py --task detection --out runs/detection

The teacher is trained once; each loss and the student alone are trained with the same seeds, which decide about
initialisation and order. A finished training is not repeated. Intervals are Student's t at 95 %, of the difference to
the student alone of the same seed.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy import stats

from zcbench.benchmarks.training.student import StudentFiles, Teaching, read_student, train_student
from zcbench.distill import Recipe
from zcbench.distill.tasks import read_task
from zcbench.distill.training.data.named import named_data

LOSSES = ("alone", "kd", "cwd", "at")


def main() -> None:
    """Train all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", default="digits_scenes(side=24,images=1500,test_images=300)")
    parser.add_argument("--task", default="segmentation")
    parser.add_argument("--teacher", default="1-1-1@16-32-64-128")
    parser.add_argument("--student", default="resnet8")
    parser.add_argument(
        "--losses",
        nargs="+",
        default=LOSSES,
        help="names, or LABEL=LOSS, where LOSS may be the distiller.json of 'zcbench evolve-distiller'",
    )
    parser.add_argument("--weight", type=float, default=1.0, help="of each loss beside the cross-entropy")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--teacher-epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    given = parser.parse_args()
    task = read_task(given.task)
    data = named_data(given.dataset, labels=task.labels.name).with_task(task)
    console, files = Console(stderr=True), StudentFiles(evaluate_every=1000)
    recipe = Recipe(epochs=given.epochs, batch_size=given.batch_size, optimizer="adamw", lr=given.lr)

    def score(name: str, arch: str, own: Recipe, teaching: Teaching | None = None) -> float:
        folder = given.out / name
        if not (folder / "result.json").is_file():
            who = read_student(arch, "resnet")
            train_student(who, data, folder, own, teaching=teaching, files=files, console=console)
        return float(json.loads((folder / "result.json").read_text())[f"test_{task.metric}"])

    teacher = score("teacher", given.teacher, Recipe(**{**vars(recipe), "epochs": given.teacher_epochs, "seed": 100}))
    losses = dict(read_loss(text) for text in given.losses)
    found: dict[str, list[float]] = {label: [] for label in losses}
    for seed in given.seeds:
        for label, loss in losses.items():
            taught = None
            if label != "alone":
                weights = {"ce": 1.0, loss: given.weight}
                checkpoints = [given.out / "teacher" / "student.pt"]
                taught = Teaching(teachers=[given.teacher], checkpoints=checkpoints, losses=[loss], weights=weights)
            own = Recipe(**{**vars(recipe), "seed": seed})
            found[label].append(score(f"{label}-{seed}", given.student, own, taught))
    print(f"Teacher {given.teacher}: {task.title} {teacher:.2f} %.\n")
    print(f"| loss | {task.title}, % | difference to alone |\n|---|---|---|")
    for loss, values in found.items():
        gains = np.array(values) - np.array(found["alone"])
        half = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
        told = (
            "" if loss == "alone" else f"{gains.mean():+.2f} ({gains.mean() - half:+.2f} to {gains.mean() + half:+.2f})"
        )
        print(f"| {loss} | {np.mean(values):.2f} | {told} |")


def read_loss(text: str) -> tuple[str, str]:
    """Label and loss of ``NAME``, ``LABEL=LOSS`` or ``LABEL=FILE.json``."""
    label, _, loss = text.partition("=")
    if not loss or "(" in label:
        return text, text
    return label, str(json.loads(Path(loss).read_text())["best"]["distiller"]) if loss.endswith(".json") else loss


if __name__ == "__main__":
    main()
