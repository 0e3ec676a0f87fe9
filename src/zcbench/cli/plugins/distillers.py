"""``zcbench distillers``: distillation losses, what one of them does, and whether it keeps the contract."""

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import Plugins
from zcbench.cli.output import emitted, tabular
from zcbench.cli.plugins.starting import new, print_checks
from zcbench.cli.tables import print_table

if TYPE_CHECKING:
    from zcbench.findings import Finding

app = typer.Typer(help="List, show, check and start distillation losses.", no_args_is_help=True, rich_markup_mode=None)
app.command("new")(new("distiller"))


@app.command("list")
@tabular
def list_distillers(plugin: Plugins = None) -> None:
    """One line for each loss: what it reads, its hyperparameters and its source."""
    from zcbench.distill import REGISTRY

    items, broken = REGISTRY.usable()
    rows = [
        (one.name, one.version, sorted(one.reads), one.uses_labels, one.hyperparameters, one.source) for one in items
    ]
    columns = ("name", "version", "reads", "uses_labels", "hyperparameters", "source")
    errors = [{"name": name, "error": str(error)} for name, error in broken.items()]
    if emitted([*(dict(zip(columns, row)) for row in rows), *errors]):
        return
    lines: list[tuple[object, ...]] = [
        (name, version, ", ".join(reads), "yes" if labels else "no", _written(values), source)
        for name, version, reads, labels, values, source in rows
    ]
    lines += [(name, "–", "–", "–", "–", error) for name, error in broken.items()]
    print_table(("name", "version", "reads", "labels", "hyperparameters", "source"), lines)


@app.command()
def show(name: Annotated[str, typer.Argument(show_default=False)], plugin: Plugins = None) -> None:
    """The documentation of one loss: formula, shapes, hyperparameters, source."""
    from zcbench.distill import REGISTRY, get

    item = get(name)
    typer.echo(f"{item.name}, version {item.version}; reads {', '.join(sorted(item.reads))}")
    typer.echo(f"hyperparameters: {_written(item.hyperparameters) or 'none'}")
    origin = REGISTRY.origin(name.partition("(")[0])
    typer.echo(f"source: {item.source or 'none given'}; defined in {origin}\n")
    typer.echo(inspect.getdoc(item.function) or "It has no documentation.")


@app.command()
@tabular
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Losses; all if omitted.", show_default=False)] = None,
    plugin: Plugins = None,
) -> None:
    """Check losses on small networks, as losses and as proxies; exit code 1 if one of them breaks the contract."""
    from zcbench import distill, proxies
    from zcbench.proxies.kd import as_proxy

    def findings(name: str) -> "list[Finding]":
        item = distill.get(name)
        return [*distill.check(item), *(proxies.check(as_proxy(item)) if item.as_proxy else ())]

    print_checks("distiller", names or distill.names(), findings)


def _written(values: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
