"""Append-only JSON Lines file; each append is fsynced before it returns."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class GrowingFile:
    """JSON Lines file to which rows are appended; a killed process loses none that was finished.

    A line that was cut off by the end of a process or a full disk is dropped when the file is opened.

    Args:
        path: where it is; made with the first line.

    Attributes:
        lines: the whole lines that were there when it was opened, as text.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = path.read_bytes() if path.exists() else b""
        self._end = content.rfind(b"\n") + 1
        self.lines = content[: self._end].decode().split("\n")[:-1]

    def __len__(self) -> int:
        """Bytes of whole lines."""
        return self._end

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append ``rows``; they are on the disk when this returns.

        Raises:
            OSError: the disk is full or the file cannot be written; the lines before are kept.
        """
        text = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(self._end)
            file.seek(self._end)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._end += len(text)
