"""Rank neural architectures without training them, and measure how good the ranking is.

The public face, in a few names; each package loads when it is touched::

    zcbench.score(network, (images, labels), proxies=["synflow", "naswot"])
    zcbench.spaces.get("nasbench201")
    zcbench.truth("nasbench201/cifar10")
    zcbench.bench("runs/first", proxies="params,naswot", sample=zcbench.Sample(100))
    zcbench.rank("runs/first", "nasbench201/cifar100")
"""

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

# ruff: noqa: F401
if TYPE_CHECKING:
    from zcbench import benchmarks, datasets, distill, proxies, reports, search, spaces
    from zcbench.benchmarks.ranking.options import RankingOptions
    from zcbench.benchmarks.scoring.options import Sample, Setup
    from zcbench.benchmarks.training.student import train_student
    from zcbench.benchmarks.truths.lookup import truth
    from zcbench.kdzero.evolution import evolve_distiller
    from zcbench.proxies import proxy, score
    from zcbench.runtime.execution import Execution
    from zcbench.search import run_search
    from zcbench.workflows.bench import BenchResult, bench
    from zcbench.workflows.options import ReportOptions
    from zcbench.workflows.rank import rank, report

__version__ = "0.1.0"

#: Where each public name is imported from; a package has no entry but its name.
_HOMES = {
    **dict.fromkeys(("benchmarks", "datasets", "distill", "proxies", "reports", "search", "spaces"), ""),
    "BenchResult": "zcbench.workflows.bench",
    "Execution": "zcbench.runtime.execution",
    "RankingOptions": "zcbench.benchmarks.ranking.options",
    "ReportOptions": "zcbench.workflows.options",
    "Sample": "zcbench.benchmarks.scoring.options",
    "Setup": "zcbench.benchmarks.scoring.options",
    "bench": "zcbench.workflows.bench",
    "evolve_distiller": "zcbench.kdzero.evolution",
    "proxy": "zcbench.proxies",
    "rank": "zcbench.workflows.rank",
    "report": "zcbench.workflows.rank",
    "run_search": "zcbench.search",
    "score": "zcbench.proxies",
    "train_student": "zcbench.benchmarks.training.student",
    "truth": "zcbench.benchmarks.truths.lookup",
}

__all__, __getattr__, __dir__ = lazy(__name__, _HOMES, "__version__")
