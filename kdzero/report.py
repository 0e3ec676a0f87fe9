"""The report of a distiller search: figures, and one self-contained page."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from zcbench import __version__
from zcbench.kdzero.figures import best_so_far, operation_shares, shrinking, terms_scatter
from zcbench.reports.pictures import Picture, report_folder, written
from zcbench.reports.rendering import rendered
from zcbench.reports.style import FORMATS
from zcbench.reports.wording import MISSING

Content = Mapping[str, Any]
Curves = Mapping[str, Sequence[Mapping[str, Any]]]

_SHOWN = 10
_TERMS = ("ce", "sharpness", "sharpness_second_order", "cka", "accuracy", "agreement")


def write_distiller_report(
    content: Content, curves: Curves, folder: str | Path, *, formats: Collection[str] = ("png", "svg", "pdf")
) -> Path:
    """Write figures and page of a finished distiller search; the same content gives the same bytes.

    Args:
        content: that of ``distiller.json``.
        curves: best-so-far points of this search and of others, by label, their fitness on one scale.
        folder: where to; it is made if need be.
        formats: of the figures.

    Returns:
        The page.

    Raises:
        ReportError: the folder cannot be written.
    """
    with report_folder(folder) as home:
        pictures = [written(home / "figures", formats, *drawn) for drawn in _figures(content, curves)]
        (home / "index.html").write_text(distiller_page(content, pictures, formats), encoding="utf-8", newline="\n")
    return home / "index.html"


def distiller_page(content: Content, pictures: Sequence[Picture] = (), formats: Collection[str] = ()) -> str:
    """The page as HTML; every text is escaped."""
    history = content["history"]
    measured = sorted((row for row in history if row["fitness"] is not None), key=lambda row: row["fitness"])
    return rendered(
        "distiller.html.j2",
        {
            "version": __version__,
            "best": content["best"],
            "pair": _pair(content["protocol"]),
            "search": content["search"],
            "protocol": content["protocol"],
            "warnings": content["warnings"],
            "stopped": content["stopped"],
            "statuses": content["statuses"],
            "evaluated": len(history),
            "proposals": content["proposals"],
            "duplicates": len(content["duplicates"]),
            "cost": content["cost"],
            "top": [_line(row, row["formula"]) for row in measured[:_SHOWN]],
            "references": _references(content),
            "terms": _TERMS,
            "correlations": content["correlations"],
            "failures": [row for row in history if row["status"] != "ok"],
            "pictures": pictures,
            "formats": [kind for kind in FORMATS if kind in formats],
        },
        {"number": _number},
    )


def _figures(content: Content, curves: Curves) -> Iterator[tuple[str, str, str, Figure]]:
    yield (
        "best_so_far",
        "How the best grew",
        "Fitness by the number of candidates evaluated; lower is better. Where several searches are drawn, their terms "
        "are scaled alike.",
        best_so_far(curves),
    )
    yield (
        "operations",
        "What the fittest are made of",
        f"Share of the {content['operations']['top']} fittest genomes that have an operation, and of all that were "
        "evaluated (ring). A genome has three transforms.",
        operation_shares(content["operations"]),
    )
    yield (
        "terms",
        "The terms of the fitness",
        "Every candidate that was measured, on the validation images; colour is its rank by fitness, the star is the "
        "best, the square the student trained alone.",
        terms_scatter(content),
    )
    if content["shrinkage"]:
        yield (
            "shrinkage",
            "How the space shrank",
            "Weight of the operations that are drawn least often in the end; 1 is as at the beginning.",
            shrinking(content["shrinkage"], len(content["history"])),
        )


def _pair(protocol: Mapping[str, Any]) -> str:
    return f"{protocol['student']['arch']} under {protocol['teacher']['arch']}, {protocol['dataset']}"


def _references(content: Content) -> list[tuple[str, list[str]]]:
    """Lines of the student alone and of the teacher, to hold the genomes against."""
    known = content["references"]
    alone, teacher = {"fitness": None, **known["student alone"]}, {"fitness": None, "terms": known["teacher"]}
    return [_line(alone, "student alone"), _line(teacher, "teacher")]


def _line(row: Mapping[str, Any], label: str) -> tuple[str, list[str]]:
    terms = row.get("terms") or {}
    return label, [_number(row["fitness"]), *(_number(terms.get(name)) for name in _TERMS)]


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
