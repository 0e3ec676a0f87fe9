"""Tables of a finished ranking as CSV (full precision), Markdown and LaTeX (rounded)."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.reports.markup import escape_markdown, to_latex, to_markdown
from zcbench.reports.ranking.selection import (
    cutoff,
    described,
    intervals_named,
    labels,
    select,
    selections,
    subsets,
    truths,
)
from zcbench.reports.wording import MISSING, count, interval, milliseconds, number, percent, points, positive, slug


@dataclass(frozen=True)
class Column:
    """One column of the detailed table: its source, its heading and its meaning.

    Attributes:
        key: column of ``Ranking.table``; ``KEY_low`` and ``KEY_high``, where the table has them, are its interval.
        heading: heading of the column.
        meaning: one sentence for the legend.
        show: turns a value into text.
        paper: whether the narrower LaTeX table has it.
    """

    key: str
    heading: str
    meaning: str
    show: Callable[[Any], str] = number
    paper: bool = False

    def text(self, row: pd.Series) -> str:
        """Cell of ``row`` as text; ``–`` where the value is undefined, or the ranking has no such column."""
        if f"{self.key}_low" in row.index:
            return interval(row[self.key], row[f"{self.key}_low"], row[f"{self.key}_high"])
        return self.show(row.get(self.key, math.nan))  # a ranking of an earlier version lacks the newest columns


COLUMNS = (
    Column("proxy", "proxy", "Name of the proxy or baseline.", str, True),
    Column(
        "kind",
        "kind",
        "Proxy, size baseline, ensemble (aggregated ranks over the architectures), or supervised (a regression trained "
        "on accuracies and evaluated by cross-fitting; not comparable with training-free rows).",
        str,
        True,
    ),
    Column("n", "n", "Architectures that enter the correlations: those with a score and an accuracy.", count),
    Column("coverage", "coverage %", "Share of the attempts that gave a value, in percent.", percent, True),
    Column("tau", "τ", "Kendall's τ-b with accuracy, with its confidence interval.", paper=True),
    Column("rho", "ρ", "Spearman's ρ with accuracy, with its confidence interval.", paper=True),
    Column(
        "tau_common",
        "τ common",
        "τ over the architectures with a value of every proxy; compare this where n differs.",
    ),
    Column("n_common", "n common", "Number of these architectures.", count),
    Column("tau_given_params", "τ | params", "Partial τ-b given parameters.", paper=True),
    Column("tau_given_macs", "τ | MACs", "Partial τ-b given MACs.", paper=True),
    Column("tau_given_n_convs", "τ | convs", "Partial τ-b given the number of convolutions."),
    Column("rho_given_sizes", "ρ | params, MACs", "Partial ρ given parameters and MACs together."),
    Column(
        "tau_given_all",
        "τ | all sizes",
        "τ-b of the residual ranks given parameters, MACs, convolutions, depth and width together, with its interval.",
        paper=True,
    ),
    Column(
        "tau_given_all_flexible",
        "τ | all sizes, flexible",
        "The same given also squares, products and logarithms of the ranks of the sizes: a function of the sizes alone "
        "has about 0.",
        paper=True,
    ),
    Column("tau_within_macs_bins", "τ in bins", "Mean τ-b among architectures of similar MACs."),
    Column("tau_top10", "τ top 10 %", "τ-b within the tenth of the architectures with the best accuracy.", paper=True),
    Column("weighted_tau", "weighted τ", "Weighted τ: pairs that involve the best architectures count more."),
    Column("ndcg", "nDCG", "Normalised discounted cumulative gain of the order by score; 1 is a perfect order."),
    Column("precision_at_k", "P@k", "Share of the k best-scored that are among the k most accurate.", paper=True),
    Column("best_rank_at_k", "BR@k %", "Best accuracy rank among the k best-scored, in percent; low is good.", percent),
    Column(
        "worst_rank_at_k", "WR@k %", "Worst accuracy rank among the k best-scored, in percent; low is good.", percent
    ),
    Column("regret", "regret", "Best accuracy minus that of the best-scored, in percentage points.", points, True),
    Column(
        "regret_at_size",
        "regret at size",
        "Expected regret of the best-scored among architectures with the parameters of a drawn one, ±10 %, in points.",
        points,
        True,
    ),
    Column("regret_at_size_random", "at random", "The same for a choice at random.", points),
    Column("information_gain", "info gain", "Information on accuracy beyond a size baseline."),
    Column(
        "reliability",
        "reliability",
        "Agreement of the scores of different seeds; 1 is perfect, – with one seed or where the seeds disagree.",
        positive,
    ),
    Column("tau_sd_seeds", "sd over seeds", "Standard deviation of τ over the initialisation seeds."),
    Column("tau_sd_batches", "sd over batches", "Standard deviation of τ over the batches."),
    Column(
        "seconds", "ms", "Mean cost per architecture in milliseconds on the machine of the run.", milliseconds, True
    ),
    Column("note", "note", "Remarks, such as why a number is missing.", str),
)


_TAU = next(column for column in COLUMNS if column.key == "tau")


def detail_table(ranking: Ranking, truth: str | None = None, subset: str | None = None) -> pd.DataFrame:
    """All statistics of one truth and one subset as text, one row per proxy, with the headings of ``COLUMNS``."""
    rows = select(ranking, truth, subset)
    return pd.DataFrame({column.heading: [column.text(row) for _, row in rows.iterrows()] for column in COLUMNS})


def summary_table(ranking: Ranking, subset: str | None = None) -> pd.DataFrame:
    """Tau with its interval as text: one row per proxy, one column per truth, best mean tau first, supervised last."""
    columns = {truth: select(ranking, truth, subset).set_index("proxy") for truth in truths(ranking)}
    mean = pd.DataFrame({truth: rows["tau"] for truth, rows in columns.items()}).mean(axis=1)
    kinds = {name: kind for rows in columns.values() for name, kind in rows["kind"].items()}
    names = sorted(mean.index, key=lambda n: (kinds[n] == "supervised", pd.isna(mean[n]), -mean[n], n))
    cells = {
        labels(ranking)[truth]: [_TAU.text(rows.loc[name]) if name in rows.index else MISSING for name in names]
        for truth, rows in columns.items()
    }
    return pd.DataFrame({"proxy": names, "kind": [kinds[name] for name in names]} | cells)


def failures_table(ranking: Ranking) -> pd.DataFrame:
    """Attempts that gave no value, as text: proxy, status, how many, one example and its reason."""
    return ranking.failures.fillna("").astype(str).rename(columns={"example_arch": "example"})


def write_tables(ranking: Ranking, folder: Path) -> None:
    """Write all tables of a ranking to ``folder``; the same ranking gives the same bytes.

    ``ranking.csv`` has every number at full precision, ``ranking.{md,tex}`` tau for all truths, ``detail/`` one table
    per truth and subset; ``scores``, ``accuracies``, ``sizes`` and ``correlations-SUBSET`` are the data of the figures.
    """
    (folder / "detail").mkdir(parents=True, exist_ok=True)
    for name, frame in _frames(ranking).items():
        frame.to_csv(folder / f"{name}.csv", index=frame.index.name is not None, lineterminator="\n")
    _write(folder / "protocol.json", json.dumps(ranking.protocol, indent=2, ensure_ascii=False, default=str) + "\n")
    summaries = {
        f"τ over the subset {subset}, {intervals_named(ranking)}": summary_table(ranking, subset)
        for subset in subsets(ranking)
    }
    _write_texts(folder / "ranking", summaries)
    _write_texts(folder / "failures", {"Attempts that gave no value": failures_table(ranking)})
    for truth, subset, _ in selections(ranking):
        caption = f"{described(ranking, truth, subset)}, {intervals_named(ranking)}{cutoff(ranking)}"
        _write_texts(
            folder / "detail" / f"{slug(truth)}.{slug(subset)}", {caption: detail_table(ranking, truth, subset)}
        )


def _frames(ranking: Ranking) -> dict[str, pd.DataFrame]:
    """All numbers, by file name; a named index is a column of the file."""
    frames = {"scores": ranking.scores, "accuracies": ranking.accuracies, "sizes": ranking.sizes}
    frames = {name: frame.rename_axis(index="arch") for name, frame in frames.items()}
    for subset, matrix in ranking.correlations.items():
        frames[f"correlations-{slug(subset)}"] = matrix.rename_axis(index="proxy")
    return frames | {"ranking": ranking.table, "failures": ranking.failures}


def _write_texts(stem: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write captioned tables to one Markdown and one LaTeX file; the latter has only the columns fit for a paper."""
    wide = {column.heading for column in COLUMNS if not column.paper}
    markdown = [f"## {escape_markdown(caption)}\n\n{to_markdown(table)}" for caption, table in tables.items()]
    latex = [to_latex(table.drop(columns=wide & set(table.columns)), caption) for caption, table in tables.items()]
    _write(stem.with_name(stem.name + ".md"), "\n".join(markdown))
    _write(stem.with_name(stem.name + ".tex"), "\n".join(latex))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
