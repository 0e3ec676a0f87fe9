"""What a distiller search leaves behind: ``distiller.json`` and ``candidates.csv``, and its protocol while it runs."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from zcbench.kdzero.evolution.candidates import CandidateJob
from zcbench.search.algorithms.loop import SearchError
from zcbench.storage.files import replaced

FILE, TABLE, TIMES, PROTOCOL = "distiller.json", "candidates.csv", "times.json", "protocol.json"
VERSION = 1
_MAY_GROW = ("evaluations",)


def describe(job: CandidateJob, teacher_recipe: Mapping[str, Any] | None, dataset: str) -> dict[str, Any]:
    """All that decides what a candidate is measured to be."""
    choice = job.teacher
    return {
        "student": {"space": job.space.spec, "arch": job.arch, "init": job.init},
        "teacher": {
            "space": None if choice.file else (choice.space or job.space).spec,
            "arch": choice.label,
            "seed": choice.seed,
            "recipe": None if teacher_recipe is None else dict(teacher_recipe),
            "file_sha256": choice.file_sha256,
            "checkpoint_sha256": choice.checkpoint_sha256,
        },
        "dataset": dataset,
        "data": job.data.description,
        "data_sha256": job.data.sha256,
        "recipe": job.recipe.to_dict(),
        "share": job.share,
        "steps": {"of a candidate": job.limit, "of the whole recipe": job.steps},
        "rejection": None if job.rejection is None else dict(vars(job.rejection)),
        "device": job.device,
    }


def adopt(folder: Path, protocol: Mapping[str, Any], search: Mapping[str, Any]) -> None:
    """Write what is asked for into ``protocol.json``, unless another search is there; only evaluations may be added.

    Raises:
        SearchError: another search is there; the message lists what differs.
    """
    file = folder / PROTOCOL
    new = plain({"version": VERSION, "protocol": protocol, "search": search})
    if file.is_file():
        old = _content(file)
        differing = [
            f"{key}: {old[group].get(key)} → {new[group].get(key)}"
            for group in ("protocol", "search")
            for key in {**old[group], **new[group]}
            if key not in _MAY_GROW and old[group].get(key) != new[group].get(key)
        ]
        if differing:
            raise SearchError(
                f"{folder} holds another search ({'; '.join(differing)}). Expected a folder of its own for each; give "
                f"the same options, or name another folder."
            )
    write_json(file, new)


def read(path: str | Path) -> dict[str, Any]:
    """Content of a ``distiller.json``, or of the one in a folder.

    Raises:
        SearchError: there is none, or it is damaged or of another version.
    """
    given = Path(path)
    return _content(given / FILE if os.path.isdir(given) else given)


def _content(file: Path) -> dict[str, Any]:
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


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as a file gives it back: lists for tuples."""
    return dict(json.loads(json.dumps(content)))


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a file of JSON, whole or not at all.

    Raises:
        SearchError: the folder cannot be written.
    """
    _write(file, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_table(file: Path, history: list[dict[str, Any]]) -> None:
    """Write the history as CSV, one row per candidate.

    Raises:
        SearchError: the folder cannot be written.
    """
    rows = [
        {**{name: value for name, value in row.items() if name not in ("terms", "losses")}, **(row.get("terms") or {})}
        for row in history
    ]
    _write(file, pd.DataFrame(rows).to_csv(index=False))


def _write(file: Path, text: str) -> None:
    try:
        with replaced(file) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SearchError(
            f"Cannot write {file}: {error}. Expected a folder with room that you may write to; make it so and run the "
            f"same command again: what was evaluated is kept."
        ) from error
