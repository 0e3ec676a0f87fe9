"""Tables and rankings as the command line prints them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from zcbench.cli.output import emitted, table_console
from zcbench.errors import ZcbenchError

if TYPE_CHECKING:
    import pandas as pd

    from zcbench.benchmarks.ranking.ranking import Ranking

TOP = 15  # rows of a table on the terminal, all sizes among them
SHOWN = ("proxy", "kind", "n", "coverage %", "τ", "ρ", "τ common", "τ | params", "τ top 10 %", "P@k", "ms")


def print_table(headings: Sequence[str], rows: Iterable[Iterable[object]], title: str | None = None) -> None:
    """Print rows under headings, markup as it is written; a cell may take several lines, a name does not."""
    table = Table(box=SIMPLE, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    table_console().print(table)


def print_ranking(ranking: "Ranking", subset: str = "all", **more: object) -> None:
    """The protocol in a few lines, and one table per truth over one subset; the report has all subsets.

    JSON has ``more`` too.
    """
    if emitted(ranking.to_frame(subset=subset), protocol=ranking.protocol, **more):
        return
    from zcbench.benchmarks.truths.reproduced import Reproduction
    from zcbench.reports import detail_table, shared
    from zcbench.reports.ranking.selection import select

    console, card = table_console(), ranking.protocol["scores"]
    own = f"{card['networks']}; " if "networks" in card else ""
    for line in (
        f"Architectures: {len(ranking.scores):,} of {card['space']}; asked for: {card['architectures']}",
        f"Batch: {card['batch']}",
        f"Networks: {own}init {card['init']}, seeds {', '.join(map(str, card['init seeds']))}, {card['dtype']}",
        *_beside_lines(ranking.protocol.get("beside", {})),
    ):
        console.print(line, highlight=False, soft_wrap=True)
    idle = not_applicable(ranking)
    for truth in map(str, ranking.accuracies):
        rows = detail_table(ranking, truth, subset)
        rows = rows[~rows["proxy"].isin(idle)]
        best = _shown(select(ranking, truth, subset), idle)
        console.print(_truth_table(rows[rows["proxy"].isin(best)], f"Against {truth}, subset {subset}"))
        if len(best) < len(rows):
            some = f"{len(best)} of {len(rows)} rows: the best, sizes, regressions and plug-ins"
            console.print(f"{some}; --csv and --json print all.", highlight=False, soft_wrap=True)
        if again := [Reproduction(**one) for one in ranking.protocol.get("reproduced", {}).get(truth, ())]:
            console.print(
                f"Given all sizes, it agrees with other tables: {'; '.join(map(str, again))}", highlight=False
            )
        if text := shared(ranking, truth, subset):
            console.print(text, highlight=False, soft_wrap=True)
        for scored, names in rows.groupby(rows["note"].str.extract(r"(scored on [\d,]+ of [\d,]+)")[0])["proxy"]:
            console.print(f"{scored}: {', '.join(names)}", highlight=False, soft_wrap=True)
    if idle:
        console.print(f"Apply to no architecture here: {', '.join(idle)}", highlight=False, soft_wrap=True)


def not_applicable(ranking: "Ranking") -> list[str]:
    """Proxies that apply to no architecture: each attempt has the status ``not_applicable``."""
    statuses = ranking.failures.groupby("proxy")["status"].unique()
    reached = set(ranking.table.loc[ranking.table["coverage"] > 0, "proxy"])
    return [str(name) for name, kinds in statuses.items() if set(kinds) == {"not_applicable"} and name not in reached]


def _shown(rows: "pd.DataFrame", idle: Sequence[str]) -> set[str]:
    """Names of the `TOP` first rows, all sizes among them; of regressions; and of proxies of plug-ins."""
    from zcbench.reports.ranking.selection import leading

    rows = rows[~rows["proxy"].isin(idle)]
    supervised = rows["kind"] == "supervised"
    own = [name for name in rows.loc[rows["kind"] == "proxy", "proxy"] if _of_a_plugin(name)]
    return {*leading(rows[~supervised], TOP)["proxy"], *rows.loc[supervised, "proxy"], *own}


def _of_a_plugin(name: str) -> bool:
    """Whether a proxy is none of zcbench's own; without plug-ins the index says so, and PyTorch is not imported."""
    from zcbench.proxies.scoring import cards

    if not cards.loaded():
        return name.partition("(")[0] not in cards.cards()[0]
    from zcbench.proxies import REGISTRY

    try:
        return not REGISTRY.get(name).is_own
    except ZcbenchError:  # its plug-in is not loaded
        return True


def _truth_table(rows: "pd.DataFrame", title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    headings = [name for name in SHOWN if name != "τ common" or rows["n"].nunique() > 1]
    for heading in headings:
        left, folds = heading in ("proxy", "kind"), heading == "proxy"  # the name of an ensemble may be long
        table.add_column(heading, justify="left" if left else "right", no_wrap=not folds, overflow="fold")
    for row in rows[headings].itertuples(index=False):
        table.add_row(*map(escape, map(str, row)))
    return table


def _beside_lines(sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What was taken from other scores, what was not, and how they differ."""
    for name, source in sources.items():
        seeds = ", ".join(map(str, source["seeds"]))
        yield f"Beside, from {name}, seeds {seeds}: {', '.join(source['proxies']) or 'nothing'}"
        for proxy, why in source["left out"].items():
            yield f"  not taken: {proxy} ({why})"
        for difference in source["differences"]:
            yield f"  differs (these → {name}): {difference}"
