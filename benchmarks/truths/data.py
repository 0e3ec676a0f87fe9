"""List the known truths, fetch them, import local files, verify stored files: the functions of ``zcbench data``."""

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import pooch
from requests.exceptions import RequestException

from zcbench.benchmarks.truths import sources
from zcbench.benchmarks.truths.catalogue import PUBLISHED, SOURCES
from zcbench.benchmarks.truths.costs import hardware_costs, hardware_sources, training_seconds
from zcbench.benchmarks.truths.listing import SHIPS, Entry, entries
from zcbench.benchmarks.truths.lookup import from_sources
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.official import from_nas_bench_201, from_nats_bench
from zcbench.benchmarks.truths.packed import bundled
from zcbench.benchmarks.truths.packed import read as read_packed
from zcbench.benchmarks.truths.places import table_path, tables_here
from zcbench.benchmarks.truths.sources import BASE_URL, Source
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import ChecksumError, DataError, unknown
from zcbench.storage import files as folders
from zcbench.storage.files import replaced

__all__ = [
    "SHIPS",
    "fetch",
    "hardware_costs",
    "import_csv",
    "import_folder",
    "import_official",
    "import_packed",
    "list_data",
    "training_seconds",
    "verify",
]

_SILENT: Callable[[str], object] = str


def list_data(data_dir: str | Path | None = None) -> pd.DataFrame:
    """Every truth known: published, bundled and your own.

    Returns:
        Columns ``name, kind`` (mean, single runs, costs), ``source, licence, rows, where``: the path of the stored
        table, the folder of the source files, "bundled with zcbench", or "not here".
    """
    return pd.DataFrame(entries(data_dir), columns=list(Entry._fields))


def fetch(
    names: Iterable[str],
    data_dir: str | Path | None = None,
    base_url: str | None = None,
    progress: Callable[[str], object] = _SILENT,
) -> pd.DataFrame:
    """Download the sources of the named truths, check them, and store the tables they make.

    Args:
        names: truths (``nasbench201/cifar10``), sources (``meco``), or ``all``.
        data_dir: where to store; the default is ``ZCBENCH_DATA``, then the user's data directory.
        base_url: replaces ``https://raw.githubusercontent.com``, as the variable ``ZCBENCH_BASE_URL`` does.
        progress: called with a sentence for each file.

    Returns:
        Columns ``name, kind, path``: the tables that are now stored.

    Raises:
        UnknownNameError: a name is neither truth nor source.
        ChecksumError: a download is not the pinned file; nothing of it is kept.
        DataError: the network or the disk failed; complete files are kept, and a second fetch continues.
    """
    root = folders.data_folder(data_dir)
    base = base_url or os.environ.get("ZCBENCH_BASE_URL") or BASE_URL
    wanted = list(dict.fromkeys(source for asked in names for source in _sources_of(asked, progress)))
    for number, source in enumerate(wanted, 1):
        progress(f"{number}/{len(wanted)} {source.name} ({source.size / 1e6:.1f} MB)")
        _download(source, root, base)
    return _store({source.name: root / source.place for source in wanted}, root)


def import_folder(folder: str | Path, data_dir: str | Path | None = None) -> pd.DataFrame:
    """Store tables from a local folder that holds any of the sources' files, at any depth and under any name.

    Returns:
        Columns ``file, source, status, tables``: one row per file, its status ``imported``, ``wrong checksum``,
        ``second copy`` or ``not a known source``, and the number of tables that were made of it.

    Raises:
        DataError: there is no such folder, or no known file in it, or the data directory cannot be written to.
    """
    top, root = Path(folder).expanduser(), folders.data_folder(data_dir)
    if not top.is_dir():
        raise DataError(f"{str(folder)!r} is no folder. Expected one that holds files of: {', '.join(SOURCES)}.")
    report = pd.DataFrame(list(_recognise(top)), columns=["file", "source", "status"])
    found = report[report["status"] == "imported"].set_index("source")["file"]
    if found.empty:
        named = ", ".join(sorted(source.file for source in SOURCES.values()))
        raise DataError(f"No known file in {str(folder)!r}; looked at {len(report)}. Expected any of: {named}.")
    stored = _store({str(name): Path(file) for name, file in found.items()}, root)
    used = [source.name for key in zip(stored["name"], stored["kind"] == "single runs") for source in _ingredients(key)]
    return report.assign(tables=[used.count(source) for source in report["source"]])


def import_csv(path: str | Path, name: str, data_dir: str | Path | None = None) -> Path:
    """Store your own truth, a CSV with the columns ``arch`` and ``accuracy``, under a name of its own.

    Returns:
        The stored table's path; ``truth(name)`` finds it from now on.

    Raises:
        DataError: the CSV is no truth, or the data directory cannot be written to.
        UnknownNameError: ``name`` is not of the form SPACE/DATASET[/SPLIT][@EPOCHS].
    """
    return _save(TruthTable.from_csv(path, name), folders.data_folder(data_dir))


def import_packed(path: str | Path, data_dir: str | Path | None = None) -> dict[str, Path]:
    """Store every table of a packed truth, as ``zcbench truth pack`` writes it.

    Returns:
        The stored table's path by the name of the truth.

    Raises:
        DataError: the file cannot be read, or the data directory cannot be written to.
    """
    root = folders.data_folder(data_dir)
    return {str(table.protocol["name"]): _save(table, root) for table in read_packed(path).values()}


