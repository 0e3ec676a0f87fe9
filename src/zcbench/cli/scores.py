"""``zcbench scores``: bundled scores; exporting and importing scores."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zcbench.cli.arguments import SCORES, TRUTH, DataDir, Plugins, Truths
from zcbench.cli.output import emitted, tabular
from zcbench.cli.tables import print_table
from zcbench.specification import split_list

app = typer.Typer(
    help="List bundled scores, merge runs, pack them into one file, and unpack them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@tabular
def list_scores() -> None:
    """Bundled scores: 'zcbench rank NAME' answers from them at once."""
    from zcbench.benchmarks.scoring import bundled

    cards = {name: bundled.card(name) for name in bundled.names()}
    if emitted([_bundled(name, about, bundled.path(name)) for name, about in cards.items()]):
        return
    rows = []
    for name in cards:
        about, size = cards[name], bundled.path(name).stat().st_size
        protocol = about["protocol"]
        counts = (about["architectures"], len(about["proxies"]), about["scores"])
        rows.append(
            (name, protocol["space"], *(f"{count:,}" for count in counts), f"{size / 1e6:.1f}", protocol["batch"])
        )
    print_table(("name", "space", "architectures", "proxies", "scores", "MB", "batch"), rows)


def _bundled(name: str, about: dict[str, Any], file: Path) -> dict[str, object]:
    """A table of bundled scores as JSON and CSV have it."""
    counts = {"architectures": about["architectures"], "proxies": len(about["proxies"]), "scores": about["scores"]}
    protocol = about["protocol"]
    return {
        "name": name,
        "space": protocol["space"],
        **counts,
        "bytes": file.stat().st_size,
        "batch": protocol["batch"],
    }


@app.command()
@tabular
def show(
    scores: Annotated[str, typer.Argument(help=SCORES, show_default=False)],
) -> None:
    """The card of a set of scores: protocol, requests, and for each proxy attempts, statuses and mean time."""
    from zcbench.benchmarks.scoring import bundled

    about = bundled.card(scores)
    if emitted(about["proxies"], **{name: about[name] for name in ("protocol", "requests", "architectures", "scores")}):
        return
    for name, value in about["protocol"].items():
        typer.echo(f"{name}: {value}")
    for request in about["requests"]:
        origin = request.get("notes", {}).get("architectures", f"{request.get('architectures')} architectures")
        seeds = ", ".join(map(str, request.get("seeds", ())))
        typer.echo(f"asked: {origin}; seeds {seeds}; {len(request.get('proxies', ()))} proxies")
    typer.echo(f"{about['scores']:,} scores of {about['architectures']:,} architectures")
    print_table(("proxy", "version", "attempts", "statuses", "ms"), [_line(entry) for entry in about["proxies"]])


@app.command()
def pack(
    runs: Annotated[
        list[str], typer.Argument(help="Folders of runs, or files of 'zcbench scores pack'.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="File to write; ends in .parquet.", show_default=False)],
    proxies: Annotated[
        str | None, typer.Option(help="Proxies to keep, separated by commas.", show_default="all")
    ] = None,
    all_versions: Annotated[bool, typer.Option(help="Keep older versions of a proxy too.")] = False,
) -> None:
    """Write all scores of runs of one protocol into one compact file; a run may still be at work."""
    from zcbench.benchmarks.scoring import packing

    chosen = None if proxies is None else split_list(proxies)
    about = packing.pack(runs, out, proxies=chosen, all_versions=all_versions)
    typer.echo(f"{_told(about)} in {out} ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, such as all shards of one.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the merged run.", show_default=False)],
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Merge also where shards are missing or not finished.")
    ] = False,
) -> None:
    """Merge runs of one protocol into the folder of one run; a score that two have must be the same bits in both."""
    import zcbench

    done = zcbench.merge_runs(runs, out, incomplete=incomplete)
    typer.echo(
        f"{done.scores:,} scores of {done.runs} {'run' if done.runs == 1 else 'runs'} in {done.folder}; "
        f"{done.duplicates:,} were in two of them, with the same bits."
    )


@app.command()
def unpack(
    scores: Annotated[
        str, typer.Argument(help="Name of bundled scores, or file that 'pack' wrote.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="New folder of the run.", show_default=False)],
) -> None:
    """Make the folder of a run from packed scores; 'zcbench bench' with the same protocol adds what is missing."""
    from zcbench.benchmarks.scoring import bundled

    typer.echo(f"{_told(bundled.unpack(scores, out))} in {out}")


def _told(about: dict[str, Any]) -> str:
    return f"{about['scores']:,} scores of {about['architectures']:,} architectures and {len(about['proxies'])} proxies"


def _line(entry: dict[str, Any]) -> tuple[str, ...]:
    """One proxy of a card in words."""
    attempts = ", ".join(f"{n:,} with seed {seed}" for seed, n in entry["attempts"].items())
    statuses = ", ".join(f"{n:,} {status}" for status, n in entry["statuses"].items())
    return entry["proxy"], str(entry["version"]), attempts, statuses, f"{1000 * entry['seconds']:.3g}"


@app.command()
@tabular
def compare(
    first: Annotated[str, typer.Argument(help=SCORES, show_default=False)],
    second: Annotated[str, typer.Argument(help="Other ones.", show_default=False)],
    truth: Truths = TRUTH,
    plugin: Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """How far the scores of two runs differ, such as of two layouts or floating types, and what that does to tau.

    Over the architectures and seeds that both have. Differences are relative to the second.
    """
    from zcbench.benchmarks.scoring import bundled
    from zcbench.benchmarks.scoring.comparing import compare as compared
    from zcbench.benchmarks.truths.lookup import truths

    one, other = bundled.load(first), bundled.load(second)
    table, differences = compared(one, other, truths(truth, data_dir)), one[0].differences(other[0])
    if emitted(table, differences=differences):
        return
    for line in differences or ["The protocols are equal."]:
        typer.echo(line)
    headings = ("proxy", "n", "median diff.", "largest diff.", "τ between", *map(str, table.columns[5:]))
    rows = [
        (row[0], f"{row[1]:,}", *(f"{value:.1e}" for value in row[2:4]), *(f"{value:.4f}" for value in row[4:]))
        for row in table.itertuples(index=False)
    ]
    print_table(headings, rows)


@app.command()
@tabular
def published(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Folders of runs, packed files, or names of bundled scores, of any spaces.", show_default=False
        ),
    ],
    plugin: Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """Rank correlation of our scores with those that others published, beside that of two draws of either."""
    import zcbench

    found = zcbench.compare_published(split_list(runs), data_dir)
    if emitted(found.table, conditions=found.conditions):
        return
    headings = ("name", "n", "ρ", "low", "high", "τ", "our draws", "seeds", "their tables")
    for about in found.conditions:
        rows = found.table[(found.table["run"] == about["run"]) & (found.table["published"] == about["published"])]
        differ = "; ".join(list(map(str, about["differences"]))) or "nothing that is stated"
        typer.echo(f"{Path(str(about['run'])).name} and {about['published']} ({about['origin']})")
        typer.echo(f"  ours differs in: {differ}")
        figures = ["rho", "low", "high", "tau", "own"]
        print_table(
            headings,
            (
                (row["proxy"], f"{row['n']:,}", *map(_three, row[figures]), row["own_seeds"], _three(row["theirs"]))
                for _, row in rows.iterrows()
            ),
        )


def _three(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
