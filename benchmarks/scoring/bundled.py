"""Bundled scores, and one reader for scores of a run folder, a packed file or a bundled table.

``benchmarks/scoring/tables/`` holds one packed file per name (`zcbench.benchmarks.scoring.packing`). To replace one::

    zcbench scores pack runs/whole runs/sample --out benchmarks/scoring/tables/nasbench201.parquet
"""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from zcbench.benchmarks.scoring import cards
from zcbench.errors import StoreError, nearest, shortened, unknown
from zcbench.storage.files import is_folder
from zcbench.storage.parquet import SUFFIX
from zcbench.storage.run_folder import Json

if TYPE_CHECKING:  # pandas is imported where scores are read: a list of names needs cards only
    from zcbench.benchmarks.scoring.packing import Scores

_FOLDER = Path(str(files("zcbench.benchmarks.scoring") / "tables"))


def names() -> list[str]:
    """Names of the bundled scores."""
    return sorted(file.stem for file in _FOLDER.glob(f"*{SUFFIX}"))


def path(name: str) -> Path:
    """Packed file of the bundled scores under this name.

    Raises:
        UnknownNameError: nothing of this name ships.
    """
    if name not in names():
        raise unknown("table of bundled scores", name, names())
    return _FOLDER / f"{name}{SUFFIX}"


def scores(name: str) -> "Scores":
    """Bundled scores, in the form of `zcbench.benchmarks.scoring.folder.load_run`.

    Returns:
        The protocol; one row per attempt, as `Store.scores` gives them; and the description: ``requests``.

    Raises:
        UnknownNameError: nothing of this name ships.

    Example:
        >>> protocol, frame, description = scores("nasbench201")
        >>> protocol.space
        'nasbench201(channels=16,cells=5)'
    """
    from zcbench.benchmarks.scoring import packing

    return packing.read(path(name))


def load(given: str | Path) -> "Scores":
    """Scores of a run folder, of a packed file, or bundled; a folder comes before a name.

    Raises:
        StoreError: ``given`` is none of the three, or the run has no scores.
        DataError: the packed file cannot be read.
    """
    from zcbench.benchmarks.scoring import packing
    from zcbench.benchmarks.scoring.folder import load_run

    found = _locate(given)
    return load_run(found) if found.is_dir() else packing.read(found)


def card(given: str | Path) -> Json:
    """What `packing.describe` says of a run folder, of a packed file, or of bundled scores.

    Raises:
        StoreError: ``given`` is none of the three, or the run has no scores.
        DataError: the packed file cannot be read.
    """
    found = _locate(given)
    if not found.is_dir():
        return cards.card(found)
    from zcbench.benchmarks.scoring import packing
    from zcbench.benchmarks.scoring.folder import load_run

    return packing.describe(*load_run(found))


def unpack(given: str | Path, folder: str | Path) -> Json:
    """`packing.unpack` of a packed file or of bundled scores, so that a run goes on from them.

    Raises:
        StoreError: ``given`` is neither; or as `packing.unpack`.
        DataError: as `packing.unpack`.
    """
    from zcbench.benchmarks.scoring import packing

    return packing.unpack(_locate(given), folder)


def _locate(given: str | Path) -> Path:
    place, name = Path(given), str(given)
    if is_folder(place) or place.suffix == SUFFIX:
        return place
    if name in names():
        return path(name)
    raise StoreError(
        f"No scores at {shortened(name)!r}. Expected the folder of a run, a file that 'zcbench scores pack' wrote, or "
        f"a name of 'zcbench scores list'. {nearest(name, names())}"
    )
