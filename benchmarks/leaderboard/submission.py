"""What is submitted to a leaderboard: packed scores, and the plug-in that defines their proxies."""

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench.benchmarks.leaderboard.board import SUBMISSIONS, Board
from zcbench.benchmarks.scoring import bundled, cards, packing
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.errors import DataError, ProtocolError
from zcbench.plugins import load_file
from zcbench.proxies import REGISTRY
from zcbench.storage.files import is_folder
from zcbench.storage.parquet import SUFFIX
from zcbench.storage.run_folder import Json

BUNDLED = "bundled:"

DIGITS = 16
"""Length of the fingerprint in the names of submitted files."""


@dataclass(frozen=True)
class Submission:
    """Scores that entries are made from.

    Attributes:
        place: packed file, relative to the folder of the board, or ``bundled:NAME``.
        file: the packed file itself.
        plugin: plug-in file in the folder of the board.
    """

    place: str
    file: Path
    plugin: str | None = None

    @classmethod
    def at(cls, board: Board, place: str, plugin: str | None = None) -> "Submission":
        """The one that an entry names.

        Raises:
            UnknownNameError: nothing of this name is bundled.
        """
        name = place.removeprefix(BUNDLED)
        return cls(place, board.path / place if name == place else bundled.path(name), plugin)

    @cached_property
    def card(self) -> Json:
        """What the packed file holds, without its scores."""
        return cards.card(self.file)

    @cached_property
    def protocol(self) -> Protocol:
        """Protocol of the scores."""
        return packing.read(self.file)[0]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per attempt."""
        return packing.read(self.file)[1]

    def common(self, column: str, proxies: Collection[str] | None = None) -> list[Any]:
        """Values of ``column``, arch or seed, that each of these proxies was scored with, or all of them.

        Raises:
            DataError: there is none.
        """
        known = {*map(str, self.scores["proxy"].unique())}
        own = known.intersection(proxies or known) or known
        pairs = self.scores.loc[self.scores["proxy"].isin(list(own)), ["proxy", column]].drop_duplicates()
        counts = pairs.groupby(column)["proxy"].size()
        if found := list(counts.index[counts == len(own)]):
            return found
        least, most = (pairs.groupby("proxy")[column].nunique().agg(one) for one in ("idxmin", "idxmax"))
        raise DataError(
            f"{self.place} has no {column} that every proxy was tried on: {least} has other ones than {most}. "
            "Expected some in common; name proxies that were tried together (--proxies)."
        )


def submitted(home: Board, scores: str | Path, proxies: list[str] | None, plugin: str | Path | None) -> Submission:
    """The packed scores and the plug-in, in the folder of the board."""
    if str(scores) in bundled.names() and not is_folder(scores):
        return Submission(f"{BUNDLED}{scores}", bundled.path(str(scores)))
    if place := _beside(home, Path(scores)):
        return Submission(place, Path(scores), _copied(home, plugin))
    home.submissions.mkdir(parents=True, exist_ok=True)
    draft = home.submissions / "draft.parquet"
    try:
        about = packing.pack([scores], draft, proxies=proxies)
        file = draft.rename(home.submissions / f"{about['sha256'][:DIGITS]}.parquet")
    finally:
        draft.unlink(missing_ok=True)
    return Submission(f"{SUBMISSIONS}/{file.name}", file, _copied(home, plugin))


def _beside(home: Board, file: Path) -> str | None:
    """Path of a packed file that lies beside the board, relative to it: such a file is not copied."""
    file, board = file.resolve(), home.path.resolve()
    inside = file.suffix == SUFFIX and file.is_file() and file.is_relative_to(board.parent)
    return Path(os.path.relpath(file, board)).as_posix() if inside else None


def _copied(home: Board, plugin: str | Path | None) -> str | None:
    """The plug-in in the folder of the board, under a name that begins with its fingerprint."""
    if plugin is None:
        return None
    home.submissions.mkdir(parents=True, exist_ok=True)
    copy = home.submissions / f"{file_sha256(plugin)[:DIGITS]}.{Path(plugin).name}"
    if not copy.exists():
        shutil.copyfile(plugin, copy)
    return f"{SUBMISSIONS}/{copy.name}"


def file_sha256(file: str | Path) -> str:
    """Fingerprint of a file."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def load_plugin(file: Path, proxy: str, sha256: str | None) -> None:
    """Load a submitted plug-in, unless its proxy is there already.

    Raises:
        ProtocolError: the file was edited since it was submitted.
        PluginError, DuplicateNameError: it cannot be loaded.
    """
    if not file_sha256(file).startswith(file.name[:DIGITS]):
        raise ProtocolError(
            f"{file} was edited since it was submitted. Expected the file as it was then; put it back, or raise the "
            f"version of {proxy} and submit it again."
        )
    if proxy not in REGISTRY or REGISTRY.get(proxy).content != sha256:
        load_file(file)
