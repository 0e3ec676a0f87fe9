"""The protocol of a truth: all that decides its accuracies, one in a folder."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import zcbench
from zcbench.benchmarks.scoring.protocol import TeacherChoice
from zcbench.benchmarks.training.workers import TruthJob
from zcbench.benchmarks.truths.sources import sha256
from zcbench.storage.run_folder import RunFolder, plain

DESCRIPTION = "truth.json"
_LATER = ("teacher", "distillation")  # what the setting kd brings


def describe(job: TruthJob, dataset: str) -> dict[str, Any]:
    """The protocol of a truth: all that decides an accuracy but architecture, setting and seed."""
    recipe = {name: value for name, value in job.recipe.to_dict().items() if name != "seed"}
    files = {Path(plugin).name: sha256(Path(plugin)) for plugin in job.plugins}
    return ({"plugins": files} if files else {}) | {
        "space": job.space.spec,
        "dataset": dataset,
        "data": job.data.description,
        "data_sha256": job.data.sha256,
        "recipe": recipe,
        "init": job.init,
        "device": job.device,
        "distillation": None if job.teacher is None else dict(job.weights),
        "teacher": None if job.teacher is None else _teacher(job.teacher, job),
    }


def _teacher(choice: TeacherChoice, job: TruthJob) -> dict[str, Any]:
    return {
        "arch": choice.label,
        "space": None if choice.file else (choice.space or job.space).spec,
        "seed": choice.seed,
        "file_sha256": choice.file_sha256,
        "checkpoint_sha256": choice.checkpoint_sha256,
        "recipe": None if job.teacher_recipe is None else job.teacher_recipe.to_dict(),
    }


def request(
    archs: Sequence[str], settings: Sequence[str], seeds: Sequence[int], workers: int, notes: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What is asked of a folder, and on which machine."""
    return {
        "architectures": len(archs),
        "archs": list(archs),
        "settings": list(settings),
        "seeds": list(seeds),
        "workers": workers,
        "notes": dict(notes or {}),
        "zcbench": zcbench.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def sample_in(folder: Path, chosen: Sequence[str], origin: str) -> list[str]:
    """The sample that a folder goes on with: one of an older version, whose samples did not grow, is extended.

    Args:
        folder: of the truth.
        chosen: the sample of this version.
        origin: how it was drawn, as ``"6 of 'all', stratified over parameters, seed 0"``.

    Raises:
        StoreError: the folder cannot be read.
    """
    requests = home(folder).read_json(DESCRIPTION).get("requests", [])
    drawn = [request.get("notes", {}).get("architectures", "") for request in requests if "archs" not in request]
    if origin.partition(" of ")[2] not in [text.partition(" of ")[2] for text in drawn]:
        return list(chosen)
    try:
        before = (folder / "archs.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return list(chosen)
    return list(dict.fromkeys([*before, *chosen]))[: len(chosen)]


def adopt(folder: Path, about: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write protocol and what is asked for into ``truth.json``, unless another protocol is there.

    Teacher and losses may come later, when the setting ``kd`` is added; without a teacher those that are there stay.

    Returns:
        The protocol of all that the folder holds.

    Raises:
        ProtocolError: another protocol is there; the message names what differs.
        StoreError: the folder cannot be written.
    """
    own, new = home(folder), plain(about)
    stored = own.read_json(DESCRIPTION)
    before, requests = stored.get("protocol", new), stored.get("requests", [])
    own.require_same(before, new, [name for name in _LATER if None in (before.get(name), new[name])])
    protocol = new | {name: new[name] or before.get(name) for name in _LATER}
    content = {"protocol": protocol, "requests": requests if asked in requests else [*requests, dict(asked)]}
    own.write_json(DESCRIPTION, content)
    return protocol


def home(folder: Path) -> RunFolder:
    """The folder of a truth."""
    return RunFolder(folder, "trainings")
