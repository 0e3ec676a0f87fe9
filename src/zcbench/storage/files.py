"""Where data files live, and how a file is replaced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def user_folder() -> Path:
    """The user's own data directory; it need not exist."""
    return Path(platformdirs.user_data_dir("zcbench"))


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Folder to look for data in: ``data_dir`` if given, else ``ZCBENCH_DATA``, else the user's data directory.

    The folder need not exist.

    >>> data_folder("/data/images").as_posix()
    '/data/images'
    """
    return Path(data_dir or os.environ.get("ZCBENCH_DATA") or user_folder()).expanduser()


def is_file(path: str | Path) -> bool:
    """Whether there is a file at ``path``; a text that can be no path, such as one that is too long, is none.

    >>> is_file("x" * 5000)
    False
    """
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder at ``path``, likewise."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


@contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """A draft to write to, which takes the place of ``file`` when the block ends well; else ``file`` is as it was.

    The folder is made if missing; what is written is on the disk before it takes its place.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield draft
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
