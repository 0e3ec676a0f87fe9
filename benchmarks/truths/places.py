"""Where tables and source files of accuracies lie under a data directory; nothing is read."""

from pathlib import Path

from zcbench.benchmarks.truths.sources import PublishedTruth


def table_path(folder: Path, name: str, per_run: bool = False) -> Path:
    """Parquet file of the truth with this full name under the data directory ``folder``."""
    return folder / "truth" / f"{name.replace('/', '__')}{'.runs' if per_run else ''}.parquet"


def tables_here(folder: Path) -> dict[tuple[str, bool], Path]:
    """Parquet tables under the data directory ``folder``: (full name, single runs?) to path."""
    found = {}
    for path in sorted((folder / "truth").glob("*.parquet")):
        stem = path.name.removesuffix(".parquet")
        found[stem.removesuffix(".runs").replace("__", "/"), stem.endswith(".runs")] = path
    return found


def source_paths(published: PublishedTruth, folder: Path) -> dict[str, Path] | None:
    """Source files of a published truth under the data directory ``folder``, or nothing if one is not there."""
    paths = {source.name: folder / source.place for source in published.sources}
    return paths if all(path.is_file() for path in paths.values()) else None
