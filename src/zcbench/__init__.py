"""Rank neural architectures without training them, and measure how good the ranking is.

The public face, in a few names; each package loads when it is touched::

    zcbench.score(network, (images, labels), proxies=["synflow", "naswot"])
    zcbench.spaces.get("nasbench201")
    zcbench.truth("nasbench201/cifar10")
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcbench import benchmarks, datasets, distill, proxies, reports, search, spaces
    from zcbench.benchmarks.truths.lookup import truth
    from zcbench.proxies import proxy, score

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "benchmarks",
    "datasets",
    "distill",
    "proxies",
    "proxy",
    "reports",
    "score",
    "search",
    "spaces",
    "truth",
]

_HOMES = {"proxy": "zcbench.proxies", "score": "zcbench.proxies", "truth": "zcbench.benchmarks.truths.lookup"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"zcbench.{name}")
    raise AttributeError(f"module 'zcbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
