"""A finished ranking: its tables, its best names, and the folder that it is stored in."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from zcbench.benchmarks.ranking.sizes import COVERED
from zcbench.errors import DataError, shortened, unknown
from zcbench.lazy import load

if TYPE_CHECKING:
    from zcbench.reports.ranking.plots import RankingPlots

COLUMNS = (
    *("truth", "subset", "proxy", "kind", "higher_is_better", "n", "coverage"),
    *("tau", "tau_low", "tau_high", "rho", "rho_low", "rho_high", "tau_common", "n_common"),
    *("pearson", "weighted_tau", "ndcg"),
    *("precision_at_k", "k", "best_rank_at_k", "worst_rank_at_k", "regret", "tau_top10"),
    *("tau_given_params", "tau_given_macs", "tau_given_n_convs"),
    *("rho_given_params", "rho_given_macs", "rho_given_n_convs", "rho_given_sizes"),
    *("tau_given_all", "tau_given_all_low", "tau_given_all_high"),
    *("tau_given_all_flexible", "tau_given_all_flexible_low", "tau_given_all_flexible_high"),
    *("regret_at_size", "regret_at_size_random"),
    *("tau_within_macs_bins", "reliability", "tau_sd_seeds", "tau_sd_batches", "information_gain", "seconds", "note"),
)
"""Columns of the ranking table, in order."""

LOWER_IS_BETTER = frozenset(
    {*("best_rank_at_k", "worst_rank_at_k", "regret", "regret_at_size"), *("seconds", "tau_sd_seeds", "tau_sd_batches")}
)
"""Columns of the ranking table in which lower is better."""

SAME = 0.999
"""Absolute tau between two proxies from which on they count as one."""

_SHOWN, _SHOWN_IN_NOTEBOOKS = 3, 12
_HTML = {
    "proxy": "proxy",
    "kind": "kind",
    "n": "n",
    "tau": "τ",
    "tau_low": "low",
    "tau_high": "high",
    "rho": "ρ",
    "tau_given_params": "τ | params",
    "tau_given_macs": "τ | MACs",
}

_KEYS = ("truth", "subset", "proxy", "kind", "n")  # columns without which a table is no ranking
_FRAMES = ("table", "scores", "accuracies", "sizes", "failures")


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """Tables of a finished ranking, from which figures and pages are made.

    Attributes:
        table: one row per (truth, subset, proxy). ``n`` architectures have a value; ``coverage`` is the share of the
            attempts made (architecture, seed) that are ok; ``[tau_low, tau_high]`` and ``[rho_low, rho_high]`` are
            intervals of the delta method or of a bootstrap; ``tau_common`` is tau over the ``n_common`` architectures
            that all proxies of at least `COVERED` have in common, NaN for a proxy that lacks one of them; ``note`` has
            the reason of a missing number, and the number of scored architectures if not all were. The statistics are
            those of `zcbench.benchmarks.statistics`, NaN where undefined. A supervised row is under the
            truth that it was trained on only.
        scores: index arch, one column per proxy: mean over the ok seeds, **oriented so that higher is better**; one per
            ensemble and per supervised regression too.
        accuracies: index arch, one column per truth, in percent.
        sizes: index arch, columns ``params, macs, n_convs, depth, width``.
        correlations: per subset, Kendall's tau-b between every two proxies; computed when it is first read.
        failures: columns ``proxy, status, count, example_arch, reason``; empty when every attempt was ok.
        protocol: everything needed to repeat the numbers, JSON-able.
        subsets: the architectures of each subset.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    accuracies: pd.DataFrame
    sizes: pd.DataFrame
    correlations: Mapping[str, pd.DataFrame]
    failures: pd.DataFrame
    protocol: dict[str, Any]
    subsets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Sizes of the study, and the best rows."""
        kinds = self.table.drop_duplicates("proxy")["kind"]
        count = f"{(kinds != 'baseline').sum()} proxies and {(kinds == 'baseline').sum()} sizes"
        best = self._best(None, None).head(_SHOWN)
        rows = ", ".join(f"{name} {tau:.2f}" for name, tau in zip(best["proxy"], best["tau"]))
        return f"Ranking of {count} on {len(self.scores):,} architectures by {self._named()}; best τ: {rows}"

    def _repr_html_(self) -> str:
        """The best rows as a table, for notebooks."""
        best = self._best(None, None).head(_SHOWN_IN_NOTEBOOKS)[list(_HTML)].rename(columns=_HTML)
        table = best.to_html(index=False, na_rep="–", float_format="{:.2f}".format, border=0)
        return f"<p>{escape(repr(self).partition('; best')[0])}</p>\n{table}"

    def _named(self) -> str:
        return ", ".join(map(str, self.accuracies))

    def _best(self, truth: str | None, subset: str | None) -> pd.DataFrame:
        """Rows of one truth and one subset, the first of the table if None; best tau first, supervised ones last."""
        rows = self.to_frame(truth or str(self.table["truth"].iloc[0]), subset or str(self.table["subset"].iloc[0]))
        rows = rows.assign(apart=rows["kind"] == "supervised")
        return rows.sort_values(["apart", "tau", "proxy"], ascending=[True, False, True]).drop(columns="apart")

    def to_frame(self, truth: str | None = None, subset: str | None = None, wide: bool = False) -> pd.DataFrame:
        """The table of the ranking, or a part of it.

        Args:
            truth: one truth; all if omitted.
            subset: one subset; all if omitted.
            wide: one row per proxy. The columns are the statistics, or with several truths or subsets, a statistic
                under each: ``frame["tau"]`` has a column for each truth.

        Returns:
            One row per (truth, subset, proxy), with the columns of ``table``; or ``wide``, indexed by proxy.

        Raises:
            UnknownNameError: the ranking has no such truth or subset.

        Example:
            >>> ranking.to_frame(wide=True)["tau"].sort_values(ascending=False)  # doctest: +SKIP
        """
        rows = self.table
        for column, name in {"truth": truth, "subset": subset}.items():
            if name is not None and name not in set(self.table[column]):
                raise unknown(f"{column} of the ranking", name, set(self.table[column]))
            rows = rows if name is None else rows[rows[column] == name]
        return self._wide(rows) if wide else rows.reset_index(drop=True)

    def _wide(self, rows: pd.DataFrame) -> pd.DataFrame:
        several = [column for column in ("truth", "subset") if rows[column].nunique() > 1]
        indexed = rows.set_index(["proxy", *several]).drop(columns={"truth", "subset"} - {*several})
        order = list(dict.fromkeys(rows["proxy"]))
        return pd.DataFrame(indexed.unstack(several) if several else indexed).loc[order]

    @property
    def plot(self) -> "RankingPlots":
        """Figures: ``plot.bars(top=15, ax=None)``, ``plot.scatter("naswot")``, ``plot.size_controlled()``."""
        plots: type[RankingPlots] = load("zcbench.reports.ranking.plots:RankingPlots")
        return plots(self)

    def report(self, folder: str | Path, formats: Sequence[str] = ("svg",)) -> Path:
        """Write the page, ``index.html``, with its figures and tables.

        Args:
            folder: where to; it is made if need be.
            formats: of the figures, of ``png``, ``svg`` and ``pdf``.

        Returns:
            Path of the page.

        Raises:
            ReportError: the folder cannot be written.
            UnknownNameError: a format is none of the three.
        """
        write: Callable[..., Path] = load("zcbench.reports:write_report")
        return write(self, folder, formats=formats)

    def top(
        self, n: int, truth: str | None = None, by: str = "tau", subset: str | None = None, kind: str | None = None
    ) -> list[str]:
        """Names of the ``n`` best proxies by one column of the table, best first.

        A proxy's figure is its mean over the truths, or that of one ``truth``; equal figures are ordered by name. Left
        out are proxies without a figure under one of the truths, and those with values for less than nine in ten of
        the architectures of the subset in that truth. Baselines count too, unless ``kind`` excludes them; supervised
        regressions count only with ``kind="supervised"``.

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
        """The names without those with the same order of architectures as an earlier one, or the reverse order.

        These have an absolute tau of at least `SAME` with the earlier one, as a distance and the loss made of it.

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
        """Write the ranking to ``folder``: Parquet tables and ``protocol.json``; existing files are replaced.

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
        """Check that the tables are of one ranking.

        Raises:
            ValueError: they are not.
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
            raise ValueError("the protocol has no entry of the scores")
