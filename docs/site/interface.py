"""Reference of the Python interface: the public names of the packages."""

import importlib

#: Pages of the reference: place, title, package.
PACKAGES = (
    "zcbench",
    "zcbench.spaces",
    "zcbench.datasets",
    "zcbench.proxies",
    "zcbench.benchmarks",
    "zcbench.distill",
    "zcbench.search",
    "zcbench.reports",
    "zcbench.kdzero.genome",
    "zcbench.kdzero.evolution",
)


def place(package: str) -> str:
    """Place of the page of a package in the site."""
    return f"reference/python/{package}.md"


def pages() -> dict[str, str]:
    """Text of every page by its place in the site."""
    return {place(package): _page(package) for package in PACKAGES}


def _page(package: str) -> str:
    """The package's docstring and its public names; packages and plain values in them have pages of their own, or none."""
    module = importlib.import_module(package)
    names = [name for name in module.__all__ if not name.startswith("_") and _documented(module, name)]
    members = "".join(f"\n        - {name}" for name in names)
    return f"# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n      members:{members or ' false'}\n"


def _documented(module: object, name: str) -> bool:
    value = getattr(module, name)
    return callable(value) and bool(getattr(value, "__doc__", None))
