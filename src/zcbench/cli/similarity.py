"""``zcbench similarity``: draw what DisWOT compares."""

from pathlib import Path
from typing import Annotated

import typer

from zcbench.cli.bench import DataDir, Plugins
from zcbench.specification import split_readable


def similarity(
    students: Annotated[
        str,
        typer.Option(
            help="Architectures of the students, separated by commas, chosen ones first; ARCH@FILE is trained, with "
            "the weights in that file, and LABEL=ARCH@FILE has a name in the figure.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Figure to write: .png, .svg or .pdf.", show_default=False)],
    space: Annotated[str, typer.Option(help="Space of the students.")] = "nasbench201",
    teacher: Annotated[str, typer.Option(help="Teacher, as in 'zcbench bench'.")] = "largest",
    teacher_checkpoint: Annotated[Path | None, typer.Option(help="File with the teacher's weights.")] = None,
    teacher_seed: Annotated[int, typer.Option(help="Initialisation of the teacher.")] = 1000,
    dataset: Annotated[str, typer.Option(help="Images of the batch, as in 'zcbench bench'.")] = "cifar10",
    batch_size: Annotated[int, typer.Option(min=2, help="Images in the batch.")] = 64,
    batch_seed: Annotated[int, typer.Option(help="Seed that chooses the images.")] = 0,
    seed: Annotated[int, typer.Option(help="Initialisation of the students.")] = 0,
    init: Annotated[str, typer.Option(help="Initialisation scheme.")] = "default",
    plugin: Plugins = None,
    data_dir: DataDir = None,
) -> None:
    """Draw the similarity matrices of a teacher and of students, and print how far they are apart.

    The formulas are those that the paper of DisWOT prints: images by their feature maps, classes by their class
    activation maps, each matrix divided by its norm. Beside them stands the correlation of the logits of any two
    classes. Where a student is trained, it and the teacher are in evaluation mode.
    """
    from zcbench import datasets, spaces
    from zcbench.benchmarks.ranking.similarity import read_labelled, similarities
    from zcbench.benchmarks.scoring.teachers import read_teacher
    from zcbench.errors import unknown
    from zcbench.reports.ranking.similarities import similarity_matrices
    from zcbench.reports.style import FORMATS, render

    kind = out.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise unknown("figure format", kind, FORMATS)
    where = spaces.get(space)
    choice = read_teacher(teacher, where, teacher_seed, checkpoint=teacher_checkpoint)
    batch = datasets.batch(datasets.load(dataset, data_dir), batch_size, batch_seed)
    given = split_readable(students, lambda student: read_labelled(student, where))
    found = similarities(where, given, choice, batch, seed, init)
    for one in found[1:]:
        typer.echo(f"{one.name}: relation {one.relation:.4f}, semantic {one.semantic:.4f}, logits {one.logit:.4f}")
    about = f"{where.spec}, seed {seed}, {init} init; {batch.description}"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(render(similarity_matrices(found, about), kind))
    typer.echo(f"Figure: {out}")
