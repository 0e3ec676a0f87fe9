"""Outcomes of the checks that ``check`` of proxies, distillers and spaces makes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Finding(NamedTuple):
    """Outcome of one check: its name, whether it passed, and details."""

    check: str
    passed: bool
    detail: str


def findings(checks: Mapping[str, Callable[[], tuple[bool, str]]]) -> list[Finding]:
    """One `Finding` for each check, in order; a check that raises is a failed check.

    >>> findings({"one is one": lambda: (True, "1"), "it divides": lambda: (1 / 0 > 0, "")})[1]
    Finding(check='it divides', passed=False, detail='ZeroDivisionError: division by zero')
    """
    return [_finding(name, work) for name, work in checks.items()]


def _finding(name: str, work: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        return Finding(name, *work())
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}")
