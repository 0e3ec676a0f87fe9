"""Download of published accuracies, latencies and images."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from rich.console import Console

from zcbench.benchmarks.truths.catalogue import PUBLISHED, SOURCES
from zcbench.benchmarks.truths.name import TruthName
from zcbench.benchmarks.truths.packed import bundled
from zcbench.benchmarks.truths.sources import BASE_URL, Source
from zcbench.benchmarks.truths.storing import ingredients, store
from zcbench.datasets import archives
from zcbench.errors import DataError, unknown
from zcbench.runtime.progress import byte_bar
from zcbench.storage import files as folders
from zcbench.storage.downloads import ADVICE, Limits, RemoteFile, download

#: Variables that name a mirror where none is given; the second is the former name.
MIRROR = ("ZCBENCH_MIRROR", "ZCBENCH_BASE_URL")

_SILENT: Callable[[str], object] = str


def fetch(
    names: Iterable[str],
    data_dir: str | Path | None = None,
    mirror: str | None = None,
    progress: Callable[[str], object] = _SILENT,
    *,
    limits: Limits | None = None,
    console: Console | None = None,
) -> pd.DataFrame:
    """Download the files of the named truths and images, check them, and store tables and images.

    Args:
        names: truths (``nasbench201/cifar10``), sources (``meco``), images (``cifar10``, ``cifar100``,
            ``imagenet16-120``), or ``all``, every truth and source.
        data_dir: where to store; the default is ``ZCBENCH_DATA``, then the user's data directory.
        mirror: address in place of the official ones, ``file://`` too; that of the variable ``ZCBENCH_MIRROR`` if
            omitted. A table is asked for as ``MIRROR/OWNER/REPOSITORY/COMMIT/PATH``, in place of
            ``https://raw.githubusercontent.com``, an archive of images as ``MIRROR/FILE``.
        progress: called with a sentence for each file.
        limits: time and attempts for each file.
        console: for a progress bar; none if omitted.

    Returns:
        Columns ``name, kind, path``: the tables and images that are now stored.

    Raises:
        UnknownNameError: a name is neither truth nor source nor images.
        ChecksumError: a download is not the pinned file; nothing of it is kept.
        DataError: the network or the disk failed; complete files are kept, and a second fetch continues.
    """
    root, given = folders.data_folder(data_dir), list(dict.fromkeys(names))
    mirror = mirror or next((os.environ[name] for name in MIRROR if os.environ.get(name)), None)
    images = [name for name in given if name in archives.ARCHIVES]
    tables = [source for name in given if name not in images for source in _sources_of(name, progress)]
    wanted = list(dict.fromkeys(tables))
    _require_addresses(wanted, root)
    for number, source in enumerate(wanted, 1):
        if source.transcribed:
            continue
        progress(f"{number}/{len(wanted)} {source.name} ({source.size / 1e6:.1f} MB)")
        file = RemoteFile(source.url(mirror or BASE_URL), source.size, source.sha256)
        with byte_bar(console, source.name) as bar:
            download(file, root / source.place, limits=limits, progress=bar, advice=ADVICE)
    rows = store({source.name: root / source.place for source in wanted}, root)
    for name in images:
        size = sum(file.size for file in archives.ARCHIVES[name].files)
        progress(f"{name} ({size / 1e6:.1f} MB)")
        with byte_bar(console, name) as bar:
            folder = archives.fetch(name, root, mirror, limits, bar)
        rows.loc[len(rows)] = [name, "images", str(folder)]
    return rows


def _require_addresses(wanted: Iterable[Source], root: Path) -> None:
    """Refuse files that nobody publishes as such, unless they are here.

    Raises:
        DataError: one is not here.
    """
    for source in wanted:
        if source.transcribed and not (root / source.place).is_file():
            raise DataError(
                f"{source.name!r} was transcribed from pages and cannot be downloaded. Expected it at "
                f"{str(root / source.place)!r}, with the sha256 {source.sha256}; put it there, or name a truth of "
                "another source."
            )


def _sources_of(asked: str, progress: Callable[[str], object]) -> list[Source]:
    """Sources that a name stands for: itself, those of a truth, or all; none for a bundled truth."""
    if asked == "all":
        return [source for source in SOURCES.values() if not source.transcribed]
    if asked in SOURCES:
        return [SOURCES[asked]]
    own = bundled()
    known = ["all", *SOURCES, *archives.ARCHIVES, *(name for name, _ in PUBLISHED), *own]
    full = str(TruthName.parse(asked)) if "/" in asked else asked
    found = [source for runs in (False, True) for source in ingredients((full, runs))]
    if full in own:
        progress(f"{full} is bundled with zcbench; there is nothing to download.")
    elif not found:
        raise unknown("truth, source or images to fetch", asked, known)
    return found
