"""Copies of files of another machine, which stand for them under their own paths."""

from collections.abc import Mapping
from pathlib import Path

_COPIES: dict[str, Path] = {}


def add_copies(copies: Mapping[str, str | Path]) -> None:
    """Let copies stand for files in this process.

    Args:
        copies: where the copy of each file lies, by the path that the file has on the other machine.
    """
    _COPIES.update({path: Path(copy) for path, copy in copies.items()})


def local(file: Path) -> Path:
    """Where the content of a file is read: its copy if there is one, else the file itself.

    >>> local(Path("/data/teacher.pt")).as_posix()
    '/data/teacher.pt'
    """
    return _COPIES.get(str(file), file)
