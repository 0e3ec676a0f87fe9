"""The report of a search: figures, and one self-contained page."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from zcbench.reports.charts import Spec, curves, points
from zcbench.reports.pictures import Picture, write_page
from zcbench.reports.rendering import page
from zcbench.reports.search.content import Baseline, Best, Content, Spread
from zcbench.reports.search.figures import COSTS, best_of, cost_of, illustrations, pairs, space_of
from zcbench.reports.style import FORMATS
from zcbench.reports.wording import MISSING, truth_label
from zcbench.spaces import ProductSpace


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
    charts = {"points": _points(content), "curve": _curve(content)}
    return page(
        "search.html.j2",
        content
        | {
            "choices": _choices(content["best"]),
            "formula": content["request"]["objective"]["formula"],
            "failures": [row for row in content["history"] if row["value"] is None],
            "elsewhere": [one for one in content["repeats"][1:] if one["failed"]],
            "evaluated": len(content["history"]),
            "judgements": list(_judgements(content)),
            "cost": cost_of(content),
            "sentence": _sentence(content),
            "findings": _findings(content),
            "pictures": pictures,
            "formats": [kind for kind in FORMATS if kind in formats],
        },
        {"charts": charts},
        {"figure": _figure, "grouped": _grouped},
    )


def _sentence(content: Content) -> str:
    """What came out: the objective of the result, and its accuracies where they are known."""
    best, formula = content["best"], content["request"]["objective"]["formula"]
    found = [f"The selected architecture has {formula} {_grouped(best['value'])}."]
    for name, judged in content["truths"].items():
        mean, known = judged["accuracy"].get("mean"), judged["accuracies"]["best"]
        if mean is not None:
            found.append(f"Accuracy, {truth_label(name)}: {mean:.2f} %; the best within the budget has {known:.2f} %.")
    return " ".join(found)


def _findings(content: Content) -> dict[str, str]:
    """Texts in place of the charts."""
    cost, every = cost_of(content), pairs(content["history"], cost_of(content))
    values = [row["mean"] for row in content["best_so_far"] if row["mean"] is not None]
    rise = f"It rises from {_grouped(values[0])} to {_grouped(values[-1])}." if values else "It has no value."
    points_found = (
        f"Objective against {cost} of {len(every)} architectures; {len(best_of(every))} of them are on the front. "
        f"The selected one has {_grouped(content['best']['costs'].get(cost))} {cost}."
    )
    return {"points": points_found, "curve": f"Objective of the result by the number of evaluations. {rise}"}


def _points(content: Content) -> Spec:
    """Cost and objective of every architecture; the selected one above the front, the front above the others."""
    cost, best = cost_of(content), content["best"]["arch"]
    front = set(best_of(pairs(content["history"], cost)))
    rows = [
        {"x": x, "y": y, "text": row["arch"], "kind": _kind(row["arch"] == best, (x, y) in front)}
        for row in content["history"]
        for x, y in pairs([row], cost)
    ]
    rows.sort(key=lambda row: list(_KINDS).index(str(row["kind"])))
    return points(rows, COSTS.get(cost, cost), content["request"]["objective"]["formula"], _KINDS)


_KINDS = {"other": "var(--soft)", "front": "var(--ensemble)", "selected": "var(--baseline)"}


def _kind(selected: bool, front: bool) -> str:
    return "selected" if selected else "front" if front else "other"


def _curve(content: Content) -> Spec:
    """Mean objective of the result over the seeds by the number of evaluations."""
    formula = content["request"]["objective"]["formula"]
    known = [row for row in content["best_so_far"] if row["mean"] is not None]
    rows = [{"x": row["evaluations"], "y": row["mean"], "line": formula} for row in known]
    return curves(rows, "architectures evaluated", "objective of the result", step=True)


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


def _figure(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def _grouped(value: float | None) -> str:
    """Number with thousands separators or six significant digits."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1e4 else f"{value:.6g}"
