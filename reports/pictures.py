"""The folder of a report, a figure in it, and the same figure to stand inside a page."""

import base64
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from zcbench.errors import ZcbenchError
from zcbench.reports.style import render


class ReportError(ZcbenchError):
    """A report that cannot be made or written."""


@contextmanager
def report_folder(folder: str | Path) -> Iterator[Path]:
    """The folder to write a report to, with a place for figures.

    Raises:
        ReportError: it cannot be made, or written to inside the block.
    """
    home = Path(folder)
    try:
        (home / "figures").mkdir(parents=True, exist_ok=True)
        yield home
    except OSError as error:
        raise ReportError(
            f"The report cannot be written to {str(folder)!r}: {error}. Expected a folder with room that you may write "
            "to; name another one."
        ) from error


@dataclass(frozen=True)
class Picture:
    """A figure of a page: the stem of its files, what is said of it, and its SVG as the source of an image."""

    stem: str
    title: str
    caption: str
    source: str


def written(folder: Path, formats: Collection[str], stem: str, title: str, caption: str, figure: Figure) -> Picture:
    """Write one figure in all formats, and hold it as an SVG that can stand inside the page."""
    svg = render(figure, "svg")
    for kind in formats:
        (folder / f"{stem}.{kind}").write_bytes(svg if kind == "svg" else render(figure, kind))
    return Picture(stem, title, caption, "data:image/svg+xml;base64," + base64.b64encode(svg).decode())
