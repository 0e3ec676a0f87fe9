"""Memory that a worker has freed and the C library still holds."""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

#: A process that holds more than this gives back what it has freed.
LIMIT = 2 * 2**30
_STATUS = Path("/proc/self/status")


def give_back(limit: int = LIMIT) -> None:
    """Return freed memory to the system if this process holds more than ``limit`` bytes; glibc on Linux only.

    Networks of many sizes leave holes that glibc neither fills nor returns: scoring vision transformers, a worker grew
    to ten times what one network needs.
    """
    trim = _malloc_trim()
    if trim is not None and resident() > limit:
        trim(0)


def resident() -> int:
    """Bytes of memory that this process occupies; 0 where the system does not say."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return trim
    except (OSError, TypeError, AttributeError):  # no such library, or another one than glibc
        return None
