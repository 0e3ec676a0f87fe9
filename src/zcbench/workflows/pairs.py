"""What ``zcbench pairs`` does."""

from pathlib import Path

import pandas as pd

from zcbench.benchmarks.defaults import Truths
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.pairs import pair_table
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.workflows.rank import tables

TRUTH = "pairs/cifar100/kd"


def rank_pairs(
    run: str | Path,
    truth: Truths = TRUTH,
    *,
    ensembles: str = "none",
    options: RankingOptions | None = None,
    data_dir: Path | None = None,
) -> pd.DataFrame:
    """Compare the scores of teacher-student pairs with the accuracies of students that were trained under teachers.

    Args:
        run: folder of a run, or packed file, of the space ``pairs``.
        truth: as for `bench`.
        ensembles: as for `rank`.
        options: of the ranking.
        data_dir: where to look for the truths.

    Returns:
        The table of `zcbench.benchmarks.ranking.pairs.pair_table`: tau over all pairs, over the students of one
        teacher, and over the teachers of one student.

    Raises:
        RankingError: the run is of another space, or has fewer than three pairs of a truth.
        StoreError, ProtocolError, UnknownNameError: as `rank_run`.

    Example:
        >>> table = rank_pairs("runs/pairs", "pairs/cifar100/kd,pairs/cifar100/crd")  # doctest: +SKIP
    """
    ranking = rank_run(run, tables(truth, data_dir), subsets=("all",), ensembles=ensembles, options=options)
    return pair_table(ranking)
