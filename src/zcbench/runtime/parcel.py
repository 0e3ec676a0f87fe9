"""Objects for another process: the plug-in files that define their classes are loaded there first."""

import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

from zcbench.registry import load_file
from zcbench.streams import derive

_PREFIX = "zcbench_plugin_"  # what the module of a plug-in file is called, see `load_file`


class _Parcel:
    """Pickles as a call of `_opened`, so that ``pickle.loads`` gives the object itself."""

    def __init__(self, files: tuple[tuple[str, str | None], ...], content: bytes) -> None:
        self._parts = (files, content)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, self._parts


def parcel(content: object) -> bytes:
    """Pickle of ``content`` that any process can load: of a space, proxy or loss that a plug-in file defines too.

    Raises:
        Exception: whatever ``pickle.dumps`` raises for what cannot be pickled.
    """
    inside = pickle.dumps(content)
    named = [(name, module) for name, module in list(sys.modules.items()) if name.startswith(_PREFIX)]
    files = tuple(_source(name, str(module.__file__)) for name, module in named if name.encode() in inside)
    return pickle.dumps(_Parcel(files, inside))


def _source(name: str, file: str) -> tuple[str, str | None]:
    """File of a plug-in's module, and the fingerprint that it was loaded with, if it was."""
    if name == f"{_PREFIX}{derive(Path(file)):x}":
        return file, None
    return file, hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _opened(files: tuple[tuple[str, str | None], ...], content: bytes) -> object:
    for file, sha256 in files:
        load_file(file, sha256)
    return pickle.loads(content)
