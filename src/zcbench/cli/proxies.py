"""``zcbench proxies``: what there is, ensembles too, what one of them does, and whether it keeps the contract."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import DataDir, Draws
from zcbench.cli.output import emitted, tabular
from zcbench.cli.plugins.starting import new, print_checks
from zcbench.cli.tables import print_table
from zcbench.specification import split_list

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    help="List, show, check, start and document zero-cost proxies.", no_args_is_help=True, rich_markup_mode=None
)
app.command("new")(new("proxy"))

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that defines proxies. May be repeated.")
]


def _load(plugins: list[Path] | None) -> None:
    from zcbench.plugins import load_file

    for file in plugins or ():
        load_file(file)


@app.command("list")
@tabular
def list_proxies(plugin: Plugins = None) -> None:
    """One line per proxy and per ensemble, with its source; a broken plug-in is listed with its error."""
    from zcbench.proxies.scoring.cards import cards

    _load(plugin)
    known, broken = cards()
    if emitted([*known.values(), *_broken(broken)], ensembles=_ensembles()):
        return
    rows: list[tuple[object, ...]] = []
    for item in known.values():
        better = "higher" if item.higher_is_better else "lower"
        source, labels = "size baseline" if item.baseline else item.source, "yes" if item.uses_labels else "no"
        rows.append((item.name, item.version, better, labels, ", ".join(item.reads), source))
    rows += [(name, "–", "–", "–", "–", error) for name, error in broken.items()]
    print_table(("name", "version", "better", "labels", "reads", "source"), rows)
    _list_ensembles()


def _broken(errors: "Mapping[str, object]") -> list[dict[str, object]]:
    return [{"name": name, "error": str(error)} for name, error in errors.items()]


def _ensembles() -> list[dict[str, object]]:
    """Ensembles as JSON has them."""
    from zcbench.benchmarks.ranking.ensembles import ENSEMBLES

    items, broken = ENSEMBLES.usable()
    columns = ("name", "rule", "members", "baseline", "source")
    return [*({column: getattr(item, column) for column in columns} for item in items), *_broken(broken)]


def _list_ensembles() -> None:
    """Ensembles in a table of their own: they rank a population and score no architecture by itself."""
    from zcbench.benchmarks.ranking.ensembles import ENSEMBLES

    items, broken = ENSEMBLES.usable()
    rows: list[tuple[object, ...]] = []
    for item in items:
        source = "free baseline" if item.baseline else item.source or ENSEMBLES.origin(item.name)
        rows.append((item.name, item.rule, ", ".join(item.members), source))
    rows += [(name, "–", "–", error) for name, error in broken.items()]
    title = "Ensembles: ranks aggregated over the architectures of a run"
    print_table(("name", "rule", "members", "source"), rows, title)


@app.command()
def show(name: Annotated[str, typer.Argument(show_default=False)], plugin: Plugins = None) -> None:
    """The documentation of one proxy or ensemble: formula, shapes, range, direction, source."""
    from zcbench.benchmarks.ranking.ensembles import ENSEMBLES
    from zcbench.errors import unknown
    from zcbench.proxies import REGISTRY

    _load(plugin)
    if name in ENSEMBLES or ("(" in name and name not in REGISTRY):
        _show_ensemble(name)
        return
    if name not in REGISTRY:
        raise unknown("proxy or ensemble", name, [*REGISTRY.names(), *ENSEMBLES.names()])
    item = REGISTRY.get(name)
    better = "higher" if item.higher_is_better else "lower"
    typer.echo(f"{item.name}, version {item.version}; {better} ranks better; reads {', '.join(sorted(item.reads))}")
    typer.echo(f"source: {item.source or 'none given'}; defined in {REGISTRY.origin(name)}\n")
    typer.echo(inspect.getdoc(item.function) or "It has no documentation.")


def _show_ensemble(name: str) -> None:
    """What an ensemble aggregates, and the documentation of its rule."""
    from zcbench.benchmarks.ranking.ensembles import RULES, named
    from zcbench.proxies import REGISTRY

    item = named(name, REGISTRY.names())
    typer.echo(f"{item.name}, an ensemble: {item.formula}; higher ranks better")
    typer.echo(f"source: {item.source or 'none given'}{'; the baseline of the ensembles' if item.baseline else ''}\n")
    typer.echo(f"{item.summary}\n\n" * bool(item.summary) + (inspect.getdoc(RULES[item.rule]) or ""))


@app.command()
@tabular
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Proxies; all if omitted.", show_default=False)] = None,
    plugin: Plugins = None,
) -> None:
    """Hold proxies to the contract on small networks; exit code 1 if one of them breaks it."""
    from zcbench import proxies

    _load(plugin)
    print_checks("proxy", names or proxies.names(), lambda name: proxies.check(proxies.get(name)))


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="Folder for the pages.", show_default=False)],
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="Scores for the numbers: a run, a packed file, or a name of 'zcbench scores list'. May be "
            "repeated, or separated by commas: a proxy has the numbers of the first that ranks it.",
            show_default="none",
        ),
    ] = None,
    truth: Annotated[
        list[str] | None,
        typer.Option(help="Accuracies for the numbers. May be repeated, or separated by commas.", show_default=False),
    ] = None,
    subsets: Annotated[str, typer.Option(help="Architectures that the numbers are about.")] = "all,live",
    draws: Draws = 0,
    plugin: Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """Write the reference: one Markdown page per proxy, and an index with the ensembles."""
    from zcbench.workflows.reference import TRUTHS, reference

    _load(plugin)
    chosen = split_list(truth or TRUTHS), split_list([subsets])
    page = reference(out, split_list(scores or ()), *chosen, draws=draws, data_dir=data_dir)
    typer.echo(f"Reference: {page}")
