"""The protocol of a truth: all that decides its accuracies, one in a folder."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self

import torch

import zcbench
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.benchmarks.training.workers import TruthJob
from zcbench.distill.tasks.reading import recorded
from zcbench.runtime.devices import kind_of
from zcbench.storage.run_folder import Json, RunFolder, plain

DESCRIPTION = "truth.json"
_LATER = ("teacher", "distillation")  # what the setting kd brings


@dataclass(frozen=True)
class TruthProtocol:
    """All that decides an accuracy but architecture, setting and seed.

    Attributes:
        space: specification of the space.
        dataset: what tables call the images.
        data: description of the images.
        data_sha256: their fingerprint.
        recipe: of the students, without its seed.
        init: initialisation scheme of the networks.
        device: kind of device that they are trained on.
        distillation: weights of the losses of the setting ``kd``.
        teacher: of the setting ``kd``: architecture, space, seed, fingerprints of its files, recipe; and its accuracy,
            in a packed truth.
        plugins: fingerprints of the files that define distillers, by name, if there are any.
        task: of the labels; None for classification.
    """

    space: str
    dataset: str
    data: str
    data_sha256: str | None
    recipe: Json
    init: str | None
    device: str | None
    distillation: dict[str, float] | None
    teacher: Json | None
    plugins: dict[str, str] | None
    task: str | None = None

    @classmethod
    def of(cls, job: TruthJob, dataset: str) -> Self:
        """Protocol of the trainings of ``job``."""
        return cls(
            space=job.space.spec,
            dataset=dataset,
            data=job.data.description,
            data_sha256=job.data.sha256,
            recipe={name: value for name, value in job.recipe.to_dict().items() if name != "seed"},
            init=job.init,
            device=kind_of(job.device),
            distillation=None if job.teacher is None else dict(job.weights),
            teacher=None if job.teacher is None else _teacher(job.teacher, job),
            plugins={Path(plugin).name: sha256 for plugin, sha256 in job.plugins} or None,
            **recorded(job.data.task),
        )

    @classmethod
    def from_json(cls, content: Json) -> Self:
        """The protocol that a file has; what an older one lacks is None."""
        known: Json = {item.name: content.get(item.name) for item in fields(cls)}
        return cls(**known)

    def to_json(self) -> Json:
        """As the file has it: plug-ins and a task are named where there are any."""
        content = dict(vars(self))
        named = {name: value for name in ("plugins", "task") if (value := content.pop(name))}
        return plain(named | content)


def _teacher(choice: TeacherChoice, job: TruthJob) -> Json:
    return {
        "arch": choice.label,
        "space": None if choice.file else (choice.space or job.space).spec,
        "seed": choice.seed,
        "file_sha256": choice.file_sha256,
        "checkpoint_sha256": choice.checkpoint_sha256,
        "recipe": None if job.teacher_recipe is None else job.teacher_recipe.to_dict(),
        **({} if job.outputs is None else {"stored_outputs": job.outputs.dtype}),
    }


@dataclass(frozen=True)
class TruthRequest:
    """What is asked of a folder: every architecture in every setting with every seed.

    Attributes:
        archs: architectures; None in a request of an older version, which does not name them.
        settings: of ``vanilla`` and ``kd``.
        seeds: one training each.
        notes: comments of the caller; ``architectures`` tells how they were chosen.
    """

    archs: Sequence[str] | None
    settings: Sequence[str]
    seeds: Sequence[int]
    notes: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Json) -> Self:
        """The request that a file has."""
        return cls(content.get("archs"), content["settings"], content["seeds"], content.get("notes", {}))

    def to_json(self, workers: int) -> Json:
        """As the file has it, with the machine that it was asked on."""
        return plain(
            {
                "architectures": len(self.archs or ()),
                "archs": self.archs,
                "settings": self.settings,
                "seeds": self.seeds,
                "workers": workers,
                "notes": self.notes,
                "zcbench": zcbench.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
                "platform": f"{platform.system()} {platform.machine()}",
            }
        )

    def asks(self, arch: str) -> set[tuple[str, int]]:
        """Setting and seed of every training that is asked for an architecture."""
        asked = self.archs is None or arch in self.archs
        return {(setting, seed) for setting in self.settings for seed in self.seeds} if asked else set()


def home(folder: Path) -> RunFolder:
    """The folder of a truth."""
    return RunFolder(folder, "trainings")


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


def adopt(folder: Path, protocol: TruthProtocol, request: TruthRequest, workers: int) -> TruthProtocol:
    """Write protocol and what is asked for into ``truth.json``, unless another protocol is there.

    Teacher and losses may come later, when the setting ``kd`` is added; without a teacher those that are there stay.

    Returns:
        The protocol of all that the folder holds.

    Raises:
        ProtocolError: another protocol is there; the message names what differs.
        StoreError: the folder cannot be written.
    """
    own, new, asked = home(folder), protocol.to_json(), request.to_json(workers)
    stored = own.read_json(DESCRIPTION)
    before, requests = stored.get("protocol", new), stored.get("requests", [])
    own.require_same(before, new, [name for name in _LATER if None in (before.get(name), new[name])])
    kept = {name: new[name] or before.get(name) for name in _LATER}
    content = {"protocol": new | kept, "requests": requests if asked in requests else [*requests, asked]}
    own.write_json(DESCRIPTION, content)
    return replace(protocol, **kept)
