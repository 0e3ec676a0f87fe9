"""The page of a leaderboard: one static file, made from the files of its folder."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from markupsafe import Markup

from zcbench.benchmarks.leaderboard import Benchmark, Board, Entry
from zcbench.benchmarks.leaderboard.records import WHOLE
from zcbench.errors import writable
from zcbench.reports import charts
from zcbench.reports.pictures import report_folder
from zcbench.reports.rendering import page
from zcbench.reports.style import KIND_NAMES
from zcbench.reports.wording import MISSING, count, number, percent, slug, typeset
from zcbench.storage.run_folder import RunFolder

TITLE = "Leaderboard of training-free scores"

_DIFFERENCE = "difference"
_STATISTICS = {
    "tau": ("Kendall’s τ-b", "Kendall’s τ-b of score and accuracy."),
    "rho": ("Spearman’s ρ", "Spearman’s ρ of score and accuracy."),
    _DIFFERENCE: ("τ − best size", "τ minus that of the size baseline of the highest τ, over the same architectures."),
    "tau_given_params": ("τ given parameters", "Partial τ of score and accuracy given the number of parameters."),
    "tau_given_macs": ("τ given MACs", "Partial τ of score and accuracy given the MACs."),
    "tau_given_all": ("τ given all sizes", "Partial τ given parameters, MACs, convolutions, depth and width."),
    "tau_given_all_flexible": ("τ given all sizes, flexible", "The same, with non-linear terms of the sizes."),
    "rho_given_sizes": ("ρ given sizes", "Partial ρ of score and accuracy given the sizes together."),
    "tau_top10": ("τ top 10 %", "τ over the tenth of the architectures with the highest accuracies."),
    "precision_at_k": ("P@k", "Share of the k best by score that are among the k best by accuracy."),
    "coverage": ("coverage", "Share of the attempts that gave a value."),
}
_CHART_ROWS = 20
_HIDDEN = {"source", "added", "version"}


@dataclass
class _Line:
    """What one name reaches on all benchmarks."""

    name: str
    kind: str
    values: dict[str, Mapping[str, float | None]]
    beats: dict[str, bool | None] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def value(self, statistic: str, benchmark: str) -> float | None:
        return self.values.get(benchmark, {}).get(statistic)

    def mean(self, statistic: str, groups: Mapping[str, list[str]]) -> tuple[int, float]:
        """Number of groups with a value, and the mean over them of the mean over their benchmarks."""
        found = [
            [value for name in names if (value := self.value(statistic, name)) is not None] for names in groups.values()
        ]
        means = [fmean(some) for some in found if some]
        return len(means), fmean(means) if means else float("nan")


def write_leaderboard(board: str | Path, folder: str | Path, *, title: str = TITLE) -> Path:
    """Write the page of a leaderboard, the lists of architectures, and all entries as one file.

    Args:
        board: folder of the leaderboard.
        folder: where to; it is made if need be.
        title: heading of the page.

    Returns:
        Path of ``index.html``.

    Raises:
        DataError: there is no leaderboard, or one of its files is not of this version.
        ReportError: the folder cannot be written.
    """
    home = Board(Path(board)).require()
    benchmarks, entries = home.benchmarks(), home.entries()
    with report_folder(folder) as out:
        files = RunFolder(out, "a page")
        for benchmark in benchmarks.values():
            if benchmark.archs != WHOLE:
                files.write_text(_list_of(benchmark), "\n".join(benchmark.archs) + "\n")
        files.write_text("entries.json", json.dumps([entry.to_json() for entry in entries], indent=1) + "\n")
        return files.write_text("index.html", _page(benchmarks, entries, title))


def _page(benchmarks: Mapping[str, Benchmark], entries: list[Entry], title: str) -> str:
    lines = _lines(benchmarks, entries)
    proxies = [line for line in lines if line.kind != "baseline"]
    groups: dict[str, list[str]] = {}
    for benchmark in benchmarks.values():
        groups.setdefault(benchmark.group, []).append(benchmark.name)
    verified = sum(entry.verified is not None for entry in entries)
    sentence, rows = _sentence(proxies, benchmarks), _chart_rows(proxies, benchmarks, groups)
    content = {
        "title": writable(title),
        "sentence": sentence,
        "tiles": [
            (count(len(proxies)), "scores"),
            (count(len(benchmarks)), "benchmark" if len(benchmarks) == 1 else "benchmarks"),
            (count(len(groups)), "space" if len(groups) == 1 else "spaces"),
            (f"{count(verified)} of {count(len(entries))}", "entries verified"),
        ],
        "tables": [_table(key, lines, benchmarks, groups) for key in _STATISTICS],
        "columns": list(_columns(benchmarks, groups)),
        "kinds": {kind: name for kind, name in KIND_NAMES.items() if any(line.kind == kind for line in lines)},
        "history": [
            (entry.proxy, entry.benchmark, str(old["version"]), old["added"], number(old["tau"]))
            for entry in entries
            for old in entry.history
        ],
        "protocols": {name: _protocol(benchmark) for name, benchmark in benchmarks.items()},
        "protocol_link": Markup("the files of the folder <code>benchmarks</code>"),
        "commands": {name: command(benchmark) for name, benchmark in benchmarks.items()},
        "finding": sentence,
    }
    drawn = {"differences": charts.differences(rows, "τ minus that of the best size baseline")}
    return page("leaderboard.html.j2", content, {"charts": drawn}, {"typeset": typeset})


def _lines(benchmarks: Mapping[str, Benchmark], entries: Iterable[Entry]) -> list[_Line]:
    """A line for each proxy and ensemble, and for each size."""
    found: dict[str, _Line] = {}
    for entry in entries:
        line = found.setdefault(entry.proxy, _Line(entry.proxy, entry.kind, {}))
        line.values[entry.benchmark] = {**entry.result, _DIFFERENCE: entry.difference[0]}
        line.beats[entry.benchmark] = entry.beats_size
        line.entries.append(entry)
    for benchmark in benchmarks.values():
        for name, result in benchmark.sizes.items():
            line = found.setdefault(name, _Line(name, "baseline", {}))
            line.values[benchmark.name] = {**result, _DIFFERENCE: _below_the_best(benchmark, result)}
    return list(found.values())


def _below_the_best(benchmark: Benchmark, result: Mapping[str, float | None]) -> float | None:
    known = [tau for size in benchmark.sizes.values() if (tau := size.get("tau")) is not None]
    tau = result.get("tau")
    return None if tau is None else tau - max(known)


def _sentence(proxies: list[_Line], benchmarks: Mapping[str, Benchmark]) -> str:
    """The answer: which scores beat the best size on every benchmark."""
    n = len(benchmarks)
    whole = [line for line in proxies if len(line.values) == n]
    always = sorted(line.name for line in whole if all(line.beats.values()))
    on = "the benchmark" if n == 1 else f"all {n} benchmarks"
    if always:
        told = f"{len(always)} of {len(whole)} scores that stand on {on} beat the best size baseline there"
        return f"{told}: {', '.join(always)}."
    most = max(proxies, key=lambda line: sum(map(bool, line.beats.values())), default=None)
    best = (
        "" if most is None else f" {most.name} does so on {sum(map(bool, most.beats.values()))} of {len(most.values)}."
    )
    return f"No score beats the best size baseline on {on}.{best}"


def _columns(benchmarks: Mapping[str, Benchmark], groups: Mapping[str, list[str]]) -> Iterator[dict[str, object]]:
    """Key, heading and meaning of each column."""
    many = len(groups) > 1
    fixed = [
        ("score", "score", "Name of the proxy, ensemble or size.", True),
        ("kind", "kind", "Proxy, ensemble of proxies, or size baseline.", True),
        (
            "mean",
            "mean" if many else "mean over benchmarks",
            "Mean over the spaces of the mean over their benchmarks.",
            False,
        ),
        ("beats", "beats size", "Benchmarks on which the score beats the best size baseline.", False),
    ]
    per = [(name, name, f"{one.truth}, {_archs(one)}.", False) for name, one in benchmarks.items()]
    last = [
        ("covered", "least coverage", "Smallest share of attempts with a value, of all benchmarks.", False),
        ("ms", "ms", "Mean time of the score alone, on the machines of the entries.", False),
        ("verified", "verified", "Date of the last verification of the oldest entry.", True),
        ("version", "version", "Version of the proxy.", False),
        ("added", "added", "Date of the newest entry.", True),
        ("source", "source", "Paper, as the proxy states it.", True),
    ]
    for key, heading, meaning, words in (*fixed, *per, *last):
        yield {"key": key, "heading": heading, "meaning": meaning, "words": words, "shown": key not in _HIDDEN}


def _table(
    key: str, lines: list[_Line], benchmarks: Mapping[str, Benchmark], groups: Mapping[str, list[str]]
) -> dict[str, object]:
    """One table: lines that stand on more spaces first, then by their mean."""
    heading, meaning = _STATISTICS[key]
    means = {line.name: line.mean(key, groups) for line in lines}
    order = sorted((line for line in lines if means[line.name][0]), key=lambda line: means[line.name], reverse=True)
    rows = [{"kind": line.kind, "cells": list(_cells(key, line, benchmarks, means[line.name]))} for line in order]
    return {"key": key, "heading": heading, "meaning": meaning, "lines": rows}


def _cells(key: str, line: _Line, benchmarks: Mapping[str, Benchmark], mean: tuple[int, float]) -> Iterator[str]:
    show = percent if key == "coverage" else number
    yield line.name
    yield KIND_NAMES[line.kind]
    yield show(mean[1])
    yield f"{sum(map(bool, line.beats.values()))} of {len(line.beats)}" if line.beats else MISSING
    for name in benchmarks:
        value = line.value(key, name)
        yield MISSING if value is None else show(value) + (" ✓" if line.beats.get(name) else "")
    covered = [value for one in line.values.values() if (value := one.get("coverage")) is not None]
    seconds = [value for one in line.values.values() if (value := one.get("seconds")) is not None]
    yield percent(min(covered)) if covered else MISSING
    yield f"{1000 * fmean(seconds):.3g}" if seconds else MISSING
    dates = [str(entry.verified["date"]) if entry.verified else "" for entry in line.entries]
    yield min(dates) or "not yet" if dates else MISSING
    yield ", ".join(sorted({str(entry.version) for entry in line.entries})) or MISSING
    yield max((entry.added for entry in line.entries), default=MISSING)
    yield next((entry.source for entry in line.entries if entry.source), MISSING)


def _chart_rows(
    proxies: list[_Line], benchmarks: Mapping[str, Benchmark], groups: Mapping[str, list[str]]
) -> list[dict[str, object]]:
    best = sorted(proxies, key=lambda line: line.mean(_DIFFERENCE, groups), reverse=True)[:_CHART_ROWS]
    return [
        {"name": line.name, "x": value, "text": number(value), "group": one.group, "benchmark": name}
        for line in best
        for name, one in benchmarks.items()
        if (value := line.value(_DIFFERENCE, name)) is not None
    ]


def _archs(benchmark: Benchmark) -> str:
    return "all architectures" if benchmark.archs == WHOLE else f"{count(len(benchmark.archs))} architectures"


def _list_of(benchmark: Benchmark) -> str:
    return f"{slug(benchmark.name)}.archs.txt"


def _protocol(benchmark: Benchmark) -> dict[str, object]:
    stated = {
        key: value for key, value in benchmark.protocol.items() if key not in ("schema", "torch") and value is not None
    }
    return {"truth": benchmark.truth, "architectures": _archs(benchmark), "seeds": benchmark.seeds, **stated}


def command(benchmark: Benchmark) -> str:
    """Commands that bring a plug-in onto a benchmark."""
    protocol, plugin = benchmark.protocol, "mine.py"
    options: dict[str, object] = {
        "plugin": plugin,
        "proxies": "mine",
        "space": protocol["space"],
        "archs": WHOLE if benchmark.archs == WHOLE else _list_of(benchmark),
        "seeds": len(benchmark.seeds),
        "dataset": benchmark.dataset,
        "batch-size": protocol["batch_size"],
        "batch-seed": protocol["batch_seed"],
        "image-size": protocol["image_shape"][-1],
        "truth": benchmark.truth,
        "out": "runs/mine",
    }
    for name, usual in (("init", "default"), ("dtype", "float32"), ("layout", "contiguous")):
        if protocol[name] != usual:
            options[name] = protocol[name]
    if protocol.get("teacher"):
        options["teacher"] = f"{protocol['teacher_space']}:{protocol['teacher']}"
    words = " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in options.items())
    return (
        f"zcbench bench {words}\n"
        f"zcbench leaderboard add runs/mine --plugin {plugin} --proxies mine\n"
        f"zcbench leaderboard verify mine"
    )
