"""What the options of ``zcbench search`` had no effect on, and what else a reader must know."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zcbench.cli.search_inputs import scored
from zcbench.cli.winners import PREFIX

if TYPE_CHECKING:
    from typer import Context

    from zcbench.search import Objective, Settings
    from zcbench.spaces import Space

_OF_NETWORKS = ["inits", "batch_size", "batch_seed", "init", "dtype", "layout", "device", "workers", "timeout"]
_OF_TEACHERS = ["teacher", "teacher_checkpoint", "teacher_seed"]


def given(context: "Context") -> dict[str, Any]:
    """Names and values of the options that stood on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    stood = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    return {name: context.params[name] for name in stood}


def remarks(
    asked: Mapping[str, Any],
    goal: "Objective",
    how: "Settings",
    *,
    stored: bool,
    costs: Collection[str],
    minimised: Sequence[str],
) -> list[str]:
    """What was asked for and had no effect, and why."""
    told = list(_without_effect(asked, _idle(asked, goal, how, stored=stored, costs=costs)))
    if "minimise" in asked and not minimised:
        told.append("Without effect: --minimise (it names no cost).")
    elif minimised and not how.algorithm.minimises:
        told.append(
            f"Without effect on what is proposed: --minimise (the algorithm {how.algorithm.name} minimises no costs). "
            f"The costs choose among equal values, and make the front."
        )
    if how.evaluations <= how.algorithm.initial:
        told.append(
            f"The first population of {how.algorithm.initial} took all {how.evaluations} evaluations: the search was "
            f"a random one. Ask for more evaluations, or for a smaller population."
        )
    return told


def from_rankings(asked: Mapping[str, Any], rankings: Sequence[Mapping[str, Any]], space: "Space") -> list[str]:
    """Options about rankings that had no effect, and rankings that had fewer names than were asked for."""
    elsewhere = [one for one in rankings if str(one["ranked space"]).partition("(")[0] != space.name]
    idle = {
        "no name is taken from a ranking of another space": [] if elsewhere else ["transfer"],
        "no name is taken from a ranking": [] if rankings else ["sizes"],
    }
    fewer = [
        f"{one['asked']} was asked for, and the ranking has {len(one['names'])} different names: "
        f"{', '.join(one['names'])}."
        for one in rankings
        if len(one["names"]) < int(str(one["asked"]).removeprefix(PREFIX).partition("@")[0])
    ]
    return [*_without_effect(asked, idle), *fewer]


def _without_effect(asked: Mapping[str, Any], idle: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A sentence per reason with the options that were asked for, each under its first reason."""
    said: set[str] = set()
    for why, options in idle.items():
        names = [name for name in dict.fromkeys(options) if name in asked and name not in said]
        said |= set(names)
        if names:
            yield f"Without effect: {', '.join(_option(name, asked[name]) for name in names)} ({why})."


def _option(name: str, value: Any) -> str:
    """An option as it stood on the command line."""
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def _idle(
    asked: Mapping[str, Any], goal: "Objective", how: "Settings", *, stored: bool, costs: Collection[str]
) -> dict[str, list[str]]:
    """Options without effect, by the reason."""
    from zcbench.proxies import REGISTRY

    idle: dict[str, list[str]] = {}
    if stored:
        idle["scores are looked up"] = [*_OF_NETWORKS, "dataset", "image_size", "classes", *_OF_TEACHERS]
    elif not scored(goal):
        idle["sizes need no network"] = _OF_NETWORKS
    if not goal.needs_group:
        idle["a single score is no rank"] = ["reference"]
    if not {"latency", "energy"} & set(costs):
        idle["neither latency nor energy is limited or minimised"] = ["latency_device"]
    if not asked.get("truth"):
        idle["no truth was named"] = ["baselines"]
    elif how.algorithm.name == "random":
        idle["the search is at random itself"] = ["baselines"]
    if not any(REGISTRY.get(name).needs_teacher for name in scored(goal)):
        idle["nothing compares with a teacher"] = _OF_TEACHERS
    elif asked.get("teacher_checkpoint"):
        idle["the teacher's weights are those of the checkpoint"] = ["teacher_seed"]
    if len(goal.terms) == 1:
        idle["there is one name to maximise"] = ["rule"]
    if asked.get("report") is False:
        idle["no report is drawn"] = ["formats"]
    return idle
