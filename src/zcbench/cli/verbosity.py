"""How much a command says: ``--quiet``, ``--verbose`` and ``--log-file`` of every command.

Messages go to the error stream, results to standard output. All messages of one command share one console, so that a
line stands above a progress bar.
"""

import logging
import platform
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

from rich.console import Console
from typer import Exit, Option

from zcbench import __version__
from zcbench.errors import ZcbenchError
from zcbench.runtime.messages import LOG, PRINTED

_CONSOLE: ContextVar[Console | None] = ContextVar("console", default=None)
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@dataclass(frozen=True)
class Verbosity:
    """What a command says beside its results and errors.

    Attributes:
        quiet: nothing.
        verbose: durations of its phases too.
        log_file: file that gets all messages, with time stamps, whatever the console shows.
    """

    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None


def verbosity_options(
    quiet: Annotated[bool, Option("--quiet", "-q", help="Print results and errors alone.")] = False,
    verbose: Annotated[bool, Option("--verbose", "-v", help="Print the duration of each phase too.")] = False,
    log_file: Annotated[
        Path | None,
        Option("--log-file", metavar="FILE", help="File to which all messages are appended, with time stamps."),
    ] = None,
) -> None:
    """Options of every command."""


def error_console() -> Console:
    """The console of the command on the error stream; it prints nothing under ``--quiet``."""
    return _CONSOLE.get() or Console(stderr=True)


@contextmanager
def messages(how: Verbosity) -> Iterator[None]:
    """Print and log the messages of the block.

    Raises:
        OSError: the log file cannot be written.
    """
    console = Console(stderr=True, quiet=how.quiet)
    handlers: list[logging.Handler] = [_OnConsole(console, logging.DEBUG if how.verbose else logging.INFO)]
    if how.log_file is not None:
        how.log_file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_file(how.log_file))
    token, level = _CONSOLE.set(console), LOG.level
    LOG.setLevel(logging.DEBUG)
    for handler in handlers:
        LOG.addHandler(handler)
    try:
        with _warnings(quiet=how.quiet):
            _begin()
            yield
    except Exit:
        raise
    except BaseException as error:
        foreseen = isinstance(error, ZcbenchError | OSError)
        LOG.error("%s: %s", type(error).__name__, error, exc_info=not foreseen, extra={PRINTED: True})
        raise
    finally:
        for handler in handlers:
            LOG.removeHandler(handler)
            handler.close()
        LOG.setLevel(level)
        _CONSOLE.reset(token)


class _OnConsole(logging.Handler):
    """Prints records that are not printed yet, each as a line that is not folded."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console = console
        self.addFilter(lambda record: not getattr(record, PRINTED, False))

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        style = "dim" if record.levelno == logging.DEBUG else None
        self._console.print(self.format(record), style=style, highlight=False, markup=False, soft_wrap=True)


def _file(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    return handler


def _begin() -> None:
    """Log what was called, and by which version."""
    words = shlex.join(["zcbench", *sys.argv[1:]])
    about = f"zcbench {__version__}, Python {platform.python_version()}, {platform.platform()}"
    LOG.info("%s (%s)", words, about, extra={PRINTED: True})


@contextmanager
def _warnings(*, quiet: bool) -> Iterator[None]:
    """Log what Python warns of too; it is not shown under ``--quiet``."""
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        LOG.warning("%s:%s: %s: %s", filename, lineno, category.__name__, message, extra={PRINTED: True})
        if not quiet:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown
