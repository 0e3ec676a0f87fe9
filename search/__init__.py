"""Architecture search by scores of untrained networks: algorithms, budgets, objectives, comparison with accuracies."""

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
from zcbench.search.architectures import Architectures, ListedArchitectures, SpaceArchitectures, architectures
from zcbench.search.budget import Budget, BudgetError
from zcbench.search.candidates import Candidates
from zcbench.search.conduct import PRESETS, SearchResult, Settings, conduct
from zcbench.search.costs import Costs, quantity
from zcbench.search.document import Outcome, Request, read
from zcbench.search.evaluation import Evaluation, Values
from zcbench.search.judging import Judgement, SearchTruth, judge, validation_name
from zcbench.search.latency import HERE, LatencyTable, Timing
from zcbench.search.objective import Objective
from zcbench.search.running import Truths, run_search
from zcbench.search.scores import Scoring, stored
from zcbench.search.spread import Spread
from zcbench.search.study import Comparison, compare, repeated
from zcbench.search.trained import TrainingRecords, training_records

__all__ = [
    "ALGORITHMS",
    "HERE",
    "NSGA2",
    "PRESETS",
    "Algorithm",
    "Architectures",
    "Budget",
    "BudgetError",
    "Candidates",
    "Comparison",
    "Costs",
    "Domain",
    "Evaluated",
    "Evaluation",
    "Judgement",
    "LatencyTable",
    "ListedArchitectures",
    "LocalSearch",
    "Objective",
    "Outcome",
    "RandomSearch",
    "RegularisedEvolution",
    "Request",
    "Scoring",
    "SearchAlgorithm",
    "SearchError",
    "SearchProblem",
    "SearchResult",
    "SearchTrace",
    "SearchTruth",
    "Settings",
    "SpaceArchitectures",
    "Spread",
    "Timing",
    "TrainingRecords",
    "Truths",
    "Values",
    "algorithm",
    "architectures",
    "compare",
    "conduct",
    "curve",
    "first_value",
    "judge",
    "named",
    "pick",
    "quantity",
    "read",
    "repeated",
    "run_search",
    "search",
    "stored",
    "training_records",
    "validation_name",
]
