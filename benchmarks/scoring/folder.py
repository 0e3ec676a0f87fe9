"""The folder of a run: ``scores.sqlite``, ``run.json`` for people, and a lock against a second writer."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pandas as pd

from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import StoreError, writable
from zcbench.storage.files import replaced

STORE = "scores.sqlite"
DESCRIPTION = "run.json"


def load_run(folder: str | Path, *, all_versions: bool = False) -> tuple[Protocol, pd.DataFrame, dict[str, Any]]:
    """What a run has so far; works while it goes on.

    Args:
        folder: the ``out`` of the run.
        all_versions: also the scores of older versions of a proxy.

    Returns:
        The protocol; the scores as `Store.scores` gives them; and the description: ``requests``, one entry for each
        different thing that was asked of the run, with the architectures' origin as the caller noted it; and
        ``contents``, the fingerprint of each proxy of a plug-in as ``NAME@VERSION``, where there are such.

    Raises:
        StoreError: there is no run in ``folder``, or its store is damaged or from another version.
    """
    path = Path(folder)
    with Store(path / STORE) as store:
        protocol, scores = store.protocol(), store.scores(all_versions=all_versions)
        contents = {f"{name}@{version}": sha256 for (name, version), sha256 in store.contents().items()}
    if protocol is None:
        raise StoreError(f"{path} holds no scores yet. Expected a run that has started; wait for it or start it again.")
    return protocol, scores, {"requests": _requests(path), **({"contents": contents} if contents else {})}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make ``folder`` and be its only writer in this block; the lock ends with the process, however that ends.

    Raises:
        StoreError: another process writes there, or the folder cannot be written.
    """
    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise StoreError(
            f"Another run writes to {folder}. Expected to be its only writer; wait for the other run, or name another "
            f"folder."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def describe_run(folder: Path, protocol: Protocol, request: Mapping[str, Any]) -> None:
    """Write ``run.json``: the protocol, and ``request`` after the different ones before it; all of it or nothing.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    requests, plain = _requests(folder), _writable(json.loads(json.dumps(request, default=str)))
    content = {
        "protocol": protocol.to_dict(),
        "protocol_sha256": protocol.hash(),
        "requests": requests if plain in requests else [*requests, plain],
    }
    try:
        with replaced(folder / DESCRIPTION) as draft:
            draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(folder, error) from error


def _writable(value: Any) -> Any:
    """The same JSON, in which every text can be written, such as the name of a file that is no UTF-8."""
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, dict):
        return {writable(key): _writable(item) for key, item in value.items()}
    return list(map(_writable, value)) if isinstance(value, list) else value


def _requests(folder: Path) -> list[Any]:
    try:
        found = list(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["requests"])
        return [request for request in found if isinstance(request, dict)]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"Cannot write to {folder}: {error.strerror or error}. All scores finished so far are kept. Expected a "
        f"writable folder on a disk with room; make it so and run the same command again, or name another folder."
    )
