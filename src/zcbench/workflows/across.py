"""What ``zcbench across`` does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from zcbench.benchmarks.defaults import Truths
from zcbench.benchmarks.ranking.across import TruthComparison, compare_rankings, require_figure
from zcbench.benchmarks.ranking.ensembles import Ensemble, named
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.ranking.study import UNSTATED, rank_run, space_of
from zcbench.benchmarks.scoring import bundled
from zcbench.errors import RankingError
from zcbench.proxies.scoring.cards import cards
from zcbench.specification import split_list
from zcbench.workflows.rank import tables, with_reproduced


class _Scored(NamedTuple):
    """Space, architectures and proxies of a run."""

    space: str
    archs: frozenset[str]
    proxies: frozenset[str]

    def common(self, truth: pd.DataFrame) -> int:
        """Number of its architectures in a truth; 0 where the truth is of another space."""
        stated = set(truth["space"].dropna()) - {UNSTATED} if "space" in truth else set()
        return len(self.archs.intersection(truth["arch"])) if stated <= {self.space} else 0


def compare_truths(
    runs: Sequence[str | Path],
    truth: Truths,
    *,
    by: str = "tau_given_all",
    subset: str = "all",
    ensembles: str | Sequence[str] = "all",
    options: RankingOptions | None = None,
    data_dir: Path | None = None,
) -> TruthComparison:
    """Compare what proxies are worth on many truths.

    A truth goes to the scores of its space; where several runs are of one space, to the one with the most
    architectures in the truth, the first of equals.

    Args:
        runs: folders of runs, packed files, or names of bundled scores.
        truth: accuracies, as for `bench`, of all the spaces.
        by: figure that proxies are ordered and chosen by: ``tau, tau_given_all, tau_given_all_flexible, tau_top10``.
        subset: architectures of every space that has this subset, such as ``live``; all of the others.
        ensembles: ``"all"`` named ones whose members were scored, ``"none"``, or names and formulas; each is ranked on
            the runs that have its members.
        options: of the rankings.
        data_dir: where to look for the truths.

    The protocol of every ranking has how far its truths reproduce given all sizes; see `TruthComparison.reproduced`.

    Raises:
        RankingError: a truth has fewer than three architectures in common with every run, or a run gets no truth.
        StoreError, ProtocolError, UnknownNameError: as `rank_run`.

    Example:
        >>> truths = "nasbench201/cifar10-16,nasbench201/cifar10-16/kd"
        >>> found = compare_truths(["nasbench201-1000"], truths)  # doctest: +SKIP
        >>> found.proxies["tau_given_all"].head(3)  # doctest: +SKIP
    """
    require_figure(by)
    given, scored = tables(truth, data_dir), {str(run): _scored(str(run)) for run in runs}
    chosen = _ensembles(ensembles, scored)
    rankings = {}
    for run, own in _assigned(scored, given).items():
        known = {name: given[name] for name in own}
        subsets = ("all",) if subset == "all" else None
        ranking = rank_run(run, known, subsets=subsets, ensembles=chosen[run], options=options)
        rankings[run] = with_reproduced(ranking, known, data_dir)
    return compare_rankings(rankings, by=by, subset=subset)


def _ensembles(given: str | Sequence[str], scored: Mapping[str, _Scored]) -> dict[str, str | list[Ensemble]]:
    """Ensembles of every run: those named whose members it has."""
    if given in ("all", "none"):
        return dict.fromkeys(scored, str(given))
    known = {*cards()[0], *cards()[1], *(name for run in scored.values() for name in run.proxies)}
    found = [named(text, known) for text in (split_list(given) if isinstance(given, str) else given)]
    usable: dict[str, str | list[Ensemble]] = {
        run: [item for item in found if {*own.proxies, *SIZES}.issuperset(item.members)] for run, own in scored.items()
    }
    for item in found:
        if not any(item in own for own in usable.values()):
            raise RankingError(
                f"The ensemble {item.name!r} needs {', '.join(item.members)}, which no run has all of. Expected scores "
                "of them in at least one run; score them too, or leave the ensemble out."
            )
    return usable


def _assigned(scored: Mapping[str, _Scored], truths: Mapping[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Names of the truths that each run is compared with.

    Raises:
        RankingError: a truth has fewer than three architectures in common with every run, or a run gets no truth.
    """
    found: dict[str, list[str]] = {run: [] for run in scored}
    for name, table in truths.items():
        common = {run: own.common(table) for run, own in scored.items()}
        best = max(common, key=lambda run: common[run], default="")
        if common.get(best, 0) < 3:
            spaces = ", ".join(sorted({own.space for own in scored.values()}))
            raise RankingError(
                f"The truth {name!r} has fewer than 3 architectures in common with every run; the runs are of "
                f"{spaces}. Expected scores of its space; add a run, or leave the truth out."
            )
        found[best].append(name)
    for run, names in found.items():
        if not names:
            raise RankingError(
                f"No truth goes to the run {run!r}, which is of {scored[run].space}. Expected at least one that no "
                "other run has more architectures of; name one, or leave the run out."
            )
    return found


def _scored(run: str) -> _Scored:
    protocol, scores, description = bundled.load(run)
    space = space_of(protocol, run, description).name
    return _Scored(space, frozenset(map(str, scores["arch"])), frozenset(map(str, scores["proxy"])))
