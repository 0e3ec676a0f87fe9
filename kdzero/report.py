"""The report of a distiller search: figures, and one self-contained page."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from zcbench.kdzero.content import Curves, DistillerContent, Terms, judged_by
from zcbench.kdzero.figures import illustrations
from zcbench.reports.charts import Spec, points
from zcbench.reports.charts import curves as lines
from zcbench.reports.pictures import Picture, write_page
from zcbench.reports.rendering import page
from zcbench.reports.style import FORMATS
from zcbench.reports.wording import MISSING

_SHOWN = 10
_TERMS = ("ce", "sharpness", "sharpness_second_order", "cka", "accuracy", "agreement")


def write_distiller_report(
    content: Mapping[str, object],
    curves: Mapping[str, object],
    folder: str | Path,
    *,
    formats: Collection[str] = ("svg",),
) -> Path:
    """Write figures and page of a finished distiller search and return the page.

    Args:
        content: that of ``distiller.json``.
        curves: best-so-far points of this search and of others, by label, their fitness on one scale.
        folder: as in :func:`zcbench.reports.pictures.write_page`.
        formats: of the figures.
    """
    finished = cast("DistillerContent", content)
    figures = illustrations(finished, cast("Curves", curves))
    return write_page(
        folder, formats, figures, partial(distiller_page, finished, cast("Curves", curves), formats=formats)
    )


def distiller_page(
    content: DistillerContent, curves: Curves, pictures: Sequence[Picture] = (), formats: Collection[str] = ()
) -> str:
    """The page as HTML; every text is escaped."""
    history, pair, known = content["history"], content["protocol"], content["references"]
    measured = [(row["fitness"], row) for row in history if row["fitness"] is not None]
    return page(
        "distiller.html.j2",
        content
        | {
            "pair": f"{pair['student']['arch']} under {pair['teacher']['arch']}, {pair['dataset']}",
            "evaluated": len(history),
            "top": [
                (row["formula"], _cells(fitness, row["terms"]))
                for fitness, row in sorted(measured, key=lambda pair: pair[0])[:_SHOWN]
            ],
            "lines": [
                ("student alone", _cells(None, known["student alone"].get("terms"))),
                ("teacher", _cells(None, known["teacher"])),
            ],
            "judged_by": judged_by(content),
            "terms": [judged_by(content) if name == "accuracy" else name for name in _TERMS],
            "failures": [row for row in history if row["status"] != "ok"],
            "sentence": _sentence(content),
            "findings": _findings(content, curves),
            "settings": {**content["search"], **content["protocol"]},
            "pictures": pictures,
            "formats": [kind for kind in FORMATS if kind in formats],
        },
        {"charts": {"curve": _curve(curves), "points": _points(content)}},
        {"number": _number},
    )


def _sentence(content: DistillerContent) -> str:
    """What came out: the best candidate beside the student alone, on the validation images."""
    best, alone = content["best"], content["references"]["student alone"].get("terms")
    row = next((row for row in content["history"] if row["formula"] == best["formula"]), None)
    terms = row["terms"] if row else None
    found = f"The best of {len(content['history']):,} candidates has the fitness {_number(best['fitness'])}."
    if not terms or not alone or "accuracy" not in terms or "accuracy" not in alone:
        return found
    own, other = terms["accuracy"], alone["accuracy"]
    return (
        f"{found} Validation {judged_by(content)} of the student: {own:.2f} % under it, {other:.2f} % alone, a "
        f"difference of {own - other:+.2f} percentage points in shortened trainings."
    )


def _findings(content: DistillerContent, curves: Curves) -> dict[str, str]:
    """Texts in place of the charts."""
    ends = [f"{label} ends at {_number(rows[-1]['fitness'])}" for label, rows in curves.items() if rows]
    measured = sum(row["terms"] is not None for row in content["history"])
    return {
        "curve": f"Best fitness by the number of candidates evaluated: {'; '.join(ends) or 'no value'}.",
        "points": f"Cross-entropy and validation {judged_by(content)} of {measured} candidates. {_sentence(content)}",
    }


def _curve(curves: Curves) -> Spec:
    rows = [
        {"x": row["evaluations"], "y": row["fitness"], "line": label} for label, part in curves.items() for row in part
    ]
    return lines(rows, "candidates evaluated", "fitness of the best, lower is better", step=True)


def _points(content: DistillerContent) -> Spec:
    """Cross-entropy and accuracy of every measured candidate, of the best and of the student alone."""
    best, alone = content["best"]["formula"], content["references"]["student alone"].get("terms")
    rows = [
        _point(row["formula"], "best" if row["formula"] == best else "candidate", row["terms"])
        for row in sorted(content["history"], key=lambda row: row["formula"] == best)
        if row["terms"]
    ]
    rows += [_point("student alone", "student alone", alone)] if alone else []
    return points(rows, "cross-entropy, nats", f"validation {judged_by(content)}, %", _KINDS)


_KINDS = {"candidate": "var(--soft)", "best": "var(--baseline)", "student alone": "var(--proxy)"}


def _point(text: str, kind: str, terms: Terms) -> dict[str, object]:
    return {"x": terms["ce"], "y": terms["accuracy"], "kind": kind, "text": text}


def _cells(fitness: float | None, terms: Terms | None) -> list[str]:
    return [_number(fitness), *(_number((terms or {}).get(name)) for name in _TERMS)]


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
