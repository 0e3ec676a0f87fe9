"""What ``zcbench bench`` does: score, rank, report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import pandas as pd

from zcbench.benchmarks.defaults import Study, Truths, complete, own
from zcbench.benchmarks.ranking import ensembles as aggregations
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.result import Ranking
from zcbench.benchmarks.ranking.study import check_truths, rank_run, require_enough
from zcbench.benchmarks.scoring.choosing import choose
from zcbench.benchmarks.scoring.conditions import Conditions, find_space, prepare
from zcbench.benchmarks.scoring.options import Sample, Setup
from zcbench.benchmarks.scoring.run import RunResult, score_run
from zcbench.benchmarks.scoring.shards import Shard
from zcbench.benchmarks.truths.lookup import named_truths
from zcbench.plugins import load_file
from zcbench.proxies import REGISTRY, Proxy
from zcbench.runtime.execution import Execution
from zcbench.runtime.messages import phase, say, timed
from zcbench.storage.run_folder import Json, named_by_time
from zcbench.trackers import recorded
from zcbench.workflows.choosing import Proxies, chosen_proxies
from zcbench.workflows.options import ReportOptions
from zcbench.workflows.rank import accuracies, require_formats, with_reproduced, write
from zcbench.workflows.runs import OPTIONS, kept_options


@dataclass(frozen=True, repr=False)
class BenchResult:
    """What `bench` leaves.

    Attributes:
        run: the scoring run.
        ranking: of its proxies.
        page: of the report; None without one.
    """

    run: RunResult
    ranking: Ranking
    page: Path | None = None

    def __repr__(self) -> str:
        return f"BenchResult({str(self.folder)!r}: {self.ranking!r})"

    def _repr_html_(self) -> str:
        return self.ranking._repr_html_()

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        return self.run.out

    @property
    def scores(self) -> pd.DataFrame:
        """One row per architecture, seed and proxy."""
        return self.run.scores()


def bench(
    out: str | Path | None = None,
    *,
    truth: Truths | None = None,
    sample: Sample | None = None,
    setup: Setup | None = None,
    proxies: Proxies = "all",
    seeds: int | None = None,
    execution: Execution | None = None,
    ensembles: str | Sequence[str] = "all",
    options: RankingOptions | None = None,
    report: ReportOptions | None = None,
) -> BenchResult:
    """Score architectures, rank the proxies against trained accuracies, and write a report if one is asked for.

    Networks of one's own are the space ``FILE.py:NAME``; `rank_networks` is the short way to them. Where neither a
    space nor a truth is given, nor architectures or a subset by name, the networks are those whose accuracies are
    bundled, or so many of them as ``sample`` says.

    Args:
        out: folder of the run; a run that is there is resumed. Without one it is named by time, as
            ``runs/bench-2026-11-29-0915``. The ranking goes into its folder ``ranking``.
        truth: names of accuracies or files, one or several, or tables with the columns ``arch`` and ``accuracy`` by
            name; the bundled ones if None.
        sample: which architectures; 1000 of the space, or all that are bundled, if None.
        setup: space, images, teacher, and how networks are made.
        proxies: names and patterns as ``"all,-vkdnw*"``, in one text with commas, or a list of such and of `Proxy`
            objects.
        seeds: initialisations of each architecture, seeds 0, 1, …; 3, or 1 with the bundled truths, if None.
        execution: processes, time limit, plug-ins, progress.
        ensembles: rank aggregations, as `rank_run` takes them.
        options: of the ranking.
        report: how the report is written into the folder ``report``, and which tracker gets the ranking; neither if
            None.

    Raises:
        ZcbenchError: of one of the parts, before anything is scored as far as it can be known.

    Example:
        >>> setup = Setup(dataset="digits(side=16)", batch_size=16)
        >>> done = bench("runs/few", sample=Sample(20), setup=setup, proxies="params,naswot")  # doctest: +SKIP
        >>> done.ranking.table[["proxy", "truth", "tau"]]  # doctest: +SKIP
    """
    execution, options = execution or Execution(), options or RankingOptions()
    if report is not None:
        require_formats(report.formats)
    with timed("Names, images and accuracies"):
        asked = _Asked.of(proxies, execution, truth=truth, sample=sample, setup=setup, seeds=seeds)
    names = [proxy if isinstance(proxy, str) else proxy.name for proxy in asked.proxies]
    aggregations.choose(ensembles, {*REGISTRY.names(), *names}, names)
    require_enough(asked.conditions.space, asked.known, asked.archs, options.supervised)
    study, folder = asked.study, _folder(out, execution)
    tracker, only = report.tracker if report else None, None
    if own(study.setup):
        only = asked.archs  # another request may have scored networks that are not here
    with recorded(tracker, "bench", folder, asked.kept(options, ensembles=ensembles)) as recording:
        run = asked.score(folder, execution, options=options, ensembles=ensembles)
        with phase(execution.console, "Ranking", f"{len(names):,} proxies against {', '.join(asked.known)}"):
            ranking = rank_run(
                folder, asked.known, archs=only, subsets=study.subsets, ensembles=ensembles, options=options
            )
            ranking = with_reproduced(ranking, asked.known, study.setup.data_dir)
            ranking.save(run.out / "ranking")
        if report is None:
            return BenchResult(run, ranking, None)
        with phase(execution.console, "Figures and page", str(run.out / "report")):
            return BenchResult(run, ranking, write(ranking, run.out, report, recording))


def bench_shard(
    shard: str | Shard,
    out: str | Path,
    *,
    truth: Truths | None = None,
    sample: Sample | None = None,
    setup: Setup | None = None,
    proxies: Proxies = "all",
    seeds: int | None = None,
    execution: Execution | None = None,
) -> RunResult:
    """Score one part of the architectures that `bench` with these arguments scores, and rank nothing.

    `merge_runs` merges the folders of all shards into the folder of one run, which `rank` and `report` take.

    Args:
        shard: which part, as ``"3/16"``; the architectures are dealt out in turn.
        out: folder of the shard; a shard that is there is resumed.
        truth: as `bench` takes it, like all that follow.
        sample: which architectures the whole run scores.
        setup: space, images, teacher, and how networks are made.
        proxies: names, patterns or objects.
        seeds: initialisations of each architecture.
        execution: processes, time limit, plug-ins, progress.

    Raises:
        ProtocolError: there are fewer architectures than shards, or the text names no shard.
        ZcbenchError: as `bench`.

    Example:
        >>> bench_shard("3/16", "runs/first/shard-3", proxies="params,naswot")  # doctest: +SKIP
    """
    part, how = shard if isinstance(shard, Shard) else Shard.read(shard), execution or Execution()
    asked = _Asked.of(proxies, how, truth=truth, sample=sample, setup=setup, seeds=seeds)
    return asked.score(Path(out), how, shard=part)


@dataclass(frozen=True)
class _Asked:
    """What a call of `bench` asks for, once all names are looked up.

    Attributes:
        study: with what stands for that which was not given.
        conditions: under which everything is scored.
        archs: architectures.
        proxies: that can be computed.
        known: accuracies by name.
        origin: sentence about the architectures.
        left: why proxies that a pattern asks for were left out, by name.
        kept: gives the options as a run keeps them, from those of the ranking and its ``ensembles``.
    """

    study: Study
    conditions: Conditions
    archs: list[str]
    proxies: Sequence[str | Proxy]
    known: Mapping[str, pd.DataFrame]
    origin: str
    left: Mapping[str, str]
    kept: Callable[..., Json]

    @classmethod
    def of(
        cls,
        proxies: Proxies,
        execution: Execution,
        *,
        truth: Truths | None,
        sample: Sample | None,
        setup: Setup | None,
        seeds: int | None,
    ) -> Self:
        """Load the plug-ins and look everything up."""
        for plugin in execution.plugins:
            load_file(plugin)
        given, sample = setup or Setup(), sample or Sample()
        study = complete(given, sample, truth, seeds)
        space = find_space(study.setup)
        known = accuracies(study.truths, space, study.setup.data_dir)
        archs, origin = choose(space, study.sample, known)
        check_truths(space, known, archs)
        chosen, left = chosen_proxies(proxies, study.setup)
        conditions = prepare(replace(study.setup, space=space), chosen)
        kept = partial(
            kept_options,
            replace(study.setup, space=given.space),
            sample,
            truth=truth if truth is None or isinstance(truth, Mapping) else named_truths(truth),
            proxies=proxies,
            seeds=study.seeds,
        )
        return cls(study, conditions, archs, chosen, known, origin, left, kept)

    def score(
        self,
        folder: Path,
        execution: Execution,
        *,
        options: RankingOptions | None = None,
        ensembles: str | Sequence[str] = "all",
        shard: Shard | None = None,
    ) -> RunResult:
        """Score everything, or one part of it."""
        notes = self.study.notes
        _tell(execution, notes, self.left)
        kept = self.kept(options or RankingOptions(), ensembles=ensembles)
        with timed("Scoring"):
            return score_run(
                self.conditions,
                self.archs,
                self.proxies,
                range(self.study.seeds),
                folder,
                shard=shard,
                execution=execution,
                notes={"architectures": self.origin, **notes, OPTIONS: kept},
            )


def _folder(out: str | Path | None, execution: Execution) -> Path:
    """The folder of a run; one that is named by time is told."""
    if out is not None:
        return Path(out)
    folder = named_by_time("bench")
    _print(execution, f"Folder: {folder}; with --out {folder} the same command goes on there.")
    return folder


def _tell(execution: Execution, notes: Mapping[str, str], left: Mapping[str, str]) -> None:
    """Say what was chosen, and which proxies were left out for which reason."""
    reasons = {reason: [name for name in left if left[name] == reason] for reason in left.values()}
    _print(execution, *(f"Images: {note}." for note in notes.values()))
    _print(execution, *(f"Left out: {', '.join(names)} ({reason.rstrip('.')})." for reason, names in reasons.items()))


def _print(execution: Execution, *lines: str) -> None:
    for line in lines:
        say(execution.console, line)
