"""Files of a distiller search: ``distiller.json``, ``candidates.csv`` and ``protocol.json``."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from zcbench.distill.tasks.reading import recorded
from zcbench.kdzero.evolution.candidates import CandidateJob
from zcbench.search.algorithms.loop import SearchError
from zcbench.storage.run_folder import Json, RunFolder

FILE, TABLE, TIMES, PROTOCOL = "distiller.json", "candidates.csv", "times.json", "protocol.json"
VERSION = 1
_MAY_GROW = ("search.evaluations",)
_RENAMED = {"twins": "duplicates"}


def describe(job: CandidateJob) -> Json:
    """All that decides what a candidate is measured to be."""
    choice, recipe = job.teacher, job.teacher_training
    return {
        "student": {"space": job.space.spec, "arch": job.arch, "init": job.init},
        "teacher": {
            "space": None if choice.file else (choice.space or job.space).spec,
            "arch": choice.label,
            "seed": choice.seed,
            "recipe": None if recipe is None else recipe.to_dict(),
            "file_sha256": choice.file_sha256,
            "checkpoint_sha256": choice.checkpoint_sha256,
            **({} if job.outputs is None else {"stored_outputs": job.outputs.dtype}),
        },
        "dataset": job.dataset,
        "data": job.data.description,
        "data_sha256": job.data.sha256,
        **recorded(job.data.task),
        "recipe": job.recipe.to_dict(),
        "share": job.share,
        "steps": {"of a candidate": job.limit, "of the whole recipe": job.steps},
        "rejection": None if job.rejection is None else dict(vars(job.rejection)),
        "device": job.device,
    }


def adopt(folder: Path, protocol: Json, search: Json) -> None:
    """Write what is asked for into ``protocol.json``, unless another search is there; only evaluations may be added.

    Raises:
        SearchError: another search is there; the message lists what differs.
        StoreError: the folder cannot be read or written.
    """
    asked = {"version": VERSION, "protocol": protocol, "search": search}
    home(folder).adopt(PROTOCOL, asked, free=_MAY_GROW, indent=1)


def home(folder: Path) -> RunFolder:
    """The folder of a search."""
    return RunFolder(folder, "a search", SearchError)


def read(path: str | Path) -> Json:
    """Content of a ``distiller.json``, or of the one in a folder.

    What versions before 0.21 called ``twins`` is under ``duplicates``.

    Raises:
        SearchError: there is none, or it is damaged or of another version.
    """
    given = Path(path)
    content = _content(given / FILE if os.path.isdir(given) else given)
    return {_RENAMED.get(name, name): value for name, value in content.items()}


def _content(file: Path) -> Json:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] == VERSION and "protocol" in content and "search" in content:
            return dict(content)
        why = f"its version is {content['version']!r}, not {VERSION}"
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
    raise SearchError(
        f"{file} is no result of a distiller search: {why}. Expected what 'zcbench evolve-distiller' writes; search "
        f"again."
    )


def write_table(folder: Path, history: Sequence[Json]) -> None:
    """Write the history as ``candidates.csv``, one row per candidate.

    Raises:
        StoreError: the folder cannot be written.
    """
    rows = [
        {**{name: value for name, value in row.items() if name not in ("terms", "losses")}, **(row.get("terms") or {})}
        for row in history
    ]
    home(folder).write_text(TABLE, pd.DataFrame(rows).to_csv(index=False))
