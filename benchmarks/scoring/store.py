"""The score store: one SQLite file that survives being killed at any moment."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from zcbench.benchmarks.scoring.database import Database
from zcbench.benchmarks.scoring.definitions import Contents
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.rows import COLUMNS, Row, checked, checksum
from zcbench.benchmarks.scoring.scores_frame import scores_frame
from zcbench.errors import ProtocolError, writable
from zcbench.storage.run_folder import Json

__all__ = ["COLUMNS", "Contents", "Missing", "Request", "Row", "Store"]

_JOIN = """
FROM wanted_arch AS a CROSS JOIN wanted_seed AS s CROSS JOIN wanted_proxy AS p
LEFT JOIN scores ON scores.arch = a.arch AND scores.seed = s.seed
    AND scores.proxy = p.proxy AND scores.version = p.version
"""
_ORDER = "ORDER BY a.position, s.position, p.position"
_ATTEMPTED = "scores.arch IS NOT NULL"


class Missing(NamedTuple):
    """Proxies that one architecture and seed still lack."""

    arch: str
    seed: int
    proxies: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What is asked of a store: every architecture with every seed and every proxy.

    Attributes:
        archs: architectures, each once.
        seeds: seeds, each once.
        proxies: names and versions.
    """

    archs: Sequence[str]
    seeds: Sequence[int]
    proxies: Sequence[tuple[str, int]]

    def __len__(self) -> int:
        """How many scores are asked for."""
        return len(self.archs) * len(self.seeds) * len(self.proxies)


