"""From scores and trained accuracies to a finished ranking."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from zcbench.benchmarks.ranking.aggregation import cards, with_ensembles
from zcbench.benchmarks.ranking.correlations import Correlations
from zcbench.benchmarks.ranking.ensembles import Ensemble
from zcbench.benchmarks.ranking.evidence import Evidence, ProxyFacts, gather, newest_attempts, with_failures_last
from zcbench.benchmarks.ranking.options import UNITS, RankingOptions
from zcbench.benchmarks.ranking.result import COLUMNS, LOWER_IS_BETTER, Ranking
from zcbench.benchmarks.ranking.rows import Row, rows
from zcbench.benchmarks.ranking.supervised import card, with_supervised
from zcbench.benchmarks.statistics.bootstrap import bootstrap, interval
from zcbench.errors import RankingError, ZcbenchError
from zcbench.proxies.scoring.cards import card as proxy_card

__all__ = ["COLUMNS", "LOWER_IS_BETTER", "UNITS", "ProxyFacts", "Ranking", "RankingOptions", "rank"]


def rank(
    scores: pd.DataFrame,
    truths: Mapping[str, pd.DataFrame],
    sizes: pd.DataFrame,
    *,
    clusters: Mapping[str, str] | None = None,
    subsets: Mapping[str, Collection[str]] | None = None,
    facts: Mapping[str, ProxyFacts] | None = None,
    ensembles: Sequence[Ensemble] = (),
    options: RankingOptions | None = None,
    protocol: Mapping[str, object] | None = None,
    **fields: object,
) -> Ranking:
    """Compare scores with trained accuracies.

    A proxy's value for an architecture is the mean over its ok seeds. Coverage is the share of the attempts made that
    are ok, an attempt being one of the subset's architectures with one of the proxy's seeds; where architectures or
    seeds were never asked for, the row's note has the number of those that were, and the others count neither as failed
    nor as ok. Correlations are over the architectures that have a value, ``n`` of them.

    Args:
        scores: one row per attempt, columns ``arch, proxy, version, seed, value, status, reason, seconds``. Of a proxy
            with several versions the newest counts.
        truths: per name a table with the columns ``arch, accuracy``, one row per architecture.
        sizes: columns ``arch, params, macs, n_convs, depth, width``; they are ranked even if they were not scored.
        clusters: class of each architecture; each by itself if omitted. Supervised regressions are evaluated on
            classes that they were not fitted to.
        subsets: architectures of each subset, of which those that were scored count; all of them if omitted.
        facts: direction, kind and remarks of proxies, where they differ from what is registered.
        ensembles: rank aggregations, each a row of kind ``"ensemble"``. Its values are made once, over all scored
            architectures, and are as fixed as a score in subsets and in the draws of the bootstrap.
        options: how they are compared; the default ones if omitted.
        protocol: how the scores were made; kept, with what this function adds under ``"ranking"`` and ``"truths"``.
        fields: other values of fields of ``options``, such as ``draws=200``.

    Raises:
        RankingError: columns are missing; an attempt or an accuracy is there twice, or is not finite; fewer than three
            architectures of a subset are in a truth; a size or a class is unknown; a member of an ensemble was not
            scored. A constant or failed proxy is no error: its row has NaN, and the reason in ``note``.
        UnknownNameError: no regression has a name of ``supervised``.
    """
    how = RankingOptions.of(options, fields)
    supervision = how.supervision()
    attempts = newest_attempts(scores)
    evidence = gather(scores, attempts, truths, sizes, clusters, _facts(attempts, facts or {}))
    evidence = with_failures_last(evidence) if how.failures_last else evidence
    evidence = with_supervised(with_ensembles(evidence, ensembles), supervision)
    archs = set(evidence.values.index)
    chosen = {name: tuple(sorted(archs & {*some})) for name, some in (subsets or {"all": archs}).items()}
    tables = [_subset_table(evidence, name, list(members), how) for name, members in chosen.items()]
    about = {
        **{name: getattr(how, name) for name in ("confidence", "draws", "k", "seed", "unit")},
        "failures": "ranked last" if how.failures_last else "left out",
        "cluster rule": "every architecture by itself" if clusters is None else "the classes given",
        **({"ensembles": cards(ensembles, evidence.values)} if ensembles else {}),
        **({"supervised": card(supervision, evidence)} if how.supervised else {}),
        **_counts(evidence, attempts, chosen, how.draws),
    }
    ranked = evidence.values.drop(columns=list(evidence.learned))
    return Ranking(
        table=pd.concat(tables, ignore_index=True)[list(COLUMNS)],
        scores=evidence.values,
        accuracies=evidence.accuracies,
        sizes=evidence.sizes,
        correlations=Correlations(ranked, chosen),
        failures=_failures(attempts),
        protocol={**(protocol or {}), "truths": _protocols(truths), "ranking": about},
        subsets=chosen,
    )


def _facts(attempts: pd.DataFrame, given: Mapping[str, ProxyFacts]) -> dict[str, ProxyFacts]:
    """Facts of every scored proxy: as ``given``; a direction that is not given is the registered one."""
    return {name: _with_direction(name, given.get(name, ProxyFacts())) for name in map(str, attempts["proxy"].unique())}


def _with_direction(name: str, facts: ProxyFacts) -> ProxyFacts:
    if facts.higher_is_better is not None:
        return facts
    try:
        return replace(facts, higher_is_better=proxy_card(name).higher_is_better)
    except ZcbenchError:  # of a plug-in that is not here
        return facts


def _counts(
    evidence: Evidence, attempts: pd.DataFrame, subsets: Mapping[str, tuple[str, ...]], draws: int
) -> dict[str, str | dict[str, int]]:
    """Entries of the protocol about the architectures and the intervals."""
    return {
        "interval": "percentile bootstrap" if draws else "delta method",
        "classes": {name: int(evidence.classes[list(members)].nunique()) for name, members in subsets.items()},
        "architectures": {name: len(members) for name, members in subsets.items()},
        "versions": {str(name): int(version) for name, version in attempts.groupby("proxy")["version"].max().items()},
    }


def _protocols(truths: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, object]]:
    stated = {name: getattr(table, "protocol", None) for name, table in truths.items()}
    return {name: dict(protocol) if isinstance(protocol, Mapping) else {} for name, protocol in stated.items()}


def _subset_table(evidence: Evidence, subset: str, archs: list[str], how: RankingOptions) -> pd.DataFrame:
    """The rows of one subset."""
    _check_common(subset, evidence.accuracies.loc[archs])
    found = rows(evidence, archs, how)
    if how.draws:
        _draw_intervals(evidence, archs, how, found)
    return pd.DataFrame([found[place] for place in sorted(found)]).assign(subset=subset)


def _draw_intervals(
    evidence: Evidence, archs: list[str], how: RankingOptions, found: Mapping[tuple[int, int], Row]
) -> None:
    """Replace the intervals of all rows by those of a bootstrap."""
    values, accuracies = evidence.values.loc[archs].to_numpy(), evidence.accuracies.loc[archs].to_numpy()
    units = evidence.classes[archs].to_numpy(str) if how.unit == "classes" else np.array(archs)
    replicates = bootstrap(values, accuracies, units, how.draws, how.seed)
    ends = [end for statistic in replicates for end in interval(statistic, how.confidence)]
    for (t, p), row in found.items():
        if row["tau"] == row["tau"]:
            row |= {name: end[p, t] for name, end in zip(("tau_low", "tau_high", "rho_low", "rho_high"), ends)}


def _check_common(subset: str, accuracies: pd.DataFrame) -> None:
    if len(accuracies) < 3:
        raise RankingError(
            f"The subset {subset!r} has {len(accuracies)} scored architectures. Expected at least 3; score more of it."
        )
    for truth, column in accuracies.items():
        lacking = column.index[column.isna()]
        if len(column) - len(lacking) < 3:
            raise RankingError(
                f"The truth {truth!r} lacks {len(lacking)} of the {len(column)} scored architectures of the subset "
                f"{subset!r}, for example {lacking[0]!r}. Expected at least 3 in common; name a truth of the "
                "space that was scored."
            )


def _failures(attempts: pd.DataFrame) -> pd.DataFrame:
    failed = attempts[attempts["status"] != "ok"].groupby(["proxy", "status"])
    return failed.agg(count=("arch", "size"), example_arch=("arch", "first"), reason=("reason", "first")).reset_index()
