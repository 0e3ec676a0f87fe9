"""Options that a command takes from a file or from an earlier run, where the command line does not give them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from zcbench.errors import ZcbenchError, unknown

_Command = TypeVar("_Command", bound=Callable[..., None])
Like = Callable[[str], Mapping[str, object]]


class ConfigError(ZcbenchError, ValueError):
    """A file of options that cannot be used."""


def configurable(like: Like | None = None) -> Callable[[_Command], _Command]:
    """Give a command the option ``--config FILE.yaml``, and ``--like RUN`` with what reads the options of a run."""

    def mark(command: _Command) -> _Command:
        vars(command)["configurable"], vars(command)["like"] = True, like
        return command

    return mark


def read_config(file: str) -> dict[str, object]:
    """Options in a YAML file, by name.

    Raises:
        ConfigError: the file cannot be read, or is no mapping from names to values.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(
            f"Cannot read {file!r}: {' '.join(str(error).split())}. Expected a YAML file with a line 'OPTION: value' "
            f"for each option."
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file!r} holds {type(content).__name__}. Expected a mapping: a line 'OPTION: value' for each option."
        )
    return {str(name): value for name, value in content.items()}


def defaults(options: Mapping[str, object], parameters: Iterable[Any], origin: str) -> dict[str, object]:
    """Values by the name of the parameter, as the command line would give them; None leaves an option out.

    Args:
        options: by name, with dashes or underscores.
        parameters: of the command.
        origin: the file, for a message.

    Raises:
        UnknownNameError: the command has no such option; the message has the nearest.
        ConfigError: a value is no text, number, truth value or list of such.
    """
    known = {
        option.removeprefix("--").replace("-", "_"): parameter
        for parameter in parameters
        if parameter.param_type_name == "option"
        for option in parameter.opts
        if option.startswith("--") and option not in ("--config", "--like", "--help")
    }
    found: dict[str, object] = {}
    for name, value in options.items():
        parameter = known.get(name.replace("-", "_"))
        if parameter is None:
            raise unknown(f"option in {origin}", name, [known_name.replace("_", "-") for known_name in known])
        if value is not None:
            found[parameter.name] = _value(name, value, origin, several=parameter.multiple)
    return found


def _value(name: str, value: object, origin: str, *, several: bool) -> object:
    """One value as an option has it: a list with commas for one that is given once."""
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    parts = value if isinstance(value, list | tuple) else [value]
    if any(not isinstance(part, str | int | float) for part in parts) or "" in parts:
        raise ConfigError(
            f"{name!r} in {origin} is {value!r}. Expected a text that is not empty, a number, true or false, or a "
            f"list of such."
        )
    if several:
        return list(map(str, parts))
    return ",".join(map(str, parts)) if isinstance(value, list | tuple) else value
