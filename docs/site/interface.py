"""Reference of the Python interface: the public names of the packages."""

import importlib
import inspect

from zcbench.proxies import SIGNALS
from zcbench.proxies.signals.table import RESTS_ON

#: Packages that have a page.
PACKAGES = (
    "zcbench",
    "zcbench.spaces",
    "zcbench.datasets",
    "zcbench.proxies",
    "zcbench.benchmarks",
    "zcbench.distill",
    "zcbench.search",
    "zcbench.reports",
    "zcbench.trackers",
    "zcbench.kdzero.genome",
    "zcbench.kdzero.evolution",
)


def place(package: str) -> str:
    """Place of the page of a package in the site."""
    return f"reference/python/{package}.md"


def pages() -> dict[str, str]:
    """Text of every page by its place in the site."""
    return {place(package): _page(package) for package in PACKAGES}


def signals() -> str:
    """Page of the signals that a proxy may read."""
    rows = [f"| `{name}` | {what} | {', '.join(RESTS_ON.get(name, ())) or '–'} |" for name, what in SIGNALS.items()]
    head = "# Signals\n\nWhat a proxy may read ([signals and the shared pass](../concepts/signals.md)).\n"
    return "\n".join([head, "| signal | what it is | rests on |", "|---|---|---|", *rows, ""])


def _page(package: str) -> str:
    """The docstring of the package, and those of its public classes and functions."""
    module = importlib.import_module(package)
    names = [name for name in module.__all__ if not name.startswith("_") and _documented(module, name)]
    members = "".join(f"\n        - {name}" for name in names)
    head = f"# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n"
    return f"{head}      members:{members or ' false'}\n"


def _documented(module: object, name: str) -> bool:
    value = getattr(module, name)
    return (inspect.isclass(value) or inspect.isfunction(value)) and bool(value.__doc__)
