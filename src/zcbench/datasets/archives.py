"""Archives of images that are public: their addresses and checksums, and how they are unpacked.

The sizes and SHA-256 of the two CIFAR archives are those in Keras and in torchvision's prototypes; the MD5 that Keras,
torchvision and the authors' page print belong to the same files. Those of ImageNet at 16x16 are those of TensorFlow
Datasets (``imagenet_resized``).
"""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from zcbench.datasets import imagenet16
from zcbench.datasets.cifar import CIFAR10, CIFAR100, Layout
from zcbench.errors import DataError, unknown
from zcbench.storage.downloads import ADVICE, Limits, Progress, RemoteFile, check, download
from zcbench.storage.files import data_folder, replaced

_IMAGENET = "https://www.image-net.org/data/downsample"


@dataclass(frozen=True)
class ImageArchive:
    """The archives of one data set.

    Attributes:
        name: of the data set.
        files: the archives.
        images: number of training and test images.
        terms: licence or terms of use.
        here: whether all images are in a data folder.
        unpack: writes the images of the archives, in the order of ``files``, into a data folder.
    """

    name: str
    files: tuple[RemoteFile, ...]
    images: int
    terms: str
    here: Callable[[Path], bool]
    unpack: Callable[[Sequence[Path], Path], Path]


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    mirror: str | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download, check and unpack the images of a data set; the archives are removed afterwards.

    Args:
        name: ``cifar10``, ``cifar100`` or ``imagenet16-120``.
        data_dir: data folder; ``ZCBENCH_DATA`` if omitted, else the user's data directory.
        mirror: address of a folder with the archives under their own names, in place of the official addresses.
        limits: time and attempts for each archive.
        progress: called with the bytes that are there and the size of each archive.

    Returns:
        Folder of the images.

    Raises:
        UnknownNameError: no such images.
        ChecksumError, DataError: as `zcbench.storage.downloads.download`.
    """
    archive, root = _known(name), data_folder(data_dir)
    paths = [
        download(_at(file, mirror), root / file.name, limits=limits, progress=progress, advice=ADVICE)
        for file in archive.files
    ]
    folder = _unpacked(archive, paths, root)
    for path in paths:
        path.unlink()
    return folder


def import_archive(path: str | Path, data_dir: str | Path | None = None) -> dict[str, Path]:
    """Unpack the images of an archive on this machine; further archives of the data set are next to it.

    Returns:
        Folder of the images, by the name of the data set.

    Raises:
        ChecksumError: an archive is damaged or another version.
        DataError: an archive is missing, or the data folder cannot be written.
    """
    path = Path(path).expanduser()
    name = owner(path.name)
    beside = [path] if name is None else [path.with_name(file.name) for file in ARCHIVES[name].files]
    if missing := [file for file in beside if name is None or not file.is_file()]:
        known = ", ".join(file.name for archive in ARCHIVES.values() for file in archive.files)
        raise DataError(f"No archive of images at {str(missing[0])!r}. Expected, under their own names: {known}.")
    return import_archives(beside, data_dir)


def import_archives(paths: Iterable[Path], data_dir: str | Path | None = None) -> dict[str, Path]:
    """Unpack the images of all data sets whose archives are among ``paths``, under their own names.

    Returns:
        Folder of the images, by the name of the data set.

    Raises:
        ChecksumError: an archive is damaged or another version.
        DataError: the data folder cannot be written.
    """
    given, root = {path.name: path for path in paths}, data_folder(data_dir)
    whole = [archive for archive in ARCHIVES.values() if all(file.name in given for file in archive.files)]
    for archive in whole:
        for file in archive.files:
            check(file, given[file.name])
    return {one.name: _unpacked(one, [given[file.name] for file in one.files], root) for one in whole}


def owner(file: str) -> str | None:
    """Name of the data set whose archive has this file name; None if it is that of no known archive."""
    return next((name for name, own in ARCHIVES.items() if file in [archive.name for archive in own.files]), None)


def _known(name: str) -> ImageArchive:
    if name not in ARCHIVES:
        raise unknown("archive of images", name, ARCHIVES)
    return ARCHIVES[name]


def _at(file: RemoteFile, mirror: str | None) -> RemoteFile:
    return file if mirror is None else replace(file, url=f"{mirror.rstrip('/')}/{file.name}")


def _unpacked(archive: ImageArchive, paths: Sequence[Path], root: Path) -> Path:
    try:
        return archive.unpack(paths, root)
    except OSError as error:
        raise DataError(
            f"Cannot unpack the images of {archive.name!r} into {str(root)!r}: {error.strerror or error}. Free some "
            f"space, or choose another folder with --data-dir or ZCBENCH_DATA."
        ) from error


def _cifar(name: str, layout: Layout, size: int, sha256: str) -> ImageArchive:
    wanted = (*layout.train_files, layout.test_file, layout.meta_file)

    def unpack(paths: Sequence[Path], root: Path) -> Path:
        folder = root / layout.folder
        with tarfile.open(paths[0], "r:gz") as content:
            for file in wanted:
                member = content.extractfile(f"{layout.folder}/{file}")
                assert member is not None  # the archive is the pinned one
                _write(member, folder / file)
        return folder

    def here(root: Path) -> bool:
        return all((root / layout.folder / file).is_file() for file in wanted)

    return ImageArchive(name, (RemoteFile(layout.archive, size, sha256),), 60_000, "not stated", here, unpack)


def _imagenet16(paths: Sequence[Path], root: Path) -> Path:
    with zipfile.ZipFile(paths[0]) as train, zipfile.ZipFile(paths[1]) as test:
        return imagenet16.write(root, imagenet16.of_zip(train), imagenet16.of_zip(test))


def _write(member: IO[bytes], file: Path) -> None:
    with replaced(file) as draft, draft.open("wb") as target:
        shutil.copyfileobj(member, target)


#: The images that `fetch` knows, by name.
ARCHIVES: dict[str, ImageArchive] = {
    archive.name: archive
    for archive in (
        _cifar(
            "cifar10",
            CIFAR10,
            170_498_071,
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        ),
        _cifar(
            "cifar100",
            CIFAR100,
            169_001_437,
            "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        ),
        ImageArchive(
            "imagenet16-120",
            (
                RemoteFile(
                    f"{_IMAGENET}/Imagenet16_train_npz.zip",
                    931_837_742,
                    "dea57cdc1d4e252a9e4b76d3b0783486c13b572b883b25fae9283f19695e63b9",
                ),
                RemoteFile(
                    f"{_IMAGENET}/Imagenet16_val_npz.zip",
                    36_354_395,
                    "6dda90de8f6fd43b204422578b4be05d3f658d7792b344de4da768a71c02c4c4",
                ),
            ),
            sum(imagenet16.COUNTS.values()),
            "ImageNet's terms: non-commercial research and education",
            imagenet16.here,
            _imagenet16,
        ),
    )
}
