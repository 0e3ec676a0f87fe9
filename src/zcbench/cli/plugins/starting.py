"""``zcbench proxies new | distillers new | spaces new``: files to start a plug-in from; and what checks print."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from zcbench.cli.output import emitted, status, structured

if TYPE_CHECKING:
    from zcbench.findings import Finding

_GROUPS = {"proxy": "proxies", "distiller": "distillers", "space": "spaces"}


def new(kind: str) -> Callable[..., None]:
    """The command ``new`` of a kind of plug-in."""

    def command(
        name: Annotated[str, typer.Argument(help=f"Name of the new {kind}.", show_default=False)],
        out: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path("."),
    ) -> None:
        from zcbench.workflows.starting import new_plugin

        file, test = new_plugin(kind, name, out)
        typer.echo(f"{file}\n{test}")
        status(f"Check: zcbench {_GROUPS[kind]} check {name} --plugin {file}; pytest {test}")

    command.__doc__ = f"Write NAME.py with a {kind} to start from, and test_NAME.py; both pass as they are."
    return command


def print_checks(kind: str, names: Iterable[str], check: "Callable[[str], list[Finding]]") -> None:
    """Print the findings of each object as they come; exit code 1 if a check failed, or an object cannot be loaded.

    Args:
        kind: of the objects, a heading of ``--json``.
        names: of the objects.
        check: the findings of one.
    """
    from zcbench.findings import Finding
    from zcbench.plugins import PluginError

    console, found = Console(quiet=structured()), list[dict[str, object]]()
    for name in names:
        console.print(f"[bold]{escape(name)}[/]")
        try:
            findings = check(name)
        except PluginError as error:
            findings = [Finding("loads", False, str(error))]
        for rule, passed, detail in findings:
            mark = "[green]holds[/]" if passed else "[red]BROKEN[/]"
            console.print(f"  {mark} {rule}: {escape(detail)}", highlight=False, soft_wrap=True)
            found.append({kind: name, "check": rule, "passed": passed, "detail": detail})
    emitted(found)
    if not all(row["passed"] for row in found):
        raise typer.Exit(1)
