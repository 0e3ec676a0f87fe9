"""The page of a training: the student beside the student alone and its teachers, curves, and the protocol."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from zcbench.reports.charts import Spec, curves
from zcbench.reports.pictures import Illustration, Picture, write_page
from zcbench.reports.rendering import page
from zcbench.reports.style import FORMATS
from zcbench.reports.training.curves import NAMES, Row, loss_terms, training_curves
from zcbench.reports.wording import MISSING

_ACCURACIES = {"test_accuracy": "test", "validation_accuracy": "validation", "train_accuracy": "training"}


def write_training_report(
    result: Mapping[str, object],
    history: Sequence[Row],
    folder: str | Path,
    *,
    title: str = "A training",
    alone: Sequence[Row] = (),
    formats: Collection[str] = ("svg",),
) -> Path:
    """Write the figure and the page of a finished training and return the page.

    Args:
        result: the content of ``result.json``.
        history: rows of a `TrainingResult`, or of a ``log.json``.
        folder: as in :func:`zcbench.reports.pictures.write_page`.
        title: name of the training.
        alone: rows of the same student trained alone.
        formats: of the figure.

    Raises:
        ReportError: the folder cannot be written.
    """
    figure = Illustration(
        "curves",
        "Losses and accuracies by epoch",
        "Terms of the loss in training mode (left), and accuracies in percent (right).",
        partial(training_curves, history, title, alone),
    )
    return write_page(folder, formats, [figure], partial(_page, result, history, alone, title, formats))


def _page(
    result: Mapping[str, object],
    history: Sequence[Row],
    alone: Sequence[Row],
    title: str,
    formats: Collection[str],
    pictures: Sequence[Picture],
) -> str:
    """The page as HTML; every text is escaped."""
    rows = _compared(result)
    sentence = _sentence(rows, alone=bool(alone))
    content = {
        "title": title,
        "sentence": sentence,
        "tiles": [(f"{len(history):,}", "epochs"), (f"{sum(row['seconds'] for row in history):,.0f}", "seconds")],
        "rows": [(label, _number(accuracy), _number(loss)) for label, accuracy, loss in rows],
        "findings": {"accuracy": sentence, "loss": _losses_found(history)},
        "protocol": result,
        "pictures": pictures,
        "formats": [kind for kind in FORMATS if kind in formats],
    }
    charts = {"accuracy": _accuracies(history, alone), "loss": _losses(history)}
    return page("training.html.j2", content, {"charts": charts}, {})


def _compared(result: Mapping[str, object]) -> list[tuple[str, float | None, float | None]]:
    """Test accuracy and cross-entropy of the student, of the student alone, and of the teachers."""
    rows = [("student", *_measured(result))]
    if isinstance(beside := result.get("baseline"), Mapping):
        rows.append(("student alone", *_measured(beside)))
    teachers = result.get("teacher_details")
    known = teachers if isinstance(teachers, Sequence) else ()
    return rows + [(f"teacher {teacher['name']}", _float(teacher["test_accuracy"]), None) for teacher in known]


def _measured(figures: Mapping[str, object]) -> tuple[float | None, float | None]:
    accuracy, loss = (figures.get(key) for key in ("test_accuracy", "test_loss"))
    return _float(accuracy), _float(loss)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _sentence(rows: Sequence[tuple[str, float | None, float | None]], *, alone: bool) -> str:
    """What came out, with the difference to the student alone where it was trained."""
    known = {label: accuracy for label, accuracy, _ in rows}
    student, single = known.get("student"), known.get("student alone")
    if student is None:
        return "The student has no test accuracy."
    if single is None:
        return f"The student has a test accuracy of {student:.2f} %."
    return (
        f"The student has a test accuracy of {student:.2f} %, alone {single:.2f} %: a difference of "
        f"{student - single:+.2f} percentage points, of one training each."
    )


def _accuracies(history: Sequence[Row], alone: Sequence[Row]) -> Spec:
    rows = [
        {"x": row["epoch"], "y": row[key], "line": label}
        for key, label in _ACCURACIES.items()
        for row in history
        if key in row
    ]
    rows += [
        {"x": row["epoch"], "y": row["test_accuracy"], "line": "test, student alone"}
        for row in alone
        if "test_accuracy" in row
    ]
    return curves(rows, "epoch", "accuracy, %")


def _losses(history: Sequence[Row]) -> Spec:
    terms = loss_terms(history)
    rows = [
        {"x": row["epoch"], "y": row[name], "line": NAMES.get(name, name)}
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
