"""``top:K@RUN``: the best names of a ranking, as a plain list."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zcbench.benchmarks.ranking.ensembles import ENSEMBLES, RULES
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.truths.lookup import truth as look_up
from zcbench.benchmarks.truths.name import TruthName
from zcbench.errors import RankingError, StoreError, UnknownNameError, ZcbenchError
from zcbench.proxies import REGISTRY
from zcbench.specification import split_list

_FORM = re.compile(r"top:([1-9]\d{0,8})@([^:]+)(?::(\w+))?(?::([^:]+))?", re.ASCII)


class Winners(NamedTuple):
    """Names, best first, and their origin, JSON-able."""

    names: list[str]
    about: dict[str, object]


def winners(
    text: str,
    space: str,
    data_dir: Path | None = None,
    *,
    transfer: bool = False,
    prefix: str = "",
    sizes: bool = True,
) -> Winners:
    """The K best of a ranking by one column of its table.

    Args:
        text: ``top:K@RUN``, ``top:K@RUN:COLUMN`` or ``top:K@RUN:COLUMN:TRUTH``. RUN is a folder with a ranking, or
            bundled or packed scores, which are ranked against TRUTH now. COLUMN is tau, unless it is given;
            ``given_params`` is short for ``tau_given_params``. Without TRUTH a name's figure is the plain mean over the
            truths of the ranking; truths with the same accuracies count once.
        space: name of the space that the names are for.
        data_dir: folder with accuracies.
        transfer: whether a ranking of another space will do.
        prefix: only names that begin with it count, such as ``kd:``.
        sizes: whether sizes count, and ensembles of sizes alone.

    A name with the order of a better one is left out: several names may be one quantity.

    Raises:
        RankingError: the text has another form, RUN has no ranking, it is of another space, or a name is defined in a
            plug-in that was not given.
        UnknownNameError: the ranking has no such column or truth.
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise RankingError(
            f"{text!r} was given. Expected top:K@RUN with K of at least 1 and, if need be, a column and a truth, as in "
            f"'top:3@runs/first' or 'top:3@runs/first:given_params:nasbench201/cifar100'."
        )
    run = match[2]
    ranking = _ranking(run, match[4], data_dir)
    column = f"tau_{match[3]}" if f"tau_{match[3]}" in ranking.table else match[3] or "tau"
    ranked = _check_space(ranking, run, space, transfer)
    truth = None if match[4] is None else _named(match[4], ranking)
    found = _best(ranking, column, truth, prefix, sizes, run)
    names = found[: int(match[1])]
    _check_known(names, run)
    about = {"asked": text, "names": names, "column": column, "truths": [truth] if truth else _different(ranking)}
    about["ranked space"] = ranked
    return Winners(names, about if sizes else {**about, "sizes": "left out"})


def _check_space(ranking: Ranking, run: str, space: str, transfer: bool) -> str:
    """Space of the ranking; refused where another one is searched."""
    ranked = str(ranking.protocol.get("scores", {}).get("space", ""))
    if ranked.partition("(")[0] != space and not transfer:
        raise RankingError(
            f"The ranking {run!r} is about the space {ranked or 'unknown'}, and {space} is searched. Expected a "
            f"ranking of the same space; rank there, or use --transfer to take its names."
        )
    return ranked


def _best(ranking: Ranking, column: str, truth: str | None, prefix: str, sizes: bool, run: str) -> list[str]:
    """Different names, best first."""
    counted = replace(ranking, table=ranking.table[ranking.table["truth"].isin(_different(ranking))])
    source = ranking if truth else counted
    ranked = source.top(len(source.table), truth=truth, by=column)
    names = [name for name in ranked if name.startswith(prefix) and (sizes or not _made_of_sizes(name))]
    if sizes:
        names = ranking.distinct(names)
    else:
        names = [name for name in ranking.distinct([*SIZES, *names]) if name not in SIZES]
    if not names:
        which = (f" that begins with {prefix!r}" if prefix else "") + ("" if sizes else " beside sizes")
        raise RankingError(
            f"The ranking {run!r} has no name{which} with a figure under {column!r}. Expected at least one; score "
            f"such proxies, or name another column."
        )
    return names


