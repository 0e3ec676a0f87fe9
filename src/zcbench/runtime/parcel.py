"""Objects for another process: the plug-in files that define their classes are loaded there first."""

import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle

from zcbench.errors import told
from zcbench.plugins import load_file, loaded_sha256
from zcbench.streams import derive

_PREFIX = "zcbench_plugin_"  # what the module of a plug-in file is called, see `load_file`


class _Source(NamedTuple):
    """A plug-in file as this process has run it; ``pinned``: under the name of this version of the file."""

    file: str
    sha256: str
    pinned: bool


class _Parcel:
    """Pickles as a call of `_opened`, so that ``pickle.loads`` gives the object itself."""

    def __init__(self, sources: tuple[_Source, ...], content: bytes) -> None:
        self._parts = (sources, content)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, self._parts


def parcel(content: object) -> bytes:
    """Pickle of ``content`` that any process can load: of a space, proxy or loss that a plug-in file defines too.

    Loading it raises `PluginError` where such a file is missing or was edited since.

    Raises:
        Exception: whatever ``pickle.dumps`` raises for what cannot be pickled.
    """
    inside = pickle.dumps(content)
    named = [(name, module) for name, module in list(sys.modules.items()) if name.startswith(_PREFIX)]
    sources = tuple(_source(name, str(module.__file__)) for name, module in named if name.encode() in inside)
    return pickle.dumps(_Parcel(sources, inside))


def portable(content: object, what: str) -> bytes:
    """Pickle of ``content`` with functions that no other process can import, such as those of a notebook.

    Raises:
        PicklingError: something in it cannot be written; ``what`` it is for the message.
    """
    try:
        written: bytes = cloudpickle.dumps(content)
    except Exception as error:
        raise pickle.PicklingError(f"{what} cannot be written, {told(error)}") from error
    return written


def _source(name: str, file: str) -> _Source:
    return _Source(file, loaded_sha256(name), name != f"{_PREFIX}{derive(Path(file)):x}")


def _opened(sources: tuple[_Source, ...], content: bytes) -> object:
    for source in sources:
        load_file(source.file, source.sha256, pinned=source.pinned)
    return pickle.loads(content)
