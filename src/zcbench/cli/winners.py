"""``top:K@RUN``: the names that a ranking puts first, as a plain list."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zcbench.errors import RankingError

if TYPE_CHECKING:
    from zcbench.benchmarks.ranking import Ranking

PREFIX = "top:"
_FORM = re.compile(r"top:(\d+)@([^:]+)(?::(\w+))?(?::([^:]+))?")


class Winners(NamedTuple):
    """Names, best first, and how they came about, JSON-able."""

    names: list[str]
    about: dict[str, Any]


def winners(
    text: str, space: str, data_dir: Path | None = None, *, transfer: bool = False, prefix: str = ""
) -> Winners:
    """The K best of a ranking by one column of its table.

    Args:
        text: ``top:K@RUN``, ``top:K@RUN:COLUMN`` or ``top:K@RUN:COLUMN:TRUTH``. RUN is a folder with a ranking, or
            scores that ship or are packed, which are ranked against TRUTH now. COLUMN is tau, unless it is given;
            ``given_params`` is short for ``tau_given_params``. Without TRUTH the mean over all truths counts.
        space: name of the space that the names are for.
        data_dir: folder with accuracies.
        transfer: whether a ranking of another space will do.
        prefix: only names that begin with it count, such as ``kd:``.

    A name that orders the architectures as a better one does is passed over: several names may be one quantity.

    Raises:
        RankingError: the text has another form, RUN has no ranking, or it is of another space.
        UnknownNameError: the ranking has no such column or truth.
    """
    match = _FORM.fullmatch(text)
    if not match or int(match[1]) < 1:
        raise RankingError(
            f"{text!r} was given. Expected top:K@RUN with K of at least 1 and, if need be, a column and a truth, as in "
            f"'top:3@runs/first' or 'top:3@runs/first:given_params:nasbench201/cifar100'."
        )
    ranking = _ranking(match[2], match[4], data_dir)
    column = f"tau_{match[3]}" if f"tau_{match[3]}" in ranking.table else match[3] or "tau"
    ranked = str(ranking.protocol.get("scores", {}).get("space", ""))
    if ranked.partition("(")[0] != space and not transfer:
        raise RankingError(
            f"The ranking {match[2]!r} is about the space {ranked or 'unknown'}, and {space} is searched. Expected a "
            f"ranking of the same space; rank there, or say --transfer to take its winners all the same."
        )
    ranked_names = ranking.top(len(ranking.table), truth=match[4], by=column)
    names = ranking.distinct([name for name in ranked_names if name.startswith(prefix)])[: int(match[1])]
    if not names:
        which = f" that begins with {prefix!r}" if prefix else ""
        raise RankingError(
            f"The ranking {match[2]!r} has no name{which} with a figure under {column!r}. Expected at least one; score "
            f"such proxies, or name another column."
        )
    truths = [match[4]] if match[4] else [str(name) for name in ranking.accuracies]
    about = {"asked": text, "names": names, "column": column, "truths": truths, "ranked space": ranked}
    return Winners(names, about)


def _ranking(run: str, truth: str | None, data_dir: Path | None) -> "Ranking":
    from zcbench.benchmarks.ranking import Ranking
    from zcbench.benchmarks.study import rank_run
    from zcbench.benchmarks.truth import truth as look_up

    for folder in (Path(run) / "ranking", Path(run)):
        if (folder / "protocol.json").is_file():
            return Ranking.load(folder)
    if truth is None:
        raise RankingError(
            f"There is no ranking in {run!r}. Expected the folder of 'zcbench bench' or of 'zcbench rank --out'; make "
            f"one, or name the truth to rank by, as in 'top:3@{run}:tau:nasbench201/cifar10'."
        )
    return rank_run(run, {truth: look_up(truth, data_dir)}, subsets=("all",), draws=1)
