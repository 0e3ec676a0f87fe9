"""Names with options, such as ``nasbench201(channels=4,cells=1)`` or ``kd(temperature=2.0)``."""

import ast
import re
from collections.abc import Iterable, Mapping

from zcbench.errors import ZcbenchError

_COMMA_OUTSIDE = re.compile(r",(?![^()]*\))")


class SpecificationError(ZcbenchError, ValueError):
    """A text that is neither a name nor a name with options."""


def read_specification(text: str, example: str = "name(option=1)") -> tuple[str, dict[str, object]]:
    """Name and options of ``name`` or ``name(option=value,…)``; the values are Python literals.

    Raises:
        SpecificationError: the text opens a parenthesis and cannot be read; the message shows ``example``.

    >>> read_specification("kd(temperature=2)")
    ('kd', {'temperature': 2})
    >>> read_specification("kd")
    ('kd', {})
    """
    try:
        tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            return tree.func.id, {str(option.arg): ast.literal_eval(option.value) for option in tree.keywords}
    except (SyntaxError, ValueError):
        pass
    if "(" in text:
        raise SpecificationError(f"{text!r} cannot be read. Expected a name, or a form like {example!r}.")
    return text, {}


def split_list(given: str | Iterable[str]) -> list[str]:
    """Entries of one list with commas, or of several; commas inside parentheses separate nothing.

    >>> split_list("macs, log_rank(macs,jacov),kd:kd(temperature=2)")
    ['macs', 'log_rank(macs,jacov)', 'kd:kd(temperature=2)']
    """
    texts = [given] if isinstance(given, str) else given
    return [part.strip() for text in texts for part in _COMMA_OUTSIDE.split(text) if part.strip()]


def write_specification(name: str, options: Mapping[str, object]) -> str:
    """Text that `read_specification` turns back into ``name`` and ``options``.

    >>> write_specification("kd", {"temperature": 2.0}), write_specification("kd", {})
    ('kd(temperature=2.0)', 'kd')
    """
    return f"{name}({','.join(f'{key}={value!r}' for key, value in options.items())})" if options else name
