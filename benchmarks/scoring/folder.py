"""The folder of a run: ``scores.sqlite``, ``run.json`` for people, and a lock against a second writer."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd

from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.store import Store
from zcbench.errors import StoreError
from zcbench.storage.run_folder import Json, RunFolder, plain

STORE = "scores.sqlite"
DESCRIPTION = "run.json"


def load_run(folder: str | Path, *, all_versions: bool = False) -> tuple[Protocol, pd.DataFrame, Json]:
    """What a run has so far; works while it goes on.

    Args:
        folder: the ``out`` of the run.
        all_versions: also the scores of older versions of a proxy.

    Returns:
        The protocol; the scores as `Store.scores` gives them; and the description: ``requests``, one entry for each
        different thing that was asked of the run, with the architectures' origin as the caller noted it; and
        ``contents``, the fingerprint of each proxy of a plug-in as ``NAME@VERSION``, and ``networks``, the card of each
        network of one's own, where there are such.

    Raises:
        StoreError: there is no run in ``folder``, or its store is damaged or from another version.
    """
    path = Path(folder)
    with Store(path / STORE) as store:
        protocol, scores = store.protocol(), store.scores(all_versions=all_versions)
        contents = {f"{name}@{version}": sha256 for (name, version), sha256 in store.contents().items()}
        found = {"contents": contents, "networks": store.networks()}
    if protocol is None:
        raise StoreError(f"{path} holds no scores yet. Expected a run that has started; wait for it or start it again.")
    return protocol, scores, {"requests": requests(path), **{name: kept for name, kept in found.items() if kept}}


def locked(folder: Path) -> AbstractContextManager[None]:
    """Make ``folder`` and be its only writer in a block, see `RunFolder.locked`."""
    return RunFolder(folder, "scores").locked()


def describe_run(folder: Path, protocol: Protocol, request: Mapping[str, object]) -> None:
    """Write ``run.json``: the protocol, and ``request`` after the different ones before it; all of it or nothing.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    before, asked = requests(folder), plain(request)
    content = {
        "protocol": protocol.to_dict(),
        "protocol_sha256": protocol.hash(),
        "requests": before if asked in before else [*before, asked],
    }
    RunFolder(folder, "scores").write_json(DESCRIPTION, content)


def requests(folder: Path) -> list[Json]:
    """What was asked of a run, the oldest first; nothing where its description cannot be read."""
    try:
        found = RunFolder(folder).read_json(DESCRIPTION)["requests"]
        return [request for request in found if isinstance(request, dict)]
    except (StoreError, LookupError, TypeError):
        return []
