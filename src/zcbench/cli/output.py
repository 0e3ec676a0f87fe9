"""Where the command line prints its tables."""

from rich.console import Console

WIDTH = 146
"""Letters in a line where there is no terminal: a table in a file or a pipe is not folded to 80."""


def table_console() -> Console:
    """A console as wide as the terminal, or `WIDTH` without one."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
