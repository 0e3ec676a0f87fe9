"""What a process has loaded, forgotten again, so that a test can begin as a new process does without starting one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zcbench import distill, proxies, spaces
from zcbench.benchmarks.ranking.ensembles import ENSEMBLES


@contextmanager
def as_before() -> Iterator[None]:
    """After the block the registries hold what they held before, and plug-ins that it loaded are forgotten."""
    registries = (proxies.REGISTRY, distill.REGISTRY, spaces.SPACES, ENSEMBLES)
    for registry in registries:
        registry.names()  # the built-in ones register themselves on the first look
    before = [(registry, dict(registry._items)) for registry in registries]
    plugins = set(_plugins())
    try:
        yield
    finally:
        for registry, items in before:
            registry._items.clear()
            registry._items.update(items)
        for name in _plugins():
            if name not in plugins:
                del sys.modules[name]


def _plugins() -> list[str]:
    return [name for name in sys.modules if name.startswith("zcbench_plugin_")]
