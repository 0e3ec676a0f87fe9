"""A run that is sent to a tracker: what fails there is said, and costs no result."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from zcbench.errors import ZcbenchError, told
from zcbench.storage.run_folder import plain
from zcbench.trackers.contract import TRACKERS, TrackedRun, Tracker, TrackerError, TrackerWarning


class Recording:
    """Passes the results of one run to a tracker; without a tracker nothing is done.

    Args:
        tracker: where to.
        name: of the tracker, for messages.
    """

    def __init__(self, tracker: Tracker | None = None, name: str = "") -> None:
        self._tracker, self._name = tracker, name
        self.files: Sequence[Path] = ()

    def start(self, run: TrackedRun) -> None:
        """Make the folder of the run, and begin.

        Raises:
            TrackerError: the tracker fails.
        """
        if self._tracker is None:
            return
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            self._tracker.start(run)
        except Exception as error:
            raise TrackerError(
                f"The tracker {self._name!r} cannot start: {told(error)}. Check its settings, or leave it out."
            ) from error

    def metrics(self, values: Mapping[str, object], step: int | None = None) -> None:
        """Send the finite numbers of ``values``; there may be none."""
        finite = dict(_finite(values))
        if self._tracker is not None and finite:
            try:
                self._tracker.metrics(finite, step)
            except Exception as error:
                self._lost(error)

    def end(self) -> None:
        """Finish, with `files`."""
        if self._tracker is not None:
            try:
                self._tracker.end([file for file in self.files if file.is_file()])
            except Exception as error:
                self._lost(error)

    def _lost(self, error: Exception) -> None:
        """Say that the tracker failed, and send nothing more to it."""
        self._tracker = None
        warnings.warn(
            f"The tracker {self._name!r} failed: {told(error)}. Nothing more is sent to it; the results are in the "
            f"folder of the run.",
            TrackerWarning,
            stacklevel=3,
        )


@contextmanager
def recorded(
    tracker: Tracker | str | None, command: str, folder: Path, parameters: Mapping[str, object]
) -> Iterator[Recording]:
    """A run of ``command`` that is sent to ``tracker``; the files of the recording are sent if the block succeeds.

    Args:
        tracker: an object, or a name of `TRACKERS`; None for none.
        command: as ``"bench"``.
        folder: of the results.
        parameters: what was asked for.

    Raises:
        UnknownNameError: no tracker has this name; the message has the nearest ones.
        TrackerError: its package is not installed, or it cannot start.

    Example:
        >>> with recorded(None, "bench", Path("runs/mine"), {"seeds": 1}) as recording:
        ...     recording.metrics({"tau": 0.5}, step=1)
    """
    recording = Recording(*_opened(tracker))
    name = f"{command}/{folder.resolve().name}"
    recording.start(TrackedRun(name, folder, dict(_flat(plain(parameters)))))
    try:
        yield recording
    except BaseException:
        recording.files = ()
        raise
    finally:
        recording.end()


def _opened(tracker: Tracker | str | None) -> tuple[Tracker | None, str]:
    """The tracker and its name."""
    if not isinstance(tracker, str):
        return tracker, type(tracker).__name__
    make = TRACKERS.get(tracker)
    try:
        return make(), tracker
    except ImportError as error:
        raise TrackerError(
            f"The tracker {tracker!r} cannot be imported: {told(error)}. Install its package, or leave the tracker "
            f"out; the folder of the run has the same numbers."
        ) from error
    except ZcbenchError:
        raise
    except Exception as error:
        raise TrackerError(f"The tracker {tracker!r} cannot be made: {told(error)}. Leave it out.") from error


def _flat(content: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Values by names joined with dots; lists are texts with commas, and what is None or empty is left out."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            if value:
                yield prefix + name, ", ".join(map(str, value))
        elif isinstance(value, bool | int | float) or (isinstance(value, str) and value):
            yield prefix + name, value


def _finite(values: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)
