"""Options of a training recipe, shared by the commands that train."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from zcbench.cli.options import Record
from zcbench.specification import split_list

WARMUP = "three tenths of one_cycle, none of the others"
RATE = ".1 for sgd, .001 for adamw"
IMAGES = (
    "Images: cifar10, cifar100, imagenet16-120 or digits, with options as in cifar10(files=1,side=16); a folder with "
    "the folders train and test and one folder a class, as folder(path='flowers',side=32); FILE.py:FUNCTION, which "
    "returns PyTorch data sets; or a data set of a plug-in."
)
WEIGHTS = "1 each; ce=.1,kd=.9 for kd alone under a teacher"

#: The loss where none is named.
DISTILLERS = "kd"
Init = Annotated[
    str, typer.Option(help="Initialisation: that of the space or network (default), kaiming, xavier or normal.")
]
Device = Annotated[str, typer.Option(help="Where networks run: cpu or cuda.")]
SPACE = "Space of a student or teacher that is named without one."
TEACHER_CHECKPOINT = "File with the teacher's weights, a state_dict."
TEACHER_EPOCHS = "Epochs of a teacher that is trained first."

TeacherOutputs = Annotated[
    str,
    typer.Option(
        help="Where the teacher's outputs for the training images are, where these are the same in every epoch: "
        "memory, of each worker; or files that all workers share, as float32, or as float16, half the size and rounded."
    ),
]


def recipe(*omit: str, seed: str = "", defaults: Mapping[str, object] | None = None) -> Record:
    """Options of a `Recipe`, without those fields, with other defaults for some; ``seed`` is the help of its seed."""
    return Record(
        "zcbench.distill.training.recipe:Recipe",
        omit=omit,
        defaults=defaults or {},
        options={
            "epochs": typer.Option(min=1, help="Epochs of each training."),
            "lr": typer.Option("--lr", help="Highest learning rate.", show_default=RATE),
            "layout": typer.Option(metavar="contiguous|channels_last"),
            "clip": typer.Option(show_default="no clipping"),
            "ema": typer.Option(show_default="none"),
            **({"seed": typer.Option(min=0, help=seed)} if seed else {}),
            "warmup": typer.Option(help="Epochs in which the rate rises.", show_default=WARMUP),
            "padding": typer.Option(help="Pixels on each side before a crop.", show_default="an eighth of the side"),
        },
    )


def load_plugins(files: Iterable[Path]) -> dict[str, str]:
    """Load plug-in files, each version of a file once.

    Returns:
        SHA-256 of each file, by its path.

    Raises:
        PluginError: a file is missing or fails to load.
    """
    from zcbench.benchmarks.truths.sources import sha256
    from zcbench.plugins import load_file

    found = {}
    for file in files:
        if not file.is_file():
            load_file(file)  # says what is wrong
        found[str(file)] = sha256(file)
        load_file(file, sha256=found[str(file)])
    return found


def refuse_without_teacher(distillers: str | None, weights: str | None, advice: str) -> None:
    """Raise `RecipeError` where losses or weights are given for trainings without a teacher."""
    from zcbench.distill.errors import RecipeError

    for option, given in (("--distillers", distillers), ("--weights", weights)):
        if given is not None:
            raise RecipeError(
                f"Given {option} {given!r} and no teacher. Expected a teacher, without which the option has no effect; "
                f"{advice}, or leave {option} out."
            )


def read_weights(given: str | None) -> dict[str, float]:
    """Weights by term from a text such as ``ce=.1,kd(temperature=2)=.9``."""
    weights = {}
    for part in split_list(given or ""):
        name, found, number = part.rpartition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            found = ""
        if not found:
            raise typer.BadParameter(f"{part!r} is no weight. Expected NAME=NUMBER, as ce=.1.", param_hint="--weights")
    return weights
