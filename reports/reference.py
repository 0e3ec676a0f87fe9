"""Reference pages: one Markdown page per proxy, from its documentation and what it declares, with its numbers."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench.benchmarks.ensembles import Ensemble
from zcbench.benchmarks.ranking import Ranking
from zcbench.errors import DataError
from zcbench.proxies import SIGNALS, Proxy
from zcbench.proxies.checking import find_ground
from zcbench.proxies.signal_table import RESTS_ON
from zcbench.reports.docstrings import Documentation, blocks, inline, parse
from zcbench.reports.markup import to_markdown
from zcbench.reports.rendering import rendered
from zcbench.reports.selection import intervals_named, labels, select, subsets, truths
from zcbench.reports.tables import COLUMNS
from zcbench.reports.wording import MISSING, count, milliseconds, number, slug

INDEX = "README.md"

#: The page without what only a computation can renew.
_NUMBERS = re.compile(r"(<!-- numbers -->\n).*?(<!-- end of numbers -->)", re.DOTALL)
_SHOWN = ("n", "coverage", "tau", "rho", "tau_given_params", "tau_given_macs", "tau_top10", "reliability")
_SECTIONS = ("Args", "Returns", "Raises", "Note")


def write_reference(
    proxies: Sequence[Proxy],
    ensembles: Sequence[Ensemble],
    folder: str | Path,
    rankings: Sequence[Ranking] = (),
    command: str = "zcbench proxies docs",
) -> Path:
    """Write one page per proxy and an index, ``README.md``; the same input gives the same bytes.

    Args:
        proxies: what gets a page.
        ensembles: a section of the index.
        folder: where to write; pages that are there are replaced.
        rankings: the numbers; a proxy has those of the first in which it is ranked, if there is one.
        command: how to make the pages again, for people.

    Returns:
        The index.

    Raises:
        DataError: the folder cannot be written.
    """
    home = Path(folder)
    texts = {page_name(item): proxy_page(item, rankings, command) for item in proxies}
    texts[INDEX] = index_page(proxies, ensembles, rankings, command)
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (home / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(
            f"The reference cannot be written to {str(folder)!r}: {error}. Expected a folder with room that you may "
            "write to; name another one."
        ) from error
    return home / INDEX


def page_name(item: Proxy) -> str:
    """File name of the page of a proxy."""
    return f"{slug(item.name)}.md"


def without_numbers(page: str) -> str:
    """The part of a page that follows from the code alone: two pages of one code are equal in it."""
    return _NUMBERS.sub(r"\1\2", page)


def proxy_page(item: Proxy, rankings: Sequence[Ranking] = (), command: str = "zcbench proxies docs") -> str:
    """The page of one proxy as Markdown."""
    module = inspect.getdoc(inspect.getmodule(item.function)) or ""
    return _render(
        "proxy.md.j2",
        item=item,
        paper=blocks(module),
        documentation=_documentation(item),
        sections=_SECTIONS,
        ground=find_ground(item),
        source=inline(item.source) or "none given",
        signals=[_signal(name) for name in SIGNALS if name in item.reads],
        numbers=next(filter(None, (_numbers(item, ranking) for ranking in rankings)), None),
        command=command,
    )


def index_page(
    proxies: Sequence[Proxy],
    ensembles: Sequence[Ensemble],
    rankings: Sequence[Ranking] = (),
    command: str = "zcbench proxies docs",
) -> str:
    """The index as Markdown: all proxies, the ensembles, and how well each ranks."""
    return _render(
        "proxies.md.j2",
        proxies=[_entry(item) for item in sorted(proxies, key=lambda item: (item.baseline, item.name))],
        ensembles=ensembles,
        numbers=_overviews(rankings),
        command=command,
    )


def _render(template: str, **content: Any) -> str:
    text = rendered(template, content, {"inline": inline})
    return re.sub(r"\n{3,}", "\n\n", text)


def _documentation(item: Proxy) -> Documentation:
    return parse(inspect.getdoc(item.function) or "It has no documentation.")


def _signal(name: str) -> dict[str, str]:
    return {"name": name, "what": SIGNALS[name], "rests": ", ".join(RESTS_ON.get(name, ())) or "nothing"}


def _entry(item: Proxy) -> dict[str, Any]:
    rests = dict.fromkeys(part for name in SIGNALS if name in item.reads for part in RESTS_ON.get(name, ()))
    return {
        "item": item,
        "page": page_name(item),
        "summary": _documentation(item).summary,
        "rests": ", ".join(rests) or "nothing",
        "source": inline(item.source) or ("size baseline" if item.baseline else "none given"),
    }


def _numbers(item: Proxy, ranking: Ranking) -> dict[str, Any] | None:
    """What the ranking says about one proxy; None if it has no row."""
    own = ranking.table[ranking.table["proxy"] == item.name]
    if own.empty:
        return None
    rows = [
        {"truth": labels(ranking)[truth], "subset": subset} | _cells(found.iloc[0])
        for truth in truths(ranking)
        for subset in subsets(ranking)
        if len(found := own[(own["truth"] == truth) & (own["subset"] == subset)])
    ]
    return {
        "protocol": _protocol(ranking, item.needs_teacher),
        "version": ranking.protocol["ranking"].get("versions", {}).get(item.name),
        "cost": milliseconds(float(own["seconds"].iloc[0])),
        "table": to_markdown(pd.DataFrame(rows)),
        "remarks": "; ".join(
            dict.fromkeys(note for text in own["note"].fillna("") for note in text.split("; ") if note)
        ),
    }


def _cells(row: pd.Series) -> dict[str, str]:
    return {column.heading: column.text(row) for column in COLUMNS if column.key in _SHOWN}


def _overviews(rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """A table for every ranking that has something new, of what those before it do not rank."""
    shown: set[str] = set()
    found = []
    for ranking in rankings:
        new = ranking.table[~ranking.table["proxy"].isin(shown)]
        if len(new):
            found.append(_overview(replace(ranking, table=new)))
        shown |= set(new["proxy"])
    return found


def _overview(ranking: Ranking) -> dict[str, Any]:
    """Tau of everything that was ranked, over the first subset; best mean first."""
    first = subsets(ranking)[0]
    columns = {labels(ranking)[truth]: select(ranking, truth, first).set_index("proxy") for truth in truths(ranking)}
    about = ranking.table[ranking.table["subset"] == first].drop_duplicates("proxy").set_index("proxy")
    mean = pd.DataFrame({label: rows["tau"] for label, rows in columns.items()}).mean(axis=1)
    names = sorted(mean.index, key=lambda name: (pd.isna(mean[name]), -mean[name], name))
    tau = next(column for column in COLUMNS if column.key == "tau")
    table = {
        "name": names,
        "kind": [about.loc[name, "kind"] for name in names],
        "n": [count(about.loc[name, "n"]) for name in names],
        **{label: [_text(tau, rows, name) for name in names] for label, rows in columns.items()},
        "τ | params": [number(about.loc[name, "tau_given_params"]) for name in names],
        "ms": [milliseconds(about.loc[name, "seconds"]) for name in names],
    }
    return {
        "protocol": _protocol(ranking, True),
        "subset": first,
        "given": next(iter(columns)),
        "table": to_markdown(pd.DataFrame(table)),
    }


def _text(column: Any, rows: pd.DataFrame, name: str) -> str:
    return str(column.text(rows.loc[name])) if name in rows.index else MISSING


def _protocol(ranking: Ranking, with_teacher: bool) -> str:
    """Scores, truths and intervals in one paragraph."""
    card, how = ranking.protocol.get("scores", {}), ranking.protocol["ranking"]
    truth = "; ".join(
        _truth(label, ranking.protocol["truths"].get(name, {})) for name, label in labels(ranking).items()
    )
    seeds = ", ".join(map(str, card.get("init seeds", ())))
    classes = card.get("classes of the bootstrap", how.get("cluster rule"))
    teacher = f"Teacher: {card['teacher']}. " if with_teacher and card.get("teacher") else ""
    return inline(
        f"{count(len(ranking.scores))} architectures of {card.get('space')}, asked for: {card.get('architectures')}. "
        f"Batch: {card.get('batch')}; images {card.get('image_shape')}. Networks: initialisation {card.get('init')}, "
        f"seeds {seeds}, {card.get('dtype')}, batch normalisation in training mode. {teacher}Accuracies: {truth}. "
        f"Intervals: {intervals_named(ranking)}, {how['draws']} bootstrap draws of {classes}."
    )


def _truth(label: str, stated: Mapping[str, Any]) -> str:
    parts = [f"{stated['epochs']} epochs" if stated.get("epochs") else "", str(stated.get("aggregation") or "")]
    return ", ".join([label, *filter(None, parts)])
