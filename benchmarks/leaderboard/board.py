"""The folder of a leaderboard: benchmarks, entries and submitted files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from zcbench.benchmarks.leaderboard.records import Benchmark, Entry, Record
from zcbench.errors import DataError, unknown
from zcbench.storage.run_folder import RunFolder

SUBMISSIONS = "submissions"
_BENCHMARKS, _ENTRIES = "benchmarks", "entries"
_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    ``benchmarks/NAME.json`` has a benchmark, ``entries/NAME/PROXY.json`` what a proxy reaches on it, and
    ``submissions/`` has the scores and plug-ins that entries are made from.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def submissions(self) -> Path:
        """Folder of the submitted files."""
        return self.path / SUBMISSIONS

    def benchmarks(self) -> dict[str, Benchmark]:
        """Benchmarks by name, in alphabetical order.

        Raises:
            DataError: a file is no benchmark of this version.
            StoreError: a file cannot be read.
        """
        found = (self._read(file, Benchmark) for file in sorted((self.path / _BENCHMARKS).rglob("*.json")))
        return {benchmark.name: benchmark for benchmark in found}

    def entries(self) -> list[Entry]:
        """Entries, by benchmark and proxy.

        Raises:
            DataError: a file is no entry of this version, or of a benchmark that is not here.
            StoreError: a file cannot be read.
        """
        known = self.benchmarks()
        found = [self._read(file, Entry) for file in sorted((self.path / _ENTRIES).rglob("*.json"))]
        for entry in found:
            if entry.benchmark not in known:
                raise unknown(f"benchmark of {self.path}", entry.benchmark, known)
        return found

    def entry(self, benchmark: str, proxy: str) -> Entry | None:
        """The entry of a proxy; None without one."""
        file = self.path / _entry_file(benchmark, proxy)
        return self._read(file, Entry) if file.exists() else None

    def write(self, record: Benchmark | Entry) -> None:
        """Write the file of a benchmark or an entry.

        Raises:
            StoreError: the folder cannot be written.
        """
        name = f"{_BENCHMARKS}/{record.name}.json" if isinstance(record, Benchmark) else _file_of(record)
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        RunFolder(self.path, "a leaderboard").write_json(name, record.to_json(), indent=1)

    def require(self) -> "Board":
        """This board, once it has a benchmark.

        Raises:
            DataError: there is none in the folder.
        """
        if not any((self.path / _BENCHMARKS).rglob("*.json")):
            raise DataError(
                f"{self.path} holds no leaderboard. Expected a folder that 'zcbench leaderboard add' wrote; check the "
                f"path, or add scores there."
            )
        return self

    def _read(self, file: Path, kind: type[_R]) -> _R:
        name = str(file.relative_to(self.path))
        return kind.from_json(RunFolder(self.path, "a leaderboard").read_json(name), str(file))


def _file_of(entry: Entry) -> str:
    return _entry_file(entry.benchmark, entry.proxy)


def _entry_file(benchmark: str, proxy: str) -> str:
    safe = "".join(letter if letter.isalnum() or letter in "_-@" else "~" for letter in proxy)
    return f"{_ENTRIES}/{benchmark}/{safe}.json"


def selected(entries: list[Entry], proxies: list[str]) -> Iterator[Entry]:
    """Entries of these proxies; all if there is no name.

    Raises:
        UnknownNameError: a proxy has no entry.
    """
    known = {entry.proxy for entry in entries}
    for name in proxies:
        if name not in known:
            raise unknown("proxy of this leaderboard", name, known)
    return (entry for entry in entries if not proxies or entry.proxy in proxies)
