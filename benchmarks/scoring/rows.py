"""One row of a score store: an attempt at one score, and its checksum."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from zcbench.errors import StoreError

COLUMNS = ("arch", "proxy", "version", "seed", "value", "status", "reason", "seconds")


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


def checked(found: Iterable[tuple[object, ...]], path: Path, *, marked: bool = True) -> Iterator[Row]:
    """The rows of a store, once each has the checksum that it was stored with.

    Args:
        found: columns of `COLUMNS`, and the checksum if they are ``marked``.
        path: of the store, for messages.
        marked: whether the store has checksums.

    Raises:
        StoreError: a row has another checksum.
    """
    for content in found:
        row = Row._make(content[: len(COLUMNS)])
        if not _typed(row) or (marked and content[-1] != checksum(row)):
            raise StoreError(
                f"{path} was damaged or changed: the score of {row.proxy!r} for {row.arch!r} with seed {row.seed} is "
                f"not the one that was stored. Restore a copy, delete that row (arch, proxy, seed) from the table "
                f"'scores' and run the same command again, or give this run another folder."
            )
        yield row


def _typed(row: Row) -> bool:
    """Whether the row has the types of the schema: SQLite keeps any other one too."""
    texts = (row.arch, row.proxy, row.status, row.reason)
    numbers = (row.version, row.seed, row.seconds, 0.0 if row.value is None else row.value)
    return all(isinstance(text, str) for text in texts) and all(isinstance(number, int | float) for number in numbers)