class Store(Database):
    """Scores of one protocol, keyed by architecture, proxy, its version and seed; doubles but for the sign of zero.

    Opened for reading unless ``write`` is set; reading works while another process writes.

    Raises:
        StoreError: the file is missing, damaged, from another version, or cannot be written.

    Example:
        >>> Store("runs/first/scores.sqlite").scores()  # doctest: +SKIP
    """

    def protocol(self) -> Protocol | None:
        """The protocol of all scores in here, None before the first."""
        with self.explained():
            found = self._db.execute("SELECT content FROM protocol").fetchone()
        return Protocol.from_json(found[0]) if found else None

    def adopt(self, protocol: Protocol) -> None:
        """Make ``protocol`` that of the store, or check that it already is.

        A store of before spaces had fingerprints takes those of now.

        Raises:
            ProtocolError: the store has another one.
        """
        known = self.protocol()
        if known is not None:
            known.require_equal(protocol, str(self.path.parent))
        with self.explained(), self._db:
            if known is None:
                self._db.execute("INSERT INTO protocol VALUES (?)", (protocol.to_json(),))
            elif (completed := known.completed(protocol)) != known:
                self._db.execute("UPDATE protocol SET content = ?", (completed.to_json(),))

    def contents(self) -> Contents:
        """Fingerprints of the plug-in proxies that the scores are from; none in a store of before they were kept."""
        with self.explained():
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
            if before != sha256 and self._has(proxy=name, version=version):
                raise ProtocolError(
                    f"The proxy {name!r} was edited and is still version {version}, of which {self.path.parent} has "
                    f"scores. Two definitions are never mixed: raise its version, put back the old one, or name "
                    f"another folder."
                )
        new = [(name, version, sha256) for (name, version), sha256 in contents.items() if sha256 is not None]
        with self.explained(), self._db:
            self._db.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", new)

    def networks(self) -> dict[str, Json]:
        """Cards of the networks of one's own that the scores are of, by name; none in a store without such."""
        with self.explained():
            if not self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'networks'").fetchone()[0]:
                return {}
            return {arch: json.loads(card) for arch, card in self._db.execute("SELECT arch, card FROM networks")}

    def adopt_networks(self, cards: Mapping[str, Json]) -> None:
        """Keep the cards of networks about to be scored, or check that the scores here are of these.

        Args:
            cards: by name; ``sha256`` in each is the fingerprint of the network.

        Raises:
            ProtocolError: a network was changed since.
        """
        known = self.networks()
        for name, card in cards.items():
            before = known.get(name, card)["sha256"]
            if before != card["sha256"] and self._has(arch=name):
                raise ProtocolError(
                    f"The network {name!r} is another one than that of which {self.path.parent} has scores. Two "
                    f"networks are never mixed: rename it, put back the old one, or name another folder."
                )
        with self.explained(), self._db:
            rows = [(name, json.dumps(card, sort_keys=True)) for name, card in cards.items()]
            self._db.executemany("INSERT OR REPLACE INTO networks VALUES (?, ?)", rows)

    def _has(self, **key: object) -> bool:
        """Whether there is a score with these values of the columns."""
        query = f"SELECT 1 FROM scores WHERE {' AND '.join(f'{name} = ?' for name in key)} LIMIT 1"
        with self.explained():
            return self._db.execute(query, tuple(key.values())).fetchone() is not None

    def save(self, rows: Iterable[Row]) -> None:
        """Store all of ``rows`` or, if the disk refuses, none; a row of the same key is replaced.

        What UTF-8 has no letter for, such as part of a file name in an error, is kept as an escape.

        Raises:
            StoreError: the disk is full or the file cannot be written.
        """
        plain = [row._replace(reason=writable(row.reason)) for row in rows]
        with self.explained(), self._db:
            marked = ((*row, checksum(row)) for row in plain)
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", marked)

    def missing(self, request: Request, retry: Sequence[str] = ()) -> list[Missing]:
        """What of ``request`` has no row, or a row whose status is in ``retry``; architecture by architecture."""
        marks = ", ".join("?" * len(retry))
        where = f"WHERE scores.arch IS NULL OR scores.status IN ({marks})"
        found = self._joined(request, f"SELECT a.arch, s.seed, p.proxy {_JOIN} {where} {_ORDER}", *retry)
        return [
            Missing(arch, seed, tuple(proxy for _, _, proxy in rows))
            for (arch, seed), rows in groupby(found, key=lambda row: (row[0], row[1]))
        ]

    def tally(self, request: Request) -> dict[str, int]:
        """How many scores of ``request`` have each status; those not yet attempted are left out."""
        query = f"SELECT scores.status, count(*) {_JOIN} WHERE {_ATTEMPTED} GROUP BY scores.status"
        return dict(self._joined(request, query))

    def counts(self) -> tuple[dict[str, int], int, int]:
        """How many scores have each status, over how many architectures and proxies."""
        with self.explained():
            statuses = dict(self._db.execute("SELECT status, count(*) FROM scores GROUP BY status").fetchall())
            archs, proxies = self._db.execute(
                "SELECT count(DISTINCT arch), count(DISTINCT proxy) FROM scores"
            ).fetchone()
        return statuses, archs, proxies

    def attempts(self, proxies: Iterable[tuple[str, int]], seeds: Sequence[int]) -> int:
        """How many scores of these proxies and versions there are with these seeds, whatever their status."""
        query = (
            "SELECT count(*) FROM scores JOIN (SELECT DISTINCT value AS seed FROM json_each(?)) USING (seed) "
            "JOIN (SELECT key AS proxy, value AS version FROM json_each(?)) USING (proxy, version)"
        )
        with self.explained():
            found = self._db.execute(query, (json.dumps(list(seeds)), json.dumps(dict(proxies)))).fetchone()[0]
        return int(found)

    def rows(self, request: Request) -> list[Row]:
        """What of ``request`` was attempted, architecture by architecture."""
        query = f"SELECT {self._columns} {_JOIN} WHERE {_ATTEMPTED} {_ORDER}"
        return list(checked(self._joined(request, query), self.path, marked=self.has_checksums))

    def _joined(self, request: Request, query: str, *values: str) -> list[Any]:
        """Result of a query over the request's architectures, seeds and proxies, see `_JOIN`."""
        with self.explained(), self._db:
            for name in ("arch", "seed", "proxy"):
                self._db.execute(f"DELETE FROM wanted_{name}")
            self._db.executemany("INSERT INTO wanted_arch (arch) VALUES (?)", ((arch,) for arch in request.archs))
            self._db.executemany("INSERT INTO wanted_seed (seed) VALUES (?)", ((seed,) for seed in request.seeds))
            self._db.executemany("INSERT INTO wanted_proxy (proxy, version) VALUES (?, ?)", request.proxies)
            return self._db.execute(query, values).fetchall()

    def scores(self, *, all_versions: bool = False) -> pd.DataFrame:
        """All attempts, one row each, sorted by architecture, seed and proxy.

        Args:
            all_versions: also the rows of older versions of a proxy, which are otherwise left out.

        Returns:
            Columns ``arch, proxy, version, seed, value, status, reason, seconds``; ``value`` is NaN unless ``status``
            is "ok".
        """
        newest = "(SELECT proxy, max(version) AS version FROM scores GROUP BY proxy)"
        latest = f"CROSS JOIN {newest} USING (proxy, version)"  # CROSS: SQLite goes through scores in their order
        query = (
            f"SELECT {self._columns} FROM scores {'' if all_versions else latest} "
            "ORDER BY scores.arch, scores.seed, scores.proxy, scores.version"
        )
        with self.explained():
            rows = checked(self._db.execute(query), self.path, marked=self.has_checksums)
            return scores_frame(rows)

    @property
    def _columns(self) -> str:
        """Columns of a row in a query, with its checksum where the store has one."""
        return ", ".join(f"scores.{name}" for name in (*COLUMNS, *(["checksum"] if self.has_checksums else [])))
