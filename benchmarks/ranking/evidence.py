"""Input of a ranking: scores, sizes, classes and accuracies, checked, with one row per architecture."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import RankingError, nearest

_ATTEMPT = ("arch", "proxy", "version", "seed", "value", "status", "reason", "seconds")


@dataclass(frozen=True)
class ProxyFacts:
    """Direction, kind and remark of a proxy.

    Attributes:
        higher_is_better: whether it is; None for as registered, and true for an unknown proxy.
        kind: ``"proxy"`` or ``"baseline"``; a size is a baseline, the rest are proxies, if omitted.
        note: remark for its rows.
    """

    higher_is_better: bool | None = None
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Evidence:
    """Checked input, every frame with one row per scored architecture, in alphabetical order.

    Attributes:
        trials: per proxy its values, one column per seed, NaN where not ok.
        values: oriented mean over the ok seeds, one column per proxy.
        accuracies: one column per truth, NaN where unknown.
        sizes: the columns `SIZES`.
        classes: class of each architecture.
        about: per proxy ``kind, higher_is_better, seconds, note``.
        learned: the truth that a supervised column was trained on, the only one that it is evaluated on.
        tried: per proxy where `trials` has an attempt; everywhere, for a proxy that is not in it.
    """

    trials: dict[str, pd.DataFrame]
    values: pd.DataFrame
    accuracies: pd.DataFrame
    sizes: pd.DataFrame
    classes: pd.Series
    about: pd.DataFrame
    learned: dict[str, str] = field(default_factory=dict)
    tried: dict[str, pd.DataFrame] = field(default_factory=dict)


def gather(
    scores: pd.DataFrame,
    attempts: pd.DataFrame,
    truths: Mapping[str, pd.DataFrame],
    sizes: pd.DataFrame,
    clusters: Mapping[str, str] | None,
    facts: Mapping[str, ProxyFacts],
) -> Evidence:
    """Check the input of a ranking, and reduce it to one row per scored architecture.

    Args:
        scores: attempts, older versions included.
        attempts: those of the newest versions, from `newest_attempts`.
        truths: accuracies by name.
        sizes: columns `SIZES` per architecture.
        clusters: class of each architecture; each by itself if None.
        facts: direction, kind and remarks, by proxy.

    Raises:
        RankingError: a column, size, class or accuracy is missing, or there is one too many.
    """
    archs = sorted(attempts["arch"].unique())
    size_of = _by_arch("sizes", sizes, SIZES, archs)
    classes = pd.Series(archs if clusters is None else [clusters.get(arch) for arch in archs], archs)
    for what, column in (("size", size_of["macs"]), ("class", classes)):
        _check_complete(what, column)
    trials, tried = _trials(attempts, size_of)
    about = _about(scores, attempts, {name: facts.get(name, ProxyFacts()) for name in trials})
    signs = {name: 1.0 if about.loc[name, "higher_is_better"] else -1.0 for name in trials}
    values = pd.DataFrame({name: signs[name] * trial.mean(axis=1) for name, trial in trials.items()})
    return Evidence(trials, values, _accuracies(truths, archs), size_of, classes, about, tried=tried)


def with_failures_last(evidence: Evidence) -> Evidence:
    """Evidence in which a proxy's failures, attempted architectures without a value, share its worst score.

    Their value is the next float below the smallest one. A proxy without any value stays without.
    """
    values, notes = evidence.values.copy(), dict(evidence.about["note"])
    for name, tried in evidence.tried.items():
        failed = values[name].isna() & tried.any(axis=1)
        if failed.any() and not failed.all():
            values.loc[failed, name] = np.nextafter(values[name].min(), -np.inf)
            notes[name] = "; ".join(filter(None, [notes[name], f"{failed.sum():,} failures ranked last"]))
    return replace(evidence, values=values, about=evidence.about.assign(note=pd.Series(notes)))


def coverage(evidence: Evidence, proxy: str, places: NDArray[np.intp]) -> tuple[float, str]:
    """Share of the attempts made on these rows that are ok, and a note if some were not made; NaN without any."""
    ok = evidence.trials[proxy].notna().to_numpy()[places]
    tried = evidence.tried[proxy].to_numpy()[places] if proxy in evidence.tried else np.ones_like(ok)
    some, complete = int(tried.any(axis=1).sum()), int(tried.all(axis=1).sum())
    notes = [f"scored on {some:,} of {len(places):,}"] if some < len(places) else []
    notes += [f"with all {tried.shape[1]} seeds on {complete:,}"] if complete < some else []
    return float(ok.sum() / tried.sum()) if tried.any() else np.nan, ", ".join(notes)


def _check_columns(what: str, table: pd.DataFrame, expected: Collection[str]) -> None:
    for name in expected:
        if name not in table.columns:
            raise RankingError(
                f"The {what} have the columns {', '.join(map(str, table.columns))}. Expected {', '.join(expected)}: "
                f"{name!r} is missing. {nearest(name, map(str, table.columns))}"
            )


def newest_attempts(scores: pd.DataFrame) -> pd.DataFrame:
    """The attempts of each proxy's newest version, checked and sorted."""
    _check_columns("scores", scores, _ATTEMPT)
    newest = scores["version"] == scores.groupby("proxy")["version"].transform("max")
    attempts = scores[newest].sort_values(["proxy", "arch", "seed"]).astype({"value": float, "seconds": float})
    ok = attempts["status"] == "ok"
    for wrong, what in (
        (attempts.duplicated(["arch", "proxy", "seed"]), "is there twice. Expected one row per attempt"),
        (
            ok & ~np.isfinite(attempts["value"]),
            "is 'ok' without a finite value. Expected the status 'nan' or 'infinite'",
        ),
    ):
        if wrong.any():
            row = attempts[wrong].iloc[0]
            raise RankingError(
                f"The score of {row['proxy']!r} for {row['arch']!r} with seed {row['seed']} {what}; score it again."
            )
    return attempts


