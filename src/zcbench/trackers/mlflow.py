"""MLflow: a run of the experiment that is active, below the run that is active if there is one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from zcbench.trackers.contract import TrackedRun, tracker

V = TypeVar("V")
_MOST, _LONGEST = 100, 500  # names in one call, and letters of a parameter, that every server takes
_FORBIDDEN = re.compile(r"[^\w\-./ ]")


@tracker("mlflow")
class MLflow:
    """Logs parameters, numbers and files; in names, brackets and commas become ``_``. Needs the package ``mlflow``."""

    def __init__(self) -> None:
        import mlflow

        self._mlflow = mlflow

    def start(self, run: TrackedRun) -> None:
        """Open a run; its server and experiment are those of the environment of MLflow."""
        nested = self._mlflow.active_run() is not None
        self._mlflow.start_run(run_name=run.name, nested=nested)
        for part in _parts(run.parameters):
            self._mlflow.log_params({name: str(value)[:_LONGEST] for name, value in part.items()})

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log the numbers."""
        for part in _parts(values):
            self._mlflow.log_metrics(part, step=step)

    def end(self, files: Sequence[Path]) -> None:
        """Log the files and close the run."""
        try:
            for file in files:
                self._mlflow.log_artifact(str(file))
        finally:
            self._mlflow.end_run()


def _parts(values: Mapping[str, V]) -> Iterator[dict[str, V]]:
    """At most `_MOST` entries at a time, by names that MLflow takes."""
    entries = iter(values.items())
    while part := {_FORBIDDEN.sub("_", name): value for name, value in islice(entries, _MOST)}:
        yield part
