"""The score store: one SQLite file that survives being killed at any moment.

Write-ahead logging lets readers look on while a run writes. ``synchronous = FULL`` syncs once per transaction, a few
milliseconds against the tenths of a second that a network takes, so that finished scores also survive a power cut.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pandas as pd

from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.errors import ProtocolError, StoreError, writable

STORE_VERSION = 2
_WITHOUT_CHECKSUMS = 1  # version of stores that have none; a writer adds them
COLUMNS = ("arch", "proxy", "version", "seed", "value", "status", "reason", "seconds")

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
_CONTENTS = """
CREATE TABLE IF NOT EXISTS contents (
    proxy TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (proxy, version)
) WITHOUT ROWID;
"""
_REQUEST = """
CREATE TEMP TABLE wanted_arch (position INTEGER PRIMARY KEY, arch TEXT);
CREATE TEMP TABLE wanted_seed (position INTEGER PRIMARY KEY, seed INTEGER);
CREATE TEMP TABLE wanted_proxy (position INTEGER PRIMARY KEY, proxy TEXT, version INTEGER);
"""
_JOIN = """
FROM wanted_arch AS a CROSS JOIN wanted_seed AS s CROSS JOIN wanted_proxy AS p
LEFT JOIN scores ON scores.arch = a.arch AND scores.seed = s.seed
    AND scores.proxy = p.proxy AND scores.version = p.version
