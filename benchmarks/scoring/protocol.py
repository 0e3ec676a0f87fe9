"""The protocol of a scoring run: everything that a score depends on besides its architecture, proxy and seed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_origin

import torch

from zcbench.content import class_content
from zcbench.datasets import Batch
from zcbench.errors import ProtocolError, TeacherError, writable
from zcbench.spaces import Space

#: Raised when the meaning of a stored score changes.
SCORE_SCHEMA = 1
_DTYPES = ("float32", "float64", "bfloat16", "float16")
_LAYOUTS = ("contiguous", "channels_last")
#: Fields that older stores lack, and what they were then.
_ADDED = {"layout": "contiguous", "teacher_file_sha256": None, "teacher_checkpoint_sha256": None}
#: Fingerprints of spaces that are no part of zcbench; left out of the text where there are none.
_CODE = ("space_sha256", "teacher_space_sha256")
_ADDED |= dict.fromkeys(_CODE)


@dataclass(frozen=True)
class TeacherChoice:
    """A network taken as the teacher of every student of a run.

    `zcbench.benchmarks.scoring.teachers` reads and builds it.

    Attributes:
        arch: its architecture, or the name of a function in ``file``.
        seed: names the stream of its initialisation, and of what is random when its signals are computed.
        init: its initialisation scheme; that of the students if None.
        space: where it is built; the space of the students if None.
        file: Python file with the function that builds it, in place of a space.
        checkpoint: file with its weights, in place of an initialisation.
        file_sha256: fingerprint that ``file`` must have; that of the file as it is now if None.
        checkpoint_sha256: fingerprint that ``checkpoint`` must have, likewise.

    Raises:
        TeacherError: a file is missing or has another fingerprint, or an initialisation is named for a function.
    """

    arch: str
    seed: int = 0
    init: str | None = None
    space: Space | None = None
    file: Path | None = None
    checkpoint: Path | None = None
    file_sha256: str | None = None
    checkpoint_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.file is not None and (self.init is not None or self.space is not None):
            given = "init" if self.space is None else "space"
            raise TeacherError(
                f"{given}= was given for the function {self.arch!r} of {self.file}, which draws its own weights. "
                f"Expected a function alone; leave {given}= out."
            )
        for name in ("file", "checkpoint"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(path).absolute())
                pinned = _pinned(getattr(self, name), getattr(self, f"{name}_sha256"))
                object.__setattr__(self, f"{name}_sha256", pinned)

    @property
    def label(self) -> str:
        """What tables call it: the architecture, or file and function."""
        return self.arch if self.file is None else f"{writable(self.file.name)}:{self.arch}"


def _pinned(file: Path, sha256: str | None) -> str:
    """Fingerprint of a file of the teacher's, which must be ``sha256`` if that is given."""
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise TeacherError(
            f"Cannot read the teacher's file {str(file)!r}: {error.strerror}. Expected a file; check the path."
        ) from error
    if sha256 not in (None, found):
        raise TeacherError(
            f"The teacher's file {str(file)!r} has the sha256 {found}. Expected {sha256}; put back the file, or leave "
            f"the fingerprint out."
        )
    return found