def import_official(path: str | Path, data_dir: str | Path | None = None, trust: bool = False) -> list[Path]:
    """Store every truth of an official NAS-Bench-201 ``.pth`` file or NATS-Bench topology folder.

    Raises:
        DataError: the file is missing, damaged or not trusted (see :mod:`zcbench.benchmarks.truths.official`).
    """
    read = from_nats_bench if Path(path).is_dir() else from_nas_bench_201
    return [_save(table, folders.data_folder(data_dir)) for table in read(path, trust=trust).values()]


def verify(data_dir: str | Path | None = None) -> pd.DataFrame:
    """Check every table and every source file in the data directory.

    Returns:
        Columns ``name, path, status`` (``ok``, ``damaged``, ``not here``) and ``reason``.
    """
    root = folders.data_folder(data_dir)
    rows = [(name, path, *_state(path, TruthTable.read)) for (name, _), path in tables_here(root).items()]
    for source in SOURCES.values():
        path = root / source.place
        rows.append((source.name, path, *_state(path, partial(sources.check, source=source))))
    return pd.DataFrame(rows, columns=["name", "path", "status", "reason"])


def _sources_of(asked: str, progress: Callable[[str], object]) -> list[Source]:
    """Sources that a name stands for: itself, those of a truth, or all; none for a bundled truth."""
    if asked == "all":
        return list(SOURCES.values())
    if asked in SOURCES:
        return [SOURCES[asked]]
    own = bundled()
    known = ["all", *SOURCES, *(name for name, _ in PUBLISHED), *own]
    full = str(TruthName.parse(asked)) if "/" in asked else asked
    found = [source for runs in (False, True) for source in _ingredients((full, runs))]
    if full in own:
        progress(f"{full} is bundled with zcbench; there is nothing to download.")
    elif not found:
        raise unknown("truth or source to fetch", asked, known)
    return found


def _ingredients(key: tuple[str, bool]) -> tuple[Source, ...]:
    return PUBLISHED[key].sources if key in PUBLISHED else ()


def _download(source: Source, root: Path, base: str) -> None:
    path = root / source.place
    loader = pooch.HTTPDownloader(timeout=30)
    try:
        with _quiet():
            pooch.retrieve(source.url(base), f"sha256:{source.sha256}", path.name, path.parent, downloader=loader)
    except RequestException as error:
        raise DataError(
            f"The download of {source.url(base)} broke off: {error}. Files that were complete are kept; check the "
            "network and run the same command again."
        ) from error
    except ValueError as error:
        raise ChecksumError(
            f"{source.url(base)} does not give the published file: {error} Nothing of it was kept. Try again later, or "
            "get the file elsewhere and run 'zcbench data import FOLDER'."
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Pooch without its own log lines."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _recognise(top: Path) -> Iterator[tuple[str, str, str]]:
    """Each file under ``top``: its path, the source it is, and what becomes of it."""
    names = {source.file: source for source in SOURCES.values()}
    hashes = {source.sha256: source for source in SOURCES.values()}
    sizes, seen = {source.size for source in SOURCES.values()}, set()
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        likely = path.name in names or path.stat().st_size in sizes
        source = hashes.get(sources.sha256(path)) if likely else None
        if source is None:
            wrong = path.name in names
            name = names[path.name].name if wrong else ""
            yield str(path), name, "wrong checksum" if wrong else "not a known source"
        else:
            yield str(path), source.name, "second copy" if source.name in seen else "imported"
            seen.add(source.name)


def _store(found: dict[str, Path], root: Path) -> pd.DataFrame:
    """Store every table that ``found`` completes, sources that are already in the data directory included."""
    rows = []
    for (name, per_run), published in PUBLISHED.items():
        paths = {source.name: found.get(source.name, root / source.place) for source in published.sources}
        if found.keys() & paths.keys() and all(path.is_file() for path in paths.values()):
            path = from_sources(published, paths).write(table_path(root, name, per_run))
            rows.append((name, "single runs" if per_run else "mean", str(path)))
    costs = [source for source in hardware_sources() if source.name in found]
    rows += [(source.name, "costs", str(_copy(found[source.name], root / source.place))) for source in costs]
    return pd.DataFrame(rows, columns=["name", "kind", "path"])


def _copy(path: Path, goal: Path) -> Path:
    """Copy of a file, whole or not at all."""
    if goal.exists() and goal.samefile(path):
        return goal
    try:
        with replaced(goal) as draft:
            shutil.copyfile(path, draft)
    except OSError as error:
        raise _unwritable(goal, error) from error
    return goal


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"Cannot write {str(path)!r}: {error}. Free some space, or choose another folder with --data-dir or "
        "ZCBENCH_DATA."
    )


def _save(table: TruthTable, root: Path) -> Path:
    name = str(TruthName.parse(table.protocol["name"]))
    return table.write(table_path(root, name, bool(table["seed"].notna().any())))


def _state(path: Path, check: Callable[[Path], object]) -> tuple[str, str]:
    if not path.exists():
        return "not here", ""
    try:
        check(path)
    except DataError as error:
        return "damaged", str(error)
    return "ok", ""
