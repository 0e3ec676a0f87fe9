"""Figure of docs/results/published-scores.md: rank correlation of our scores with published ones, and of our draws.

zcbench scores published … --json > published.json
python examples/published_scores_figure.py published.json docs/results/published-scores.svg
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from zcbench.reports.style import PALETTE

#: Run and published table of each panel, and its title.
PANELS = (
    ("nasbench201", "nasbench-suite-zero/nasbench201/cifar10", "NAS-Bench-201, NAS-Bench-Suite-Zero, 9,445 cells"),
    ("nasbench201", "freerea/nasbench201/cifar10", "NAS-Bench-201, FreeREA, all cells"),
    ("transnas_micro-256px", "nasbench-suite-zero/transnas_micro/class_scene", "TransNAS micro, 38 cells at 256×256"),
    ("transnas_micro-64px", "nasbench-suite-zero/transnas_micro/class_scene", "TransNAS micro, 50 cells at 64×64"),
)


def figure(rows: list[dict[str, object]]) -> Figure:
    """A panel for each published table: rho with its interval, and rho between two draws of ours."""
    parts = [
        [row for row in rows if Path(str(row["run"])).stem == run and row["published"] == table]
        for run, table, _ in PANELS
    ]
    drawn = Figure(figsize=(7.2, 0.2 * sum(map(len, parts)) + 2.2), layout="constrained")
    every = drawn.subplots(len(PANELS), sharex=True, height_ratios=[len(part) + 1 for part in parts])
    for axes, part, (_, _, title) in zip(every, parts, PANELS):
        part = sorted(part, key=lambda row: -float(str(row["rho"])))
        for place, row in enumerate(part):
            axes.plot([row["low"], row["high"]], [place, place], color=PALETTE[0], linewidth=1.4)
            axes.plot(row["rho"], place, "o", color=PALETTE[0], markersize=4)
            if row["own"] is not None:
                axes.plot(row["own"], place, "|", color="black", markersize=9)
        axes.set_yticks(range(len(part)), [str(row["proxy"]) for row in part], fontsize=7)
        axes.set_ylim(len(part) - 0.4, -0.6)
        axes.set_title(title, fontsize=8, loc="left")
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    every[-1].set_xlabel(
        "ρ with the published score (point, 95 % interval) and between two draws of ours (line)", fontsize=8
    )
    return drawn


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    figure(json.loads(source.read_text("utf-8"))["rows"]).savefig(target, metadata={"Date": None})
