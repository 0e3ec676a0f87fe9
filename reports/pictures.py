"""A figure on disk, and the same figure to stand inside a page."""

import base64
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from zcbench.reports.style import render


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
