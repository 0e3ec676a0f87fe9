"""Public files of trained accuracies: the record of a file, the record of a truth, and the register of both.

Each module of `zcbench.benchmarks.truths.published` registers the truths of one source. A truth of your own is
registered in the same way::

    register(PublishedTruth("mine/digits/test@30", (Source(...),), read, rows=64))
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from zcbench.errors import ChecksumError, DataError, DuplicateNameError

if TYPE_CHECKING:
    import pandas as pd

BASE_URL = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Source:
    """A public file: its name here, the repository, commit and path it comes from, sha256, size and licence.

    A file that was ``transcribed`` from pages has no address of its own and is not downloaded.
    """

    name: str
    repository: str
    commit: str
    path: str
    sha256: str
    size: int
    licence: str
    transcribed: bool = False

    @property
    def file(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    @property
    def place(self) -> str:
        """Where the file lies inside a data directory."""
        return f"sources/{self.name.split(':')[0]}/{self.file}"

    @property
    def origin(self) -> str:
        """Repository, commit and path in one line, for a protocol."""
        return f"{self.repository}@{self.commit[:7]}:{self.path}"

    def url(self, base: str = BASE_URL) -> str:
        """Address to download the file from."""
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/{self.path}"


@dataclass(frozen=True)
class PublishedTruth:
    """A truth that public files hold.

    Attributes:
        name: its full name, ``SPACE/DATASET/SPLIT[/SETTING][@EPOCHS]``.
        sources: the files that it is read from.
        read: from the paths of these files to a frame with the columns ``arch`` and ``accuracy`` (percent), ``seed``
            where the files give single runs, and ``n_runs`` where they state how many runs a mean is over.
        rows: number of rows.
        per_run: whether these are single runs, and no means.
        aggregation: what an accuracy is.
        notes: further entries of the protocol: conditions of the trainings, and those that the files do not state.
    """

    name: str
    sources: tuple[Source, ...]
    read: Callable[..., pd.DataFrame]
    rows: int
    per_run: bool = False
    aggregation: str = "mean over runs"
    notes: tuple[tuple[str, str], ...] = ()


Part = tuple[tuple[Source, ...], Callable[..., "pd.DataFrame"], int]
"""Files of a truth, the function that reads them, and the number of rows."""


def three_settings(
    name: str, alone: Part, under: Part, gain: Part, notes: tuple[tuple[str, str], ...], teacher: str
) -> tuple[PublishedTruth, ...]:
    """The truths of networks that were trained alone, and under a teacher, and the difference of both."""
    taught = (("teacher", teacher), *notes)
    quantity = ("quantity", "accuracy with distillation minus accuracy without, in percentage points")
    unstated = "over how many runs is not stated"
    return (
        PublishedTruth(name, *alone, aggregation=f"values as published; {unstated}", notes=notes),
        PublishedTruth(f"{name}/kd", *under, aggregation=f"values as published; {unstated}", notes=taught),
        PublishedTruth(
            f"{name}/gain", *gain, aggregation=f"differences of published values; {unstated}", notes=(quantity, *taught)
        ),
    )


SOURCES: dict[str, Source] = {}
"""Every registered file, by its name."""

PUBLISHED: dict[tuple[str, bool], PublishedTruth] = {}
"""Every registered truth, by its full name and whether it holds single runs."""


def register(*items: PublishedTruth | Source) -> None:
    """Register truths and their files by name; a file may be registered without a truth.

    Raises:
        DuplicateNameError: another truth or file has this name.
    """
    for item in items:
        if isinstance(item, Source):
            known: PublishedTruth | Source = SOURCES.setdefault(item.name, item)
        else:
            register(*item.sources)
            known = PUBLISHED.setdefault((item.name, item.per_run), item)
        if known != item:
            raise DuplicateNameError(
                f"{item.name!r} was registered before with another definition. Give it a name of its own."
            )


def sha256(path: Path) -> str:
    """Checksum of a file.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror}. Check the path and its permissions.") from error


def check(path: Path, source: Source) -> Path:
    """``path`` itself, once its checksum is that of ``source``.

    Raises:
        ChecksumError: the file is damaged or another version.
    """
    found = sha256(path)
    if found != source.sha256:
        raise ChecksumError(
            f"{str(path)!r} has the sha256 {found}. Expected {source.sha256}, that of {source.origin}. The file is "
            f"damaged or another version: delete it and run 'zcbench data fetch {source.name}'."
        )
    return path


def difference(more: pd.DataFrame, less: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of ``more`` minus those of ``less`` for the architectures of both, rounded as the sources are."""
    both = more.merge(less, on="arch", suffixes=("", "_less"), validate="one_to_one")
    return both.assign(accuracy=(both["accuracy"] - both["accuracy_less"]).round(4))[["arch", "accuracy"]]
