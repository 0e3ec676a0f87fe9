"""Options of a report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """How a report is written.

    Attributes:
        formats: formats of the figures, of png, svg and pdf, separated by commas.
        title: heading of the page.
    """

    formats: tuple[str, ...] = ("png", "svg", "pdf")
    title: str | None = None
