"""Tables, figures and pages of rankings, searches, trainings and proxies."""

if __name__ == "reports":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import reports'. Expected: 'import zcbench.reports'. Install zcbench and import it from there."
    )

from zcbench.reports.markup import to_latex, to_markdown
from zcbench.reports.pictures import ReportError
from zcbench.reports.ranking.figures.bars import ranking_bars
from zcbench.reports.ranking.figures.clouds import score_panels
from zcbench.reports.ranking.figures.comparisons import cost_quality, size_controlled, top_behaviour
from zcbench.reports.ranking.figures.heatmap import proxy_heatmap
from zcbench.reports.ranking.page import write_report
from zcbench.reports.ranking.selection import shared
from zcbench.reports.ranking.tables import detail_table, failures_table, summary_table, write_tables
from zcbench.reports.reference.pages import index_page, proxy_page, write_reference
from zcbench.reports.style import FORMATS

__all__ = [
    "FORMATS",
    "ReportError",
    "cost_quality",
    "detail_table",
    "failures_table",
    "index_page",
    "proxy_heatmap",
    "proxy_page",
    "ranking_bars",
    "score_panels",
    "shared",
    "size_controlled",
    "summary_table",
    "to_latex",
    "to_markdown",
    "top_behaviour",
    "write_reference",
    "write_report",
    "write_tables",
]
