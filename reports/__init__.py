"""Tables, figures and pages of rankings, searches, trainings and proxies."""

if __name__ == "reports":  # imported from the source folder: this would be a second copy of the package
    raise ImportError(
        "Given: 'import reports'. Expected: 'import zcbench.reports'. Install zcbench and import it from there."
    )

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if TYPE_CHECKING:
    from zcbench.reports.markup import to_latex as to_latex
    from zcbench.reports.markup import to_markdown as to_markdown
    from zcbench.reports.pictures import ReportError as ReportError
    from zcbench.reports.ranking.figures.bars import ranking_bars as ranking_bars
    from zcbench.reports.ranking.figures.clouds import score_panels as score_panels
    from zcbench.reports.ranking.figures.comparisons import cost_quality as cost_quality
    from zcbench.reports.ranking.figures.comparisons import size_controlled as size_controlled
    from zcbench.reports.ranking.figures.comparisons import top_behaviour as top_behaviour
    from zcbench.reports.ranking.figures.heatmap import proxy_heatmap as proxy_heatmap
    from zcbench.reports.ranking.page import write_report as write_report
    from zcbench.reports.ranking.selection import shared as shared
    from zcbench.reports.ranking.tables import detail_table as detail_table
    from zcbench.reports.ranking.tables import failures_table as failures_table
    from zcbench.reports.ranking.tables import summary_table as summary_table
    from zcbench.reports.ranking.tables import write_tables as write_tables
    from zcbench.reports.reference.pages import index_page as index_page
    from zcbench.reports.reference.pages import proxy_page as proxy_page
    from zcbench.reports.reference.pages import write_reference as write_reference
    from zcbench.reports.style import FORMATS as FORMATS

#: Where each public name is imported from, when it is first read.
_HOMES = {
    "FORMATS": "zcbench.reports.style",
    "ReportError": "zcbench.reports.pictures",
    "cost_quality": "zcbench.reports.ranking.figures.comparisons",
    "detail_table": "zcbench.reports.ranking.tables",
    "failures_table": "zcbench.reports.ranking.tables",
    "index_page": "zcbench.reports.reference.pages",
    "proxy_heatmap": "zcbench.reports.ranking.figures.heatmap",
    "proxy_page": "zcbench.reports.reference.pages",
    "ranking_bars": "zcbench.reports.ranking.figures.bars",
    "score_panels": "zcbench.reports.ranking.figures.clouds",
    "shared": "zcbench.reports.ranking.selection",
    "size_controlled": "zcbench.reports.ranking.figures.comparisons",
    "summary_table": "zcbench.reports.ranking.tables",
    "to_latex": "zcbench.reports.markup",
    "to_markdown": "zcbench.reports.markup",
    "top_behaviour": "zcbench.reports.ranking.figures.comparisons",
    "write_reference": "zcbench.reports.reference.pages",
    "write_report": "zcbench.reports.ranking.page",
    "write_tables": "zcbench.reports.ranking.tables",
}

__all__, __getattr__, __dir__ = lazy(__name__, _HOMES)
