"""Shards: a run split over machines that share nothing, and the merge of their folders into one."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Self

from zcbench.benchmarks.scoring.definitions import agreed, by_version
from zcbench.benchmarks.scoring.folder import STORE, describe_run, locked, requests
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.rows import COLUMNS, Row, checked, checksum
from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import DataError, ProtocolError, StoreError, shortened
from zcbench.runtime.crew import TRANSIENT
from zcbench.storage.run_folder import Json
from zcbench.streams import derive

NOTE = "shard"
"""Entry of a request with the shard that it was."""

_FORM = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)
_CHUNK = 10_000  # rows that are compared and inserted at a time
_KEY = "arch = ? AND proxy = ? AND version = ? AND seed = ?"


class Shard(NamedTuple):
    """One of several equal parts of the architectures of a run: every ``of``-th one, beginning with the ``number``-th.

    >>> Shard.read("2/3").part(["a", "b", "c", "d", "e"])
    ['b', 'e']
    """

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Self:
        """The shard that a text such as ``3/16`` names.

        Raises:
            ProtocolError: it names none.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ProtocolError(
                f"shard={shortened(text)!r} was given. Expected I/N with 1 ≤ I ≤ N, as 3/16 for the third of sixteen."
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    def part(self, archs: Sequence[str]) -> list[str]:
        """Its architectures, of all.

        Raises:
            ProtocolError: there are fewer architectures than shards.
        """
        if len(archs) < self.of:
            raise ProtocolError(
                f"{self.of} shards were asked for, and there are {len(archs)} architectures. Expected at most one "
                f"shard for each; ask for fewer."
            )
        return list(archs[self.number - 1 :: self.of])

    def note(self, archs: Sequence[str], seeds: Sequence[int], scores: int) -> Json:
        """What its request says of it, for the merge.

        Args:
            archs: all architectures of the run.
            seeds: of the run.
            scores: how many are asked of this shard.
        """
        whole = f"{derive(list(archs), list(seeds)):x}"
        return {**self._asdict(), "architectures": len(archs), "scores": scores, "whole": whole}


@dataclass(frozen=True)
class MergedRuns:
    """What `merge_runs` has made.

    Attributes:
        folder: of the merged run.
        runs: how many were merged.
        scores: of the merged run.
        duplicates: scores that were found in more than one of them, with equal values.
    """

    folder: Path
    runs: int
    scores: int
    duplicates: int


def merge_runs(runs: Sequence[str | Path], out: str | Path, *, incomplete: bool = False) -> MergedRuns:
    """Merge the folders of runs of one protocol, such as all shards of a run, into one folder.

    A score that several runs have is compared bit for bit and kept once; a time-out, lack of memory or dead worker
    gives way to what another run has. All scores are added, or none. What ``out`` has already is kept, and compared
    likewise.

    Args:
        runs: folders.
        out: folder of the merged run; made if missing.
        incomplete: merge also where shards are missing or not finished; the merged run scores what is missing when
            ``bench`` goes on there.

    Raises:
        ProtocolError: runs of different protocols or of different definitions, a shard that is missing, is there twice
            or is not finished.
        DataError: two runs have different values for one key.
        StoreError: there is no run in a folder, a store is damaged, or ``out`` cannot be written.
    """
    folders, home = [Path(run) for run in runs], Path(out)
    if not folders:
        raise ProtocolError("No runs are given. Expected at least one; name their folders.")
    if twice := [str(run) for run, count in Counter(folder.resolve() for folder in folders).items() if count > 1]:
        raise ProtocolError(f"{twice[0]} is given twice. Expected each run once; leave it out once.")
    if home.resolve() in [folder.resolve() for folder in folders]:
        raise ProtocolError(f"{home} is one of the runs. Expected another folder to merge them into; name a new one.")
    protocol, definitions = _agreed(folders)
    asked = {folder: requests(folder) for folder in folders}
    _require_shards(asked, incomplete)
    with locked(home), _Merger(home / STORE, write=True) as store:
        store.adopt(protocol)
        store.adopt_contents(by_version(definitions.get("contents", {})))
        store.adopt_networks(definitions.get("networks", {}))
        duplicates = store.take(folders)
        for request in _whole(asked):
            describe_run(home, protocol, request)
        return MergedRuns(home, len(folders), sum(store.counts()[0].values()), duplicates)


class _Merger(Store):
    """A store that takes the rows of others."""

    def take(self, folders: Iterable[Path]) -> int:
        """Add all rows of the stores in ``folders``, or none; how many were there already."""
        duplicates = 0
        with self.explained(), self._db:
            for folder in folders:
                with Store(folder / STORE) as other:
                    rows = _rows(other)
                    while some := list(islice(rows, _CHUNK)):
                        duplicates += self._add(some, folder)
        return duplicates

    def _add(self, rows: Sequence[Row], folder: Path) -> int:
        before = self._db.total_changes
        marked = ((*row, checksum(row)) for row in rows)
        self._db.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", marked)
        if (known := len(rows) - (self._db.total_changes - before)) == 0:
            return 0
        better = [row for row in rows if self._is_better(row, folder)]
        self._db.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*row, checksum(row)) for row in better),
        )
        return known

    def _is_better(self, row: Row, folder: Path) -> bool:
        """Whether a row takes the place of that of its key: one with a result, of a failure that may not come again."""
        value, status = self._db.execute(f"SELECT value, status FROM scores WHERE {_KEY}", row[:4]).fetchone()
        if status in TRANSIENT or row.status in TRANSIENT:
            return row.status not in TRANSIENT
        if (value, status) != (row.value, row.status):
            raise DataError(
                f"{folder} and a run before it disagree on {row.proxy}@{row.version} of {row.arch!r} with seed "
                f"{row.seed}: {value} ({status}) and {row.value} ({row.status}). Expected the same bits; find out "
                f"which run is right and merge only that one."
            )
        return False


