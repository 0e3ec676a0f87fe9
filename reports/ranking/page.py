"""The report on disk: tables, figures, and one self-contained page that shows them."""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from numbers import Real
from pathlib import Path

import pandas as pd

from zcbench import __version__
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.errors import unknown
from zcbench.reports.pictures import Picture, ReportError, report_folder, write_page
from zcbench.reports.ranking import selection
from zcbench.reports.ranking.figures import illustrations
from zcbench.reports.ranking.tables import COLUMNS, failures_table, summary_table, write_tables
from zcbench.reports.rendering import rendered
from zcbench.reports.style import FORMATS, KIND_NAMES
from zcbench.reports.wording import HYPHEN, MINUS, count, interval, percent, slug

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
    content = {
        "title": title,
        "version": __version__,
        "labels": selection.labels(ranking),
        "subsets": selection.subsets(ranking),
        "tiles": _tiles(ranking),
        "findings": list(_findings(ranking)),
        "intervals": selection.intervals_named(ranking),
        "cutoff": selection.cutoff(ranking),
        "columns": COLUMNS,
        "summaries": {subset: summary_table(ranking, subset) for subset in selection.subsets(ranking)},
        "details": [_detail(ranking, *chosen) for chosen in selection.selections(ranking)],
        "pictures": pictures,
        "formats": [kind for kind in FORMATS if kind in formats],
        "failures": failures_table(ranking),
        "gaps": list(_gaps(ranking)),
        "protocol": ranking.protocol,
    }
    filters: dict[str, Callable[..., object]] = {"fact": _fact, "fields": _fields, "slug": slug, "typeset": _typeset}
    return rendered("page.html.j2", content, filters, {"table": _is_table, "line": _is_line})


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


def _findings(ranking: Ranking) -> Iterator[dict[str, str]]:
    """For each truth and subset: best proxy or ensemble, best size baseline, and whether their intervals overlap."""
    for truth, subset, rows in selection.selections(ranking):
        known = rows[rows["tau"].notna()]
        scored, sizes = known[known["kind"].isin(("proxy", "ensemble"))], known[known["kind"] == "baseline"]
        if len(scored) and len(sizes):
            best, size = scored.iloc[0], sizes.iloc[0]
            yield {
                "truth": truth,
                "subset": subset,
                "what": selection.described(ranking, truth, subset),
                "verdict": _verdict(best, size),
            } | {
                f"{role}_{part}": text
                for role, row in (("best", best), ("size", size))
                for part, text in (
                    ("name", row["proxy"]),
                    ("tau", interval(row["tau"], row["tau_low"], row["tau_high"])),
                )
            }


def _verdict(best: pd.Series, size: pd.Series) -> str:
    """Relation of the intervals of the best proxy and of the best size baseline."""
    if best["tau_low"] > size["tau_high"]:
        return "above it, intervals disjoint"
    if best["tau_high"] < size["tau_low"]:
        return "below it, intervals disjoint"
    return "the intervals overlap"


def _detail(ranking: Ranking, truth: str, subset: str, rows: pd.DataFrame) -> dict[str, object]:
    """One sortable table: for each cell its text and the value it sorts by."""
    lines = [
        {"kind": row["kind"], "cells": [(column.text(row), _sort_key(row.get(column.key))) for column in COLUMNS]}
        for _, row in rows.iterrows()
    ]
    stem = f"{slug(truth)}.{slug(subset)}"
    title, note = selection.described(ranking, truth, subset), selection.shared(ranking, truth, subset)
    return {"truth": truth, "subset": subset, "title": title, "shared": note, "lines": lines, "stem": stem}


def _sort_key(value: object) -> str:
    """Value as JavaScript reads it; empty if it is undefined, which sorts last."""
    if isinstance(value, str):
        return value
    return repr(float(value)) if isinstance(value, Real) and math.isfinite(value) else ""


def _gaps(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Proxies with values for less than all attempts on the first truth and subset, and their coverage in percent."""
    rows = selection.select(ranking)
    for _, row in rows[rows["coverage"] < 1].sort_values("coverage").iterrows():
        yield row["proxy"], percent(row["coverage"])


def _typeset(text: str) -> str:
    """Numbers in a text with a true minus sign."""
    return HYPHEN.sub(MINUS, text)


def _is_table(value: object) -> bool:
    """Whether a part of the protocol is a mapping of mappings, to be shown as a table."""
    return isinstance(value, Mapping) and len(value) > 0 and all(isinstance(part, Mapping) for part in value.values())


def _is_line(value: object) -> bool:
    """Whether a part of the protocol is a mapping of numbers, to be shown on one line."""
    return isinstance(value, Mapping) and len(value) > 0 and all(isinstance(part, Real) for part in value.values())


def _fields(table: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Columns of a table of the protocol: every key of its parts, in the order of their first use."""
    return list(dict.fromkeys(key for part in table.values() for key in part))


_CHECKSUM = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")


def _fact(value: object) -> str:
    """One value of the protocol as text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        words = [_fact(part) for part in value[:12]]
        return ", ".join(words) + (f", … ({len(value)} in all)" if len(value) > 12 else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(part)}" for key, part in value.items())
    return _CHECKSUM.sub(r"\1…", str(value))
