"""What a tracker is: an object with three methods, registered under a name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from zcbench.errors import ZcbenchError
from zcbench.registry import Registry, import_package, is_own


class TrackerError(ZcbenchError):
    """A tracker that cannot be used."""


class TrackerWarning(UserWarning):
    """A tracker that failed while results were sent to it; the results themselves are kept."""


@dataclass(frozen=True)
class TrackedRun:
    """What is tracked.

    Attributes:
        name: of the run, as ``bench/mine``: the command and the name of the folder.
        folder: where the results are kept.
        parameters: what was asked for, by name; numbers, truth values and texts. Names of nested values are joined by
            dots, as ``recipe.epochs``.
    """

    name: str
    folder: Path
    parameters: Mapping[str, bool | int | float | str]


class Tracker(Protocol):
    """The methods of a tracker, in the order in which they are called."""

    def start(self, run: TrackedRun) -> None:
        """A run starts, or is resumed."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Finite numbers by name, after so many steps; without a step they are those of the whole run."""

    def end(self, files: Sequence[Path]) -> None:
        """The run has ended and has left these files; there are none if it failed or was stopped."""


def _builtins() -> None:
    import_package("zcbench.trackers")


#: Functions without arguments that make a tracker, by name; other packages use the entry-point group.
TRACKERS: Registry[Callable[[], Tracker]] = Registry("tracker", "zcbench.trackers", _builtins)

T = TypeVar("T", bound=Callable[[], Tracker])


def tracker(name: str) -> Callable[[T], T]:
    """Register a class, or a function that makes a tracker, under ``name``, for ``--tracker NAME``.

    Raises:
        RegistrationError: the name has other characters than letters, digits, ``_``, ``-`` and ``.``, or is reserved.
        DuplicateNameError: another definition has this name.
    """

    def register(make: T) -> T:
        TRACKERS.add(name, make, f"{make.__module__}.{make.__qualname__}", own=is_own(make))
        return make

    return register
