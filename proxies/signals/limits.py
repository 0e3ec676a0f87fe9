"""A time limit around a piece of work."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zcbench.proxies.signals.errors import ScoreError


class ScoreTimeout(ScoreError):
    """A proxy ran longer than it was allowed to."""

    status = "timeout"


_TICK = 1.0  # seconds between two looks at the clock


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `ScoreTimeout` in the block after ``seconds``; only where the system can interrupt the main thread.

    Time in which the process is stopped, as by a scheduler or Ctrl-Z, does not count: a look at the clock is then late
    although the process has computed nothing.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    clock = _Clock(seconds)
    previous = signal.signal(signal.SIGALRM, clock.look)
    clock.wait()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class _Clock:
    """Counts the seconds in which this process runs or waits, but not those in which it is stopped."""

    def __init__(self, seconds: float) -> None:
        self._limit = self._left = seconds
        self._tick = min(_TICK, seconds)
        self._now, self._used = time.monotonic(), time.process_time()

    def wait(self) -> None:
        """Ask for the next look at the clock."""
        signal.setitimer(signal.ITIMER_REAL, max(min(self._tick, self._left), 1e-3))

    def look(self, number: int, frame: FrameType | None) -> None:
        """Count the time since the last look; raise where none is left."""
        now, used = time.monotonic(), time.process_time()
        gone, computed = now - self._now, used - self._used
        self._left -= gone if gone < 2 * self._tick else min(gone, max(computed, self._tick))
        self._now, self._used = now, used
        if self._left <= 0:
            raise ScoreTimeout(f"Took longer than {self._limit:g} s.")
        self.wait()
