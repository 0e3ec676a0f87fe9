"""Searches that consume a ranking: algorithms, budgets, objectives, and what a search was worth."""

if __name__ == "search":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import search'. Expected: 'import zcbench.search'. Install zcbench and import it from there."
    )

from zcbench.search.algorithms.contract import ALGORITHMS, SearchAlgorithm, algorithm, named
from zcbench.search.algorithms.local_search import LocalSearch
from zcbench.search.algorithms.loop import (
    Algorithm,
    Domain,
    Evaluated,
    SearchError,
    SearchProblem,
    SearchTrace,
    curve,
    first_value,
    pick,
    search,
)
from zcbench.search.algorithms.nsga2 import NSGA2
from zcbench.search.algorithms.random_search import RandomSearch
from zcbench.search.algorithms.regularised_evolution import RegularisedEvolution
from zcbench.search.architectures import Architectures, BudgetError
from zcbench.search.conduct import PRESETS, SearchResult, Settings, conduct
from zcbench.search.costs import Costs, quantity
from zcbench.search.document import check_free, describe, document, read, write
from zcbench.search.evaluation import Evaluation, Values, scoring, stored
from zcbench.search.judging import SearchTruth, judge, validation_name
from zcbench.search.latency import HERE, LatencyTable, Timing
from zcbench.search.objective import Objective
from zcbench.search.study import TrainingRecords, at_random, check_known, disconnected, held_against, repeated

__all__ = [
    "ALGORITHMS",
    "HERE",
    "NSGA2",
    "PRESETS",
    "Algorithm",
    "Architectures",
    "BudgetError",
    "Costs",
    "Domain",
    "Evaluated",
    "Evaluation",
    "LatencyTable",
    "LocalSearch",
    "Objective",
    "RandomSearch",
    "RegularisedEvolution",
    "SearchAlgorithm",
    "SearchError",
    "SearchProblem",
    "SearchResult",
    "SearchTrace",
    "SearchTruth",
    "Settings",
    "Timing",
    "TrainingRecords",
    "Values",
    "algorithm",
    "at_random",
    "check_free",
    "check_known",
    "conduct",
    "curve",
    "describe",
    "disconnected",
    "document",
    "first_value",
    "held_against",
    "judge",
    "named",
    "pick",
    "quantity",
    "read",
    "repeated",
    "scoring",
    "search",
    "stored",
    "validation_name",
    "write",
]
