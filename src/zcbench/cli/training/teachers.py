"""``zcbench teachers``: train teachers once, and list those of the catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli import recipes
from zcbench.cli.arguments import DataDir, Plugins
from zcbench.cli.options import options
from zcbench.cli.output import emitted, status, tabular
from zcbench.cli.tables import print_table
from zcbench.cli.verbosity import error_console

if TYPE_CHECKING:
    from zcbench.distill import Recipe

app = typer.Typer(
    help="Train teachers once, into a catalogue from which bench, distill, truth build and evolve-distiller take them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Catalogue = Annotated[
    Path | None, typer.Option(help="Folder of the catalogue.", show_default="teachers in the data folder")
]


@app.command("list")
@tabular
def list_teachers(catalogue: Catalogue = None, data_dir: DataDir = None) -> None:
    """One line for each teacher: its network, images, test accuracy and fingerprint; damaged ones with the reason.

    Another command takes one by '--teacher trained:NAME', or by at least six digits of its fingerprint.
    """
    from zcbench.benchmarks.scoring.catalogue import catalogue_folder, teachers

    folder = catalogue or catalogue_folder(data_dir)
    found = teachers(folder)
    if emitted([{**one.to_json(), "key": one.key, "folder": one.folder, "problem": one.problem} for one in found]):
        return
    rows = [
        (
            one.name,
            one.text if one.identity else "–",
            one.data or "–",
            "–" if one.accuracy is None else f"{one.accuracy:.2f}",
            one.epochs or "–",
            f"{one.bytes / 1e6:.1f}",
            one.problem or one.sha256[:12],
        )
        for one in found
    ]
    title = f"{len(rows)} trained teachers in {folder}"
    print_table(("name", "network", "images", "accuracy %", "epochs", "MB", "sha256"), rows, title)


@app.command()
@tabular
@options(
    recipe=recipes.recipe(
        seed="Seed of initialisation, order of images and augmentation.", defaults={"augmentation": "crop_flip"}
    )
)
def train(
    *,
    teacher: Annotated[
        str,
        typer.Argument(
            help="An architecture, SPACE:ARCH as resnet:resnet56, 'largest', or FILE.py:FUNCTION.", show_default=False
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name in the catalogue.", show_default="made of network, images and recipe")
    ] = None,
    space: Annotated[str, typer.Option(help=recipes.SPACE)] = "nasbench201",
    dataset: Annotated[str, typer.Option(help=recipes.IMAGES)] = "cifar10",
    recipe: "Recipe",
    init: recipes.Init = "default",
    device: recipes.Device = "cpu",
    catalogue: Catalogue = None,
    plugin: Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """Train a teacher into the catalogue; one of the same recipe and images that is there is not trained again.

    If a training is stopped or killed, the same command resumes it.
    """
    from zcbench.benchmarks.scoring.catalogue import catalogue_folder, teachers
    from zcbench.benchmarks.training.teachers import train_teacher
    from zcbench.distill.training.data.named import named_data

    recipes.load_plugins(plugin or ())
    folder = catalogue or catalogue_folder(data_dir)
    before = {one.key for one in teachers(folder)}
    found = train_teacher(
        teacher,
        named_data(dataset, data_dir),
        recipe,
        name=name,
        space=space,
        init=init,
        device=device,
        catalogue=folder,
        console=error_console(),
    )
    fresh = found.key not in before
    if not emitted([{**found.to_json(), "key": found.key, "folder": found.folder, "trained_now": fresh}]):
        told = "trained" if fresh else "found, not trained again"
        typer.echo(f"{found.name}: {told}; test accuracy {found.accuracy:.2f} %, sha256 {found.sha256[:12]}")
    place = "" if catalogue is None else f"{folder}/"
    status(f"Teacher: {found.folder}; take it with '--teacher trained:{place}{found.name}'.")
