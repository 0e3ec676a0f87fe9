"""Observers of a training: a log in files, a progress bar, a tracker."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zcbench.distill.training.checkpoint import write_file
from zcbench.distill.training.course import Row
from zcbench.runtime.messages import say
from zcbench.trackers import Recording


class Logbook:
    """Writes the rows of a training to ``log.csv`` and ``log.json`` after every epoch, each file atomically.

    A resumed training writes the earlier rows again, so that the files equal those of an uninterrupted training.

    Args:
        folder: of the two files.
        about: further entries of ``log.json``.
    """

    def __init__(self, folder: str | Path, about: Mapping[str, object] | None = None) -> None:
        self._folder, self._about = Path(folder), dict(about or {})
        self._rows: list[Row] = []

    def start(self, steps: int, done: int, history: Sequence[Row]) -> None:
        """Write the earlier rows."""
        self._rows = list(history)
        self._write()

    def step(self) -> None:
        """Nothing is written for a step."""

    def epoch(self, row: Row) -> None:
        """Write the files again.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written; the files are as they were.
        """
        self._rows.append(row)
        self._write()

    def finish(self) -> None:
        """Nothing is left to write."""

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        table = io.StringIO()
        lines = csv.DictWriter(table, columns)
        lines.writeheader()
        lines.writerows(self._rows)
        content = json.dumps({**self._about, "history": self._rows}, indent=2, ensure_ascii=False) + "\n"
        for name, text in (("log.csv", table.getvalue()), ("log.json", content)):
            write_file(self._folder / name, text.encode(), "the log")


class StepBar:
    """A progress bar on a terminal, one line per epoch elsewhere.

    Args:
        console: where to draw.
        title: text before the bar.
    """

    def __init__(self, console: Console, title: str = "Training") -> None:
        self._console, self._title = console, title
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns, TextColumn("{task.fields[told]}"), console=console, disable=not console.is_terminal
        )

    def start(self, steps: int, done: int, history: Sequence[Row]) -> None:
        """Show the bar."""
        self._task = self._progress.add_task("", total=steps, completed=done, told="")
        self._progress.start()

    def step(self) -> None:
        """Advance the bar."""
        self._progress.advance(self._task)

    def epoch(self, row: Row) -> None:
        """Show losses and metrics of the epoch."""
        tested = f", test accuracy {row['test_accuracy']:.2f} %" if "test_accuracy" in row else ""
        others = (name for name in row if name.startswith("test_") and name not in ("test_accuracy", "test_loss"))
        tested += "".join(f", test {name.removeprefix('test_')} {row[name]:.4g}" for name in others)
        told = f"epoch {row['epoch']}: loss {row['loss']:.4g}, train accuracy {row['train_accuracy']:.2f} %{tested}"
        self._progress.update(self._task, told=told)
        say(None if self._console.is_terminal else self._console, f"{self._title}: {told}")

    def finish(self) -> None:
        """Stop the bar."""
        self._progress.stop()


class Sent:
    """Sends every number of a row to a tracker, at the step of the row.

    A resumed training sends the earlier rows again: to a tracker it is another run.

    Args:
        recording: of the training.
        prefix: of the names.
    """

    def __init__(self, recording: Recording, prefix: str = "") -> None:
        self._recording, self._prefix = recording, prefix

    def start(self, steps: int, done: int, history: Sequence[Row]) -> None:
        """Send the earlier rows."""
        for row in history:
            self.epoch(row)

    def step(self) -> None:
        """Nothing is sent for a step."""

    def epoch(self, row: Row) -> None:
        """Send one row."""
        self._recording.metrics({self._prefix + name: row[name] for name in row if name != "step"}, int(row["step"]))

    def finish(self) -> None:
        """The recording is ended by the one who made it."""
