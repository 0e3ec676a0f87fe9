"""What ``zcbench data list`` shows: every known table and where it is, from names and cards; no accuracy is read."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from zcbench.benchmarks.truths.bundled import bundled_files
from zcbench.benchmarks.truths.cards import TRAININGS, TRUTHS
from zcbench.benchmarks.truths.catalogue import PUBLISHED
from zcbench.benchmarks.truths.costs import hardware_sources
from zcbench.benchmarks.truths.name import SETTINGS
from zcbench.benchmarks.truths.places import source_paths, tables_here
from zcbench.benchmarks.truths.sources import PublishedTruth, Source
from zcbench.datasets.archives import ARCHIVES, ImageArchive
from zcbench.errors import DataError
from zcbench.storage import files as folders

SHIPS, ABSENT = "bundled with zcbench", "not here"


class Entry(NamedTuple):
    """One line of the list.

    Attributes:
        name: full name of the truth, of the file of costs, or of the images.
        kind: ``mean``, ``single runs``, ``costs`` or ``images``.
        source: where the numbers are from.
        licence: of the source.
        rows: how many.
        where: path of the stored table, folder of the source files or of the images, `SHIPS` or `ABSENT`.
    """

    name: str
    kind: str
    source: str
    licence: str
    rows: int
    where: str


def entries(data_dir: str | Path | None = None) -> list[Entry]:
    """Every known truth: published, stored, bundled; the files of costs, and the archives of images.

    A stored table whose card cannot be read is listed as damaged; `verify` reads all rows.
    """
    root = folders.data_folder(data_dir)
    here = {**tables_here(folders.user_folder()), **tables_here(root)}
    bundled = {(entry.name, True): entry for entry in _bundled()}
    known = [
        _published(PUBLISHED[key], root, here.get(key)) if key in PUBLISHED else _stored(*key, here[key])
        for key in dict.fromkeys((*PUBLISHED, *here))
    ]
    costs = [_costs(source, root / source.place) for source in hardware_sources()]
    images = [_images(archive, root) for archive in ARCHIVES.values()]
    return [*known, *(entry for key, entry in bundled.items() if key not in here), *costs, *images]


def _published(truth: PublishedTruth, root: Path, stored: Path | None) -> Entry:
    where = str(stored or (root / "sources" if source_paths(truth, root) else ABSENT))
    origins = " + ".join(origin.origin for origin in truth.sources)
    licences = " + ".join(dict.fromkeys(origin.licence for origin in truth.sources))
    return Entry(truth.name, _kind(truth.per_run), origins, licences, truth.rows, where)


def _stored(name: str, per_run: bool, path: Path) -> Entry:
    """A table of one's own."""
    try:
        about, rows = TRUTHS.card(path, required=False), pq.read_metadata(path).num_rows
        source, licence = _origin(about.get("protocol", {"source": path, "licence": "not stated"}))
    except (DataError, OSError, LookupError, TypeError, pa.ArrowException):
        source, licence, rows = "damaged: see 'zcbench data verify'", "", 0
    return Entry(name, _kind(per_run), source, licence, rows, str(path))


def _bundled() -> Iterator[Entry]:
    for path in bundled_files().values():
        rows = _runs(path)
        for setting, protocol in TRAININGS.card(path)["tables"].items():
            yield Entry(protocol["name"], _kind(True), *_origin(protocol), rows[setting], SHIPS)


def _runs(path: Path) -> Counter[str]:
    """Number of single runs of each setting in a packed truth, as `packed.by_setting` gives them."""
    with pq.ParquetFile(path) as file:  # `read_table` would import pandas
        table = file.read(columns=["arch", "seed", "setting", "status"])
    rows = zip(*(table.column(name).to_pylist() for name in ("arch", "seed", "setting", "status")))
    good = {(arch, seed, setting) for arch, seed, setting, status in rows if status == "ok"}
    vanilla, kd, gain = SETTINGS
    pairs = sum((arch, seed, vanilla) in good for arch, seed, setting in good if setting == kd)
    return Counter(setting for _, _, setting in good) + Counter({gain: pairs})


def _costs(source: Source, path: Path) -> Entry:
    return Entry(source.name, "costs", source.origin, source.licence, 15625, str(path) if path.exists() else ABSENT)


def _images(archive: ImageArchive, root: Path) -> Entry:
    where = str(root) if archive.here(root) else ABSENT
    return Entry(archive.name, "images", archive.files[0].url, archive.terms, archive.images, where)


def _kind(per_run: bool) -> str:
    return "single runs" if per_run else "mean"


def _origin(protocol: dict[str, Any]) -> tuple[str, str]:
    return str(protocol["source"]), str(protocol["licence"])