def _rows(store: Store) -> Iterator[Row]:
    """All rows of a store, each checked as it is read."""
    marks = ", checksum" if store.has_checksums else ""
    with closing(store._db.cursor()) as cursor:
        found = cursor.execute(f"SELECT {', '.join(COLUMNS)}{marks} FROM scores")
        yield from checked(found, store.path, marked=store.has_checksums)


def _agreed(folders: Sequence[Path]) -> tuple[Protocol, Json]:
    """The protocol of all runs, and what their scores rest on."""
    descriptions: dict[str, Json] = {}
    protocol: Protocol | None = None
    for folder in folders:
        with Store(folder / STORE) as store:
            found = store.protocol()
            contents = {f"{name}@{version}": sha256 for (name, version), sha256 in store.contents().items()}
            descriptions[str(folder)] = {"contents": contents, "networks": store.networks()}
        if found is None:
            raise StoreError(f"{folder} holds no scores yet. Expected a run; start it, or leave it out.")
        if protocol is not None:
            found.require_equal(protocol, str(folder))
        protocol = (protocol or found).completed(found)
    assert protocol is not None
    return protocol, agreed(descriptions)


def _require_shards(asked: Mapping[Path, Sequence[Json]], incomplete: bool) -> None:
    """Refuse shards that are there twice and, unless ``incomplete``, those that are missing or not finished."""
    kinds: dict[tuple[int, str], list[tuple[Path, Json]]] = {}
    for folder, request in ((folder, request) for folder, own in asked.items() for request in own if NOTE in request):
        kinds.setdefault((request[NOTE]["of"], request[NOTE]["whole"]), []).append((folder, request))
    for (of, _), found in kinds.items():
        held = dict.fromkeys((_shard(request).number, folder) for folder, request in found)
        _require_once(held, of)
        missing = sorted(set(range(1, of + 1)) - {number for number, _ in held})
        if missing and not incomplete:
            raise _foreign(kinds.values()) if len(kinds) > 1 else _missing(missing, of)
    if not incomplete:
        for folder, request in chain.from_iterable(kinds.values()):
            _require_finished(folder, request)


def _shard(request: Json) -> Shard:
    return Shard(request[NOTE]["number"], request[NOTE]["of"])


def _require_once(held: Collection[tuple[int, Path]], of: int) -> None:
    for number, count in Counter(number for number, _ in held).items():
        if count > 1:
            places = " and ".join(str(folder) for other, folder in held if other == number)
            raise ProtocolError(
                f"The shard {number} of {of} is given {count} times: {places}. Expected each shard once; leave one out."
            )


def _foreign(kinds: Iterable[Sequence[tuple[Path, Json]]]) -> ProtocolError:
    firsts = " and ".join(f"{folder} is shard {_shard(request)}" for (folder, request), *_ in list(kinds)[:2])
    return ProtocolError(
        f"The shards are of different runs: {firsts} of other architectures or seeds. Expected those of one run; leave "
        f"the others out."
    )


def _missing(missing: Sequence[int], of: int) -> ProtocolError:
    named = f"shard {missing[0]} is" if len(missing) == 1 else f"shards {', '.join(map(str, missing))} are"
    return ProtocolError(
        f"Of {of} shards, {named} missing. Expected all; name the folders of the others too, or merge what is there "
        f"with --incomplete."
    )


def _require_finished(folder: Path, request: Json) -> None:
    with Store(folder / STORE) as store:
        done = store.attempts(request["proxies"].items(), request["seeds"])
    if done < request[NOTE]["scores"]:
        raise ProtocolError(
            f"The shard {_shard(request)} in {folder} is not finished: {done:,} of {request[NOTE]['scores']:,} scores. "
            f"Expected all; run its command again, or merge what is there with --incomplete."
        )


def _whole(asked: Mapping[Path, Sequence[Json]]) -> Iterator[Json]:
    """Requests of the merged run: those of shards as if they had been one."""
    for request in (request for own in asked.values() for request in own):
        whole = {"architectures": request[NOTE]["architectures"]} if NOTE in request else {}
        yield {name: value for name, value in {**request, **whole}.items() if name != NOTE}
