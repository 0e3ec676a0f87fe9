"""Look up a truth by name: in the stored tables, else in the files of the sources, else among the bundled ones."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from zcbench.benchmarks.truths import sources
from zcbench.benchmarks.truths.catalogue import PUBLISHED
from zcbench.benchmarks.truths.name import TruthName, labels, unknown_truth
from zcbench.benchmarks.truths.packed import bundled, bundled_truth
from zcbench.benchmarks.truths.places import source_paths, table_path, tables_here
from zcbench.benchmarks.truths.sources import PublishedTruth
from zcbench.benchmarks.truths.table import TruthTable
from zcbench.errors import DataError, RankingError
from zcbench.specification import split_list
from zcbench.storage import files as folders

__all__ = ["TruthName", "TruthTable", "from_sources", "source_paths", "table_path", "tables_here", "truth", "truths"]

#: Names of truths, each perhaps several with commas, or files.
Names = str | Path | Iterable[str | Path]


def truth(name: str | Path, data_dir: str | Path | None = None, per_seed: bool = False) -> TruthTable:
    """Trained accuracies by name, one row per architecture (mean over runs).

    Args:
        name: ``SPACE/DATASET[/SPLIT][/SETTING][@EPOCHS]``, such as ``nasbench201/cifar10`` or ``s0/cifar100/kd``, or
            the path of a ``.csv`` or ``.parquet`` file of your own. ``nasbench201/cifar10-16/kd`` is bundled.
        data_dir: where to look; the default is ``ZCBENCH_DATA``, then the user's data directory.
        per_seed: give the single runs (column ``seed``) instead of their mean.

    Raises:
        UnknownNameError: no such truth is known; the message has the nearest names.
        DataError: the truth is known but not here, damaged, or has no single runs; the message has the command to run.
        ChecksumError: a source file is not the one it should be.
    """
    own = Path(name).suffix in (".csv", ".parquet")
    table = _from_file(Path(name)) if own else _look_up(str(name), folders.data_folder(data_dir), per_seed)
    if per_seed and table["seed"].isna().any():
        raise DataError(f"The truth {str(name)!r} holds means over runs. Expected single runs; leave per_seed out.")
    return table if per_seed else table.averaged()


def truths(names: Names, data_dir: str | Path | None = None) -> dict[str, TruthTable]:
    """Trained accuracies of several names, as `truth` gives them, by the label of each.

    Raises:
        RankingError: there is no name, as where the variable of a shell was empty.
        UnknownNameError: one is not known.
        DataError: one is not here, or damaged.

    Example:
        >>> [len(table) for table in truths("nasbench201/cifar10-16/vanilla,nasbench201/cifar10-16/kd").values()]
        [200, 200]
    """
    return {label: truth(name, data_dir) for label, name in labels(named_truths(names)).items()}


def named_truths(names: Names) -> list[str]:
    """Names of truths in one list.

    Raises:
        RankingError: there is none.
    """
    given = [names] if isinstance(names, str | Path) else list(names)
    if not (found := split_list(map(str, given))):
        raise RankingError("No truth is named. Expected accuracies such as nasbench201/cifar10; 'zcbench data list'.")
    return found


def from_sources(published: PublishedTruth, paths: Mapping[str, Path]) -> TruthTable:
    """Table of a published truth from its source files, given by source name, once their checksums are right.

    Raises:
        ChecksumError: a file is damaged or another version.
    """
    stamps = tuple((paths[source.name], paths[source.name].stat().st_mtime_ns) for source in published.sources)
    return _from_sources(published, stamps).copy()


@lru_cache(maxsize=32)
def _from_sources(published: PublishedTruth, stamps: tuple[tuple[Path, int], ...]) -> TruthTable:
    origins = published.sources
    files = [sources.check(path, origin) for (path, _), origin in zip(stamps, origins, strict=True)]
    protocol = {
        "name": published.name,
        "source": " + ".join(origin.origin for origin in origins),
        "licence": " + ".join(dict.fromkeys(origin.licence for origin in origins)),
        "sha256": {origin.file: origin.sha256 for origin in origins},
        **TruthName.parse(published.name).parts(),
        "aggregation": published.aggregation,
        **dict(published.notes),
    }
    return TruthTable.from_rows(published.read(*files), protocol)


def _look_up(name: str, root: Path, per_seed: bool) -> TruthTable:
    """The first table of that name: stored tables, sources, bundled tables; means before single runs."""
    full = str(TruthName.parse(name))
    places = dict.fromkeys((root, folders.user_folder()))
    for per_run in (True,) if per_seed else (False, True):
        for folder in places:
            if (path := table_path(folder, full, per_run)).exists():
                return TruthTable.read(path)
        published = PUBLISHED.get((full, per_run))
        if published and (paths := source_paths(published, root)):
            return from_sources(published, paths)
    if (table := bundled_truth(full)) is not None:
        return table
    known = {
        *PUBLISHED,
        *(key for folder in places for key in tables_here(folder)),
        *((own, True) for own in bundled()),
    }
    raise _missing(name, full, known, per_seed, root)


def _missing(name: str, full: str, known: set[tuple[str, bool]], per_seed: bool, root: Path) -> Exception:
    """Error for a truth that was not found: unknown, without single runs, or not downloaded yet."""
    if full not in {table for table, _ in known}:
        return unknown_truth(name, {table for table, _ in known})
    if per_seed and (full, True) not in known:
        return DataError(f"Of the truth {name!r} only the mean over runs is published. Leave per_seed out.")
    return DataError(
        f"The truth {name!r} is not under {str(root)!r}. Run 'zcbench data fetch {full}' to download it, or "
        "'zcbench data import FOLDER' if you have its files."
    )


def _from_file(path: Path) -> TruthTable:
    return TruthTable.from_csv(path) if path.suffix == ".csv" else TruthTable.read(path)
