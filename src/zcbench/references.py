"""References to an object in a Python file of the user's: ``FILE.py:NAME``."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from zcbench.errors import ZcbenchError, told, unknown
from zcbench.plugins import PluginError, load_file

_REFERENCE = re.compile(r"(.+\.py):([^\W\d]\w*)")


class Reference(NamedTuple):
    """A name in a Python file; ``str`` gives ``FILE.py:NAME``."""

    file: Path
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def read(text: str) -> Reference | None:
    """File and name of a text ``FILE.py:NAME``; None for any other text.

    >>> read("models/mine.py:make").name, read("resnet:resnet20")
    ('make', None)
    """
    match = _REFERENCE.fullmatch(text)
    return Reference(Path(match[1]), match[2]) if match else None


def load(reference: str | Reference, sha256: str | None = None) -> object:
    """The object that ``FILE.py:NAME`` names; the file is run once in a process, as a plug-in file is.

    Args:
        reference: the text, or what `read` made of it.
        sha256: fingerprint that the file must have; any if None.

    Raises:
        PluginError: the text is no reference, or the file is missing, has another fingerprint or fails to load.
        UnknownNameError: the file defines no such name; the message has the nearest ones.
    """
    found = read(reference) if isinstance(reference, str) else reference
    if found is None:
        raise PluginError(f"Given {str(reference)!r}. Expected FILE.py:NAME, a Python file and a name that it defines.")
    module = load_file(found.file, sha256)
    if found.name not in vars(module):
        own = [name for name, item in vars(module).items() if _is_defined(name, item, module)]
        raise unknown(f"name in {found.file}", found.name, own)
    return vars(module)[found.name]


def _is_defined(name: str, item: object, module: ModuleType) -> bool:
    """Whether a name is a function, class or value of the file, and no import of it."""
    if name.startswith("_") or isinstance(item, ModuleType):
        return False
    return getattr(item, "__module__", None) == module.__name__ or not (
        inspect.isroutine(item) or inspect.isclass(item)
    )


def call(reference: str | Reference, sha256: str | None = None, **keywords: object) -> object:
    """What a function of the user's returns, called with those of ``keywords`` that it takes.

    Raises:
        PluginError: as in `load`; the name is no function, the function asks for other arguments, or it fails.
        UnknownNameError: the file defines no such name.
    """
    function = load(reference, sha256)
    if not callable(function):
        raise PluginError(f"{reference} is of type {type(function).__name__}. Expected a function.")
    try:
        return function(**accepted(function, keywords))
    except (ZcbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # it may call sys.exit
        known = ", ".join(keywords) or "none"
        raise PluginError(
            f"The function {reference} fails: {told(error)}. It is called with those keywords that it takes of: "
            f"{known}."
        ) from error


def accepted(function: Callable[..., object], keywords: dict[str, object]) -> dict[str, object]:
    """Those of ``keywords`` that a function has parameters for; all of them for one with ``**keywords``.

    >>> accepted(lambda num_classes: num_classes, {"num_classes": 10, "image_shape": (3, 8, 8)})
    {'num_classes': 10}
    """
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a built-in function that does not tell
        return {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return keywords
    return {name: value for name, value in keywords.items() if name in parameters}
