"""A progress bar on a terminal, one line at the end elsewhere."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from zcbench.runtime.messages import LOG, say

_LOGGED = 60.0  # seconds between two records of the state of a bar


class Estimate:
    """Seconds until work is done, by the cost of what is left.

    The pace is the cost per second since the first piece ended: workers start before that, and pieces without a cost,
    or kept from an earlier run, say nothing of it.

    Args:
        cost: of all pieces that are left, in any unit.
        clock: seconds that pass.

    Example:
        >>> seconds = iter([1.0, 2.0, 2.0])
        >>> estimate = Estimate(12, clock=lambda: next(seconds))
        >>> estimate.did(1), estimate.did(1)
        (None, None)
        >>> estimate.seconds  # a cost of 10 at a pace of 1
        10.0
    """

    def __init__(self, cost: float, clock: Callable[[], float] = monotonic) -> None:
        self._left, self._clock, self._done = cost, clock, 0.0
        self._first: float | None = None
        self._last = 0.0

    def did(self, cost: float) -> None:
        """Count pieces that ended now, of this cost together."""
        if cost <= 0:
            return
        self._left, self._last = max(0.0, self._left - cost), self._clock()
        if self._first is None:
            self._first = self._last
        else:
            self._done += cost

    def drop(self, cost: float) -> None:
        """Leave out pieces of this cost that turn out to be there already."""
        self._left = max(0.0, self._left - cost)

    @property
    def seconds(self) -> float | None:
        """Seconds that are left; None before two pieces have ended."""
        if self._first is None or not self._done:
            return None
        spent = self._last - self._first
        return max(0.0, self._left * spent / self._done - (self._clock() - self._last))


class _Left(ProgressColumn):
    """Time that is left, by an `Estimate` in the field ``estimate``."""

    def render(self, task: Task) -> Text:
        """Hours, minutes and seconds."""
        seconds = task.fields["estimate"].seconds
        return Text("-:--:--" if seconds is None else str(timedelta(seconds=round(seconds))), "progress.remaining")


class Bar:
    """Counts scores or trainings: how many of ``total`` there are, how fast they come, when the last will, what failed.

    Args:
        console: where to draw; nowhere if None.
        total: how many are asked for.
        done: how many of each status were there before.
        work: what is done.
        things: what is counted.
        cost: of what is left, in any unit; the time that is left is estimated by it. The number that is left if None.
    """

    def __init__(
        self,
        console: Console | None,
        total: int,
        done: Mapping[str, int],
        work: str = "Scoring",
        things: str = "scores",
        *,
        cost: float | None = None,
    ) -> None:
        self._console, self._total, self._counts, self._things = console, total, Counter(done), things
        self._work, self._before = work, self._counts.total()
        self._start = self._told = monotonic()
        self.estimate = Estimate(total - self._before if cost is None else cost)
        self._weighted = cost is not None
        self._progress = Progress(
            TextColumn(work),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[workers]}"),
            _Left(),
            TextColumn("[red]{task.fields[failures]}"),
            console=console,
            disable=console is None or not console.is_terminal,
        )
        self._workers: int | None = None
        self._task = self._progress.add_task(
            "",
            total=total,
            completed=self._before,
            rate="",
            workers="",
            failures=self.failures,
            estimate=self.estimate,
        )

    @property
    def failures(self) -> str:
        """Statuses other than "ok" with their counts, most frequent first: ``12 nan, 1 timeout``."""
        return ", ".join(f"{count} {status}" for status, count in self._counts.most_common() if status != "ok")

    def find(self, statuses: Iterable[str]) -> None:
        """Count what was there before, where that comes to light one by one."""
        before = list(statuses)
        self._before += len(before)
        self.estimate.drop(len(before))
        self._count(before)

    def add(self, statuses: Iterable[str], cost: float = 0.0) -> None:
        """Count what is newly finished, of this cost together if the bar has costs."""
        fresh = list(statuses)
        self.estimate.did(cost if self._weighted else len(fresh))
        self._count(fresh)
        if monotonic() - self._told > _LOGGED:
            self._told, seconds = monotonic(), self.estimate.seconds
            left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
            LOG.debug("%s: %s of %s %s%s", self._work, self._counts.total(), self._total, self._things, left)

    def _count(self, statuses: Iterable[str]) -> None:
        self._counts.update(statuses)
        rate = (self._counts.total() - self._before) / max(monotonic() - self._start, 1e-9)
        self._progress.update(self._task, completed=self._counts.total(), rate=f"{rate:.1f}/s", failures=self.failures)

    def watch(self, workers: int) -> None:
        """Show how many workers there are."""
        if workers != self._workers:
            self._workers = workers
            self._progress.update(self._task, workers=f"{workers:,} worker{'' if workers == 1 else 's'}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
        if self._console is not None and kind is None:
            fresh, failures = self._counts.total() - self._before, self.failures or "no failures"
            say(
                self._console,
                f"{self._counts.total():,} of {self._total:,} {self._things}, {fresh:,} of them new, in "
                f"{monotonic() - self._start:.1f} s; {failures}.",
            )


@contextmanager
def byte_bar(console: Console | None, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of the bytes of a download; the function takes how many there are and how many there will be.

    Args:
        console: where to draw, if it is a terminal; nowhere if None.
        title: text before the bar.
    """
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console is None or not console.is_terminal) as bar:
        task = bar.add_task("")
        yield lambda done, size: bar.update(task, completed=done, total=size)
