"""Truth tables, the scoring run, the score store and the ranking statistics; each part loads when it is touched.

>>> from zcbench.benchmarks import truth
>>> len(truth("nasbench201/cifar10-16"))
200
"""

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if __name__ == "benchmarks":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import benchmarks'. Expected: 'import zcbench.benchmarks'. Install zcbench and import it from there."
    )

# ruff: noqa: F401
if TYPE_CHECKING:
    from zcbench.benchmarks.ranking.across import TruthComparison, compare_rankings
    from zcbench.benchmarks.ranking.ranking import Ranking
    from zcbench.benchmarks.ranking.study import rank_run, select_run
    from zcbench.benchmarks.scoring.choosing import choose_architectures
    from zcbench.benchmarks.scoring.conditions import Conditions
    from zcbench.benchmarks.scoring.options import NetworkOptions, Sample, Setup
    from zcbench.benchmarks.scoring.protocol import Protocol
    from zcbench.benchmarks.scoring.run import RunResult, open_run, score_run
    from zcbench.benchmarks.scoring.shards import MergedRuns, Shard, merge_runs
    from zcbench.benchmarks.scoring.teachers import TeacherChoice, read_teacher
    from zcbench.benchmarks.training.building import TruthResult, build_truth
    from zcbench.benchmarks.truths.lookup import truth
    from zcbench.benchmarks.truths.table import TruthTable
    from zcbench.runtime.execution import Execution

_HOMES = {
    "Conditions": "zcbench.benchmarks.scoring.conditions",
    "Execution": "zcbench.runtime.execution",
    "MergedRuns": "zcbench.benchmarks.scoring.shards",
    "NetworkOptions": "zcbench.benchmarks.scoring.options",
    "Protocol": "zcbench.benchmarks.scoring.protocol",
    "Ranking": "zcbench.benchmarks.ranking.ranking",
    "RunResult": "zcbench.benchmarks.scoring.run",
    "Sample": "zcbench.benchmarks.scoring.options",
    "Setup": "zcbench.benchmarks.scoring.options",
    "Shard": "zcbench.benchmarks.scoring.shards",
    "TeacherChoice": "zcbench.benchmarks.scoring.teachers",
    "TruthComparison": "zcbench.benchmarks.ranking.across",
    "TruthResult": "zcbench.benchmarks.training.building",
    "TruthTable": "zcbench.benchmarks.truths.table",
    "build_truth": "zcbench.benchmarks.training.building",
    "choose_architectures": "zcbench.benchmarks.scoring.choosing",
    "merge_runs": "zcbench.benchmarks.scoring.shards",
    "compare_rankings": "zcbench.benchmarks.ranking.across",
    "open_run": "zcbench.benchmarks.scoring.run",
    "rank_run": "zcbench.benchmarks.ranking.study",
    "read_teacher": "zcbench.benchmarks.scoring.teachers",
    "score_run": "zcbench.benchmarks.scoring.run",
    "select_run": "zcbench.benchmarks.ranking.study",
    "truth": "zcbench.benchmarks.truths.lookup",
}

__all__, __getattr__, __dir__ = lazy(__name__, _HOMES)
