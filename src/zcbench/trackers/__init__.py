"""Trackers: results of a study, a search or a training are sent to TensorBoard, Weights & Biases or MLflow.

The library of a tracker is imported when the tracker is asked for, and not before::

    @zcbench.trackers.tracker("lines")
    class Lines:
        def start(self, run): print(run.name, run.parameters)
        def metrics(self, values, step=None): print(step, values)
        def end(self, files): print(files)
"""

from zcbench.trackers.contract import TRACKERS, TrackedRun, Tracker, TrackerError, TrackerWarning, tracker
from zcbench.trackers.recording import Recording, recorded

__all__ = [
    "TRACKERS",
    "Recording",
    "TrackedRun",
    "Tracker",
    "TrackerError",
    "TrackerWarning",
    "recorded",
    "tracker",
]
