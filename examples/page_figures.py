"""Figures of the README and of the pages in ``docs/results``.

    python examples/page_figures.py                # all of them
    python examples/page_figures.py nasbench201    # one

``nasbench201`` and ``nasbench201-proxies`` rank the bundled scores, which takes half a minute each and needs
``zcbench data fetch nasbench201/cifar10``. The others read tables of their pages.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import zcbench
from zcbench.reports.style import BLUE, GREEN, GREY, ORANGE, PURPLE

RESULTS = Path(__file__).parents[1] / "docs" / "results"
COLOURS = {"proxy": BLUE, "baseline": ORANGE, "ensemble": GREEN}
STYLE = {
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "zcbench",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "legend.frameon": False,
}


def main() -> None:
    """Draw the figures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"of {', '.join(DRAWN)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the figures")
    given = parser.parse_args()
    if unknown := set(given.pages) - set(DRAWN):
        parser.error(f"{', '.join(sorted(unknown))}: no such figure. Expected one of {', '.join(DRAWN)}.")
    for page in given.pages or DRAWN:
        name, draw = DRAWN[page]
        with mpl.rc_context(STYLE):
            figure = draw()
            figure.savefig(given.out / name, bbox_inches="tight", metadata={"Date": None})
        print(given.out / name)


def whole_space() -> Figure:
    """All 15,625 architectures: tau with accuracy, and what is left of it given the number of parameters."""
    return space_bars(ranked("nasbench201", ()))


def sample() -> Figure:
    """The same of the sample of 1,000, with the costlier proxies."""
    return space_bars(ranked("nasbench201-1000", ("nasbench201",)))


def ranked(scores: str, beside: Sequence[str]) -> pd.DataFrame:
    """Rows of the ranking by test accuracy on CIFAR-10, by name; of equal sizes one."""
    found = zcbench.rank(scores, "nasbench201/cifar10", beside=list(beside), subset="all")
    table = found.table[found.table["subset"] == "all"].set_index("proxy")
    return table.drop(index=["az_complexity", "params"]).rename(index={"macs": "parameters, MACs"})


def space_bars(table: pd.DataFrame) -> Figure:
    """Bars of a ranking of NAS-Bench-201, with their finding."""
    title = f"{above_sizes(table)} scores rank better than every size; given the parameters, the best keep a τ of .6"
    setting = f"{int(table['n'].max()):,} architectures of NAS-Bench-201, accuracy on CIFAR-10 after 200 epochs"
    return bars(table, f"{title}\n{setting}")


def bars(table: pd.DataFrame, title: str, most: int = 16, given: str = "the number of parameters") -> Figure:
    """Tau of the best rows and of the sizes as bars with intervals, and partial tau given parameters as marks."""
    best = table.sort_values("tau", ascending=False).index[:most]
    shown = table.loc[table.index.isin(best) | (table["kind"] == "baseline")].sort_values("tau")
    figure, axes = panel(len(shown))
    places = range(len(shown))
    colours = [COLOURS[kind] for kind in shown["kind"]]
    low, high = shown["tau"] - shown["tau_low"], shown["tau_high"] - shown["tau"]
    axes.barh(places, shown["tau"], color=colours, alpha=0.45, height=0.72)
    axes.errorbar(shown["tau"], places, xerr=[low, high], fmt="none", ecolor="#333333", elinewidth=0.8)
    axes.scatter(shown["tau_given_params"], places, color=colours, s=18, zorder=3, edgecolor="white", linewidth=0.5)
    sizes = table[table["kind"] == "baseline"]
    axes.axvline(sizes["tau"].max(), color=ORANGE, linewidth=0.8, linestyle="--")
    axes.set_yticks(places, shown.index)
    axes.set_xlabel(f"Kendall's τ with accuracy: bar, with its 95 % interval. Dot: partial τ given {given}")
    axes.set_title(title, loc="left", fontsize=8.5)
    legend(axes, {"proxy": BLUE, "ensemble of proxies": GREEN, "size": ORANGE})
    return figure


def above_sizes(table: pd.DataFrame) -> int:
    """Number of scores whose interval lies above those of all sizes.

    Both over the architectures of each score and over those that all scores have in common.
    """
    sizes, apart = table["kind"] == "baseline", []
    for tau in (table["tau"], table["tau_common"]):
        low = tau - (table["tau"] - table["tau_low"])
        high = tau + (table["tau_high"] - table["tau"])
        apart.append(low > high[sizes].max())
    return int((apart[0] & apart[1]).sum())


