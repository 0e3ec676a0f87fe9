"""Memory that a worker has freed and the C library still holds."""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

#: A process that holds more than this gives back what it has freed.
LIMIT = 2 * 2**30
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # options of mallopt, in malloc.h
_STATUS = Path("/proc/self/status")


def give_back(limit: int = LIMIT) -> None:
    """Return freed memory to the system if this process holds more than ``limit`` bytes; glibc on Linux only.

    Networks of many sizes leave holes that glibc neither fills nor returns: scoring vision transformers, a worker grew
    to ten times what one network needs.
    """
    trim = _symbol("malloc_trim")
    if trim is not None and resident() > limit:
        trim(0)


def keep_freed() -> None:
    """Let glibc keep what this process frees for the next network, until `give_back`.

    By default it returns the end of the heap after each pass, and every page of the next pass is a fault of its own:
    a tenth of the time of a backward pass that keeps its graph.
    """
    set_option = _symbol("mallopt")
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, 32 * 2**20)  # the most that glibc itself would raise it to
        set_option(_TRIM_THRESHOLD, 2**31 - 1)


def resident() -> int:
    """Bytes of memory that this process occupies; 0 where the system does not say."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024


@cache
def _symbol(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
        return function
    except (OSError, TypeError, AttributeError):  # no such library, or another one than glibc
        return None
