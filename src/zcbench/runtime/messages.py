"""Messages of long work: lines on a console, and records of the logger ``zcbench``.

A program that wants the messages adds a handler to ``logging.getLogger("zcbench")``: a line that a console may show has
the level INFO, a duration and the state of a long loop DEBUG.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console

LOG = logging.getLogger("zcbench")
LOG.addHandler(logging.NullHandler())
#: Attribute of a record whose line was printed on the console of the work, if there is one.
PRINTED = "printed"


def say(console: Console | None, text: str, level: int = logging.INFO) -> None:
    """Print one line, not folded, and log it.

    Args:
        console: where to print; nowhere if None.
        text: the line.
        level: of the record.
    """
    if console is not None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    LOG.log(level, "%s", text, extra={PRINTED: True})


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log the seconds of the block, also where it raises."""
    start = monotonic()
    try:
        yield
    finally:
        LOG.debug("%s took %.1f s", what, monotonic() - start)


@contextmanager
def phase(console: Console | None, what: str, about: str = "") -> Iterator[None]:
    """Say that a phase begins, and log its seconds.

    Args:
        console: where to print; nowhere if None.
        what: name of the phase.
        about: what it is about, for the line.

    Example:
        >>> with phase(Console(), "Ranking", "3 proxies"):
        ...     pass
        Ranking: 3 proxies
    """
    say(console, f"{what}: {about}" if about else what)
    with timed(what):
        yield
