"""The SQLite file of a score store: how it is opened, its versions, and errors for people.

Write-ahead logging lets readers look on while a run writes. ``synchronous = FULL`` syncs once per transaction, a few
milliseconds against the tenths of a second that a network takes, so that finished scores also survive a power cut.
On a file system that several machines share, where a log needs memory that they do not share, the journal is rolled
back instead: a reader waits while a transaction is written.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from zcbench.benchmarks.scoring.rows import COLUMNS, Row, checksum
from zcbench.errors import StoreError
from zcbench.storage.mounts import mount_of

STORE_VERSION = 2
_WITHOUT_CHECKSUMS = 1  # version of stores that have none; a writer adds them

_SCHEMA = f"""
BEGIN;
CREATE TABLE protocol (content TEXT NOT NULL);
CREATE TABLE scores (
    arch TEXT NOT NULL, proxy TEXT NOT NULL, version INTEGER NOT NULL, seed INTEGER NOT NULL,
    value REAL, status TEXT NOT NULL, reason TEXT NOT NULL, seconds REAL NOT NULL, checksum TEXT,
    PRIMARY KEY (arch, seed, proxy, version)
) WITHOUT ROWID;
PRAGMA user_version = {STORE_VERSION};
COMMIT;
"""
_DEFINITIONS = """
CREATE TABLE IF NOT EXISTS contents (
    proxy TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (proxy, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS networks (arch TEXT PRIMARY KEY, card TEXT NOT NULL) WITHOUT ROWID;
"""
_REQUEST = """
CREATE TEMP TABLE wanted_arch (position INTEGER PRIMARY KEY, arch TEXT);
CREATE TEMP TABLE wanted_seed (position INTEGER PRIMARY KEY, seed INTEGER);
CREATE TEMP TABLE wanted_proxy (position INTEGER PRIMARY KEY, proxy TEXT, version INTEGER);
"""
_KEY = "arch = ? AND proxy = ? AND version = ? AND seed = ?"


class Database:
    """An open file of scores; for reading unless ``write`` is set.

    Raises:
        StoreError: the file is missing, damaged, from another version, or cannot be written.
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        with self.explained():
            self._db = self._connect(write)
            try:
                self._check_version(write)
                self._check_pages()
                if write:
                    self._prepare()
            except (StoreError, sqlite3.Error):
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a writer folds its log back into it, so that the file can be copied alone."""
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    @property
    def has_checksums(self) -> bool:
        """Whether the rows have checksums; those of a store of version 1 have none until a writer adds them."""
        return self._version == STORE_VERSION

    def _connect(self, write: bool) -> sqlite3.Connection:
        if write:
            return sqlite3.connect(self.path, timeout=30)
        if not self.path.is_file():
            raise StoreError(f"No scores at {self.path}. Expected a scores.sqlite; check the folder of the run.")
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)

    def _add_checksums(self) -> None:
        """Bring a store without checksums to this version; its rows are taken as they are."""
        with self._db:
            self._db.execute("ALTER TABLE scores ADD COLUMN checksum TEXT")
            for row in map(Row._make, self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM scores").fetchall()):
                self._db.execute(f"UPDATE scores SET checksum = ? WHERE {_KEY}", (checksum(row), *row[:4]))
            self._db.execute(f"PRAGMA user_version = {STORE_VERSION}")
        self._version = STORE_VERSION

    def _check_version(self, write: bool) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        new = write and self._empty()
        self._version = STORE_VERSION if new else version
        if version not in (STORE_VERSION, _WITHOUT_CHECKSUMS) and not new:
            raise StoreError(
                f"{self.path} is a store of version {version}. Expected version {STORE_VERSION}: read it with the "
                f"zcbench that wrote it, or give this run another folder."
            )

    def _empty(self) -> bool:
        return not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def _check_pages(self) -> None:
        """Refuse a file whose pages do not hang together: rows may be lost in it."""
        damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)

    def _prepare(self) -> None:
        mount = mount_of(self.path)
        journal = "TRUNCATE" if mount is not None and mount.shared else "WAL"
        for setting in (f"journal_mode = {journal}", "synchronous = FULL", "temp_store = MEMORY"):
            self._db.execute(f"PRAGMA {setting}")
        if self._empty():
            self._db.executescript(_SCHEMA)
        elif self._version == _WITHOUT_CHECKSUMS:
            self._add_checksums()
        self._db.executescript(_DEFINITIONS)
        self._db.executescript(_REQUEST)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of SQLite in a block into `StoreError`."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self.path} cannot be read or written: {error}. All scores finished so far are kept. Expected a "
                f"writable file on a disk with room; make it so and run the same command again to resume."
            ) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.path} is damaged or no SQLite file: {error}. Expected a score store; restore a copy or give "
                f"this run another folder."
            ) from error