def _by_arch(what: str, table: pd.DataFrame, columns: Collection[str], archs: list[str]) -> pd.DataFrame:
    """The columns of a table by architecture, checked; NaN where the table has no such architecture."""
    _check_columns(what, table, ("arch", *columns))
    found = table.set_index("arch")[list(columns)].astype(float)
    for wrong, how in (
        (found.index.duplicated(), "more than one row. Expected one per architecture, such as a mean over runs"),
        (~np.isfinite(found.to_numpy()).all(axis=1), "no finite number. Expected one; mend or leave out that row"),
    ):
        if wrong.any():
            raise RankingError(f"The {what} have for {found.index[wrong][0]!r} {how} ({wrong.sum()} such rows).")
    return found.reindex(archs)


def _check_complete(what: str, column: pd.Series) -> None:
    lacking = column.index[column.isna()]
    if len(lacking):
        raise RankingError(
            f"{len(lacking)} of {len(column)} scored architectures have no {what}, for example {lacking[0]!r}. "
            "Expected one for each; give those of the space that was scored."
        )


def _accuracies(truths: Mapping[str, pd.DataFrame], archs: list[str]) -> pd.DataFrame:
    if not truths:
        raise RankingError("No truth was given. Expected at least one, such as 'nasbench201/cifar10'.")
    known = {name: _by_arch(f"accuracies of {name!r}", table, ["accuracy"], archs) for name, table in truths.items()}
    return pd.DataFrame({name: table["accuracy"] for name, table in known.items()})


def _trials(attempts: pd.DataFrame, sizes: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Per proxy a value for each architecture and seed, NaN where not ok, and whether it was attempted.

    The baselines come first, from the sizes, and need no attempts.
    """
    archs, seeds = sizes.index, attempts["seed"].to_numpy()
    places = archs.get_indexer(pd.Index(attempts["arch"]))
    values = attempts["value"].where(attempts["status"] == "ok").to_numpy()
    trials, tried = {name: sizes[[name]] for name in SIZES}, {}
    for name, rows in attempts.groupby("proxy").indices.items():
        if name in SIZES:
            continue
        drawn, column = np.unique(seeds[rows], return_inverse=True)
        table, made = np.full((len(archs), len(drawn)), np.nan), np.zeros((len(archs), len(drawn)), dtype=bool)
        table[places[rows], column], made[places[rows], column] = values[rows], True
        trials[str(name)], tried[str(name)] = (pd.DataFrame(found, archs, drawn) for found in (table, made))
    return trials, tried


def _about(scores: pd.DataFrame, attempts: pd.DataFrame, facts: Mapping[str, ProxyFacts]) -> pd.DataFrame:
    several = scores.groupby("proxy")["version"].nunique() > 1
    older = {name: "older versions left out" if several.get(name, False) else "" for name in facts}
    return pd.DataFrame(
        {
            "kind": [known.kind or ("baseline" if name in SIZES else "proxy") for name, known in facts.items()],
            "higher_is_better": [known.higher_is_better is not False for known in facts.values()],
            "seconds": attempts.groupby("proxy")["seconds"].mean().reindex(list(facts)).to_numpy(),
            "note": ["; ".join(filter(None, (known.note, older[name]))) for name, known in facts.items()],
        },
        index=list(facts),
    )
