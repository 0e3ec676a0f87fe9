"""Help of the commands: groups of options, an example that the command line takes, the width of the terminal."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from zcbench.cli import app
from zcbench.cli.help.examples import EXAMPLES
from zcbench.cli.help.panels import BASIC, grouped

from ..command import zcbench_command


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its name."""
    for name, one in group.commands.items():
        if getattr(one, "commands", None):
            yield from commands(one, f"{before}{name} ")
        else:
            yield f"{before}{name}", one


COMMANDS = dict(commands(get_command(app)))


def test_every_command_has_an_example() -> None:
    """Oracle: the list of commands of typer."""
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_commands(name: str) -> None:
    """Oracle: the parser of the command, which refuses options and arguments that it does not have."""
    words = shlex.split(EXAMPLES[name])
    assert words[: 1 + len(name.split())] == ["zcbench", *name.split()]
    command = COMMANDS[name]
    command.make_parser(command.context_class(command)).parse_args(args=words[1 + len(name.split()) :])


def test_options_are_in_groups() -> None:
    """By construction: basic options come first, each option is in one group, the example is one line at the end."""
    text = zcbench_command("bench", "--help", COLUMNS="80").stdout
    titles = (BASIC, "Networks and images", "Ranking", "Execution", "Output")
    places = [text.index(f"\n{title}:\n") for title in titles]
    assert places == sorted(places)
    assert places[0] < text.index("\n  --truth") < places[1] < text.index("\n  --dtype")
    assert text.endswith(f"Example:\n  {EXAMPLES['bench']}\n")
    parameters = COMMANDS["bench"].get_params(COMMANDS["bench"].context_class(COMMANDS["bench"]))
    assert sum(map(len, grouped(parameters).values())) == len(parameters)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_is_as_wide_as_the_terminal(columns: int) -> None:
    """By construction: no line of the options is wider, and some line needs the last quarter."""
    lines = zcbench_command("rank", "--help", COLUMNS=str(columns)).stdout.partition("Example:")[0].splitlines()
    assert 0.75 * columns < max(map(len, lines)) <= columns
