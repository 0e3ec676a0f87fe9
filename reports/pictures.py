"""Figures of a report: declared, drawn, written to files and embedded into its page."""

import base64
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from zcbench.errors import ZcbenchError
from zcbench.reports.style import figure_of, render
from zcbench.runtime.messages import timed


class ReportError(ZcbenchError):
    """A report that cannot be made or written."""


@dataclass(frozen=True)
class Illustration:
    """One figure of a report, not drawn yet.

    Attributes:
        stem: file name without its ending.
        title: heading.
        caption: content of the figure, with the architectures and their number.
        draw: draws the figure and returns its axes.
        truth: the truth it is about, if it is about one.
        subset: the subset of architectures it is about, if it is about one.
    """

    stem: str
    title: str
    caption: str
    draw: Callable[[], Axes | list[Axes]]
    truth: str = ""
    subset: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawn figure as the source of an image in SVG."""

    about: Illustration
    source: str


@contextmanager
def report_folder(folder: str | Path) -> Iterator[Path]:
    """The folder of a report, made if need be, with a folder for figures.

    Raises:
        ReportError: it cannot be made, or written to inside the block.
    """
    home = Path(folder)
    try:
        (home / "figures").mkdir(parents=True, exist_ok=True)
        yield home
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {str(folder)!r}: {error}. Expected a folder that can be written, "
            "on a disk with free space; name another one."
        ) from error


def write_page(
    folder: str | Path,
    formats: Collection[str],
    figures: Iterable[Illustration],
    page: Callable[[list[Picture]], str],
) -> Path:
    """Write figures and ``index.html``; the same content gives the same bytes.

    Args:
        folder: where to; it is made if need be.
        formats: file formats of the figures.
        figures: the figures, in the order of the page.
        page: makes the HTML from the drawn figures.

    Returns:
        Path of ``index.html``.

    Raises:
        ReportError: the folder cannot be written.
    """
    with report_folder(folder) as home:
        with timed("Figures"):
            pictures = [_drawn(home / "figures", formats, one) for one in figures]
        with timed("Page"):
            (home / "index.html").write_text(page(pictures), encoding="utf-8", newline="\n")
    return home / "index.html"


def _drawn(folder: Path, formats: Collection[str], about: Illustration) -> Picture:
    """Draw one figure, write it in all formats, and embed it as SVG."""
    figure = figure_of(about.draw())
    svg = render(figure, "svg")
    for kind in formats:
        (folder / f"{about.stem}.{kind}").write_bytes(svg if kind == "svg" else render(figure, kind))
    return Picture(about, "data:image/svg+xml;base64," + base64.b64encode(svg).decode())
