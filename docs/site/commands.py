"""Reference of the command line, from the options of the commands."""

import html
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from typer.main import get_command

from zcbench.cli import app
from zcbench.cli.help.examples import EXAMPLES
from zcbench.cli.help.panels import grouped

HEAD = "# {name}\n\n<!-- Made from the options of the command when the site is built. -->\n\n"
_CODE = re.compile(r"(?<!\w)'([^']+)'(?!\w)|(?<![\w-])--[a-z][a-z-]*")
INDEX = "reference/commands/index.md"


def pages() -> dict[str, str]:
    """Text of every page of the commands by its place in the site, that of their list first."""
    root = get_command(app)
    made = {_place(name): _page(name, command) for name, command in _sorted(root)}
    return {INDEX: _index(root)} | made


def _sorted(root: Any) -> list[tuple[str, Any]]:
    return list(root.commands.items())


def _place(name: str) -> str:
    return f"reference/commands/{name}.md"


def _index(root: Any) -> str:
    rows = [
        f"| [`zcbench {full}`]({file}) | {_first(command.help)} |"
        for name, one in _sorted(root)
        for full, file, command in _listed(name, one)
    ]
    return "\n".join(
        [
            HEAD.format(name="Commands"),
            _text(root.help),
            "",
            "| command | what it does |",
            "|---|---|",
            *rows,
            "",
            _text(root.epilog),
            "",
        ]
    )


def _listed(name: str, command: Any) -> Iterator[tuple[str, str, Any]]:
    """A command and its place, or those of a group."""
    parts = getattr(command, "commands", None)
    if not parts:
        yield name, f"{name}.md", command
    for part, one in (parts or {}).items():
        yield f"{name} {part}", f"{name}.md#{name}-{part}", one


def _page(name: str, command: Any) -> str:
    parts = getattr(command, "commands", None)
    if parts is None:
        return HEAD.format(name=f"zcbench {name}") + _command(f"zcbench {name}", command)
    sections = [
        f"## zcbench {name} {part} {{ #{name}-{part} }}\n\n{_command(f'zcbench {name} {part}', one)}"
        for part, one in parts.items()
    ]
    return "\n".join([HEAD.format(name=f"zcbench {name}") + _text(command.help), "", *sections])


def _command(title: str, command: Any) -> str:
    """Usage, description, arguments and options of one command."""
    context = command.context_class(command, info_name=title)
    parameters = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    usage = command.get_usage(context).removeprefix("Usage: ")
    found = [f"```\n{usage}\n```", _text(command.help)]
    for panel, members in grouped(parameters).items():
        rows = [_row(one, context) for one in members]
        found += [f"**{panel}**", "\n".join(["| name | meaning |", "|---|---|", *filter(None, rows)])]
    if example := EXAMPLES.get(title.removeprefix("zcbench ")):
        found += ["**Example**", f"```sh\n{example}\n```"]
    return "\n\n".join([*found, ""])


def _row(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    name, text = (str(part).replace("|", r"\|") for part in record)
    return f"| `{name}` | {_escaped(' '.join(text.split()))} |"


def _first(text: str | None) -> str:
    return _text((text or "").split("\n\n")[0])


def _text(text: str | None) -> str:
    return _escaped(dedent(text or "").strip())


def _escaped(text: str) -> str:
    """The text with options and quoted words as code."""
    for mark, escaped in (("&", "&amp;"), ("<", "&lt;"), ("*", r"\*"), ("_", r"\_"), ("#", r"\#")):
        text = text.replace(mark, escaped)
    return _CODE.sub(lambda found: f"`{_plain(found[1] or found[0])}`", text)


def _plain(text: str) -> str:
    return html.unescape(re.sub(r"\\([*_#])", r"\1", text))
