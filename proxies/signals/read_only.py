"""Read-only signals: mappings become mapping proxies, lists become tuples."""

import re
from types import MappingProxyType

#: Added to the error of a proxy that writes to a signal.
HINT = "signals are read-only: work on a copy"
_REFUSALS = re.compile(r"'mappingproxy' object|'tuple' object (has no attribute|does not support)|can't set attribute")


def read_only(value: object) -> object:
    """The same signal with read-only mappings and tuples in place of lists."""
    if isinstance(value, MappingProxyType):
        return value
    if isinstance(value, dict):
        return MappingProxyType({name: read_only(part) for name, part in value.items()})
    if isinstance(value, list):
        return tuple(map(read_only, value))
    if isinstance(value, tuple) and any(isinstance(part, dict | list | tuple) for part in value):
        parts = map(read_only, value)
        return value._make(parts) if hasattr(value, "_make") else tuple(parts)
    return value


def refused_by(error: BaseException, text: str) -> bool:
    """Whether an error with this text comes from writing to a read-only signal, or to another tuple."""
    return isinstance(error, AttributeError | TypeError) and _REFUSALS.search(text) is not None
