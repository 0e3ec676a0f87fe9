"""Architecture search by scores of untrained networks: algorithms, budgets, objectives, comparison with accuracies."""

if __name__ == "search":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import search'. Expected: 'import zcbench.search'. Install zcbench and import it from there."
    )

from zcbench.search.algorithms.contract import ALGORITHMS, SearchAlgorithm, algorithm, named
from zcbench.search.algorithms.local_search import LocalSearch
from zcbench.search.algorithms.loop import (
    Domain,
    Evaluated,
    SearchError,
    SearchProblem,
    curve,
    first_value,
    pick,
    search,
)
from zcbench.search.algorithms.nsga2 import NSGA2
from zcbench.search.algorithms.random_search import RandomSearch
from zcbench.search.algorithms.regularised_evolution import RegularisedEvolution
from zcbench.search.architectures import Architectures, architectures
from zcbench.search.budget import BudgetError
from zcbench.search.candidates import Candidates
from zcbench.search.conduct import PRESETS, SearchResult, Settings, conduct
from zcbench.search.costs import Costs, quantity
from zcbench.search.document import Outcome, read
from zcbench.search.evaluation import Evaluation, Values
from zcbench.search.judging import SearchTruth, judge
from zcbench.search.latency import LatencyTable, Timing
from zcbench.search.objective import Objective
from zcbench.search.running import Telling, Truths, run_search
from zcbench.search.scores import Scoring, stored
from zcbench.search.study import Comparison, compare, repeated
from zcbench.search.trained import TrainingRecords

__all__ = [
    "ALGORITHMS",
    "NSGA2",
    "PRESETS",
    "Architectures",
    "BudgetError",
    "Candidates",
    "Comparison",
    "Costs",
    "Domain",
    "Evaluated",
    "Evaluation",
    "LatencyTable",
    "LocalSearch",
    "Objective",
    "Outcome",
    "RandomSearch",
    "RegularisedEvolution",
    "Scoring",
    "SearchAlgorithm",
    "SearchError",
    "SearchProblem",
    "SearchResult",
    "SearchTruth",
    "Settings",
    "Telling",
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
]
