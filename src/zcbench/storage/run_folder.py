"""Folder of a long computation: one writer at a time, one protocol, files that are replaced whole."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcbench.errors import ProtocolError, StoreError, ZcbenchError, writable
from zcbench.lazy import Postponed
from zcbench.storage.files import replaced
from zcbench.storage.mounts import mount_of

if TYPE_CHECKING:
    import filelock
else:
    filelock = Postponed("filelock")

#: Content of a JSON file: an object by name.
Json = dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """A folder with one writer and one protocol.

    Attributes:
        path: where it is; made by `locked` or by the first file that is written.
        content: what it holds, for messages: ``"scores"``, ``"trainings"``.
        refusal: error that is raised for another protocol.
    """

    path: Path
    content: str = "results"
    refusal: type[ZcbenchError] = ProtocolError

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and be its only writer in this block; the lock ends with the process.

        Raises:
            StoreError: another process writes there, the folder cannot be written, or its file system has no lock that
                keeps other machines out.
        """
        self._require_locks()
        lock = filelock.FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StoreError(
                f"Another run writes to {self.path}. Expected to be its only writer; wait for the other run, or name "
                f"another folder."
            ) from error
        except NotImplementedError as error:
            raise self._lockless("its file system has no locks") from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def require_same(
        self, stored: Mapping[str, object], asked: Mapping[str, object], free: Collection[str] = ()
    ) -> None:
        """Refuse what is ``asked`` where it differs from what is ``stored``.

        Args:
            stored: content of the folder's protocol, as its file gives it.
            asked: the same for the present call; it is compared as JSON.
            free: dotted names that may differ, such as ``"search.evaluations"``.

        Raises:
            ZcbenchError: of the kind ``refusal``; the message lists each dotted name with both values, old → new.
        """
        differing = [f"{name}: {old} → {new}" for name, old, new in differences(stored, plain(asked), free)]
        if differing:
            raise self.refusal(
                f"{self.path} holds {self.content} of another protocol ({'; '.join(differing)}). Expected one protocol "
                f"in a folder; give the same options, or name another folder."
            )

    def adopt(self, name: str, asked: Mapping[str, object], free: Collection[str] = (), *, indent: int = 2) -> None:
        """Write ``asked`` into the file ``name``, unless something else is there.

        Args:
            name: of a JSON file that holds the protocol alone.
            asked: its content.
            free: dotted names that may differ from what is there; the new value replaces the old one.
            indent: of the file.

        Raises:
            ZcbenchError: of the kind ``refusal``; another protocol is there.
            StoreError: the file cannot be read or written.
        """
        if stored := self.read_json(name):
            self.require_same(stored, asked, free)
        self.write_json(name, plain(asked), indent=indent)

    def read_json(self, name: str) -> Json:
        """Content of a file; empty if there is none.

        Raises:
            StoreError: the file cannot be read, or holds no JSON object.
        """
        file = self.path / name
        try:
            return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise StoreError(
                f"Cannot read {file}: {error}. Expected what an earlier run wrote there; name another folder."
            ) from error

    def write_json(self, name: str, content: Mapping[str, object], *, indent: int = 2) -> Path:
        """Write a file of JSON, whole or not at all.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
            ValueError: a number is not finite, which JSON cannot hold.
        """
        return self.write_text(name, json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> Path:
        """Write a file in UTF-8, whole or not at all.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        file = self.path / name
        try:
            with replaced(file) as draft:
                draft.write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from error
        return file

    def _require_locks(self) -> None:
        mount = mount_of(self.path)
        if mount is not None and mount.unlocked:
            raise self._lockless(mount.unlocked)

    def _lockless(self, why: str) -> StoreError:
        return StoreError(
            f"{self.path} cannot be kept from a second writer: {why}. Expected a file system whose locks hold on all "
            f"machines; name a folder on a local disk, and copy it when the run has ended."
        )

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"Cannot write to {self.path}: {error.strerror or error}. What is finished is kept. Expected a "
            f"writable folder on a disk with room; make it so and run the same command again, or name another folder."
        )


def named_by_time(command: str, home: str | Path = "runs", now: datetime | None = None) -> Path:
    """A folder for a run without a name, such as ``runs/bench-2026-11-29-0915``; it is not made.

    A number follows where the folder is there already.

    >>> str(named_by_time("bench", "nowhere", datetime(2026, 11, 29, 9, 15)))
    'nowhere/bench-2026-11-29-0915'
    """
    base = f"{command}-{now or datetime.now():%Y-%m-%d-%H%M}"
    ends = chain([""], (f"-{number}" for number in count(2)))
    return next(folder for end in ends if not (folder := Path(home) / f"{base}{end}").exists())


def plain(content: Mapping[str, object]) -> Json:
    """``content`` as a JSON file gives it back.

    Tuples become lists and unknown objects text. What JSON or UTF-8 cannot hold, such as infinity or a file name in
    another encoding, is written out.

    >>> plain({"sizes": (1, 2), "file": Path("a.py"), "limit": math.inf})
    {'sizes': [1, 2], 'file': 'a.py', 'limit': 'inf'}
    """
    found: Json = json.loads(json.dumps(content, default=str))
    return {writable(key): _written(value) for key, value in found.items()}


def _written(value: object) -> object:
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {writable(key): _written(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(map(_written, value)) if isinstance(value, list) else value


def differences(
    stored: Mapping[str, object], asked: Mapping[str, object], free: Collection[str] = (), prefix: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Dotted names under which two JSON objects differ, with both values; None for one that is missing.

    >>> list(differences({"recipe": {"lr": 0.1}, "seed": 0}, {"recipe": {"lr": 0.2}, "seed": 0}))
    [('recipe.lr', 0.1, 0.2)]
    """
    for key in dict.fromkeys((*stored, *asked)):
        name, old, new = f"{prefix}{key}", stored.get(key), asked.get(key)
        if name in free or old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, free, f"{name}.")
        else:
            yield name, old, new
