"""Options of a report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """How a report is written.

    Attributes:
        formats: formats of the figures, of png, svg and pdf, separated by commas.
        title: heading of the page.
    """

    formats: tuple[str, ...] = ("svg",)
    title: str | None = None
