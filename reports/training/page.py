"""The page of a training: the student beside the student alone and its teachers, curves, and the protocol."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from zcbench.reports.charts import Spec, curves
from zcbench.reports.pictures import Illustration, Picture, write_page
from zcbench.reports.rendering import page
from zcbench.reports.style import FORMATS
from zcbench.reports.training.curves import CROSS_ENTROPY, Row, loss_terms, term, training_curves
from zcbench.reports.training.predictions import prediction_figure
from zcbench.reports.wording import MISSING

_SETS = {"test": "test", "validation": "validation", "train": "training"}
_SHOWN = {
    "mask": "The first test images, their masks, and the class that each network gives each pixel.",
    "boxes": "The first test images, their boxes, and those that each network gives with a score of at least .5, with "
    "their classes.",
}
_ACCURACY = {"name": "accuracy", "title": "accuracy"}  # the metric of files that name none


def write_training_report(
    result: Mapping[str, object],
    history: Sequence[Row],
    folder: str | Path,
    *,
    title: str = "A training",
    alone: Sequence[Row] = (),
    predictions: Mapping[str, np.ndarray] | None = None,
    formats: Collection[str] = ("svg",),
) -> Path:
    """Write the figure and the page of a finished training and return the page.

    Args:
        result: the content of ``result.json``.
        history: rows of a `TrainingResult`, or of a ``log.json``.
        folder: as in :func:`zcbench.reports.pictures.write_page`.
        title: name of the training.
        alone: rows of the same student trained alone.
        predictions: of a segmentation: the images ``(n, H, W, 3)`` from 0 to 1, then classes ``(n, H, W)`` by title,
            the mask first; of a detection the images, ``boxes`` ``(n, K, 5)`` and detections ``(n, M, 6)`` by title.
        formats: of the figure.

    Raises:
        ReportError: the folder cannot be written.
    """
    figure = Illustration(
        "curves",
        "Losses and accuracies by epoch",
        "Terms of the loss in training mode (left), and accuracies in percent (right).",
        partial(training_curves, history, title, alone, loss=_label_loss(result)),
    )
    figures = [figure]
    if predictions is not None:
        shown = Illustration(
            "predictions",
            "Predictions on test images",
            _SHOWN["boxes" if "boxes" in predictions else "mask"],
            partial(prediction_figure, predictions, title),
        )
        figures = [figure, shown]
    return write_page(folder, formats, figures, partial(_page, result, history, alone, title, formats))


def _page(
    result: Mapping[str, object],
    history: Sequence[Row],
    alone: Sequence[Row],
    title: str,
    formats: Collection[str],
    pictures: Sequence[Picture],
) -> str:
    """The page as HTML; every text is escaped."""
    metric = _metric(result)
    rows = _compared(result)
    sentence = _sentence(rows, metric["title"], alone=bool(alone))
    content = {
        "title": title,
        "sentence": sentence,
        "tiles": [(f"{len(history):,}", "epochs"), (f"{sum(row['seconds'] for row in history):,.0f}", "seconds")],
        "rows": [(label, _number(accuracy), _number(loss)) for label, accuracy, loss in rows],
        "findings": {"accuracy": sentence, "loss": _losses_found(history)},
        "protocol": result,
        "metric": metric["title"],
        "loss": _label_loss(result),
        "pictures": [picture for picture in pictures if picture.about.stem != "predictions"],
        "predictions": [picture for picture in pictures if picture.about.stem == "predictions"],
        "formats": [kind for kind in FORMATS if kind in formats],
    }
    charts = {"accuracy": _scores(history, alone, metric), "loss": _losses(history, _label_loss(result))}
    return page("training.html.j2", content, {"charts": charts}, {})


def _compared(result: Mapping[str, object]) -> list[tuple[str, float | None, float | None]]:
    """Metric and cross-entropy of the student, of the student alone, and of the teachers, on test images."""
    metric = _metric(result)["name"]
    rows = [("student", *_measured(result, metric))]
    if isinstance(beside := result.get("baseline"), Mapping):
        rows.append(("student alone", *_measured(beside, metric)))
    teachers = result.get("teacher_details")
    known = teachers if isinstance(teachers, Sequence) else ()
    return rows + [(f"teacher {teacher['name']}", _float(teacher[f"test_{metric}"]), None) for teacher in known]


def _metric(result: Mapping[str, object]) -> dict[str, str]:
    """Name and title of the metric of the task."""
    named = result.get("metric")
    return dict(named) if isinstance(named, Mapping) else _ACCURACY


def _label_loss(result: Mapping[str, object]) -> str:
    """Name of the loss with the labels; cross-entropy in files that name none."""
    return str(result.get("label_loss", CROSS_ENTROPY))


def _measured(figures: Mapping[str, object], metric: str) -> tuple[float | None, float | None]:
    accuracy, loss = (figures.get(key) for key in (f"test_{metric}", "test_loss"))
    return _float(accuracy), _float(loss)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _sentence(rows: Sequence[tuple[str, float | None, float | None]], metric: str, *, alone: bool) -> str:
    """What came out, with the difference to the student alone where it was trained."""
    known = {label: accuracy for label, accuracy, _ in rows}
    student, single = known.get("student"), known.get("student alone")
    if student is None:
        return f"The student has no test {metric}."
    if single is None:
        return f"The student has a test {metric} of {student:.2f} %."
    return (
        f"The student has a test {metric} of {student:.2f} %, alone {single:.2f} %: a difference of "
        f"{student - single:+.2f} percentage points, of one training each."
    )


def _scores(history: Sequence[Row], alone: Sequence[Row], metric: Mapping[str, str]) -> Spec:
    name = metric["name"]
    rows = [
        {"x": row["epoch"], "y": row[f"{split}_{name}"], "line": label}
        for split, label in _SETS.items()
        for row in history
        if f"{split}_{name}" in row
    ]
    rows += [
        {"x": row["epoch"], "y": row[f"test_{name}"], "line": "test, student alone"}
        for row in alone
        if f"test_{name}" in row
    ]
    return curves(rows, "epoch", f"{metric['title']}, %")


def _losses(history: Sequence[Row], loss: str) -> Spec:
    terms = loss_terms(history)
    rows = [
        {"x": row["epoch"], "y": row[name], "line": term(name, loss)}
        for name in terms
        for row in history
        if name in row
    ]
    positive = all(row[name] > 0 for row in history for name in terms if name in row)
    return curves(rows, "epoch", "loss", log=positive)


def _losses_found(history: Sequence[Row]) -> str:
    first, last = history[0]["loss"], history[-1]["loss"]
    return f"Terms of the loss by epoch; the total goes from {first:.3g} to {last:.3g}."


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4g}"
