"""``zcbench proxies``: what there is, what one of them does, and whether it keeps the contract."""

import inspect
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="List, show and check zero-cost proxies.", no_args_is_help=True, rich_markup_mode=None)

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that defines proxies. May be repeated.")
]


def _load(plugins: list[Path] | None) -> None:
    from zcbench.registry import load_file

    for file in plugins or ():
        load_file(file)


@app.command("list")
def list_proxies(plugin: Plugins = None) -> None:
    """One line per proxy: version, direction, what it reads, source; a broken plug-in is listed with its error."""
    from zcbench.proxies import REGISTRY

    _load(plugin)
    table = Table(box=SIMPLE)
    for column in ("name", "version", "better", "labels", "reads", "source"):
        table.add_column(column, overflow="fold")
    items, broken = REGISTRY.usable()
    for item in items:
        better = "higher" if item.higher_is_better else "lower"
        labels = "yes" if item.uses_labels else "no"
        source = "size baseline" if item.baseline else item.source or REGISTRY.origin(item.name)
        table.add_row(item.name, str(item.version), better, labels, ", ".join(sorted(item.reads)), source)
    for name, error in broken.items():
        table.add_row(name, "–", "–", "–", "–", f"[red]{error}[/]")
    Console().print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(show_default=False)], plugin: Plugins = None) -> None:
    """The documentation of one proxy: formula, shapes, range, direction, source."""
    from zcbench.proxies import REGISTRY

    _load(plugin)
    item = REGISTRY.get(name)
    better = "higher" if item.higher_is_better else "lower"
    typer.echo(f"{item.name}, version {item.version}; {better} ranks better; reads {', '.join(sorted(item.reads))}")
    typer.echo(f"source: {item.source or 'none given'}; defined in {REGISTRY.origin(name)}\n")
    typer.echo(inspect.getdoc(item.function) or "It has no documentation.")


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Proxies; all if omitted.", show_default=False)] = None,
    plugin: Plugins = None,
) -> None:
    """Hold proxies to the contract on small networks; exit code 1 if one of them breaks it."""
    from zcbench import proxies

    _load(plugin)
    console, broken = Console(), 0
    for name in names or proxies.names():
        findings = proxies.check(proxies.get(name))
        broken += any(not finding.passed for finding in findings)
        console.print(f"[bold]{name}[/]")
        for finding in findings:
            mark = "[green]holds[/]" if finding.passed else "[red]BROKEN[/]"
            console.print(f"  {mark} {finding.check}: {finding.detail}", highlight=False, soft_wrap=True)
    if broken:
        raise typer.Exit(1)
