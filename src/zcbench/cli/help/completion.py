"""Completion of values in the shell, by the name of the option; names come from index files, without PyTorch."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from typer import Context, Option, Typer
from typer.main import get_command

from zcbench.cli.help.choices import Choices, show


def _proxies() -> Iterable[str]:
    from zcbench.proxies.scoring.cards import cards

    return cards()[0]


def _spaces() -> Iterable[str]:
    from zcbench.spaces.cards import cards

    return (one.name for one in cards()[0])


def _tables() -> Iterable[str]:
    from zcbench.benchmarks.truths.listing import entries

    return dict.fromkeys(entry.name for entry in entries())


def _truths() -> Iterable[str]:
    """Accuracies alone: tables of costs and archives of images have no space in their names."""
    return (name for name in _tables() if "/" in name)


def _distillers() -> Iterable[str]:
    from zcbench.distill import REGISTRY

    return REGISTRY.names()


def _ensembles() -> Iterable[str]:
    from zcbench.benchmarks.ranking.ensembles import ENSEMBLES

    return ("all", "none", *ENSEMBLES.names())


def _scores() -> Iterable[str]:
    from zcbench.benchmarks.scoring import bundled

    return bundled.names()


_NAMES: Mapping[str, Callable[[], Iterable[str]]] = {
    "proxies": _proxies,
    "space": _spaces,
    "truth": _truths,
    "known": _truths,
    "distillers": _distillers,
    "ensembles": _ensembles,
    "scores": _scores,
}
#: Names that the arguments NAME and NAMES of a group of commands stand for.
_OF_GROUPS = {
    "proxies": _proxies,
    "distillers": _distillers,
    "spaces": _spaces,
    "data": _tables,
    "scores": _scores,
    "leaderboard": _proxies,
}


def complete(parameter: Any) -> None:
    """Give a parameter of a command its completion, and its choices as the text after its name."""
    show(parameter)
    if choices := Choices.of(parameter).values:
        parameter.shell_complete = _completing(lambda context: choices)
    elif names := _NAMES.get(parameter.name):
        parameter.shell_complete = _completing(lambda context: names())
    elif parameter.param_type_name == "argument" and parameter.name in ("name", "names"):
        parameter.shell_complete = _completing(_of_group)


def _of_group(context: Context) -> Iterable[str]:
    parent = context.parent
    found = _OF_GROUPS.get(str(parent.info_name)) if parent is not None else None
    return found() if found else ()


def _completing(values: Callable[[Context], Iterable[str]]) -> Any:
    """What typer completes an option by; of a list with commas, the last entry is completed."""

    def complete(ctx: Context, incomplete: str) -> list[str]:
        before, comma, _ = incomplete.rpartition(",")
        return [f"{before}{comma}{value}" for value in values(ctx)]

    def command(value: Annotated[str, Option(autocompletion=complete)] = "") -> None:
        """A command with one option."""

    alone = Typer(add_completion=False, rich_markup_mode=None)
    alone.command()(command)
    return get_command(alone).params[0].shell_complete
