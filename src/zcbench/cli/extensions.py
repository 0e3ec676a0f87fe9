"""Commands of other packages, by the entry-point group ``zcbench.commands``."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

from zcbench.errors import ZcbenchError, told

GROUP = "zcbench.commands"


class CommandError(ZcbenchError, ImportError):
    """A command of another package that cannot be loaded."""


def add_commands(app: typer.Typer) -> None:
    """Add every command of the group; one that cannot be loaded says so when it is called.

    The name of an entry point is the name of the command; its value is a function as `typer` takes it.
    """
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        app.command(point.name)(_loaded(point))


def _loaded(point: EntryPoint) -> Callable[..., object]:
    try:
        command: Callable[..., object] = point.load()
        return command
    except Exception as error:  # another package must not stop the commands of this one
        return _broken(point, error)


def _broken(point: EntryPoint, error: Exception) -> Callable[[], None]:
    def command() -> None:
        raise CommandError(
            f"The command {point.name!r} comes from the entry point {point.value!r}, which fails to load: "
            f"{told(error)}. Mend or uninstall that package."
        ) from error

    command.__doc__ = f"Cannot be loaded: {told(error)}"
    return command
