"""Verification of a leaderboard: entries are made again from their scores, and some architectures are scored again."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import zcbench
from zcbench.benchmarks.leaderboard.adding import conformance, require_whole, results
from zcbench.benchmarks.leaderboard.board import Board, selected
from zcbench.benchmarks.leaderboard.records import Benchmark, Entry
from zcbench.benchmarks.leaderboard.submission import Submission, load_plugin
from zcbench.benchmarks.scoring.conditions import prepare
from zcbench.benchmarks.scoring.options import NO_TEACHER, Setup
from zcbench.benchmarks.scoring.run import score_run
from zcbench.errors import DataError, ProtocolError, ZcbenchError
from zcbench.runtime.execution import Execution
from zcbench.storage.run_folder import Json
from zcbench.streams import numpy_stream

DRAWN = 20
"""Architectures that are scored again."""

TOLERANCE = 1e-3
"""Largest deviation of a score, relative to its size or to the spread of all scores: machines round differently."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of the verification of one entry.

    Attributes:
        entry: as it is in the folder.
        refusal: why it was refused; empty if it holds.
        drawn: architectures that were scored again.
        deviation: largest deviation of these scores, see `TOLERANCE`.
    """

    entry: Entry
    refusal: str = ""
    drawn: int = 0
    deviation: float = math.nan

    @property
    def passed(self) -> bool:
        """Whether the entry holds."""
        return not self.refusal

    def to_json(self) -> Json:
        """Its fields by name, JSON-able."""
        worst = None if math.isnan(self.deviation) else self.deviation
        named = {"benchmark": self.entry.benchmark, "proxy": self.entry.proxy, "version": self.entry.version}
        return {**named, "passed": self.passed, "refusal": self.refusal, "drawn": self.drawn, "deviation": worst}


def verify(
    board: str | Path,
    proxies: Iterable[str] = (),
    *,
    drawn: int = DRAWN,
    data_dir: Path | None = None,
    execution: Execution | None = None,
) -> list[Verdict]:
    """Verify entries, and write the date into those that hold.

    An entry holds if its scores have the recorded fingerprint, the protocol of the benchmark, and every architecture;
    if the plug-in is the one that was scored and passes the checks of the contract; if the statistics follow from the
    scores; and if architectures that are drawn by the fingerprint, which nobody can choose before the scores are made,
    have the same scores again.

    The plug-in is run: verify entries of strangers where that does no harm.

    Args:
        board: folder of the leaderboard.
        proxies: which entries; all if empty.
        drawn: architectures to score again.
        data_dir: folder with accuracies and images.
        execution: processes and time limit; this process if None.

    Returns:
        A `Verdict` for each entry.

    Raises:
        DataError: there is no leaderboard in the folder.
        UnknownNameError: a proxy has no entry.
    """
    home = Board(Path(board)).require()
    verifier = _Verifier(home, drawn, data_dir, execution or Execution(workers=0))
    verdicts = [verifier.verdict(entry) for entry in selected(home.entries(), list(proxies))]
    for verdict in verdicts:
        home.write(replace(verdict.entry, verified=_record(verdict) if verdict.passed else None))
    return verdicts


def _record(verdict: Verdict) -> Json:
    return {
        "date": date.today().isoformat(),
        "drawn": verdict.drawn,
        "deviation": verdict.to_json()["deviation"],
        "zcbench": zcbench.__version__,
    }


class _Verifier:
    """Verifies entries of one board; what entries share is made once."""

    def __init__(self, home: Board, drawn: int, data: Path | None, execution: Execution) -> None:
        self._home, self._drawn, self._data, self._execution = home, drawn, data, execution
        self._benchmarks = home.benchmarks()
        self._known: dict[tuple[str, str], dict[str, Entry]] = {}

    def verdict(self, entry: Entry) -> Verdict:
        """Whether one entry holds."""
        benchmark = self._benchmarks[entry.benchmark]
        try:
            submission = self._intact(entry, benchmark)
            self._require_result(entry, benchmark, submission)
            if entry.kind == "ensemble":  # its members are entries of their own
                return Verdict(entry)
            archs = drawn_archs(benchmark, entry, self._drawn)
            fresh = self._scored_again(entry, benchmark, archs)
            return Verdict(entry, drawn=len(archs), deviation=_deviation(entry, submission.scores, fresh))
        except ZcbenchError as error:
            return Verdict(entry, str(error))

    def _intact(self, entry: Entry, benchmark: Benchmark) -> Submission:
        """The submitted files, once fingerprints, protocol, architectures and plug-in are as they must be."""
        submission = Submission.at(self._home, entry.scores, entry.plugin)
        found = submission.card["sha256"]
        if found != entry.scores_sha256:
            raise DataError(
                f"{entry.scores} has the sha256 {found}, the entry {entry.scores_sha256}. Expected the scores that the "
                f"entry was made from; add them again."
            )
        benchmark.require(submission.protocol, entry.scores)
        recorded = submission.card.get("contents", {}).get(f"{entry.proxy}@{entry.version}")
        if recorded != entry.plugin_sha256:
            raise ProtocolError(
                f"The scores of {entry.proxy} are of the definition {recorded}, the entry is of {entry.plugin_sha256}. "
                f"Expected one definition; add the scores again."
            )
        if entry.plugin is not None:
            load_plugin(self._home.path / entry.plugin, entry.proxy, entry.plugin_sha256)
            conformance(entry.proxy, entry.plugin_sha256)
        if entry.kind == "proxy":
            require_whole(benchmark, submission.scores, entry.proxy)
        return submission

    def _require_result(self, entry: Entry, benchmark: Benchmark, submission: Submission) -> None:
        """Refuse statistics that do not follow from the scores."""
        key = (entry.scores, benchmark.name)
        if key not in self._known:
            self._known[key] = results(submission, benchmark, self._data)
        again = self._known[key][entry.proxy]
        for name, (stated, found) in _figures(entry, again).items():
            if not _same(stated, found):
                raise DataError(
                    f"{name} of {entry.proxy} is {stated} in the entry and {found} by its scores. Expected the same; "
                    f"add the scores again."
                )

    def _scored_again(self, entry: Entry, benchmark: Benchmark, archs: list[str]) -> pd.DataFrame:
        setup = setup_of(benchmark, self._data)
        execution = self._execution
        if entry.plugin is not None and execution.workers:
            execution = replace(execution, plugins=(*execution.plugins, self._home.path / entry.plugin))
        with TemporaryDirectory() as folder:
            conditions = prepare(setup, [entry.proxy])
            run = score_run(conditions, archs, [entry.proxy], benchmark.seeds, folder, execution=execution)
            benchmark.require(run.protocol, "these scores")
            return run.scores()


def drawn_archs(benchmark: Benchmark, entry: Entry, n: int) -> list[str]:
    """Architectures that are scored again: drawn by the fingerprint of the scores."""
    archs = benchmark.architectures()
    stream = numpy_stream("leaderboard", entry.scores_sha256, entry.proxy, 0)
    return [archs[place] for place in stream.choice(len(archs), min(n, len(archs)), replace=False)]


def _figures(entry: Entry, again: Entry) -> dict[str, tuple[object, object]]:
    """Everything that an entry says of its scores, as it stands there and as it is made again."""
    facts = ("kind", "higher_is_better", "best_size")
    ends = zip(("difference", "difference_low", "difference_high"), zip(entry.difference, again.difference))
    named = entry.result.keys() | again.result.keys()
    return {
        **{name: (getattr(entry, name), getattr(again, name)) for name in facts},
        **{name: (entry.result.get(name), again.result.get(name)) for name in sorted(named)},
        **dict(ends),
    }


def _same(stated: object, found: object) -> bool:
    if isinstance(stated, int | float) and isinstance(found, int | float):
        return math.isclose(stated, found, rel_tol=1e-6, abs_tol=1e-9)
    return stated == found


def setup_of(benchmark: Benchmark, data_dir: Path | None = None) -> Setup:
    """Options that give the protocol of a benchmark."""
    protocol = benchmark.conditions()
    return Setup(
        space=protocol.space,
        dataset=benchmark.dataset,
        batch_size=protocol.batch_size,
        batch_seed=protocol.batch_seed,
        image_size=protocol.image_shape[-1],
        teacher=NO_TEACHER if protocol.teacher is None else f"{protocol.teacher_space}:{protocol.teacher}",
        teacher_seed=protocol.teacher_seed or 0,
        init=protocol.init,
        dtype=protocol.dtype,
        layout=protocol.layout,
        data_dir=data_dir,
    )


def _deviation(entry: Entry, stored: pd.DataFrame, fresh: pd.DataFrame) -> float:
    """Largest deviation of the fresh scores.

    Raises:
        DataError: a status differs, or a deviation is above `TOLERANCE`.
    """
    mine = stored[stored["proxy"] == entry.proxy]
    pairs = fresh.merge(mine, on=["arch", "proxy", "seed"], suffixes=("", "_stored"))
    differing = pairs[pairs["status"] != pairs["status_stored"]]
    if len(differing):
        one = differing.iloc[0]
        raise DataError(
            f"{entry.proxy} of {one['arch']} is {one['status']} when scored again, {one['status_stored']} in the "
            f"submission. Expected the same; score with the plug-in that is submitted."
        )
    ok = pairs[pairs["status"] == "ok"]
    spread = float(np.nanstd(mine["value"].to_numpy(float)))
    scale = np.maximum(ok["value"].abs().to_numpy(float), spread) if len(ok) else np.ones(0)
    deviations = (ok["value"] - ok["value_stored"]).abs().to_numpy(float) / np.where(scale > 0, scale, 1)
    worst = float(deviations.max(initial=0.0))
    if worst > TOLERANCE:
        one = ok.iloc[int(deviations.argmax())]
        raise DataError(
            f"{entry.proxy} of {one['arch']} is {one['value']:.6g} when scored again, {one['value_stored']:.6g} in the "
            f"submission. Expected the same within {TOLERANCE:g}; score with the plug-in that is submitted."
        )
    return worst
