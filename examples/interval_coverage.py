"""Do the intervals of a ranking cover what they claim? Samples of a space of which every value is known.

A sample of architectures is drawn at random from all cells of NAS-Bench-201, or from the live ones, and ranked as
`zcbench rank` does. Its 95 % intervals of tau and rho should hold the value over the whole set in 95 % of the samples.
The intervals are those of the delta method, or with ``--draws 500`` those of a bootstrap.
The bundled scores and accuracies are all 15,625; nothing is trained or scored::

    python examples/interval_coverage.py

prints a table of docs/reading-a-ranking.md. ``--halves`` draws half of the classes of isomorphic cells instead, as
`zcbench ensembles select` does.
"""

import argparse

import numpy as np
import pandas as pd

import zcbench
from zcbench import spaces
from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.ranking import UNITS
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.statistics.bootstrap import bootstrap, interval
from zcbench.benchmarks.statistics.columns import Column, Population
from zcbench.benchmarks.statistics.comparison import Comparison
from zcbench.reports import to_markdown

PROXIES = ("macs", "n_convs", "synflow", "jacov", "naswot", "snip", "meco_opt", "near")
SIZES = (50, 200, 1000)
LABELS = ("τ", "ρ")


def population(subset: str, truth: str) -> pd.DataFrame:
    """All cells of a subset: one column per proxy, NaN where it failed, their accuracy and their class."""
    space, (_, scores, _) = spaces.get("nasbench201"), bundled.load("nasbench201")
    ok = scores[(scores["status"] == "ok") & scores["proxy"].isin(PROXIES)]
    values = ok.pivot(index="arch", columns="proxy", values="value")[list(PROXIES)]
    cells = values.loc[sorted(set(space.subset(subset)))] if subset != "all" else values
    accuracy = zcbench.truth(truth).set_index("arch")["accuracy"]
    return cells.assign(accuracy=accuracy, unit=[space.canonical(arch) for arch in cells.index])


def whole(cells: pd.DataFrame) -> np.ndarray:
    """Tau and rho over the whole set, shape (2, proxies): what the intervals are meant to hold."""
    pairs = [cells[[name, "accuracy"]].dropna().to_numpy(float).T for name in PROXIES]
    return np.array(
        [[correlation(*pair) for pair in pairs] for correlation in (statistics.kendall, statistics.spearman)]
    )


def held(sample: pd.DataFrame, unit: str, expected: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Whether the intervals of one sample hold the expected values, shape (2, proxies)."""
    units = sample["unit"].to_numpy(str) if unit == "classes" else sample.index.to_numpy(str)
    low, high = drawn(sample, units, draws, seed) if draws else derived(sample, units)
    return (low <= expected) & (expected <= high)


def drawn(sample: pd.DataFrame, units: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Ends of the intervals by a bootstrap, shape (2 ends, 2 correlations, proxies)."""
    found = bootstrap(sample[list(PROXIES)].to_numpy(), sample[["accuracy"]].to_numpy(), units, draws, seed)
    return np.array([interval(replicates[:, :, 0]) for replicates in found]).swapaxes(0, 1)


def derived(sample: pd.DataFrame, units: np.ndarray) -> np.ndarray:
    """Ends of the intervals by the delta method, likewise."""
    ends = []
    for name in PROXIES:
        x, y = sample[[name, "accuracy"]].dropna().to_numpy(float).T
        population = Population({}, np.unique(units[sample[name].notna()], return_inverse=True)[1])
        ends.append(list(Comparison(Column(x), Column(y), population).intervals(0.95).values()))
    return np.array(ends).T.reshape(2, 2, -1).swapaxes(0, 1)


def sampled(cells: pd.DataFrame, size: int | None, rng: np.random.Generator) -> pd.DataFrame:
    """That many cells at random, or all cells of half of the classes."""
    if size is not None:
        return cells.iloc[rng.choice(len(cells), size, replace=False)]
    names = np.unique(cells["unit"].to_numpy(str))
    return cells[cells["unit"].isin(rng.choice(names, len(names) // 2, replace=False))]


def coverage(cells: pd.DataFrame, size: int | None, unit: str, given: argparse.Namespace) -> dict[str, str]:
    """One row: the share of samples whose interval holds, mean over the proxies and its range."""
    expected = whole(cells)
    samples = (sampled(cells, size, np.random.default_rng([given.seed, repeat])) for repeat in range(given.repeats))
    hits = np.mean([held(one, unit, expected, given.draws, i) for i, one in enumerate(samples)], axis=0)
    texts = {label: f"{own.mean():.3f} ({own.min():.3f} to {own.max():.3f})" for label, own in zip(LABELS, hits)}
    return {"sampled": "half of the classes" if size is None else f"{size:,}", "drawn": unit} | texts


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400, help="samples of each size")
    parser.add_argument("--draws", type=int, default=0, help="of a bootstrap; 0 for the delta method")
    parser.add_argument("--truth", default="nasbench201/cifar10")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--halves", action="store_true", help="draw half of the classes instead of cells")
    given = parser.parse_args()
    rows = [
        {"set": f"{subset} ({len(cells):,} cells)"} | coverage(cells, size, unit, given)
        for subset in ("all", "live")
        for cells in [population(subset, given.truth)]
        for size in ((None,) if given.halves else SIZES)
        for unit in UNITS
    ]
    print(to_markdown(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
