"""Losses and accuracies of a training by epoch."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from zcbench.reports.style import PALETTE, figure_of, panels, render, styled
from zcbench.storage.files import replaced

Row = Mapping[str, float]

_COLOURS = (*PALETTE, "#000000")
_PLACES = ("epoch", "step", "lr", "seconds", "train_accuracy")
CROSS_ENTROPY = "cross-entropy"
NAMES = {
    "loss": "total",
    "ce": "cross-entropy",
    "test_loss": "cross-entropy, test",
    "validation_loss": "cross-entropy, validation",
}
"""Names of losses in figures."""

_ACCURACIES = {"train_accuracy": "training", "test_accuracy": "test", "validation_accuracy": "validation"}


@styled
def training_curves(
    history: Sequence[Row],
    title: str = "",
    alone: Sequence[Row] = (),
    ax: Iterable[Axes] | None = None,
    loss: str = CROSS_ENTROPY,
) -> list[Axes]:
    """Every loss term (logarithmic where all are above zero) and the accuracies against the epoch.

    Args:
        history: rows of a `TrainingResult`, or of a ``log.json``.
        title: name of the training.
        alone: rows of the same student trained alone; their test accuracy is drawn too.
        ax: axes to draw on, two; axes of a new figure if None.
        loss: what the loss with the labels is called.

    Returns:
        The axes of the losses and of the accuracies.
    """
    sheet = panels(2, 2, (3.4, 2.4), margins=(0.6, 0.25, 0.3, 0.45), header=0.2, footer=0.1, ax=ax)
    losses, accuracies = sheet.axes
    sheet.heading(title)
    names = _quantities(history)
    terms = loss_terms(history)
    for name, colour in zip(terms, _COLOURS * len(terms)):
        _line(losses, history, name, term(name, loss), colour)
    if all(row[name] > 0 for row in history for name in terms if name in row):
        losses.set_yscale("log")
        losses.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        losses.yaxis.set_minor_formatter(NullFormatter())
    for (name, label), colour in zip(_ACCURACIES.items(), _COLOURS):
        if name in names or name == "train_accuracy":
            _line(accuracies, history, name, label, colour)
    if alone:
        _line(accuracies, alone, "test_accuracy", "test, trained alone", _COLOURS[-1])
    for axis, label in (
        (losses, f"loss ({loss}{' in nats' if loss == CROSS_ENTROPY else ''})"),
        (accuracies, "accuracy in %"),
    ):
        axis.set(xlabel="epoch", ylabel=label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend()
    return sheet.axes


def term(name: str, loss: str = CROSS_ENTROPY) -> str:
    """Name of a term in figures, where the loss with the labels is called ``loss``."""
    return NAMES.get(name, name).replace(CROSS_ENTROPY, loss)


def loss_terms(history: Sequence[Row]) -> list[str]:
    """Keys of a history that are losses or terms of one, in their order."""
    return [name for name in _quantities(history) if name in NAMES or not name.startswith(("test_", "validation_"))]


def _quantities(history: Sequence[Row]) -> list[str]:
    return [name for name in dict.fromkeys(key for row in history for key in row) if name not in _PLACES]


def write_curves(
    history: Sequence[Row],
    folder: str | Path,
    title: str = "",
    formats: Sequence[str] = ("png", "svg"),
    alone: Sequence[Row] = (),
    loss: str = CROSS_ENTROPY,
) -> list[Path]:
    """Write the curves as ``curves.png`` and so on."""
    figure, files = figure_of(training_curves(history, title, alone, loss=loss)), []
    for kind in formats:
        files.append(Path(folder) / f"curves.{kind}")
        with replaced(files[-1]) as draft:
            draft.write_bytes(render(figure, kind))
    return files


def _line(axis: Axes, history: Sequence[Row], name: str, label: str, colour: str) -> None:
    known = [row for row in history if name in row]
    axis.plot(
        [row["epoch"] for row in known],
        [row[name] for row in known],
        color=colour,
        label=label,
        linewidth=1.2,
        marker="o" if len(known) < 30 else None,
        markersize=2.5,
    )
