"""``zcbench spaces``: architecture spaces, the size of one network, and whether a space keeps the interface."""

import inspect
from typing import Annotated

import typer

from zcbench.cli.arguments import Plugins
from zcbench.cli.output import emitted, tabular
from zcbench.cli.plugins.starting import new, print_checks
from zcbench.cli.tables import print_table

app = typer.Typer(help="List, show, check and start architecture spaces.", no_args_is_help=True, rich_markup_mode=None)
app.command("new")(new("space"))


@app.command("list")
@tabular
def list_spaces(plugin: Plugins = None) -> None:
    """One line for each space: its default options, how many architectures it has, and its subsets."""
    from zcbench.spaces.cards import cards

    found, broken = cards()
    if emitted([*found, *({"name": name, "error": str(error)} for name, error in broken.items())]):
        return
    rows: list[tuple[object, ...]] = [
        (one.name, one.spec, f"{one.architectures:,}", ", ".join(one.subsets), one.about) for one in found
    ]
    rows += [(name, "–", "–", "–", error) for name, error in broken.items()]
    print_table(("name", "default", "architectures", "subsets", "about"), rows)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A space, with options or without.", show_default=False)],
    arch: Annotated[str | None, typer.Argument(help="An architecture.", show_default="one that is drawn")] = None,
    plugin: Plugins = None,
) -> None:
    """The documentation of one space, and the sizes of an architecture for 10 classes and the default images."""
    from zcbench import spaces
    from zcbench.spaces.cards import SpaceCard
    from zcbench.streams import numpy_stream

    space = spaces.get(name)
    card = SpaceCard.of(name, space)
    typer.echo(f"{card.spec}: {card.architectures:,} architectures; subsets {', '.join(card.subsets)}\n")
    typer.echo(inspect.getdoc(type(space)) or "It has no documentation.")
    shown = space.sample(numpy_stream("show", space.spec)) if arch is None else arch
    sizes = space.costs([shown]).iloc[0].drop("arch")
    typer.echo(f"\n{shown}: " + ", ".join(f"{column} {value:,}" for column, value in sizes.items()))


@app.command()
@tabular
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Spaces; all if omitted.", show_default=False)] = None,
    plugin: Plugins = None,
) -> None:
    """Check spaces on drawn architectures; exit code 1 if one of them does not keep the interface."""
    from zcbench import spaces

    print_checks("space", names or spaces.names(), lambda name: spaces.check(spaces.get(name)))
