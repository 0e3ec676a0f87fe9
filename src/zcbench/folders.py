"""Where data files live."""

import os
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
