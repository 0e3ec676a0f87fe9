"""How well scores rank architectures: the finished numbers, and how scores and trained accuracies become them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.aggregation import cards, with_ensembles
from zcbench.benchmarks.ranking.ensembles import Ensemble
from zcbench.benchmarks.ranking.evidence import COVERED, Evidence, gather, newest_attempts, with_failures_last
from zcbench.benchmarks.ranking.rows import rows
from zcbench.benchmarks.ranking.supervised import TRAIN, Supervision, card, with_supervised
from zcbench.benchmarks.statistics.bootstrap import bootstrap, interval
from zcbench.errors import DataError, RankingError, shortened, unknown
from zcbench.proxies import REGISTRY

COLUMNS = (
    *("truth", "subset", "proxy", "kind", "higher_is_better", "n", "coverage"),
    *("tau", "tau_low", "tau_high", "rho", "rho_low", "rho_high", "tau_common", "n_common"),
    *("pearson", "weighted_tau", "ndcg"),
    *("precision_at_k", "k", "best_rank_at_k", "worst_rank_at_k", "regret", "tau_top10"),
    *("tau_given_params", "tau_given_macs", "tau_given_n_convs"),
    *("rho_given_params", "rho_given_macs", "rho_given_n_convs", "rho_given_sizes"),
    *("tau_within_macs_bins", "reliability", "tau_sd_seeds", "tau_sd_batches", "information_gain", "seconds", "note"),
)
"""Columns of the ranking table, in order."""

LOWER_IS_BETTER = frozenset(
    {"best_rank_at_k", "worst_rank_at_k", "regret", "seconds", "tau_sd_seeds", "tau_sd_batches"}
)
"""Columns of the ranking table whose small values are the good ones."""

UNITS = ("architectures", "classes")
"""What a replicate of the bootstrap may draw."""

SAME = 0.999
"""Size of tau between two proxies from which on they count as one under two names."""

_KEYS = ("truth", "subset", "proxy", "kind", "n")  # columns without which a table is no ranking
_FRAMES = ("table", "scores", "accuracies", "sizes", "failures")


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a run says about every proxy: numbers only, ready to be drawn and printed.

    Attributes:
        table: one row per (truth, subset, proxy). ``n`` architectures have a value; ``coverage`` is the share of the
            attempts made (architecture, seed) that are ok; ``[tau_low, tau_high]`` and ``[rho_low, rho_high]`` are
            bootstrap intervals; ``tau_common`` is tau over the ``n_common`` architectures that all proxies of at least
            `COVERED` have in common, NaN for a proxy that lacks one of them; ``note`` says
            why a number is missing, and on how many architectures a proxy was scored if not on all. The statistics are
            those of `zcbench.benchmarks.statistics`, NaN where undefined. A supervised row stands under the
            truth it learned only.
        scores: index arch, one column per proxy: mean over the ok seeds, **oriented so that higher is better**; one per
            ensemble and per supervised regression too.
        accuracies: index arch, one column per truth, in percent.
        sizes: index arch, columns ``params, macs, n_convs, depth``.
        correlations: per subset, Kendall's tau-b between every two proxies.
        failures: columns ``proxy, status, count, example_arch, reason``; empty when every attempt was ok.
        protocol: everything needed to repeat the numbers, JSON-able.
        subsets: the architectures of each subset.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    accuracies: pd.DataFrame
    sizes: pd.DataFrame
    correlations: dict[str, pd.DataFrame]
    failures: pd.DataFrame
    protocol: dict[str, Any]
    subsets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def top(
        self, n: int, truth: str | None = None, by: str = "tau", subset: str | None = None, kind: str | None = None
    ) -> list[str]:
        """Names of the ``n`` proxies that are best by one column of the table, best first.

        A proxy's figure is its mean over the truths, or that of one ``truth``; equal figures are ordered by name. Left
        out is what has no figure under one of the truths, or one that rests on less than nine in ten of the
        architectures of the subset that the truth knows. Baselines count too, unless ``kind`` says otherwise: a ranking
        that the number of MACs wins says so. What has learned accuracies counts only where it is asked for by kind.

        Args:
            n: how many at most.
            truth: one truth; all if omitted.
            by: a numeric column of the table.
            subset: one subset; the table's first if omitted.
            kind: ``"proxy"``, ``"baseline"``, ``"ensemble"`` or ``"supervised"``; all but the last if omitted.

        Raises:
            UnknownNameError: the table has no such truth, subset, kind or column.
        """
        numeric = self.table.select_dtypes("number").columns
        if by not in numeric:
            raise unknown("column of the ranking", by, numeric)
        rows = self.table
        wanted = {"truth": truth, "subset": subset or str(rows["subset"].iloc[0]), "kind": kind}
        for column, name in wanted.items():
            if name is not None and name not in set(self.table[column]):
                raise unknown(f"{column} of the ranking", name, set(self.table[column]))
            rows = rows if name is None else rows[rows[column] == name]
        rows = rows if kind else rows[rows["kind"] != "supervised"]
        known = self.accuracies.loc[list(self.subsets[str(wanted["subset"])])].notna().sum()
        figures = rows[by].where(rows["n"] >= COVERED * rows["truth"].map(known))
        means = figures.groupby(rows["proxy"]).mean()
        means = means[figures.notna().groupby(rows["proxy"]).all()].sort_index()
        return list(means.sort_values(ascending=by in LOWER_IS_BETTER, kind="stable").index[:n])

    def distinct(self, names: Sequence[str], subset: str | None = None) -> list[str]:
        """The names without those that order the architectures as an earlier one does, or the other way round.

        Two names are one where the size of tau between them is at least `SAME`: sums with one dominant part, a distance
        and the loss made of it.

        Args:
            names: proxies of the ranking, the one to keep before the others.
            subset: one subset; the table's first if omitted.
        """
        between = self.correlations[subset or str(self.table["subset"].iloc[0])].abs()
        between = between.reindex(index=list(names), columns=list(names))
        kept: list[str] = []
        for name in names:
            if not (between.loc[name, kept] >= SAME).any():
                kept.append(name)
        return kept

    def save(self, folder: str | Path) -> None:
        """Write the ranking to ``folder``: Parquet tables and ``protocol.json``; what was there is overwritten.

        Raises:
            DataError: the folder cannot be written.
        """
        home = Path(folder)
        long = [frame.assign(subset=subset) for subset, frame in self.correlations.items()]
        frames = {name: getattr(self, name) for name in _FRAMES} | {"correlations": pd.concat(long)}
        try:
            home.mkdir(parents=True, exist_ok=True)
            for name, frame in frames.items():
                frame.to_parquet(home / f"{name}.parquet", write_page_checksum=True)
            notes = {"protocol": self.protocol, "subsets": self.subsets}
            (home / "protocol.json").write_text(json.dumps(notes, indent=1), encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"The ranking cannot be written to {str(folder)!r}: {error}. Expected a folder with room that you may "
                "write to; name another one."
            ) from error

    @classmethod
    def load(cls, folder: str | Path) -> "Ranking":
        """Read what `save` wrote.

        Raises:
            DataError: a file is missing or damaged.
        """
        home = Path(folder)
        try:
            files = {name: home / f"{name}.parquet" for name in (*_FRAMES, "correlations")}
            frames = {name: pd.read_parquet(file, page_checksum_verification=True) for name, file in files.items()}
            notes = json.loads((home / "protocol.json").read_text(encoding="utf-8"))
            long = frames.pop("correlations")
            parts = {str(name): part.drop(columns="subset") for name, part in long.groupby("subset", sort=False)}
            subsets = {name: tuple(archs) for name, archs in notes["subsets"].items()}
            found = cls(**frames, correlations=parts, protocol=dict(notes["protocol"]), subsets=subsets)
            found._check()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            told = shortened(" ".join(str(error).split()), 500)
            raise DataError(
                f"No ranking can be read from {str(folder)!r}: {told}. Expected the files that Ranking.save writes; "
                "rank the run again."
            ) from error
        return found

    def _check(self) -> None:
        """Refuse tables that do not belong together.

        Raises:
            ValueError: as the sentence says.
        """
        if lacking := [name for name in _KEYS if name not in self.table]:
            raise ValueError(f"the table lacks {', '.join(lacking)}")
        if not len(self.table) or not {*self.table["subset"]} <= self.subsets.keys() & self.correlations.keys():
            raise ValueError("the table is empty, or about other subsets")
        if not self.scores.index.equals(self.accuracies.index) or not self.scores.index.equals(self.sizes.index):
            raise ValueError("scores, accuracies and sizes are of different architectures")
        if not {*self.table["truth"]} <= {*self.accuracies} or not {*self.table["proxy"]} <= {*self.scores}:
            raise ValueError("the table is about other proxies or truths than the scores")
        if any(not {*archs} <= {*self.scores.index} for archs in self.subsets.values()):
            raise ValueError("a subset has architectures without scores")
        if not isinstance(self.protocol.get("scores", {}), dict):
            raise ValueError("the protocol does not tell the scores")


def rank(
    scores: pd.DataFrame,
    truths: Mapping[str, pd.DataFrame],
    sizes: pd.DataFrame,
    *,
    clusters: Mapping[str, str] | None = None,
    subsets: Mapping[str, Collection[str]] | None = None,
    directions: Mapping[str, bool] | None = None,
    kinds: Mapping[str, str] | None = None,
    ensembles: Sequence[Ensemble] = (),
    supervised: Sequence[str] = (),
    supervised_train: int = TRAIN,
    confidence: float = 0.95,
    draws: int = 1000,
    k: float = 10,
    seed: int = 0,
    unit: str = "architectures",
    failures_last: bool = False,
    notes: Mapping[str, str] | None = None,
    protocol: Mapping[str, Any] | None = None,
) -> Ranking:
    """Compare scores with trained accuracies.

    A proxy's value for an architecture is the mean over its ok seeds. Coverage is the share of the attempts made that
    are ok, an attempt being one of the subset's architectures with one of the proxy's seeds; where architectures or
    seeds were never asked for, the row's note says on how many it was scored, and they count neither as failed nor as
    ok. Correlations are over the architectures that have a value, ``n`` of them.

    Args:
        scores: one row per attempt, columns ``arch, proxy, version, seed, value, status, reason, seconds``. Of a proxy
            with several versions the newest counts.
        truths: per name a table with the columns ``arch, accuracy``, one row per architecture.
        sizes: columns ``arch, params, macs, n_convs, depth``; they are ranked even when nobody scored them.
        clusters: class of each architecture; each stands alone if omitted. Supervised regressions are judged on
            classes that they have not learned from.
        subsets: architectures of each subset, of which those that were scored count; all of them if omitted.
        directions: whether higher is better, per proxy; as it is registered if omitted, and true for an unknown one.
        kinds: ``"proxy"`` or ``"baseline"``, per proxy; a size is a baseline, the rest proxies.
        ensembles: rank aggregations, each a row of kind ``"ensemble"``. Its values are made once, over all scored
            architectures, and are as fixed as a score in subsets and in the draws of the bootstrap.
        supervised: regressions of `zcbench.benchmarks.ranking.supervised`, each a row of kind ``"supervised"`` per
            truth.
        supervised_train: accuracies that each regression learns from.
        confidence: level of the intervals, in (0, 1).
        draws: replicates of the bootstrap.
        k: size of the top that precision, BR@K and WR@K look at: a number, or a share of n if below 1.
        seed: names the bootstrap's random stream.
        unit: what a replicate draws, and so what the intervals cover. ``"architectures"``: the architectures are a
            random sample, each drawn by itself. ``"classes"``: whole classes were drawn. Over the classes of
            isomorphic cells of NAS-Bench-201, which are of very different sizes, the latter is too wide for the former
            (examples/interval_coverage.py).
        failures_last: give an architecture on which every attempt of a proxy failed the worst score of that proxy,
            in place of leaving it out.
        notes: remarks for the rows of a proxy.
        protocol: how the scores were made; kept, with what this function adds under ``"ranking"`` and ``"truths"``.

    Raises:
        RankingError: columns are missing; an attempt or an accuracy is there twice, or is not finite; fewer than three
            architectures of a subset are in a truth; a size or a class is unknown. A constant or failed proxy is none:
            its row holds NaN and says so in ``note``. A member of an ensemble was not scored.
        UnknownNameError: no regression has a name of ``supervised``.
    """
    options = checked_options(confidence, draws, k, seed) | {"unit": _checked_unit(unit)}
    supervision = Supervision(tuple(supervised), supervised_train, seed)
    attempts = newest_attempts(scores)
    evidence = gather(
        scores, attempts, truths, sizes, clusters, _directions(attempts, directions or {}), kinds or {}, notes
    )
    evidence = with_failures_last(evidence) if failures_last else evidence
    evidence = with_supervised(with_ensembles(evidence, ensembles), supervision)
    archs = set(evidence.values.index)
    chosen = {name: tuple(sorted(archs & {*some})) for name, some in (subsets or {"all": archs}).items()}
    tables = [_subset_table(evidence, name, list(members), **options) for name, members in chosen.items()]
    how = options | {
        "failures": "ranked last" if failures_last else "left out",
        "cluster rule": "every architecture by itself" if clusters is None else "the classes given",
        **({"ensembles": cards(ensembles, evidence.values)} if ensembles else {}),
        **({"supervised": card(supervision, evidence)} if supervised else {}),
        **_how(evidence, attempts, chosen),
    }
    ranked = evidence.values.drop(columns=list(evidence.learned))
    return Ranking(
        table=pd.concat(tables, ignore_index=True)[list(COLUMNS)],
        scores=evidence.values,
        accuracies=evidence.accuracies,
        sizes=evidence.sizes,
        correlations={name: _correlations(ranked.loc[list(members)]) for name, members in chosen.items()},
        failures=_failures(attempts),
        protocol={**(protocol or {}), "truths": _protocols(truths), "ranking": how},
        subsets=chosen,
    )


def _directions(attempts: pd.DataFrame, given: Mapping[str, bool]) -> dict[str, bool]:
    """Whether higher is better, by proxy: as ``given``, else as registered."""
    names = [name for name in map(str, attempts["proxy"].unique()) if name not in given and not REGISTRY.trouble(name)]
    return {**given, **{name: REGISTRY.get(name).higher_is_better for name in names}}


def _how(evidence: Evidence, attempts: pd.DataFrame, subsets: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """What the protocol says about the architectures and the intervals."""
    return {
        "interval": "percentile bootstrap",
        "classes": {name: int(evidence.classes[list(members)].nunique()) for name, members in subsets.items()},
        "architectures": {name: len(members) for name, members in subsets.items()},
        "versions": {str(name): int(version) for name, version in attempts.groupby("proxy")["version"].max().items()},
    }


def checked_options(confidence: float, draws: int, k: float, seed: int = 0) -> dict[str, Any]:
    """The options of `rank`, once they are in range.

    Raises:
        RankingError: one is not.
    """
    for name, value, good, expected in (
        ("confidence", confidence, 0 < confidence < 1, "a number between 0 and 1, such as 0.95"),
        ("draws", draws, draws >= 1, "a whole number of at least 1, such as 1000"),
        ("k", k, 0 < k < float("inf"), "a number of architectures, such as 10, or a share below 1, such as 0.05"),
    ):
        if not good:
            raise RankingError(f"{name}={value!r} was given. Expected {expected}.")
    return {"confidence": confidence, "draws": draws, "k": k, "seed": seed}


def _checked_unit(unit: str) -> str:
    if unit not in UNITS:
        raise RankingError(f"unit={unit!r} was given. Expected {' or '.join(map(repr, UNITS))}.")
    return unit


def _protocols(truths: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    stated = {name: getattr(table, "protocol", None) for name, table in truths.items()}
    return {name: dict(protocol) if isinstance(protocol, Mapping) else {} for name, protocol in stated.items()}


def _subset_table(
    evidence: Evidence, subset: str, archs: list[str], confidence: float, draws: int, k: float, seed: int, unit: str
) -> pd.DataFrame:
    """The rows of one subset."""
    _check_common(subset, evidence.accuracies.loc[archs])
    values, accuracies = evidence.values.loc[archs].to_numpy(), evidence.accuracies.loc[archs].to_numpy()
    units = evidence.classes[archs].to_numpy(str) if unit == "classes" else np.array(archs)
    replicates = bootstrap(values, accuracies, units, draws, seed)
    ends = [end for statistic in replicates for end in interval(statistic, confidence)]
    reliabilities = {name: statistics.reliability(trial.loc[archs]) for name, trial in evidence.trials.items()}
    found = rows(evidence, archs, k)
    for (t, p), row in found.items():
        low_high = {name: end[p, t] for name, end in zip(("tau_low", "tau_high", "rho_low", "rho_high"), ends)}
        row |= dict.fromkeys(low_high, statistics.NAN) if np.isnan(row["tau"]) else low_high
        row |= {"subset": subset, "reliability": reliabilities[row["proxy"]]}
    return pd.DataFrame([found[place] for place in sorted(found)])


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


def _correlations(values: pd.DataFrame) -> pd.DataFrame:
    """Tau-b between every two columns, over the architectures that have both."""
    table = values.corr(method="kendall", min_periods=3)
    alike = [name for name in values if statistics.constant(values[name].dropna().to_numpy())]
    table.loc[alike, alike] = np.nan
    return table


def _failures(attempts: pd.DataFrame) -> pd.DataFrame:
    failed = attempts[attempts["status"] != "ok"].groupby(["proxy", "status"])
    return failed.agg(count=("arch", "size"), example_arch=("arch", "first"), reason=("reason", "first")).reset_index()
