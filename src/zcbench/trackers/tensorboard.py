"""TensorBoard: event files in the folder ``tensorboard`` of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from zcbench.trackers.contract import TrackedRun, tracker


@tracker("tensorboard")
class TensorBoard:
    """Writes each number as a scalar and the parameters as a table; needs the package ``tensorboard``."""

    def __init__(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._make = SummaryWriter

    def start(self, run: TrackedRun) -> None:
        """Open a file of events and write the parameters; those of an earlier file are hidden."""
        self._writer = self._make(str(run.folder / "tensorboard"), purge_step=0)
        rows = "".join(f"| {name} | {value} |\n" for name, value in run.parameters.items())
        self._writer.add_text("parameters", f"| parameter | value |\n|---|---|\n{rows}", 0)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """One scalar each, at step 0 without a step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step or 0)

    def end(self, files: Sequence[Path]) -> None:
        """Close the file; the others are in the same folder already."""
        self._writer.close()
