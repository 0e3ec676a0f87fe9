"""Errors for people: each message says what was given, what was expected and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class ZcbenchError(Exception):
    """Base of every error that zcbench raises on purpose; the command line prints it without a traceback."""


class UnknownNameError(ZcbenchError, LookupError):
    """A name that no registry, space, data set or truth answers to."""


class DuplicateNameError(ZcbenchError, ValueError):
    """Two things claim one name."""


class RegistrationError(ZcbenchError, ValueError):
    """A name under which nothing can be registered."""


class ArchitectureError(ZcbenchError, ValueError):
    """A string that is no architecture of its space."""


class BatchError(ZcbenchError, ValueError):
    """Images or labels that the network or the proxies cannot take."""


class DataError(ZcbenchError):
    """A data file that is missing, damaged, unsafe or not what it says it is."""


class ChecksumError(DataError):
    """A file whose sha256 is not the pinned one."""


class ProtocolError(ZcbenchError):
    """Two protocols that must not be mixed, or a protocol that cannot be carried out."""


class TeacherError(ZcbenchError, ValueError):
    """A teacher that cannot be built for the students' classes and images, or whose checkpoint cannot be used."""


class StoreError(ZcbenchError):
    """A score store that is locked, full, read-only or from another version."""


class RankingError(ZcbenchError, ValueError):
    """Scores and truth from which no ranking can be made."""


class Interrupted(ZcbenchError):
    """Work that was stopped by Ctrl-C or SIGTERM; what is finished is kept."""


def writable(text: str) -> str:
    r"""The same text for any file or terminal: what UTF-8 has no letter for is written as an escape.

    >>> writable("caf\udce9.txt")
    'caf\\udce9.txt'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def message(error: BaseException) -> str:
    """Text of an error that any file can hold, also where its own code cannot make it."""
    try:
        return writable(str(error))
    except Exception as second:
        return f"(its text cannot be made: {type(second).__name__})"


def told(error: BaseException) -> str:
    """Type and text of an error in one line, for a sentence about it."""
    return f"{type(error).__name__}: {' '.join(message(error).split())}"


def shortened(text: str, most: int = 200) -> str:
    """``text``, or its beginning and end where it has more than ``most`` letters: for what was given, in a message.

    >>> shortened("abcdefghij", 7)
    'abc…hij'
    """
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[len(text) - half :]}"


_MOST_NAMES = 60
"""Names that a message lists."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Sentence that names the known names nearest to ``name``, or all of them when none is near.

    >>> nearest("synflw", ["snip", "synflow"])
    "Did you mean 'synflow'?"
    """
    names, name = sorted(known), shortened(name)
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(match) for match in close) + "?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"Known: {', '.join(names[:_MOST_NAMES])}{more}." if names else "None is known yet."


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Error for a ``name`` that is no ``kind``, with the nearest names; the caller raises it."""
    return UnknownNameError(f"{shortened(name)!r} is no known {kind}. {nearest(name, known)}")