"""


_KEY = "arch = ? AND proxy = ? AND version = ? AND seed = ?"
#: Fingerprints of the definitions of proxies that are no part of zcbench, by name and version.
Contents = dict[tuple[str, int], str]


class Row(NamedTuple):
    """One attempt; ``value`` is None unless ``status`` is "ok"."""

    arch: str
    proxy: str
    version: int
    seed: int
    value: float | None
    status: str
    reason: str
    seconds: float


def checksum(row: Row) -> str:
    """Fingerprint of a row as SQLite gives it back: it tells a row that was damaged, or changed by another program.

    >>> checksum(Row("a", "snip", 1, 0, 0.5, "ok", "", 0.1)) == checksum(Row("a", "snip", 1, 0, 0.25, "ok", "", 0.1))
    False
    """
    value = None if row.value is None else float(row.value) + 0.0  # no sign of zero
    plain = (*row[:2], int(row.version), int(row.seed), value, row.status, row.reason, float(row.seconds))
    return hashlib.blake2b(repr(plain).encode(), digest_size=8).hexdigest()


def _typed(row: Row) -> bool:
    """Whether the row has the types of the schema: SQLite keeps any other one too."""
    texts = (row.arch, row.proxy, row.status, row.reason)
    numbers = (row.version, row.seed, row.seconds, 0.0 if row.value is None else row.value)
    return all(isinstance(text, str) for text in texts) and all(isinstance(number, int | float) for number in numbers)


class Missing(NamedTuple):
    """Proxies that one architecture and seed still lack."""

    arch: str
    seed: int
    proxies: tuple[str, ...]


class Store:
    """Scores of one protocol, keyed by architecture, proxy, its version and seed; doubles but for the sign of zero.

    Opened for reading unless ``write`` is set; reading works while another process writes.

    Raises:
        StoreError: the file is missing, damaged, from another version, or cannot be written.

    Example:
        >>> Store("runs/first/scores.sqlite").scores()  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        with self._explained():
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

    def protocol(self) -> Protocol | None:
        """The protocol of all scores in here, None before the first."""
        with self._explained():
            found = self._db.execute("SELECT content FROM protocol").fetchone()
        return Protocol.from_json(found[0]) if found else None

    def adopt(self, protocol: Protocol) -> None:
        """Make ``protocol`` that of the store, or check that it already is.

        Raises:
            ProtocolError: the store has another one.
        """
        known = self.protocol()
        if known is not None:
            known.require_equal(protocol, str(self.path.parent))
            return
        with self._explained(), self._db:
            self._db.execute("INSERT INTO protocol VALUES (?)", (protocol.to_json(),))

    def contents(self) -> Contents:
        """Fingerprints of the plug-in proxies that the scores are from; none in a store of before they were kept."""
        with self._explained():
            if not self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'contents'").fetchone()[0]:
                return {}
            found = self._db.execute("SELECT proxy, version, sha256 FROM contents ORDER BY proxy, version")
            return {(proxy, version): sha256 for proxy, version, sha256 in found}

    def adopt_contents(self, contents: Mapping[tuple[str, int], str | None]) -> None:
        """Keep the fingerprints of proxies about to be scored, or check that their scores here are of these.

        Args:
            contents: by name and version; None for a part of zcbench.

        Raises:
            ProtocolError: a proxy was edited since and keeps its version.
        """
        known = self.contents()
        for (name, version), sha256 in contents.items():
            before = known.get((name, version), sha256)
            if before != sha256 and self._has(name, version):
                raise ProtocolError(
                    f"The proxy {name!r} was edited and is still version {version}, of which {self.path.parent} has "
                    f"scores. Two definitions are never mixed: raise its version, put back the old one, or name "
                    f"another folder."
                )
        new = [(name, version, sha256) for (name, version), sha256 in contents.items() if sha256 is not None]
        with self._explained(), self._db:
            self._db.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", new)

    def _has(self, proxy: str, version: int) -> bool:
        query = "SELECT 1 FROM scores WHERE proxy = ? AND version = ? LIMIT 1"
        with self._explained():
            return self._db.execute(query, (proxy, version)).fetchone() is not None

    def save(self, rows: Iterable[Row]) -> None:
        """Store all of ``rows`` or, if the disk refuses, none; a row of the same key is replaced.

        What UTF-8 has no letter for, such as part of a file name in an error, is kept as an escape.

        Raises:
            StoreError: the disk is full or the file cannot be written.
        """
        plain = [row._replace(reason=writable(row.reason)) for row in rows]
        with self._explained(), self._db:
            marked = ((*row, checksum(row)) for row in plain)
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", marked)

    def request(self, archs: Sequence[str], seeds: Sequence[int], proxies: Sequence[tuple[str, int]]) -> None:
        """Say what `missing`, `tally` and `wanted` are about: all of ``archs`` x ``seeds`` x (name, version)."""
        with self._explained(), self._db:
            for name in ("arch", "seed", "proxy"):
                self._db.execute(f"DELETE FROM wanted_{name}")
            self._db.executemany("INSERT INTO wanted_arch (arch) VALUES (?)", ((arch,) for arch in archs))
            self._db.executemany("INSERT INTO wanted_seed (seed) VALUES (?)", ((seed,) for seed in seeds))
            self._db.executemany("INSERT INTO wanted_proxy (proxy, version) VALUES (?, ?)", proxies)

    def missing(self, retry: Sequence[str] = ()) -> list[Missing]:
        """What of the request has no row, or a row whose status is in ``retry``; architecture by architecture."""
        marks = ", ".join("?" * len(retry))
        query = (
            f"SELECT a.arch, s.seed, p.proxy {_JOIN} WHERE scores.arch IS NULL OR scores.status IN ({marks}) "
            f"ORDER BY a.position, s.position, p.position"
        )
        with self._explained():
            found = self._db.execute(query, tuple(retry))
            return [
                Missing(arch, seed, tuple(proxy for _, _, proxy in rows))
                for (arch, seed), rows in groupby(found, key=lambda row: (row[0], row[1]))
            ]

    def tally(self) -> dict[str, int]:
        """How many scores of the request have each status; those not yet attempted are left out."""
        with self._explained():
            query = f"SELECT scores.status, count(*) {_JOIN} WHERE scores.arch IS NOT NULL GROUP BY scores.status"
            return dict(self._db.execute(query).fetchall())

    def wanted(self) -> list[Row]:
        """What of the request was attempted, architecture by architecture."""
        columns = ", ".join(f"scores.{column}" for column in COLUMNS)
        order = "ORDER BY a.position, s.position, p.position"
        with self._explained():
            query = f"SELECT {columns}{self._mark} {_JOIN} WHERE scores.arch IS NOT NULL {order}"
            return list(self._checked(self._db.execute(query)))

    def scores(self, *, all_versions: bool = False) -> pd.DataFrame:
        """All attempts, one row each, sorted by architecture, seed and proxy.

        Args:
            all_versions: also the rows of older versions of a proxy, which are otherwise left out.

        Returns:
            Columns ``arch, proxy, version, seed, value, status, reason, seconds``; ``value`` is NaN unless ``status``
            is "ok".
        """
        latest = "" if all_versions else "JOIN (SELECT proxy, max(version) AS version FROM scores GROUP BY proxy) "
        using = "" if all_versions else "USING (proxy, version) "
        query = (
            f"SELECT {', '.join(COLUMNS)}{self._mark} FROM scores {latest}{using}ORDER BY arch, seed, proxy, version"
        )
        with self._explained():
            frame = pd.DataFrame.from_records(list(self._checked(self._db.execute(query))), columns=list(COLUMNS))
        return frame.astype({"version": "int64", "seed": "int64", "value": "float64", "seconds": "float64"})

    def _connect(self, write: bool) -> sqlite3.Connection:
        if write:
            return sqlite3.connect(self.path, timeout=30)
        if not self.path.is_file():
            raise StoreError(f"No scores at {self.path}. Expected a scores.sqlite; check the folder of the run.")
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)

    @property
    def _mark(self) -> str:
        """The column of checksums in a query; nothing for a store that has none."""
        return ", scores.checksum" if self._version == STORE_VERSION else ""

    def _checked(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
        """The rows, once each has the checksum that it was stored with.

        Raises:
            StoreError: one has not.
        """
        for *content, mark in rows if self._mark else ((*row, None) for row in rows):
            row = Row._make(content)
            if not _typed(row) or (self._mark and mark != checksum(row)):
                raise StoreError(
                    f"{self.path} was damaged or changed: the score of {row.proxy!r} for {row.arch!r} with seed "
                    f"{row.seed} is not the one that was stored. Restore a copy, delete that row (arch, proxy, seed) "
                    f"from the table 'scores' and run the same command again, or give this run another folder."
                )
            yield row

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
        for setting in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
            self._db.execute(f"PRAGMA {setting}")
        if self._empty():
            self._db.executescript(_SCHEMA)
        elif self._version == _WITHOUT_CHECKSUMS:
            self._add_checksums()
        self._db.executescript(_CONTENTS)
        self._db.executescript(_REQUEST)

    @contextmanager
    def _explained(self) -> Iterator[None]:
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
