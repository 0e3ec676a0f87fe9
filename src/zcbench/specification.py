"""Names with options, such as ``nasbench201(channels=4,cells=1)`` or ``kd(temperature=2.0)``."""

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping

from zcbench.errors import ZcbenchError, shortened

LONGEST = 10_000  # letters of a text that is read as a name with options


class SpecificationError(ZcbenchError, ValueError):
    """A text that is neither a name nor a name with options."""


def read_specification(text: str, example: str = "name(option=1)") -> tuple[str, dict[str, object]]:
    """Name and options of ``name`` or ``name(option=value,…)``; the values are Python literals.

    Raises:
        SpecificationError: the text opens a parenthesis and cannot be read, or gives an option twice; the message shows
            ``example``.

    >>> read_specification("kd(temperature=2)")
    ('kd', {'temperature': 2})
    >>> read_specification("kd")
    ('kd', {})
    """
    call = _call(text) if "(" in text else None
    if call is not None:
        return call
    if "(" in text:
        raise SpecificationError(f"{shortened(text)!r} cannot be read. Expected a name, or a form like {example!r}.")
    return text, {}


def _call(text: str) -> tuple[str, dict[str, object]] | None:
    """Name and options of a call with keywords alone; None for anything else."""
    if len(text) > LONGEST:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # Python remarks on odd literals
            tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
            return None
        options = [(option.arg, ast.literal_eval(option.value)) for option in tree.keywords]
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None
    names = [name for name, _ in options if name is not None]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SpecificationError(f"{shortened(text)!r} gives {twice!r} twice. Expected each option once.")
    return (tree.func.id, {str(name): value for name, value in options}) if len(names) == len(options) else None


def split_list(given: str | Iterable[str]) -> list[str]:
    """Entries of one list with commas, or of several; commas inside parentheses separate nothing.

    >>> split_list("macs, log_rank(macs,kd:kd(temperature=2)),kd:at")
    ['macs', 'log_rank(macs,kd:kd(temperature=2))', 'kd:at']
    """
    texts = [given] if isinstance(given, str) else given
    return [part.strip() for text in texts for part in split_at_commas(text) if part.strip()]


def split_at_commas(text: str) -> Iterator[str]:
    """Parts between the commas outside parentheses, empty ones and spaces included."""
    start = depth = 0
    for place, letter in enumerate(text):
        depth = max(0, depth + (letter == "(") - (letter == ")"))
        if letter == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def split_readable(given: str, read: Callable[[str], object]) -> list[str]:
    """Entries of a list with commas that may have commas themselves: the longest that can be read is the next one.

    Args:
        given: the list.
        read: raises a `ZcbenchError` for what is no entry. An entry without a comma is taken as it is.

    >>> def read(text):
    ...     if text not in ("a,b", "c"):
    ...         raise SpecificationError(text)
    >>> split_readable("a,b,c,d", read)
    ['a,b', 'c', 'd']
    """
    parts, found = split_list(given), []
    while parts:
        length = next((n for n in range(len(parts), 1, -1) if _readable(",".join(parts[:n]), read)), 1)
        found.append(",".join(parts[:length]))
        parts = parts[length:]
    return found


def _readable(text: str, read: Callable[[str], object]) -> bool:
    try:
        read(text)
    except ZcbenchError:
        return False
    return True


def write_specification(name: str, options: Mapping[str, object]) -> str:
    """Text that `read_specification` turns back into ``name`` and ``options``.

    >>> write_specification("kd", {"temperature": 2.0}), write_specification("kd", {})
    ('kd(temperature=2.0)', 'kd')
    """
    return f"{name}({','.join(f'{key}={value!r}' for key, value in options.items())})" if options else name
