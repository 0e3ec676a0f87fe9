"""A progress bar on a terminal, one line at the end elsewhere."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Bar:
    """Counts scores or trainings: how many of ``total`` there are, how fast they come, when the last will, what failed.

    Args:
        console: where to draw; nowhere if None.
        total: how many are asked for.
        done: how many of each status were there before.
        work: what is done.
        things: what is counted.
    """

    def __init__(
        self,
        console: Console | None,
        total: int,
        done: dict[str, int],
        work: str = "Scoring",
        things: str = "scores",
    ) -> None:
        self._console, self._total, self._counts, self._things = console, total, Counter(done), things
        self._before = self._counts.total()
        self._start = monotonic()
        self._progress = Progress(
            TextColumn(work),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[workers]}"),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[failures]}"),
            console=console,
            disable=console is None or not console.is_terminal,
            speed_estimate_period=120,
        )
        self._workers: int | None = None
        self._task = self._progress.add_task(
            "", total=total, completed=self._before, rate="", workers="", failures=self.failures
        )

    @property
    def failures(self) -> str:
        """Statuses other than "ok" with their counts, most frequent first: ``12 nan, 1 timeout``."""
        return ", ".join(f"{count} {status}" for status, count in self._counts.most_common() if status != "ok")

    def find(self, statuses: Iterable[str]) -> None:
        """Count what was there before, where that comes to light one by one."""
        before = list(statuses)
        self._before += len(before)
        self.add(before)

    def add(self, statuses: Iterable[str]) -> None:
        """Count what is newly finished."""
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
            self._console.print(
                f"{self._counts.total():,} of {self._total:,} {self._things}, {fresh:,} of them new, in "
                f"{monotonic() - self._start:.1f} s; {failures}.",
                highlight=False,
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
