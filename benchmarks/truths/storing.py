"""Tables and files stored in a data directory."""

import shutil
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.truths.catalogue import PUBLISHED
from zcbench.benchmarks.truths.costs import hardware_sources
from zcbench.benchmarks.truths.lookup import from_sources, table_path
from zcbench.benchmarks.truths.sources import Source
from zcbench.errors import DataError
from zcbench.storage.files import replaced


def ingredients(key: tuple[str, bool]) -> tuple[Source, ...]:
    """Sources of a published truth, by name and whether it holds single runs; none of another one."""
    return PUBLISHED[key].sources if key in PUBLISHED else ()


def store(found: dict[str, Path], root: Path) -> pd.DataFrame:
    """Store every table that ``found`` completes, sources that are already in the data directory included."""
    rows = []
    for (name, per_run), published in PUBLISHED.items():
        paths = {source.name: found.get(source.name, root / source.place) for source in published.sources}
        if found.keys() & paths.keys() and all(path.is_file() for path in paths.values()):
            path = from_sources(published, paths).write(table_path(root, name, per_run))
            rows.append((name, "single runs" if per_run else "mean", str(path)))
    costs = [source for source in hardware_sources() if source.name in found]
    rows += [(source.name, "costs", str(copied(found[source.name], root / source.place))) for source in costs]
    return pd.DataFrame(rows, columns=["name", "kind", "path"])


def copied(path: Path, goal: Path) -> Path:
    """Copy of a file, whole or not at all."""
    if goal.exists() and goal.samefile(path):
        return goal
    try:
        with replaced(goal) as draft:
            shutil.copyfile(path, draft)
    except OSError as error:
        raise unwritable(goal, error) from error
    return goal


def unwritable(path: Path, error: OSError) -> DataError:
    """Error for a path that cannot be written; the caller raises it."""
    return DataError(
        f"Cannot write {str(path)!r}: {error}. Free some space, or choose another folder with --data-dir or "
        "ZCBENCH_DATA."
    )
