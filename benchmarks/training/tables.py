"""From finished trainings to tables of accuracies, and how well the seeds of a table agree."""

from collections import Counter
from dataclasses import asdict

import pandas as pd

from zcbench.benchmarks.statistics import seed_agreement
from zcbench.benchmarks.training.protocol import TruthProtocol
from zcbench.benchmarks.training.workers import VANILLA
from zcbench.benchmarks.truths.packed import by_setting
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.distill.tasks import read_task
from zcbench.storage.run_folder import Json

GAIN = "gain"


def make_tables(trainings: pd.DataFrame, about: TruthProtocol) -> dict[str, TruthTable]:
    """One table of single runs for each setting that has any, and their difference where runs can be paired.

    Rows are in the order of architecture and seed, whichever worker was first.

    Args:
        trainings: rows with ``arch, setting, seed, status, accuracy, epochs``.
        about: the protocol of the folder.
    """
    runs = {setting: rows.sort_values(["arch", "seed"]) for setting, rows in by_setting(trainings).items()}
    return {setting: TruthTable.from_rows(rows, _card(setting, rows, about)) for setting, rows in runs.items()}


def _card(setting: str, rows: pd.DataFrame, about: TruthProtocol) -> Json:
    """Protocol of a table: what it is about, how it was made, and how well its seeds agree."""
    space, epochs = about.space.partition("(")[0], int(rows["epochs"].iloc[0])
    tail = "" if setting == VANILLA else f"/{setting}"
    taught = setting != VANILLA
    return {
        "name": f"{space}/{about.dataset}/test{tail}@{epochs}",
        "space": space,
        "dataset": about.dataset,
        "split": "test",
        "setting": setting,
        "epochs": epochs,
        "aggregation": "single runs" if setting != GAIN else "kd minus vanilla of the same seed",
        "source": "zcbench truth build",
        "licence": "Apache-2.0",
        **({} if about.task is None else {"task": about.task, "metric": read_task(about.task).title}),
        "networks": about.space,
        "images": about.data,
        "recipe": ", ".join(f"{name}={value}" for name, value in about.recipe.items()),
        **({"distillation": about.distillation, "teacher": about.teacher} if taught else {}),
        "counts": counted(rows),
        **asdict(seed_agreement(rows)),
    }


def counted(runs: pd.DataFrame) -> str:
    """How many architectures have how many seeds, in words: ``6 architectures, 4 with 3 seeds and 2 with 2``.

    Args:
        runs: rows with ``arch`` and ``seed``.
    """
    seeds = Counter(Counter(runs["arch"]).values())
    total = f"{seeds.total():,} {'architecture' if seeds.total() == 1 else 'architectures'}"
    if len(seeds) == 1:
        (number,) = seeds
        return f"{total}, {number} {'seed' if number == 1 else 'seeds'}"
    most, *rest = sorted(seeds, reverse=True)
    parts = [f"{seeds[most]:,} with {most} seeds", *(f"{seeds[number]:,} with {number}" for number in rest)]
    return f"{total}, {', '.join(parts[:-1])} and {parts[-1]}"
