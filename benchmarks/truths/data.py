"""List the known truths, fetch them, import local files, verify stored files: the functions of ``zcbench data``."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.truths import sources
from zcbench.benchmarks.truths.catalogue import SOURCES
from zcbench.benchmarks.truths.costs import hardware_costs, training_seconds
from zcbench.benchmarks.truths.fetching import fetch
from zcbench.benchmarks.truths.listing import SHIPS, Entry, entries
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.official import from_nas_bench_201, from_nats_bench
from zcbench.benchmarks.truths.packed import read as read_packed
from zcbench.benchmarks.truths.places import table_path, tables_here
from zcbench.benchmarks.truths.storing import ingredients, store
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.datasets import archives
from zcbench.errors import DataError
from zcbench.storage import files as folders

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


def list_data(data_dir: str | Path | None = None) -> pd.DataFrame:
    """Every truth known: published, bundled and your own; and the images that `fetch` knows.

    Returns:
        Columns ``name, kind`` (mean, single runs, costs, images), ``source, licence, rows, where``: the path of the
        stored table, the folder of the source files or of the images, "bundled with zcbench", or "not here".
    """
    return pd.DataFrame(entries(data_dir), columns=list(Entry._fields))


def import_folder(folder: str | Path, data_dir: str | Path | None = None) -> pd.DataFrame:
    """Store tables from a local folder that holds any of the sources' files, at any depth and under any name.

    Archives of images in it, under their own names, are unpacked.

    Returns:
        Columns ``file, source, status, tables``: one row per file, its status ``imported``, ``wrong checksum``,
        ``second copy`` or ``not a known source``, and the number of tables that were made of it.

    Raises:
        ChecksumError: an archive of images is damaged.
        DataError: there is no such folder, or no known file in it, or the data directory cannot be written to.
    """
    top, root = Path(folder).expanduser(), folders.data_folder(data_dir)
    if not top.is_dir():
        raise DataError(f"{str(folder)!r} is no folder. Expected one that holds files of: {', '.join(SOURCES)}.")
    images = archives.import_archives(sorted(path for path in top.rglob("*") if archives.owner(path.name)), root)
    report = pd.DataFrame(list(_recognise(top, images)), columns=["file", "source", "status"])
    found = report[report["status"] == "imported"].set_index("source")["file"].drop([*images], errors="ignore")
    if found.empty and not images:
        named = ", ".join(sorted(source.file for source in SOURCES.values()))
        raise DataError(f"No known file in {str(folder)!r}; looked at {len(report)}. Expected any of: {named}.")
    stored = store({str(name): Path(file) for name, file in found.items()}, root)
    used = [source.name for key in zip(stored["name"], stored["kind"] == "single runs") for source in ingredients(key)]
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


def _recognise(top: Path, images: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Each file under ``top``: its path, the source it is, and what becomes of it; ``images`` are those imported."""
    names = {source.file: source for source in SOURCES.values()}
    hashes = {source.sha256: source for source in SOURCES.values()}
    sizes, seen = {source.size for source in SOURCES.values()}, set()
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        if (owner := archives.owner(path.name)) is not None:
            yield str(path), owner, "imported" if owner in images else "incomplete"
            continue
        likely = path.name in names or path.stat().st_size in sizes
        source = hashes.get(sources.sha256(path)) if likely else None
        if source is None:
            wrong = path.name in names
            name = names[path.name].name if wrong else ""
            yield str(path), name, "wrong checksum" if wrong else "not a known source"
        else:
            yield str(path), source.name, "second copy" if source.name in seen else "imported"
            seen.add(source.name)


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
