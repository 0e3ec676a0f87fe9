"""Weights & Biases: a run of the project ``zcbench``, or of the one that ``WANDB_PROJECT`` names."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from zcbench.trackers.contract import TrackedRun, tracker


@tracker("wandb")
class WeightsAndBiases:
    """Logs numbers over the metric ``step``, and the files as an artifact; needs the package ``wandb``."""

    def __init__(self) -> None:
        import wandb

        self._wandb = wandb

    def start(self, run: TrackedRun) -> None:
        """Open a run; its account and mode are those of the environment of wandb."""
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "zcbench"),
            name=run.name,
            dir=str(run.folder),
            config=dict(run.parameters),
        )
        self._artifact = re.sub(r"[^\w\-.]", "-", run.name)
        # Networks that are trained one after another begin at step 0 each; wandb's own step may not go back.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log the numbers; those without a step go to the summary of the run."""
        if step is None:
            self._run.summary.update(dict(values))
        else:
            self._run.log({"step": step, **values})

    def end(self, files: Sequence[Path]) -> None:
        """Log the files and close the run."""
        if files:
            artifact = self._wandb.Artifact(self._artifact, "results")
            for file in files:
                artifact.add_file(str(file))
            self._run.log_artifact(artifact)
        self._run.finish()
