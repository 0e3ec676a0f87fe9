"""Options of a report."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcbench.trackers import Tracker


@dataclass(frozen=True)
class ReportOptions:
    """How a report is written.

    Attributes:
        formats: formats of the figures, of png, svg and pdf, separated by commas.
        title: heading of the page.
        tracker: send the ranking to a tracker too: tensorboard, wandb, mlflow, or one of a plug-in.
    """

    formats: tuple[str, ...] = ("svg",)
    title: str | None = None
    tracker: "Tracker | str | None" = None
