"""What ``zcbench proxies docs`` does: a page for each proxy, with its numbers."""

from collections.abc import Sequence
from pathlib import Path

from zcbench.benchmarks.ranking.ensembles import ENSEMBLES
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.truths.lookup import truth
from zcbench.proxies import REGISTRY
from zcbench.reports import write_reference

TRUTHS = ("nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/imagenet16-120")


def reference(
    out: str | Path,
    scores: Sequence[str] = (),
    truths: Sequence[str] = TRUTHS,
    subsets: Sequence[str] = ("all", "live"),
    *,
    draws: int = 0,
    data_dir: Path | None = None,
) -> Path:
    """Write one Markdown page per proxy, and an index with the ensembles.

    Args:
        out: folder for the pages.
        scores: runs, packed files or names of bundled scores; a proxy has the numbers of the first that ranks it.
        truths: accuracies for the numbers.
        subsets: architectures that the numbers are about.
        draws: replicates of a bootstrap; 0 for intervals of the delta method.
        data_dir: where to look for the truths.

    Returns:
        Path of the index.

    Raises:
        RankingError, StoreError, UnknownNameError: as `rank_run`.
        ReportError: the folder cannot be written, or has other pages.
    """
    command, rankings = f"zcbench proxies docs --out {out}", []
    if scores:
        known = {name: truth(name, data_dir) for name in truths}
        rankings = [rank_run(run, known, subsets=subsets, draws=draws) for run in scores]
        options = f"--truth {','.join(truths)} --subsets {','.join(subsets)}" + f" --draws {draws}" * bool(draws)
        command += f" --scores {','.join(scores)} {options}"
    items, ensembles = REGISTRY.usable()[0], ENSEMBLES.usable()[0]
    return write_reference(items, ensembles, Path(out), rankings, command)
