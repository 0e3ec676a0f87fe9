"""The report of a search: figures, and one self-contained page."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from zcbench import __version__
from zcbench.reports.pictures import Picture, write_page
from zcbench.reports.rendering import rendered
from zcbench.reports.search.content import Baseline, Best, Content, Spread
from zcbench.reports.search.figures import best_of, cost_of, illustrations, pairs, space_of
from zcbench.reports.style import FORMATS
from zcbench.reports.wording import MISSING, truth_label
from zcbench.spaces import ProductSpace

_WIDE, _HIGH, _EDGE = 720, 400, 12


def write_search_report(
    content: Mapping[str, object], folder: str | Path, *, formats: Collection[str] = ("svg",)
) -> Path:
    """Write figures and page of a finished search, given the content of ``search.json``, and return the page.

    ``folder`` and ``formats`` are as in :func:`zcbench.reports.pictures.write_page`.
    """
    finished = cast("Content", content)
    return write_page(folder, formats, illustrations(finished), partial(search_page, finished, formats=formats))


def search_page(content: Content, pictures: Sequence[Picture] = (), formats: Collection[str] = ()) -> str:
    """The page as HTML; every text is escaped."""
    return rendered(
        "search.html.j2",
        content
        | {
            "version": __version__,
            "choices": _choices(content["best"]),
            "formula": content["request"]["objective"]["formula"],
            "failures": [row for row in content["history"] if row["value"] is None],
            "elsewhere": [one for one in content["repeats"][1:] if one["failed"]],
            "evaluated": len(content["history"]),
            "judgements": list(_judgements(content)),
            "plot": _plot(content),
            "pictures": pictures,
            "formats": [kind for kind in FORMATS if kind in formats],
        },
        {"figure": _figure, "grouped": _grouped},
    )


def _choices(best: Best) -> list[tuple[str, str]]:
    """Choices of an architecture by name, where its space names them."""
    space = space_of(best["space"])
    if not isinstance(space, ProductSpace):
        return []
    return [(site.name, value) for site, value in zip(space.sites, space.parse(best["arch"]))]


def _judgements(content: Content) -> Iterator[dict[str, object]]:
    """One table per truth: the selected architectures, then the baselines."""
    for name, judged in content["truths"].items():
        known = judged["accuracies"]
        rows = [("selected architectures", judged["accuracy"], known["best"])]
        for label, row in judged["baselines"].items():
            rows += [(*line, known["best"]) for line in _lines(label, row)]
        yield {
            "label": truth_label(name),
            "known": known,
            "rows": [_cells(*row) for row in rows],
            "remarks": judged["remarks"],
        }


def _lines(label: str, row: Baseline | list[Spread]) -> list[tuple[str, Spread]]:
    if isinstance(row, list):
        return [(f"{label}: {one['trainings']:,}", one) for one in row]
    accuracy = row["accuracy"]
    if isinstance(accuracy, float | int):
        return [(label, {"mean": accuracy, "n": row["equally large"]})]
    return [(label, accuracy)]


def _cells(label: str, row: Spread, best: float) -> list[str]:
    mean = row.get("mean")
    ends = "" if row.get("low") is None else f"{row['low']:.2f} to {row['high']:.2f}"
    regret = None if mean is None else best - mean
    seconds = row.get("training_seconds")
    trained = "" if seconds is None else f"{seconds:,.0f}"
    return [label, str(row["n"]), _figure(mean), ends, _figure(row.get("sd")), _figure(regret), trained]


def _plot(content: Content) -> dict[str, object]:
    """Places of the points of the Pareto plot in pixels, with a text for each."""
    cost, best = cost_of(content), content["best"]["arch"]
    every = pairs(content["history"], cost)
    front = set(best_of(every))
    (left, right), (low, high) = _ends([x for x, _ in every]), _ends([y for _, y in every])
    points = []
    for row in content["history"]:
        for x, y in pairs([row], cost):
            kind = "selected" if row["arch"] == best else "front" if (x, y) in front else "other"
            scores = ", ".join(f"{name} {_grouped(value)}" for name, value in row["scores"].items())
            place = {
                "x": round(_EDGE + (x - left) / (right - left) * (_WIDE - 2 * _EDGE), 1),
                "y": round(_HIGH - _EDGE - (y - low) / (high - low) * (_HIGH - 2 * _EDGE), 1),
            }
            text = f"{row['arch']} — {cost} {_grouped(x)}, objective {_grouped(y)}; {scores}"
            points.append(place | {"kind": kind, "text": text})
    points.sort(key=lambda point: ("other", "front", "selected").index(str(point["kind"])))
    return {"points": points, "cost": cost, "wide": _WIDE, "high": _HIGH, "ends": ((left, right), (low, high))}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _figure(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def _grouped(value: float | None) -> str:
    """Number with thousands separators or six significant digits."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1e4 else f"{value:.6g}"
