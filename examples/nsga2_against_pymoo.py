"""NSGA-II of `zcbench.search` beside plain pymoo on bundled scores of NAS-Bench-201: front found, and time.

    python examples/nsga2_against_pymoo.py [--evaluations 500] [--seeds 200] [PROXY/SIZE ...]

Both maximise a stored score and minimise a size, over all 15,625 cells, with a population of 36. Plain pymoo is its
NSGA-II with uniform crossover (probability 0.9) and per-gene mutation on six integers, and a look-up of the objectives.
The hypervolume is a share of that of the true front, above the worst value of each objective. The time is that of this
process, without reading the scores.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from pymoo.algorithms.moo import nsga2
from pymoo.core.problem import Problem
from pymoo.core.variable import Choice
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.mutation.rm import ChoiceRandomMutation
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from zcbench import spaces
from zcbench.benchmarks.scoring.bundled import load
from zcbench.search import NSGA2, Costs, Evaluation, Objective, Settings, Values, architectures, conduct, stored
from zcbench.search.algorithms.pareto import front, hypervolume

SPACE = spaces.get("nasbench201")
ARCHS = tuple(SPACE)
OPERATIONS = sorted({value for arch in ARCHS for value in SPACE.parse(arch)})
GENES = 6
PLACES = len(OPERATIONS) ** np.arange(GENES)


class Cells(Problem):
    """Six operations as integers; the objectives are looked up, and the cells remembered in order."""

    def __init__(self, goals: np.ndarray, order: np.ndarray) -> None:
        super().__init__(n_var=GENES, n_obj=2, xl=0, xu=len(OPERATIONS) - 1, vtype=int)
        self.vars = {str(gene): Choice(options=range(len(OPERATIONS))) for gene in range(GENES)}
        self.goals, self.order, self.seen = goals, order, []

    def _evaluate(self, x: np.ndarray, out: dict[str, np.ndarray], *args: object, **kwargs: object) -> None:
        found = self.order[x.astype(int) @ PLACES]
        self.seen += found.tolist()
        out["F"] = -self.goals[found]


def main() -> None:
    """Compare both, pair by pair of objectives."""
    given = _arguments()
    frame = load("nasbench201")[1]
    print("| objectives | plain pymoo | ms | zcbench | ms |\n|---|---:|---:|---:|---:|")
    for pair in given.pairs:
        rows = _compared(frame, *pair.split("/"), given.evaluations, range(given.seeds))
        cells = [f"{shares.mean():.4f} ± {shares.std(ddof=1):.4f} | {seconds * 1e3:.0f}" for shares, seconds in rows]
        print(f"| {pair} |", " | ".join(cells), "|", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", default=["synflow/macs", "naswot/macs", "near/params"])
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=200)
    return parser.parse_args()


def _compared(
    frame: pd.DataFrame, proxy: str, size: str, evaluations: int, seeds: range
) -> list[tuple[np.ndarray, float]]:
    """Shares of the hypervolume and mean seconds: of plain pymoo, and of zcbench."""
    costs = Costs(SPACE)
    domain, evaluation = (
        architectures(costs),
        Evaluation(Values((proxy,), (size,)), costs, stored(frame, [proxy])[0]),
    )
    goals = np.array([one.values for one in evaluation(ARCHS)])
    goals[~np.isfinite(goals).all(axis=1)] = np.nanmin(goals, axis=0)
    order, number = _order(), {arch: place for place, arch in enumerate(ARCHS)}

    def plain(seed: int) -> list[int]:
        problem = Cells(goals, order)
        algorithm = nsga2.NSGA2(
            pop_size=36,
            sampling=IntegerRandomSampling(),
            crossover=UniformCrossover(prob=0.9),
            mutation=ChoiceRandomMutation(),
        )
        minimize(problem, algorithm, ("n_eval", evaluations), seed=seed)
        return problem.seen[:evaluations]

    def ours(seed: int) -> list[int]:
        found = conduct(domain, evaluation, Objective((proxy,)), Settings(NSGA2(), evaluations=evaluations), seed)
        return [number[one.candidate] for one in found.trace.history]

    return [_measured(search, goals, seeds) for search in (plain, ours)]


def _order() -> np.ndarray:
    """Index of the cell for every six integers."""
    code = {operation: place for place, operation in enumerate(OPERATIONS)}
    order = np.empty(len(ARCHS), dtype=int)
    order[np.array([[code[value] for value in SPACE.parse(arch)] for arch in ARCHS]) @ PLACES] = range(len(ARCHS))
    return order


def _measured(search: Callable[[int], list[int]], goals: np.ndarray, seeds: range) -> tuple[np.ndarray, float]:
    """Share of the true front's hypervolume by seed, and mean seconds of a search."""
    worst = goals.min(axis=0)
    whole = hypervolume(goals[front(goals)], worst)
    start = time.process_time()
    found = [search(seed) for seed in seeds]
    seconds = (time.process_time() - start) / len(seeds)
    return np.array([hypervolume(goals[places], worst) / whole for places in found]), seconds


if __name__ == "__main__":
    main()
