"""From packed scores, or a run, to entries of a leaderboard."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

import zcbench
from zcbench import datasets, spaces
from zcbench.benchmarks.leaderboard.board import Board
from zcbench.benchmarks.leaderboard.records import STATISTICS, WHOLE, Benchmark, Entry
from zcbench.benchmarks.leaderboard.submission import BUNDLED, Submission, submitted
from zcbench.benchmarks.ranking.differences import size_differences
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.truths.lookup import truth as look_up
from zcbench.errors import DataError, ProtocolError, ZcbenchError, unknown
from zcbench.plugins import load_file
from zcbench.proxies import REGISTRY
from zcbench.proxies.scoring.cards import card as proxy_card
from zcbench.proxies.scoring.checking import check
from zcbench.storage.run_folder import Json


def add(
    board: str | Path,
    scores: str | Path,
    truths: Sequence[str] = (),
    *,
    plugin: str | Path | None = None,
    proxies: Iterable[str] | None = None,
    data_dir: Path | None = None,
) -> list[Entry]:
    """Add the proxies of a run to a leaderboard, and make the benchmarks that it lacks.

    Scores and plug-in are copied into the folder. A proxy of a plug-in must pass the checks of the contract; its report
    is kept. An entry of an earlier version of a proxy goes into the history of the new one.

    Args:
        board: folder of the leaderboard; made if missing.
        scores: folder of a run, packed file, or name of bundled scores.
        truths: accuracies to compare with, each a benchmark, made where the board has none of this truth and protocol;
            all benchmarks of the board that the scores are for, if empty.
        plugin: file that defines the proxies.
        proxies: which of the scored ones; all that are no size, and all named ensembles of them, if None.
        data_dir: folder with accuracies and images.

    Returns:
        The entries that were written.

    Raises:
        ProtocolError: the benchmark has another protocol, or the plug-in is not the one that was scored.
        DataError: architectures of the benchmark or initialisations are missing, a check of the contract failed, or
            there is no benchmark for these scores.
        UnknownNameError: a truth or a proxy is unknown.

    Example:
        >>> add("board", "nasbench201-1000", ["nasbench201/cifar100"])  # doctest: +SKIP
    """
    if plugin is not None:
        load_file(plugin)
    home = Board(Path(board))
    names = None if proxies is None else list(proxies)
    submission = submitted(home, scores, names, plugin)
    goals = _goals(home, submission, truths, names, data_dir)
    found = [entry for goal in goals for entry in _entries(home, submission, goal, names, data_dir)]
    for goal in goals:
        home.write(goal)
    for entry in found:
        home.write(entry)
    return found


def _goals(
    home: Board, submission: Submission, truths: Sequence[str], proxies: list[str] | None, data: Path | None
) -> list[Benchmark]:
    """The benchmarks that the scores are for, new ones among them."""
    known = home.benchmarks()
    if truths:
        return [_goal(known, submission, name, proxies, data) for name in truths]
    found = [benchmark for benchmark in known.values() if _fits(benchmark, submission)]
    if not found:
        raise DataError(
            f"{home.path} has no benchmark of the protocol of these scores. Expected scores for one of "
            f"{', '.join(known) or 'none'}; score with the options of the benchmark, or name a truth to make one."
        )
    return [one for one in found if _covers(submission, one)] or found[:1]


def _covers(submission: Submission, benchmark: Benchmark) -> bool:
    """Whether some proxy was tried on every architecture."""
    return {*benchmark.architectures()} <= {*map(str, submission.scores["arch"].unique())}


def _fits(benchmark: Benchmark, submission: Submission) -> bool:
    with suppress(ProtocolError):
        benchmark.require(submission.protocol, "")
        return True
    return False


def _goal(
    known: Mapping[str, Benchmark], submission: Submission, truth: str, proxies: list[str] | None, data: Path | None
) -> Benchmark:
    """The benchmark of this name or truth, or a new one."""
    if truth in known:
        known[truth].require(submission.protocol, submission.place)
        return known[truth]
    same = [one for one in known.values() if one.truth == truth and _fits(one, submission)]
    if there := [one for one in same if _covers(submission, one)]:
        return there[0]
    table, protocol = look_up(truth, data), submission.protocol
    archs = sorted(
        {*table["arch"]}.intersection(submission.common("arch", proxies)), key=spaces.get(protocol.space).index
    )
    ranking = _ranking(submission, truth, archs, data)
    rows = _rows(ranking, truth)
    return Benchmark(
        name=_name(known, submission, truth),
        truth=truth,
        group=protocol.space.partition("(")[0],
        archs=WHOLE if _is_whole(archs, protocol.space) else archs,
        seeds=sorted(map(int, submission.common("seed", proxies))),
        dataset=_dataset(protocol, data),
        protocol=protocol.to_dict(),
        sizes={name: _statistics(row) for name, row in rows.items() if name in SIZES},
    )


def _name(known: Mapping[str, Benchmark], submission: Submission, truth: str) -> str:
    """Name of a new benchmark: of bundled scores, of the space, or where that is taken, of the file."""
    group, rest = submission.protocol.space.partition("(")[0], truth.partition("/")[2].replace("/", "-")
    own = submission.file.stem
    first = own if submission.place.startswith(BUNDLED) else group
    return next(name for home in (first, own, f"{own}-2") if (name := f"{home}.{rest}") not in known)


def _is_whole(archs: list[str], space: str) -> bool:
    try:
        return archs == list(spaces.get(space))
    except ZcbenchError:  # too large to be listed
        return False


def _dataset(protocol: Protocol, data_dir: Path | None) -> str:
    """The data set with the options that give the batch of the protocol; without them, where no images are here."""
    for text in (*(f"{protocol.dataset}(files={n})" for n in range(1, 6)), protocol.dataset):
        with suppress(ZcbenchError):
            images = datasets.load(text, data_dir, image_size=protocol.image_shape[-1])
            if datasets.batch(images, protocol.batch_size, protocol.batch_seed).sha256 == protocol.batch_sha256:
                return text
    return protocol.dataset


def _ranking(submission: Submission, truth: str, archs: Sequence[str] | None, data: Path | None) -> Ranking:
    """The ranking of the submitted scores on one truth, by the rules that ``zcbench rank`` has."""
    table = look_up(truth, data)
    return rank_run(submission.file, {truth: table}, archs=archs, subsets=["all"])


def _statistics(row: Mapping[str, Any]) -> dict[str, float | None]:
    kept = {name: row[name] for name in STATISTICS if name in row}
    return {name: None if pd.isna(value) else float(value) for name, value in kept.items()}


def _entries(
    home: Board, submission: Submission, goal: Benchmark, proxies: list[str] | None, data: Path | None
) -> Iterator[Entry]:
    """Entries with conformance reports and histories, of these proxies or of all."""
    goal.require(submission.protocol, submission.place)
    made = results(submission, goal, data)
    for name in proxies or ():
        if name not in made:
            raise unknown("proxy of these scores", name, made)
    for name, entry in made.items():
        if proxies is None or name in proxies:
            require_whole(goal, submission.scores, name)
            report = conformance(name, entry.plugin_sha256) if entry.plugin_sha256 else []
            yield _with_history(replace(entry, conformance=report), home.entry(goal.name, name))


def results(submission: Submission, goal: Benchmark, data: Path | None) -> dict[str, Entry]:
    """What every proxy and ensemble of the scores reaches on a benchmark, by name.

    Raises:
        RankingError, DataError, UnknownNameError: as `rank_run` and `zcbench.truth`.
    """
    ranking = _ranking(submission, goal.truth, goal.architectures(), data)
    differences = size_differences(ranking, goal.truth, "all")
    rows = {name: row for name, row in _rows(ranking, goal.truth).items() if row["kind"] in ("proxy", "ensemble")}
    return {name: _entry(submission, goal, row, differences.loc[name].to_dict()) for name, row in rows.items()}


def _rows(ranking: Ranking, truth: str) -> dict[str, Json]:
    """Rows of the ranking by proxy."""
    records: list[Json] = list(ranking.to_frame(truth, "all").T.to_dict().values())
    return {str(row["proxy"]): row for row in records}


def require_whole(goal: Benchmark, scores: pd.DataFrame, proxy: str) -> None:
    """Refuse a proxy that was not tried on every architecture with every seed of the benchmark.

    Raises:
        DataError: the message has the first architecture that is missing.
    """
    attempts = scores[(scores["proxy"] == proxy) & scores["seed"].isin(goal.seeds)]
    tried, archs = attempts.groupby("arch")["seed"].nunique(), goal.architectures()
    lacking = [arch for arch in archs if tried.get(arch, 0) < len(goal.seeds)] if len(attempts) else []
    if lacking:
        raise DataError(
            f"{proxy} was scored on {len(archs) - len(lacking):,} of the {len(archs):,} architectures of "
            f"{goal.name} with seeds {', '.join(map(str, goal.seeds))}; the first that is missing is {lacking[0]!r}. "
            f"Expected all of them; score the rest."
        )


def _entry(submission: Submission, goal: Benchmark, row: Json, difference: Mapping[Any, Any]) -> Entry:
    name, about = str(row["proxy"]), submission.card
    version = next((int(one["version"]) for one in about["proxies"] if one["proxy"] == name), 1)
    sha256 = about.get("contents", {}).get(f"{name}@{version}")
    return Entry(
        benchmark=goal.name,
        proxy=name,
        version=version,
        kind=str(row["kind"]),
        higher_is_better=bool(row["higher_is_better"]),
        source=_source(name) if row["kind"] == "proxy" else "",
        scores=submission.place,
        scores_sha256=str(about["sha256"]),
        plugin=submission.plugin if sha256 else None,
        plugin_sha256=sha256,
        conformance=[],
        result=_statistics(row),
        best_size=str(difference["size"]),
        difference=[
            None if pd.isna(difference[key]) else float(difference[key]) for key in ("difference", "low", "high")
        ],
        zcbench=zcbench.__version__,
        torch=str(about["protocol"]["torch"]),
        added=date.today().isoformat(),
    )


def _source(name: str) -> str:
    try:
        return proxy_card(name).source
    except ZcbenchError:
        return ""


def conformance(name: str, sha256: str | None) -> list[Json]:
    """Report of the checks of the contract, all of which passed.

    Raises:
        ProtocolError: the definition that is loaded is not the one that was scored.
        DataError: a check failed.
        UnknownNameError: no proxy of this name is loaded.
    """
    proxy = REGISTRY.get(name)
    if proxy.content != sha256:
        raise ProtocolError(
            f"The plug-in defines another {name} than the scores were made with. Expected the file as it was then; "
            f"put it back, or raise the version and score again."
        )
    report = [finding._asdict() for finding in check(proxy)]
    if failed := [one for one in report if not one["passed"]]:
        raise DataError(
            f"{name} fails the check {failed[0]['check']!r}: {failed[0]['detail']}. Expected a proxy that passes "
            f"'zcbench proxies check {name}'; mend it, raise its version and score again."
        )
    return report


def _with_history(entry: Entry, before: Entry | None) -> Entry:
    if before is None:
        return entry
    history = list(before.history)
    if before.version != entry.version or before.plugin_sha256 != entry.plugin_sha256:
        history.append({"version": before.version, "added": before.added, "tau": before.result.get("tau")})
    same = before.scores_sha256 == entry.scores_sha256 and before.version == entry.version
    return replace(entry, history=history, verified=before.verified if same else None)
