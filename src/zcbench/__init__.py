"""Rank neural architectures without training them, and measure how good the ranking is.

The public face, in a few names; each package loads when it is touched::

    zcbench.score(network, (images, labels), proxies=["synflow", "naswot"])
    zcbench.spaces.get("nasbench201")
    zcbench.truth("nasbench201/cifar10")
    zcbench.bench("runs/first", proxies="params,naswot", sample=zcbench.Sample(100))
    zcbench.rank("runs/first", "nasbench201/cifar100")
    zcbench.rank_networks({"small": make_small, "large": make_large}, accuracies, (images, labels))
"""

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if TYPE_CHECKING:
    from zcbench import benchmarks as benchmarks
    from zcbench import datasets as datasets
    from zcbench import distill as distill
    from zcbench import proxies as proxies
    from zcbench import reports as reports
    from zcbench import search as search
    from zcbench import spaces as spaces
    from zcbench import trackers as trackers
    from zcbench.benchmarks.published.comparing import compare_published as compare_published
    from zcbench.benchmarks.ranking.options import RankingOptions as RankingOptions
    from zcbench.benchmarks.scoring.catalogue import TrainedTeacher as TrainedTeacher
    from zcbench.benchmarks.scoring.catalogue import teachers as teachers
    from zcbench.benchmarks.scoring.options import Sample as Sample
    from zcbench.benchmarks.scoring.options import Setup as Setup
    from zcbench.benchmarks.scoring.shards import merge_runs as merge_runs
    from zcbench.benchmarks.training.student import train_student as train_student
    from zcbench.benchmarks.training.students import train_students as train_students
    from zcbench.benchmarks.training.teachers import train_teacher as train_teacher
    from zcbench.benchmarks.truths.lookup import truth as truth
    from zcbench.kdzero.evolution import evolve_distiller as evolve_distiller
    from zcbench.proxies import proxy as proxy
    from zcbench.proxies import score as score
    from zcbench.runtime.clock import Clock as Clock
    from zcbench.runtime.execution import Execution as Execution
    from zcbench.search import run_search as run_search
    from zcbench.search.measured import Measurements as Measurements
    from zcbench.search.measured import measure as measure
    from zcbench.workflows.across import compare_truths as compare_truths
    from zcbench.workflows.bench import BenchResult as BenchResult
    from zcbench.workflows.bench import bench as bench
    from zcbench.workflows.bench import bench_shard as bench_shard
    from zcbench.workflows.networks import rank_networks as rank_networks
    from zcbench.workflows.options import ReportOptions as ReportOptions
    from zcbench.workflows.pairs import rank_pairs as rank_pairs
    from zcbench.workflows.rank import rank as rank
    from zcbench.workflows.rank import report as report
    from zcbench.workflows.runs import runs as runs
    from zcbench.workflows.scoring import score_network as score_network

__version__ = "0.1.0"

#: Where each public name is imported from; a package has no entry but its name.
_HOMES = {
    **dict.fromkeys(("benchmarks", "datasets", "distill", "proxies", "reports", "search", "spaces", "trackers"), ""),
    "BenchResult": "zcbench.workflows.bench",
    "Clock": "zcbench.runtime.clock",
    "Execution": "zcbench.runtime.execution",
    "Measurements": "zcbench.search.measured",
    "RankingOptions": "zcbench.benchmarks.ranking.options",
    "ReportOptions": "zcbench.workflows.options",
    "Sample": "zcbench.benchmarks.scoring.options",
    "Setup": "zcbench.benchmarks.scoring.options",
    "TrainedTeacher": "zcbench.benchmarks.scoring.catalogue",
    "bench": "zcbench.workflows.bench",
    "compare_published": "zcbench.benchmarks.published.comparing",
    "compare_truths": "zcbench.workflows.across",
    "bench_shard": "zcbench.workflows.bench",
    "evolve_distiller": "zcbench.kdzero.evolution",
    "measure": "zcbench.search.measured",
    "merge_runs": "zcbench.benchmarks.scoring.shards",
    "proxy": "zcbench.proxies",
    "rank": "zcbench.workflows.rank",
    "rank_networks": "zcbench.workflows.networks",
    "rank_pairs": "zcbench.workflows.pairs",
    "report": "zcbench.workflows.rank",
    "run_search": "zcbench.search",
    "runs": "zcbench.workflows.runs",
    "score": "zcbench.proxies",
    "score_network": "zcbench.workflows.scoring",
    "teachers": "zcbench.benchmarks.scoring.catalogue",
    "train_student": "zcbench.benchmarks.training.student",
    "train_students": "zcbench.benchmarks.training.students",
    "train_teacher": "zcbench.benchmarks.training.teachers",
    "truth": "zcbench.benchmarks.truths.lookup",
}

__all__, __getattr__, __dir__ = lazy(__name__, _HOMES, "__version__")
