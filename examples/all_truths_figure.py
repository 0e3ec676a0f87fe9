"""Figure of docs/results/all-truths.md: the score that is chosen on the other spaces, beside the best size of a truth.

zcbench across … --json > across.json
python examples/all_truths_figure.py across.json docs/results/all-truths.chosen.svg
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from zcbench.reports.style import PALETTE


def figure(rows: list[dict[str, object]]) -> Figure:
    """A line for each truth: the difference in tau, and its interval."""
    drawn = Figure(figsize=(7.2, 0.2 * len(rows) + 0.9), layout="constrained")
    axes = drawn.add_subplot()
    spaces = list(dict.fromkeys(str(row["family"]) for row in rows))
    for place, row in enumerate(rows):
        colour = PALETTE[spaces.index(str(row["family"])) % len(PALETTE)]
        axes.plot([row["difference_low"], row["difference_high"]], [place, place], color=colour, linewidth=1.4)
        axes.plot(row["difference"], place, "o", color=colour, markersize=4)
    axes.axvline(0, color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(rows)), [f"{row['truth']}: {row['chosen']}" for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("τ minus that of the best size, with 95 % intervals", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return drawn


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    figure(json.loads(source.read_text("utf-8"))["held_out"]).savefig(target, metadata={"Date": None})
