"""``zcbench pairs``: scores of teacher-student pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcbench.cli.arguments import DataDir, Ensembles, Plugins, Run, Truths, ranking
from zcbench.cli.options import options
from zcbench.cli.output import emitted, tabular
from zcbench.cli.tables import print_table

if TYPE_CHECKING:
    from zcbench import RankingOptions


@tabular
@options(ranking=ranking("k", "supervised", "supervised_train"))
def pairs(
    *,
    run: Run,
    truth: Truths = ["pairs/cifar100/kd"],  # noqa: B006
    top: Annotated[int, typer.Option(min=1, help="Rows of each printed table; --json and --csv have all.")] = 20,
    plugin: Plugins = None,
    ranking: "RankingOptions",
    ensembles: Ensembles = "none",
    data_dir: DataDir = None,
) -> None:
    """Compare scores of teacher-student pairs with distilled accuracies, over all pairs and with one side fixed.

    The run is one of 'zcbench bench --space pairs'. Comparisons of two pairs with the same teacher, or with the same
    student, are counted apart; equal scores count as half right.
    """
    import zcbench

    table = zcbench.rank_pairs(Path(run), truth, ensembles=ensembles, options=ranking, data_dir=data_dir)
    if emitted(table):
        return
    headings = ("name", "kind", "n", "τ", "low", "high", "one teacher", "of", "one student", "of")
    for name, rows in table.groupby("truth", sort=False):
        figures = (
            (proxy, kind, n, *map(_two, (*taus, teacher)), of_teacher, _two(student), of_student)
            for _, proxy, kind, n, *taus, teacher, of_teacher, student, of_student in rows.head(top).to_numpy(object)
        )
        print_table(headings, figures, f"Against {name}: τ over all pairs, and over comparisons with one side fixed")


def _two(value: float) -> str:
    return "–" if value != value else f"{value:.2f}"