def _different(ranking: Ranking) -> list[str]:
    """Truths without those that have the accuracies of an earlier one, which are one truth under two names."""
    columns = ranking.accuracies.T
    return list(map(str, columns.index[~columns.duplicated()]))


def _named(truth: str, ranking: Ranking) -> str:
    """The ranking's own name of a truth; the text itself where it has none that means the same."""
    return next((str(one) for one in ranking.accuracies if _meant(str(one)) == _meant(truth)), truth)


def _meant(truth: str) -> str:
    try:
        return str(TruthName.parse(truth))
    except ZcbenchError:
        return truth


def _members(name: str) -> tuple[str, ...]:
    """Members of an ensemble, by its name or formula; of another name itself."""
    if name in ENSEMBLES.names():
        return tuple(ENSEMBLES.get(name).members)
    rule, bracket, rest = name.partition("(")
    return tuple(split_list(rest[:-1])) if bracket and rule in RULES and rest.endswith(")") else (name,)


def _made_of_sizes(name: str) -> bool:
    """Whether a score reads nothing but sizes: one of them, a proxy of them, or an ensemble of such."""

    def one(member: str) -> bool:
        return member in SIZES or (member in REGISTRY and not REGISTRY.get(member).needs_network)

    return all(map(one, _members(name)))


def _check_known(names: Iterable[str], run: str) -> None:
    """Refuse names without a definition here."""
    needed = dict.fromkeys(member for name in names for member in _members(name))
    lacking = [name for name in needed if name not in SIZES and name not in REGISTRY]
    if lacking:
        raise _lacks(lacking, run)


def _lacks(names: Iterable[str], run: str) -> RankingError:
    """Error for scores whose definition is not loaded."""
    listed = list(names)
    files = list(dict.fromkeys(file for name in listed for file in _plugins(name, run)))
    which = f"the plug-in {' or '.join(files)}" if files else "a plug-in file or package that the ranking does not name"
    given = " ".join(f"--plugin {file}" for file in files) if files else "--plugin FILE.py"
    return RankingError(
        f"The ranking {run!r} has the score {', '.join(listed)}, which is defined in {which} and is not loaded here. "
        f"Expected that plug-in; give it as {given}, or rank without that score."
    )


def _plugins(name: str, run: str) -> Iterator[str]:
    """Plug-in files of the requests that scored ``name``, the newest first."""
    folder = Path(run)
    try:
        requests = bundled.load(folder.parent if folder.name == "ranking" else run)[2]["requests"]
    except (ZcbenchError, LookupError):
        return
    for request in reversed(requests):
        if name in request.get("proxies", ()):
            yield from map(str, request.get("plugins", ()))


def _ranking(run: str, truth: str | None, data_dir: Path | None) -> Ranking:
    folder = _folder(run)
    if folder is not None:
        return Ranking.load(folder)
    if truth is None:
        raise RankingError(
            f"There is no ranking in {run!r}. Expected the folder of 'zcbench bench' or of 'zcbench rank --out'; make "
            f"one, or name the truth to rank by, as in 'top:3@{run}:tau:nasbench201/cifar10'."
        )
    table = look_up(truth, data_dir)
    try:
        return rank_run(run, {truth: table}, subsets=("all",))
    except UnknownNameError as error:
        lacking = sorted(name for name in set(bundled.load(run)[1]["proxy"]) if name not in REGISTRY)
        raise (_lacks(lacking, run) if lacking else error) from error


def _folder(run: str) -> Path | None:
    """Folder of a finished ranking; None if there is none."""
    try:
        return next((one for one in (Path(run) / "ranking", Path(run)) if (one / "protocol.json").is_file()), None)
    except (OSError, ValueError) as error:
        raise StoreError(f"There are no scores at {run[:60]!r}: {error}. Expected the folder of a run.") from error