def distilled() -> Figure:
    """Tau with distilled accuracy on S0, and partial tau given parameters, from the first table of the page."""
    table = next(iter(tables(RESULTS / "kd.md", "sd of distilled τ: seeds, batches")))
    taus = table["distilled τ"].str.extract(r"(\S+) \[(\S+), (\S+)\]").astype(float)
    found = pd.DataFrame(dict(zip(("tau", "tau_low", "tau_high"), (taus[column] for column in taus))))
    found["tau_given_params"] = pd.to_numeric(table["τ given params"], errors="coerce")
    kinds = {"params": "baseline", "macs": "baseline", "az_nas": "ensemble", "diswot_rank": "ensemble"}
    found["kind"] = ["ensemble" if "(" in name else kinds.get(name, "proxy") for name in table["proxy"]]
    return bars(
        found.set_axis(table["proxy"]),
        "No score ranks distilled students better than parameters by more than chance\n"
        "64 ResNets of S0, accuracy on CIFAR-100 under a ResNet-110",
    )


def segmentation() -> Figure:
    """Tau with the mean IoU under a teacher, and partial tau given all sizes, from the table of the page."""
    table = next(iter(tables(RESULTS / "segmentation.md", "under the teacher τ")))
    table = table.apply(lambda column: column.str.replace("−", "-").str.replace("`", ""))
    taus = table["under the teacher τ"].str.extract(r"(\S+) \[(\S+), (\S+)\]").astype(float)
    found = pd.DataFrame(dict(zip(("tau", "tau_low", "tau_high"), (taus[column] for column in taus))))
    partial = table["given all sizes"].str.extract(r"(\S+) \[")[0]
    found["tau_given_params"] = pd.to_numeric(partial, errors="coerce")
    sizes = ("params", "macs", "width", "depth", "n_convs")
    found["kind"] = ["baseline" if name in sizes else "proxy" for name in table["proxy"]]
    title = "No score ranks distilled segmentation students better than the number of parameters"
    return bars(found.set_axis(table["proxy"]), f"{title}\n24 backbones, mean IoU under a teacher", given="all sizes")


def transformers() -> Figure:
    """Gain of each loss over the student alone, from the table of the page."""
    title = "Strong losses of feature maps gain ten points, losses of logits three to five, that of random search none"
    return differences(
        next(iter(tables(RESULTS / "transformers.md", "against the student alone"))),
        ("loss", "against the student alone"),
        "test accuracy over the student alone, percentage points, with 95 % intervals of five seeds",
        f"{title}\nA small DeiT under a ResNet-20, CIFAR-10 at 16×16",
    )


def frames() -> Figure:
    """Gain of each design over the evolved loss alone, from the table of the page; of those above the student alone."""
    table = next(iter(tables(RESULTS / "frames.md", "over the evolved loss")))
    last = list(table["design"]).index("`kd`, .1 and .9, without a design")
    return differences(
        table[:last],
        ("design", "over the evolved loss"),
        "test accuracy over the evolved loss without a design, percentage points, with 95 % intervals of three seeds",
        "Review adds to an evolved loss, the other designs are not shown to\n"
        "A narrow ResNet-8 under a ResNet-20, CIFAR-10 at 16×16",
    )


def differences(table: pd.DataFrame, columns: tuple[str, str], axis: str, title: str) -> Figure:
    """Differences with half an interval, ``+1.2 ± .3``, of the rows that have one; ``columns`` are names and these."""
    name, difference = columns
    rows = [row for _, row in table.iterrows() if row[difference]][::-1]
    figure, axes = panel(len(rows))
    for place, row in enumerate(rows):
        gain, half = (float(text) for text in row[difference].replace("−", "-").split("±"))
        axes.errorbar([gain], [place], xerr=[half], fmt="o", color=BLUE, markersize=4, elinewidth=0.9)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row[name].replace("`", "") for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(axis)
    axes.set_title(title, loc="left", fontsize=8.5)
    return figure


