"""The report on disk: tables, figures, and one self-contained page that shows them."""

from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from markupsafe import Markup

from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.errors import unknown
from zcbench.reports.pictures import Picture, ReportError, report_folder, write_page
from zcbench.reports.ranking import selection
from zcbench.reports.ranking.answers import Selected, answers, selected
from zcbench.reports.ranking.content import STATISTICS, chart_content, sample_note
from zcbench.reports.ranking.figures import illustrations
from zcbench.reports.ranking.tables import COLUMNS, Column, failures_table, write_tables
from zcbench.reports.rendering import page
from zcbench.reports.style import FORMATS, KIND_NAMES
from zcbench.reports.wording import count, percent, slug, typeset

TITLE = "How well training-free scores rank architectures"


def write_report(
    ranking: Ranking, folder: str | Path, *, formats: Collection[str] = ("svg",), title: str = TITLE
) -> Path:
    """Write tables, figures and the page of a finished ranking; the same ranking gives the same bytes.

    Args:
        ranking: a finished ranking.
        folder: where to; it is made if need be, and files of an earlier report in it are overwritten.
        formats: file formats of the figures, of ``png``, ``svg`` and ``pdf``; the page has them in any case.
        title: heading of the page.

    Returns:
        Path of ``index.html``, which needs no other file except for its download links.

    Raises:
        ReportError: the ranking has no rows, or the folder cannot be written.
        UnknownNameError: a format is none of the three.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("figure format", name, FORMATS)
    if ranking.table.empty:
        raise ReportError("The ranking has no rows. Expected at least one proxy against one truth; rank a run first.")
    with report_folder(folder) as home:
        write_tables(ranking, home / "tables")
    return write_page(folder, formats, illustrations(ranking), partial(_page, ranking, formats, title))


def _page(ranking: Ranking, formats: Collection[str], title: str, pictures: list[Picture]) -> str:
    """The page as HTML; every text is escaped."""
    chosen = selected(ranking)
    first = next(iter(chosen.values()))
    scores, accuracies = list(map(str, ranking.scores)), selection.labels(ranking)
    sizes = {str(name): SIZE_NAMES.get(str(name), str(name)) for name in ranking.sizes}
    content = {
        "title": title,
        "labels": accuracies,
        "other_labels": {"": "the same", **accuracies},
        "subset_names": {name: name for name in selection.subsets(ranking)},
        "tiles": _tiles(ranking),
        "selections": list(chosen.values()),
        "answers": answers(chosen, ranking),
        "intervals": selection.intervals_named(ranking),
        "cutoff": selection.cutoff(ranking),
        "proxies": {name: name for name in [*sorted(set(scores) - set(sizes)), *sizes]},
        "best_name": str(first.scores.iloc[0]["proxy"] if len(first.scores) else scores[0]),
        "size_name": str(first.size["proxy"] if first.size is not None else next(iter(sizes))),
        "colours": {"": "none", **sizes, **{name: f"accuracy, {label}" for name, label in accuracies.items()}},
        "statistics": STATISTICS,
        "sample": sample_note(ranking),
        "kinds": {kind: name for kind, name in KIND_NAMES.items() if kind in set(ranking.table["kind"])},
        "columns": _COLUMNS,
        "default_columns": _DEFAULT_COLUMNS,
        "words": ("proxy", "kind", "beats", "note"),
        "tables": [_table(ranking, one) for one in chosen.values()],
        "pictures": pictures,
        "formats": [kind for kind in FORMATS if kind in formats],
        "failures": failures_table(ranking),
        "gaps": list(_gaps(ranking)),
        "protocol": ranking.protocol,
        "protocol_link": Markup('<a href="tables/protocol.json">protocol.json</a>'),
    }
    return page("ranking.html.j2", content, chart_content(ranking, chosen), {"slug": slug, "typeset": typeset})


SIZE_NAMES = {"params": "parameters", "macs": "MACs", "n_convs": "convolutions"}

_AT = next(place for place, column in enumerate(COLUMNS) if column.key == "rho") + 1
_COLUMNS = (
    *COLUMNS[:_AT],
    Column("difference", "τ − size", "τ minus that of the best size baseline over the same architectures, paired."),
    Column("beats", "beats size", "Whether the interval of that difference is above 0.", str),
    *COLUMNS[_AT:],
)
#: Of the columns of a paper, those that fit into 1400 pixels.
_DEFAULT_COLUMNS = {column.key for column in COLUMNS if column.paper} | {"difference", "beats"}
_DEFAULT_COLUMNS -= {"coverage", "tau_given_macs", "tau_given_all_flexible"}

_PLURALS = {
    "proxy": "proxies",
    "size baseline": "size baselines",
    "ensemble": "ensembles",
    "supervised regression": "supervised regressions",
}


def _tiles(ranking: Ranking) -> list[tuple[str, str]]:
    """The size of the study in a few numbers."""
    kinds = Counter(ranking.table.drop_duplicates("proxy")["kind"])
    known = len(selection.truths(ranking))
    tiles = [(len(ranking.accuracies), "architectures"), (known, "truth" if known == 1 else "truths")]
    tiles[1:1] = [
        (kinds[kind], name if kinds[kind] == 1 else _PLURALS[name]) for kind, name in KIND_NAMES.items() if kinds[kind]
    ]
    return [(count(number), name) for number, name in tiles]


def _table(ranking: Ranking, one: Selected) -> dict[str, object]:
    """One sortable table; equal rows are one."""
    lines = [
        {"kind": row["kind"], "equal": row["equal"], "cells": [column.text(row) for column in _COLUMNS]}
        for _, row in one.rows.iterrows()
    ]
    return {
        "truth": one.truth,
        "subset": one.subset,
        "title": selection.described(ranking, one.truth, one.subset),
        "shared": selection.shared(ranking, one.truth, one.subset),
        "lines": lines,
        "stem": f"{slug(one.truth)}.{slug(one.subset)}",
    }


def _gaps(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Proxies with values for less than all attempts on the first truth and subset, and their coverage in percent."""
    rows = selection.select(ranking)
    for _, row in rows[rows["coverage"] < 1].sort_values("coverage").iterrows():
        yield row["proxy"], percent(row["coverage"])
