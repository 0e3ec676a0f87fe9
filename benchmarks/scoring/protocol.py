"""The protocol of a scoring run: everything that a score depends on besides its architecture, proxy and seed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, get_origin

from zcbench.benchmarks.scoring.options import require_known
from zcbench.errors import ProtocolError
from zcbench.runtime.devices import kind_of
from zcbench.spaces import Space

if TYPE_CHECKING:
    from zcbench.benchmarks.scoring.conditions import Conditions
    from zcbench.benchmarks.scoring.teachers import TeacherChoice

#: Raised when the meaning of a stored score changes.
SCORE_SCHEMA = 1
#: Fields that older stores lack, and what they were then.
_ADDED = {"layout": "contiguous", "teacher_file_sha256": None, "teacher_checkpoint_sha256": None}
#: Fingerprints of spaces that are no part of zcbench; left out of the text where there are none.
_CODE = ("space_sha256", "teacher_space_sha256")
#: Fields of inputs, outputs and losses of one's own; left out of the text where there are none.
_OWN = ("inputs", "output", "output_sha256", "loss", "loss_sha256")
_ADDED |= dict.fromkeys((*_CODE, *_OWN))


def _torch_version() -> str:
    """Version and build of PyTorch, which is not imported where a stored protocol is read."""
    import torch

    return str(torch.__version__)


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
        image_shape: ``(C, H, W)``, or the shape of another input; empty where there are several tensors.
        num_classes: classes of the task.
        init: initialisation scheme of the networks.
        dtype: floating type of weights and images.
        layout: how images, weights and feature maps lie in memory: ``contiguous`` (B, C, H, W) or ``channels_last``.
        device: kind of device that the networks ran on; on the CPU always with one thread.
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
        inputs: types and shapes of inputs that are not one floating tensor.
        output: name of the function that reads the output of a network; None for the usual rule.
        output_sha256: fingerprint of its definition.
        loss: name of the loss that was given; None for the one that follows the labels.
        loss_sha256: fingerprint of its definition; None for a loss of zcbench.
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
    torch: str = field(default_factory=_torch_version)
    schema: int = SCORE_SCHEMA
    space_sha256: str | None = None
    teacher_space_sha256: str | None = None
    inputs: str | None = None
    output: str | None = None
    output_sha256: str | None = None
    loss: str | None = None
    loss_sha256: str | None = None

    def __post_init__(self) -> None:
        require_known(self.dtype, self.layout)

    @classmethod
    def of(cls, conditions: "Conditions") -> "Protocol":
        """Protocol of scores that are made under ``conditions``."""
        from torch import Tensor

        from zcbench.spaces import KnownNetworks  # imports PyTorch, which a stored protocol is read without

        space, batch, teacher = conditions.space, conditions.batch, conditions.teacher
        return cls(
            space=space.spec,
            dataset=batch.dataset,
            batch=batch.description,
            batch_size=len(batch),
            batch_seed=batch.seed,
            batch_sha256=batch.sha256,
            image_shape=batch.image_shape,
            num_classes=batch.num_classes,
            init=conditions.init,
            dtype=conditions.dtype,
            layout=conditions.layout,
            device=kind_of(conditions.device),
            space_sha256=None if isinstance(space, KnownNetworks) else space.content(),
            inputs=None if isinstance(batch.images, Tensor) else repr(batch.images[:1]),
            output=conditions.output.label,
            output_sha256=conditions.output.sha256,
            loss=conditions.loss.label,
            loss_sha256=conditions.loss.sha256,
            **({} if teacher is None else _teacher_fields(teacher, space, conditions.init)),
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
        return {name: value for name, value in asdict(self).items() if value is not None or name not in (*_CODE, *_OWN)}

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
        _require_code(self.space, self.space_sha256, space.content(), where)


def _require_code(spec: str, before: str | None, now: str | None, where: str) -> None:
    if None not in (before, now) and before != now:
        raise ProtocolError(
            f"The definition of the space {spec} was edited after the scores in {where} were made. Two definitions are "
            f"never mixed: put back the old one, or name another folder."
        )


def _fits(value: object, kind: Any) -> bool:
    """Whether a value from JSON is of the type that a field is annotated with."""
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(type(size) is int for size in value)
    return isinstance(value, kind) and not isinstance(value, bool)


def _teacher_fields(teacher: "TeacherChoice", space: Space, init: str) -> dict[str, Any]:
    drawn = teacher.file is None and teacher.checkpoint is None
    return {
        "teacher": teacher.label,
        "teacher_space": (teacher.space or space).spec if teacher.file is None else None,
        "teacher_space_sha256": (teacher.space or space).content() if teacher.file is None else None,
        "teacher_seed": teacher.seed,
        "teacher_init": (teacher.init or init) if drawn else None,
        "teacher_file_sha256": teacher.file_sha256,
        "teacher_checkpoint_sha256": teacher.checkpoint_sha256,
    }
