"""Which proxies a run computes."""

from collections.abc import Iterable, Sequence

from zcbench.benchmarks.defaults import own
from zcbench.benchmarks.scoring.options import NO_TEACHER, Setup
from zcbench.proxies import REGISTRY, Proxy
from zcbench.specification import split_list

#: Names and patterns in one text with commas, or in a list that may also have `Proxy` objects.
Proxies = str | Sequence[str | Proxy]


def chosen_proxies(given: Proxies, setup: Setup) -> tuple[list[str | Proxy], dict[str, str]]:
    """Proxies that are chosen, and of those that only a pattern asks for and that cannot be computed, the reason.

    These are broken plug-ins; without a teacher, those that compare with one; for networks of one's own, those that
    need the same architecture with one channel.

    Raises:
        UnknownNameError: nothing has a name, or matches a pattern.
    """
    entries: Iterable[str | Proxy] = [given] if isinstance(given, str | Proxy) else given
    objects = [entry for entry in entries if isinstance(entry, Proxy)]
    texts = split_list(entry for entry in entries if isinstance(entry, str))
    names = REGISTRY.select(texts)
    left = {name: reason for name in names if name not in texts and (reason := _reason(name, setup))}
    return [*(name for name in names if name not in left), *objects], left


def _reason(name: str, setup: Setup) -> str:
    """Why a proxy cannot be computed; empty if it can."""
    if error := REGISTRY.trouble(name):
        return str(error)
    proxy = REGISTRY.get(name)
    if proxy.needs_teacher and setup.teacher == NO_TEACHER:
        return "it compares with a teacher, and none is given"
    if proxy.needs_thin and own(setup):
        return "it needs the same architecture with one channel, which networks of one's own do not have"
    return ""
