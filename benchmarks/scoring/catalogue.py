"""Catalogue of trained teachers: each is trained once and kept under the recipe that made it."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from zcbench.errors import TeacherError, shortened, unknown
from zcbench.storage.files import data_folder

#: Begins the name of a teacher of the catalogue, as in ``trained:resnet20-digits``.
PREFIX = "trained:"
RECORD, WEIGHTS = "teacher.json", "teacher.pt"
#: Names that a teacher may have in a catalogue.
NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}", re.ASCII)
_KEY_DIGITS, _LEAST_DIGITS = 16, 6
_HASH = re.compile(rf"[0-9a-f]{{{_LEAST_DIGITS},64}}")


@dataclass(frozen=True)
class TrainedTeacher:
    """A trained teacher of a catalogue.

    Attributes:
        name: what it is called there.
        key: fingerprint of ``identity``, and the name of its folder.
        folder: with its record, its weights, and a copy of the file of its function.
        identity: all that decides its weights: space, architecture or function, initialisation, classes, image shape,
            fingerprint of the images, recipe, kind of device.
        sha256: fingerprint of the file of weights.
        accuracy: on the test images, percent.
        loss: cross-entropy there, nats.
        epochs: that were trained.
        seconds: that the training took.
        data: description of the images.
        environment: versions and machine of the training.
        problem: why it cannot be used; empty where it can.
    """

    name: str
    key: str
    folder: Path
    identity: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    accuracy: float | None = None
    loss: float | None = None
    epochs: int | None = None
    seconds: float | None = None
    data: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def checkpoint(self) -> Path:
        """File of its weights."""
        return self.folder / WEIGHTS

    @property
    def bytes(self) -> int:
        """Size of its weights."""
        return self.checkpoint.stat().st_size if self.checkpoint.is_file() else 0

    @property
    def text(self) -> str:
        """The network without its weights, as `zcbench.benchmarks.scoring.teachers.read_teacher` takes it."""
        file, arch = self.identity.get("file"), self.identity.get("arch", "")
        return f"{self.folder / file}:{arch}" if file else f"{self.identity.get('space', '')}:{arch}"

    @classmethod
    def read(cls, folder: Path) -> "TrainedTeacher":
        """The teacher in a folder of a catalogue; one that is damaged or was edited has a ``problem``."""
        try:
            content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            known = {item.name: content[item.name] for item in fields(cls) if item.name in content}
            found = cls(**known, key=folder.name, folder=folder)
            return found._with_problem(found._found_problem())
        except (OSError, ValueError, TypeError, AttributeError) as error:
            return cls(folder.name, folder.name, folder, problem=f"{RECORD} cannot be read: {shortened(str(error))}")

    def to_json(self) -> dict[str, Any]:
        """The record, as its file has it."""
        left_out = ("key", "folder", "problem")
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in left_out}

    def usable(self) -> "TrainedTeacher":
        """Itself.

        Raises:
            TeacherError: it is damaged or was edited.
        """
        if self.problem:
            raise TeacherError(
                f"The teacher {self.name!r} in {self.folder} cannot be used: {self.problem}. Expected it as its "
                f"training left it; put the files back, or delete the folder and train it again."
            )
        return self

    def _with_problem(self, problem: str) -> "TrainedTeacher":
        object.__setattr__(self, "problem", problem)
        return self

    def _found_problem(self) -> str:
        if fingerprint(self.identity) != self.key:
            return f"{RECORD} was edited"
        file = self.identity.get("file")
        wanted = {WEIGHTS: self.sha256} | ({file: self.identity["file_sha256"]} if file else {})
        for name, sha256 in wanted.items():
            try:
                found = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            except OSError as error:
                return f"{name} cannot be read: {error.strerror}"
            if found != sha256:
                return f"{name} is damaged or was edited, its sha256 is {found[:12]}… and was {sha256[:12]}…"
        return ""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Key of a teacher: the first digits of the SHA-256 of all that decides its weights."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def catalogue_folder(data_dir: str | Path | None = None) -> Path:
    """The catalogue beside the images and accuracies of a data folder; it need not exist."""
    return data_folder(data_dir) / "teachers"


def teachers(catalogue: str | Path | None = None) -> list[TrainedTeacher]:
    """All teachers of a catalogue by name, damaged ones included, which have a ``problem``.

    Args:
        catalogue: folder; ``teachers`` in the data folder if None.

    Example:
        >>> import tempfile
        >>> teachers(tempfile.mkdtemp())
        []
    """
    return sorted(_all(catalogue_folder() if catalogue is None else Path(catalogue)), key=lambda one: one.name)


def find(given: str, data_dir: str | Path | None = None) -> TrainedTeacher:
    """The teacher of the catalogue that a text names, with its files checked.

    Args:
        given: ``trained:NAME``, or at least six digits of its key or of the SHA-256 of its weights in place of the
            name; ``trained:FOLDER/NAME`` for another catalogue.
        data_dir: data folder of the catalogue.

    Raises:
        UnknownNameError: the catalogue has no such teacher; the message has the nearest ones.
        TeacherError: digits of several teachers, or the teacher is damaged or was edited.
    """
    place, _, name = given.removeprefix(PREFIX).rpartition("/")
    folder = Path(place).expanduser() if place else catalogue_folder(data_dir)
    listed = teachers(folder)
    found = [one for one in listed if one.name == name]
    if not found and _HASH.fullmatch(name):
        found = [one for one in listed if one.key.startswith(name) or one.sha256.startswith(name)]
    if len(found) > 1:
        raise TeacherError(
            f"{name!r} stands for {len(found)} teachers of {folder}: {', '.join(one.key for one in found)}. Expected "
            f"one; give more digits."
        )
    if not found:
        raise unknown(f"trained teacher in {folder}", name, [one.name for one in listed])
    return found[0].usable()


def placed(given: str, data_dir: str | Path | None) -> str:
    """The name of a teacher with the folder of its catalogue, where that is not the usual one; any other text as it is.

    >>> placed("trained:small", "/shared"), placed("resnet:resnet20", "/shared")
    ('trained:/shared/teachers/small', 'resnet:resnet20')
    """
    usual = "/" in given or data_folder(data_dir) == data_folder()
    if usual or not given.startswith(PREFIX):
        return given
    return f"{PREFIX}{catalogue_folder(data_dir)}/{given.removeprefix(PREFIX)}"


def _all(folder: Path) -> Iterator[TrainedTeacher]:
    for own in sorted(folder.iterdir()) if folder.is_dir() else ():
        if len(own.name) == _KEY_DIGITS and (own / RECORD).exists():
            yield TrainedTeacher.read(own)