def distillers() -> Figure:
    """Gain of each loss over plain training on both students, from the tables of the page."""
    first, second = [gains(table) for table in tables(RESULTS / "distillers.md", "over plain training")]
    order = sorted(first, key=lambda name: first[name][0])
    figure, axes = panel(len(order))
    for offset, colour, label, found in (
        (0.13, BLUE, "ResNet-8", first),
        (-0.13, GREEN, "cell of NAS-Bench-201", second),
    ):
        known = [(place, *found[name]) for place, name in enumerate(order) if name in found]
        axes.errorbar(
            [gain for _, gain, _ in known],
            [place + offset for place, _, _ in known],
            xerr=[half for _, _, half in known],
            fmt="o",
            color=colour,
            markersize=4,
            elinewidth=0.9,
            label=label,
        )
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlim(-12, 11)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel("gain in test accuracy over the student trained alone, points: mean of 3 seeds and 95 % interval")
    helpful = sum(min(first[name][0], second[name][0]) > 2 for name in order)
    axes.set_title(
        f"{helpful} of {len(order)} choices of losses gain more than 2 points on both students,\n"
        "the two that a ranking puts first by τ none",
        loc="left",
        fontsize=8.5,
    )
    axes.legend(loc="upper left")
    return figure


def gains(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Mean and half interval of each distiller; 'alone' has none."""
    cells = zip(table["distiller"], table["over plain training"].str.split(" ± "))
    return {name: (float(parts[0]), float(parts[1])) for name, parts in cells if len(parts) == 2}


def zoo() -> Figure:
    """Shares of the scores of each package that have a value, that do not apply, and that are singular or no number."""
    (table,) = tables(RESULTS / "zoo.md", "not applicable")
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for _, row in table.iterrows():
        other = sum(len(part.split(",")) for part in row["other"].split(";")) if row["other"] != "–" else 0
        for place, count in enumerate((1, int(row["scores"]), int(row["not applicable"]), other)):
            counts[row["package"]][place] += count
    return shares(counts)


def shares(counts: Mapping[str, Sequence[int]]) -> Figure:
    """One bar of three parts for each package."""
    order = sorted(counts, key=lambda name: counts[name][1] / sum(counts[name][1:]))
    figure, axes = panel(len(order))
    left = [0.0] * len(order)
    for part, (label, colour) in enumerate(
        (("a score", BLUE), ("not applicable", GREY), ("singular or not a number", PURPLE)), start=1
    ):
        widths = [100 * counts[name][part] / sum(counts[name][1:]) for name in order]
        axes.barh(range(len(order)), widths, left=left, color=colour, label=label, height=0.7)
        left = [one + width for one, width in zip(left, widths)]
    total = [sum(counts[name][part] for name in order) for part in range(4)]
    axes.set_yticks(range(len(order)), [f"{name} ({counts[name][0]})" for name in order])
    axes.set_xlabel("share of all pairs of network and proxy, %")
    pairs = sum(total[1:])
    axes.set_title(
        f"{total[1] / pairs:.0%} of {pairs:,} pairs have a score, the others a status\n"
        f"{total[0]} networks of other packages",
        loc="left",
        fontsize=8.5,
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    return figure


def tables(page: Path, column: str) -> list[pd.DataFrame]:
    """Every table of a page that has the column, as texts."""
    blocks = re.findall(r"(?:^\|.*\n)+", page.read_text("utf-8"), re.MULTILINE)
    return [frame for frame in map(table_of, blocks) if column in frame]


def table_of(block: str) -> pd.DataFrame:
    """A table in Markdown as texts."""
    lines = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in block.strip().splitlines()]
    head, _, *rows = [[cell.strip().replace("\\", "") for cell in line] for line in lines]
    return pd.DataFrame(rows, columns=head).loc[:, lambda frame: ~frame.columns.duplicated()]


def panel(rows: int) -> tuple[Figure, Axes]:
    """A figure with room for as many rows."""
    figure = Figure(figsize=(7.0, 0.7 + 0.19 * rows))
    return figure, figure.add_subplot()


def legend(axes: Axes, colours: Mapping[str, str]) -> None:
    """Names of the colours."""
    handles = [mpl.patches.Patch(color=colour, alpha=0.6, label=name) for name, colour in colours.items()]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=3)


DRAWN: dict[str, tuple[str, Callable[[], Figure]]] = {
    "nasbench201": ("nasbench201.overview.svg", whole_space),
    "nasbench201-proxies": ("nasbench201-proxies.overview.svg", sample),
    "kd": ("kd.overview.svg", distilled),
    "segmentation": ("segmentation.overview.svg", segmentation),
    "transformers": ("transformers.gains.svg", transformers),
    "frames": ("frames.gains.svg", frames),
    "distillers": ("distillers.gains.svg", distillers),
    "zoo": ("zoo.scores.svg", zoo),
}

if __name__ == "__main__":
    main()
