"""Signals that nobody can add to or take from: mappings become read-only, lists become tuples."""

import re
from types import MappingProxyType
from typing import Any

#: What whoever tries is told.
HINT = "signals are read-only: work on a copy"
_REFUSALS = re.compile(r"'mappingproxy' object|'tuple' object (has no attribute|does not support)|can't set attribute")


def read_only(value: Any) -> Any:
    """The same signal, in which no mapping and no list can be changed."""
    if isinstance(value, MappingProxyType):
        return value
    if isinstance(value, dict):
        return MappingProxyType({name: read_only(part) for name, part in value.items()})
    if isinstance(value, list):
        return tuple(map(read_only, value))
    if isinstance(value, tuple) and any(isinstance(part, dict | list | tuple) for part in value):
        parts = map(read_only, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def refused_by(error: BaseException, text: str) -> bool:
    """Whether an error with this text is what a read-only signal, or another tuple, says to whoever changes it."""
    return isinstance(error, AttributeError | TypeError) and _REFUSALS.search(text) is not None
