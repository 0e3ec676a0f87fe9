"""The report of a distiller search: figures, and one self-contained page."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from zcbench import __version__
from zcbench.kdzero.content import Curves, DistillerContent, Terms
from zcbench.kdzero.figures import illustrations
from zcbench.reports.pictures import Picture, write_page
from zcbench.reports.rendering import rendered
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
    return write_page(folder, formats, figures, partial(distiller_page, finished, formats=formats))


def distiller_page(content: DistillerContent, pictures: Sequence[Picture] = (), formats: Collection[str] = ()) -> str:
    """The page as HTML; every text is escaped."""
    history, pair, known = content["history"], content["protocol"], content["references"]
    measured = [(row["fitness"], row) for row in history if row["fitness"] is not None]
    return rendered(
        "distiller.html.j2",
        content
        | {
            "version": __version__,
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
            "terms": _TERMS,
            "failures": [row for row in history if row["status"] != "ok"],
            "pictures": pictures,
            "formats": [kind for kind in FORMATS if kind in formats],
        },
        {"number": _number},
    )


def _cells(fitness: float | None, terms: Terms | None) -> list[str]:
    return [_number(fitness), *(_number((terms or {}).get(name)) for name in _TERMS)]


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
