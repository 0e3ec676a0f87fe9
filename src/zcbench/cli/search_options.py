"""Options of ``zcbench search``: names of a ranking, names that no file can have, and options without effect."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcbench.cli.arguments import TOP
from zcbench.specification import split_list

if TYPE_CHECKING:
    from typer import Context

    from zcbench.search import Candidates, Objective, Settings

_PARTS = re.compile(r"[/,:@()]")
_LONGEST = 255  # bytes of a file's name
_OF_NETWORKS = (
    *("inits", "batch_size", "batch_seed", "init", "dtype", "layout", "device"),
    *("workers", "cluster", "timeout", "retry_failed"),
)
_OF_TEACHERS = ("teacher", "teacher_checkpoint", "teacher_seed")


def check_names(names: Mapping[str, object]) -> None:
    """Refuse names that no file can have.

    Raises:
        SearchError: as the sentence says.
    """
    from zcbench.search import SearchError

    for option, given in names.items():
        texts = given if isinstance(given, list | tuple) else [given]
        longest = max((len(os.fsencode(part)) for text in texts for part in _PARTS.split(str(text))), default=0)
        if longest > _LONGEST:
            raise SearchError(
                f"--{option} was given a name of {longest} bytes. Expected a name or a path whose parts have at most "
                f"{_LONGEST}; check it."
            )


def latency_source(file: Path | None, device: str | None) -> str | None:
    """The file of ``--latency``, or the device.

    Raises:
        SearchError: both are given, or the file is neither Parquet nor CSV.
    """
    from zcbench.search import SearchError

    if file is None:
        return device
    if device is not None:
        raise SearchError("--latency and --latency-device were given. Expected one of the two.")
    if file.suffix not in (".parquet", ".csv"):
        raise SearchError(f"{str(file)!r} was given as --latency. Expected a file that ends in .parquet or .csv.")
    return str(file)


def objective(
    text: str, rule: str, space: str, data_dir: Path | None, *, transfer: bool = False, sizes: bool = True
) -> "Objective":
    """What is maximised, with the names that rankings put first in place of each ``top:K@RUN``."""
    from zcbench.benchmarks.ranking.winners import winners
    from zcbench.search import Objective

    names, rankings = list[str](), list[dict[str, Any]]()
    for entry in split_list(text):
        if entry.startswith(TOP):
            found = winners(entry, space, data_dir, transfer=transfer, sizes=sizes)
            names += found.names
            rankings.append(found.about)
        else:
            names.append(entry)
    return replace(Objective.read(names, rule), rankings=tuple(rankings))


def given(context: "Context") -> dict[str, object]:
    """Names and values of the options that stood on the command line or in the file of ``--config``."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    stood = [
        name for name, source in sources.items() if source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")
    ]
    return {name: context.params[name] for name in stood}


def remarks(
    asked: Mapping[str, object], goal: "Objective", settings: "Settings", candidates: "Candidates"
) -> Iterator[str]:
    """A sentence for each reason why options that were asked for have no effect; and for rankings with few names."""
    said: set[str] = set()
    for applies, why, options in _idle(asked, goal, settings, candidates):
        names = [name for name in options if applies and name in asked and name not in said]
        said |= set(names)
        if names:
            shown = ", ".join(f"--{'no-' if asked[name] is False else ''}{name.replace('_', '-')}" for name in names)
            yield f"Without effect: {shown} ({why})."
    for one in goal.rankings:
        shown = ", ".join(one["names"])
        if len(one["names"]) < int(str(one["asked"]).removeprefix(TOP).partition("@")[0]):
            yield f"{one['asked']} was asked for, and the ranking has {len(one['names'])} different names: {shown}."


def _idle(
    asked: Mapping[str, object], goal: "Objective", settings: "Settings", candidates: "Candidates"
) -> list[tuple[bool, str, tuple[str, ...]]]:
    """Whether each reason applies, the reason, and the options that then have no effect."""
    from zcbench.search import RandomSearch
    from zcbench.search.scores import has_teacher, scored

    stored, judged, space = "scores" in asked, "truth" in asked, candidates.found().name
    elsewhere = any(str(one["ranked space"]).partition("(")[0] != space for one in goal.rankings)
    physical = {"latency", "energy"} & candidates.wanted
    return [
        (stored, "scores are looked up", (*_OF_NETWORKS, "dataset", "image_size", "classes", *_OF_TEACHERS)),
        (not scored(goal), "sizes need no network", _OF_NETWORKS),
        (not goal.needs_group, "a single score is no rank", ("reference",)),
        (not physical, "neither latency nor energy is limited or minimised", ("latency_device", "latency")),
        (not judged, "no truth was named", ("baselines",)),
        (isinstance(settings.algorithm, RandomSearch), "the search is at random itself", ("baselines",)),
        (not has_teacher(goal), "nothing compares with a teacher", _OF_TEACHERS),
        ("teacher_checkpoint" in asked, "the teacher's weights are those of the checkpoint", ("teacher_seed",)),
        (len(goal.terms) == 1, "there is one name to maximise", ("rule",)),
        (asked.get("report") is False, "no report is drawn", ("formats",)),
        (not candidates.minimise, "it names no cost", ("minimise",)),
        (not elsewhere, "no name is taken from a ranking of another space", ("transfer",)),
        (not goal.rankings, "no name is taken from a ranking", ("sizes",)),
    ]
