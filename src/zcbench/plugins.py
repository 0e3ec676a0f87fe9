"""Plug-in files: each version is run once in a process, and settings of PyTorch and NumPy are restored after it."""

import hashlib
import importlib.util
import linecache
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.abc import SourceLoader
from pathlib import Path
from types import CodeType, ModuleType

from zcbench.errors import ZcbenchError, told
from zcbench.storage.files import is_file
from zcbench.storage.mirror import local
from zcbench.streams import derive, exclusive


class PluginError(ZcbenchError, ImportError):
    """A plug-in that cannot be loaded."""


#: Fingerprint of every plug-in file as it was when this process ran it, by the name of its module.
_RUN: dict[str, str] = {}


def load_file(path: str | Path, sha256: str | None = None, *, pinned: bool = True) -> ModuleType:
    """Run a plug-in file, so that its definitions are registered; a file already loaded is not run again.

    Settings of PyTorch and NumPy that it changes are restored.

    Args:
        path: the file.
        sha256: its fingerprint, if it must be this very version of the file; each version is run once.
        pinned: whether a file with a fingerprint becomes a module of its own, next to other versions of the file.

    Raises:
        PluginError: the file is missing, is another version, was edited after this process has loaded it, or raises
            while it is imported.
    """
    with exclusive():
        return _loaded(Path(path).resolve(), path, sha256, pinned)


def _loaded(file: Path, path: str | Path, sha256: str | None, own: bool) -> ModuleType:
    source = local(file)
    if not is_file(source):
        raise PluginError(f"No plug-in at {str(path)!r}. Expected a Python file; check the path.")
    code = source.read_bytes()
    found = hashlib.sha256(code).hexdigest()
    if sha256 not in (None, found):
        raise PluginError(f"{str(path)!r} has changed: its sha256 is not {sha256}. Put back the file, or start anew.")
    plain, pinned = f"zcbench_plugin_{derive(file):x}", f"zcbench_plugin_{derive(file, found):x}"
    for known in (plain, pinned):  # the same content, loaded with or without its fingerprint
        if known in sys.modules and _RUN.get(known) == found:
            return sys.modules[known]
    name = pinned if own and sha256 is not None else plain
    if name in sys.modules:
        raise PluginError(
            f"{str(path)!r} was edited after this process had loaded it. Expected one version in a process; start "
            f"Python anew."
        )
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or not isinstance(spec.loader, SourceLoader):
        raise PluginError(f"{str(path)!r} is no Python file. Expected a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name], _RUN[name] = module, found
    text = code.decode("utf-8", "replace")
    linecache.cache[str(file)] = len(code), None, text.splitlines(keepends=True), str(file)  # its source as it was run
    _run(module, partial(spec.loader.source_to_code, code, str(file)), path)
    return module


def _run(module: ModuleType, compiled: Callable[[], CodeType], path: str | Path) -> None:
    from zcbench.isolation.patches import Originals  # imports PyTorch, which a list of names does not need
    from zcbench.isolation.settings import NUMERIC, kept

    process, originals = os.getpid(), Originals()
    try:
        with kept(NUMERIC):
            try:
                exec(compiled(), vars(module))
            finally:
                replaced = originals.restore()
        if replaced:
            raise PluginError(
                f"The plug-in {str(path)!r} replaces {', '.join(replaced[:3])}, on which the scores of others rest; "
                f"this was undone. Let it call functions of its own."
            )
    except BaseException as error:
        del sys.modules[module.__name__]
        if not isinstance(error, ZcbenchError | KeyboardInterrupt):  # a plug-in may call sys.exit
            raise PluginError(f"The plug-in {str(path)!r} fails to load: {told(error)}.") from error
        raise
    finally:
        if os.getpid() != process:  # the plug-in forked: the other process goes on
            os._exit(0)


def run_sha256(path: str | Path) -> str | None:
    """Fingerprint of a plug-in file as it was when this process ran it by `load_file`; None if it did not."""
    return _RUN.get(f"zcbench_plugin_{derive(Path(path).resolve()):x}")


def loaded_files() -> list[Path]:
    """All plug-in files that this process has run, and that are there."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in _RUN]
    return [Path(file) for file in dict.fromkeys(files) if file and is_file(file)]


def loaded_sha256(module: str) -> str:
    """Fingerprint of the plug-in file that `load_file` ran as the module of this name."""
    return _RUN[module]
