"""A time limit around a piece of work."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zcbench.proxies.signals.errors import ScoreError


class ScoreTimeout(ScoreError):
    """A proxy ran longer than it was allowed to."""

    status = "timeout"


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `ScoreTimeout` in the block after ``seconds``; only where the system can interrupt the main thread."""
    if seconds is None or threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise ScoreTimeout(f"Took longer than {seconds:g} s.")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