@dataclass(frozen=True)
class Protocol:
    """What must be equal for two scores of one architecture, proxy and seed to be the same number.

    Attributes:
        space: specification of the search space.
        dataset: name of the data set.
        batch: which images were used, for people.
        batch_size: how many.
        batch_seed: seed that chose them.
        batch_sha256: fingerprint of images and labels.
        image_shape: ``(C, H, W)``.
        num_classes: classes of the task.
        init: initialisation scheme of the networks.
        dtype: floating type of weights and images.
        layout: how images, weights and feature maps lie in memory: ``contiguous`` (B, C, H, W) or ``channels_last``.
        device: where the networks ran; on the CPU always with one thread.
        teacher: the teacher's architecture, or ``FILE.py:FUNCTION``; None without one.
        teacher_space: specification of its space; None for a function.
        teacher_seed: seed of its initialisation.
        teacher_init: its initialisation scheme; None for a function or a checkpoint.
        teacher_file_sha256: fingerprint of the file with its function.
        teacher_checkpoint_sha256: fingerprint of the file with its weights.
        torch: version and build of PyTorch.
        schema: version of what a stored score means.
        space_sha256: fingerprint of the code of a space from a plug-in; None for one of zcbench, and in older stores.
        teacher_space_sha256: that of the teacher's space.
    """

    space: str
    dataset: str
    batch: str
    batch_size: int
    batch_seed: int
    batch_sha256: str
    image_shape: tuple[int, ...]
    num_classes: int
    init: str = "default"
    dtype: str = "float32"
    layout: str = "contiguous"
    device: str = "cpu"
    teacher: str | None = None
    teacher_space: str | None = None
    teacher_seed: int | None = None
    teacher_init: str | None = None
    teacher_file_sha256: str | None = None
    teacher_checkpoint_sha256: str | None = None
    torch: str = torch.__version__
    schema: int = SCORE_SCHEMA
    space_sha256: str | None = None
    teacher_space_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ProtocolError(f"dtype={self.dtype!r} was given. Expected one of {', '.join(_DTYPES)}.")
        if self.layout not in _LAYOUTS:
            raise ProtocolError(f"layout={self.layout!r} was given. Expected {' or '.join(_LAYOUTS)}.")

    @classmethod
    def of(
        cls,
        space: Space,
        batch: Batch,
        init: str = "default",
        dtype: str = "float32",
        layout: str = "contiguous",
        device: str = "cpu",
        teacher: TeacherChoice | None = None,
    ) -> "Protocol":
        """Protocol of scoring networks of ``space`` on ``batch``.

        Raises:
            ProtocolError: an unknown ``dtype`` or ``layout``.
        """
        return cls(
            space=space.spec,
            dataset=batch.dataset,
            batch=batch.description,
            batch_size=len(batch),
            batch_seed=batch.seed,
            batch_sha256=batch.sha256,
            image_shape=batch.image_shape,
            num_classes=batch.num_classes,
            init=init,
            dtype=dtype,
            layout=layout,
            device=device,
            space_sha256=class_content(type(space)),
            **({} if teacher is None else _teacher_fields(teacher, space, init)),
        )

    @classmethod
    def from_json(cls, text: str) -> "Protocol":
        """Inverse of `to_json`.

        Raises:
            ProtocolError: the text is no protocol of this version.
        """
        known = {field.name for field in fields(cls)}
        try:
            content = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise ProtocolError(
                f"A stored protocol is damaged: {error}. Restore a copy, or start a new run."
            ) from error
        content = {**_ADDED, **content} if isinstance(content, dict) else {}
        if content.keys() != known:
            odd = sorted(known.symmetric_difference(content))
            raise ProtocolError(f"A stored protocol differs from this version's in {', '.join(odd)}. Start a new run.")
        if odd := [field.name for field in fields(cls) if not _fits(content[field.name], field.type)]:
            raise ProtocolError(
                f"A stored protocol is damaged in {', '.join(odd)}. Restore a copy, or start a new run."
            )
        return cls(**{**content, "image_shape": tuple(content["image_shape"])})

    def to_json(self) -> str:
        """One line of JSON with sorted keys: equal protocols give equal text."""
        return json.dumps(self._content(), sort_keys=True)

    def to_dict(self) -> dict[str, object]:
        """Plain dictionary in the order of the attributes, for people and for JSON."""
        return {**self._content(), "image_shape": list(self.image_shape)}

    def _content(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None or name not in _CODE}

    def hash(self) -> str:
        """SHA-256 of `to_json`, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def differences(self, other: "Protocol", names: Iterable[str] | None = None) -> list[str]:
        """Fields, all or those of ``names``, in which the two differ: ``field: this → other``.

        A fingerprint of a space that one of them lacks, as older stores do, is no difference.
        """
        old, new = asdict(self), asdict(other)
        unknown = [name for name in _CODE if None in (old[name], new[name])]
        compared = [name for name in names or old if name not in unknown]
        return [f"{name}: {old[name]} → {new[name]}" for name in compared if old[name] != new[name]]

    def require_equal(self, other: "Protocol", where: str) -> None:
        """Check that scores made under ``other`` may join those of this protocol, stored in ``where``.

        Raises:
            ProtocolError: they may not; the message lists each differing field, old → new, or names the edited space.
        """
        changed = self.differences(other, [field.name for field in fields(self) if field.name not in _CODE])
        if changed:
            raise ProtocolError(
                f"The scores in {where} were made under another protocol ({'; '.join(changed)}). Scores of two "
                f"protocols are never mixed: give this run another folder, or ask for the old protocol."
            )
        _require_code(self.space, self.space_sha256, other.space_sha256, where)
        _require_code(str(self.teacher_space), self.teacher_space_sha256, other.teacher_space_sha256, where)

    def completed(self, other: "Protocol") -> "Protocol":
        """This protocol, with the fingerprints of spaces that it lacks and ``other`` has."""
        return replace(self, **{name: getattr(self, name) or getattr(other, name) for name in _CODE})

    def require_code(self, space: Space, where: str) -> None:
        """Check that ``space``, if it is of a plug-in, has the code that the scores in ``where`` were made with.

        Raises:
            ProtocolError: the plug-in was edited.
        """
        _require_code(self.space, self.space_sha256, class_content(type(space)), where)


def _require_code(spec: str, before: str | None, now: str | None, where: str) -> None:
    if None not in (before, now) and before != now:
        raise ProtocolError(
            f"The plug-in of the space {spec} was edited after the scores in {where} were made. Two definitions are "
            f"never mixed: put back the old one, or name another folder."
        )


def _fits(value: object, kind: Any) -> bool:
    """Whether a value from JSON is of the type that a field is annotated with."""
    if get_origin(kind) is tuple:
        return isinstance(value, list) and len(value) == 3 and all(type(size) is int for size in value)
    return isinstance(value, kind) and not isinstance(value, bool)


def _teacher_fields(teacher: TeacherChoice, space: Space, init: str) -> dict[str, Any]:
    drawn = teacher.file is None and teacher.checkpoint is None
    return {
        "teacher": teacher.label,
        "teacher_space": (teacher.space or space).spec if teacher.file is None else None,
        "teacher_space_sha256": class_content(type(teacher.space or space)) if teacher.file is None else None,
        "teacher_seed": teacher.seed,
        "teacher_init": (teacher.init or init) if drawn else None,
        "teacher_file_sha256": teacher.file_sha256,
        "teacher_checkpoint_sha256": teacher.checkpoint_sha256,
    }
