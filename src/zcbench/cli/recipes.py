"""Options of a training recipe, shared by the commands that train."""

from pathlib import Path
from typing import Annotated

import typer

from zcbench.specification import split_list

Epochs = Annotated[int, typer.Option(min=1, help="Epochs of each training.")]
BatchSize = Annotated[int, typer.Option(help="Images in a step.")]
Optimizer = Annotated[str, typer.Option(help="sgd (Nesterov momentum) or adamw.")]
Rate = Annotated[float, typer.Option("--lr", help="Highest learning rate.")]
WeightDecay = Annotated[float, typer.Option(help="Weight decay of all parameters.")]
Schedule = Annotated[str, typer.Option(help="one_cycle, cosine, step or constant.")]
Warmup = Annotated[
    float | None,
    typer.Option(help="Epochs in which the rate rises.", show_default="three tenths of one_cycle, none of the others"),
]
Smoothing = Annotated[float, typer.Option("--label-smoothing", help="Share of a label spread over all classes.")]
Augmentation = Annotated[str, typer.Option(help="none, or crop_flip.")]
Precision = Annotated[str, typer.Option(help="float32; bfloat16 or float16 for autocast, the latter on a GPU.")]
Layout = Annotated[str, typer.Option(help="Memory layout: contiguous, or channels_last.")]
Distillers = Annotated[
    str, typer.Option(help="Distillation losses with knobs, separated by commas, as kd(temperature=2),at.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights of the cross-entropy and of the losses, as ce=.1,kd=.9.",
        show_default="1 each; ce=.1,kd=.9 for kd alone under a teacher",
    ),
]

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that defines distillers. May be repeated.")
]


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
