"""Versions on which scores depend, compared between the machine of a run and the workers of its cluster."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from os import walk
from pathlib import Path

import zcbench
from zcbench.errors import ProtocolError

_PACKAGES = ("torch", "numpy", "cloudpickle")


@cache
def versions() -> dict[str, str]:
    """Versions in this process: of Python, of packages, and of zcbench with a fingerprint of its files."""
    found = {name: _version(name) for name in _PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"zcbench": zcbench.__version__, "files of zcbench": _source(), "Python": python, **found}


def require_same(expected: Mapping[str, str], found: Mapping[str, str], where: str) -> None:
    """Check that a worker has the versions of the run.

    Raises:
        ProtocolError: it has others; the message names each.
    """
    differing = [
        f"{name} {found.get(name)}, here {wanted}" for name, wanted in expected.items() if found.get(name) != wanted
    ]
    if differing:
        raise ProtocolError(
            f"{where} has other versions: {'; '.join(differing)}. Expected the same on all machines, so that a score "
            f"is the same number on each; install them there and run the same command again."
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _source() -> str:
    """First digits of the SHA-256 over all Python files of the package, by their paths in it."""
    home, digest = Path(zcbench.__path__[0]), hashlib.sha256()
    found = [Path(folder, name) for folder, _, names in walk(home, followlinks=True) for name in names]
    for file in sorted(found, key=lambda file: file.relative_to(home).as_posix()):
        if file.suffix == ".py":
            digest.update(f"{file.relative_to(home).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
