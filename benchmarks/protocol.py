"""The protocol of a scoring run: everything that a score depends on besides its architecture, proxy and seed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import torch

from zcbench.datasets import Batch
from zcbench.errors import ProtocolError
from zcbench.spaces import Space

#: Raised when the meaning of a stored score changes.
SCORE_SCHEMA = 1
_DTYPES = ("float32", "float64", "bfloat16", "float16")
_LAYOUTS = ("contiguous", "channels_last")
#: Fields that older stores lack, and what they were then.
_ADDED = {"layout": "contiguous"}


@dataclass(frozen=True)
class TeacherChoice:
    """An untrained network of a space, taken as the teacher of every student of a run.

    Attributes:
        arch: its architecture.
        seed: names the stream of its initialisation.
        init: its initialisation scheme; that of the students if None.
        space: where it is built; the space of the students if None.
    """

    arch: str
    seed: int = 0
    init: str | None = None
    space: Space | None = None


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
        teacher: the teacher's architecture, None without one.
        teacher_space: specification of its space.
        teacher_seed: seed of its initialisation.
        teacher_init: its initialisation scheme.
        torch: version and build of PyTorch.
        schema: version of what a stored score means.
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
    torch: str = torch.__version__
    schema: int = SCORE_SCHEMA

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
            teacher=teacher.arch if teacher else None,
            teacher_space=(teacher.space or space).spec if teacher else None,
            teacher_seed=teacher.seed if teacher else None,
            teacher_init=(teacher.init or init) if teacher else None,
        )

    @classmethod
    def from_json(cls, text: str) -> "Protocol":
        """Inverse of `to_json`.

        Raises:
            ProtocolError: the text is no protocol of this version.
        """
        known = {field.name for field in fields(cls)}
        content = json.loads(text)
        content = {**_ADDED, **content} if isinstance(content, dict) else content
        if not isinstance(content, dict) or content.keys() != known:
            odd = sorted(known.symmetric_difference(content))
            raise ProtocolError(f"A stored protocol differs from this version's in {', '.join(odd)}. Start a new run.")
        return cls(**{**content, "image_shape": tuple(content["image_shape"])})

    def to_json(self) -> str:
        """One line of JSON with sorted keys: equal protocols give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    def to_dict(self) -> dict[str, object]:
        """Plain dictionary in the order of the attributes, for people and for JSON."""
        return {**asdict(self), "image_shape": list(self.image_shape)}

    def hash(self) -> str:
        """SHA-256 of `to_json`, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def differences(self, other: "Protocol", names: Iterable[str] | None = None) -> list[str]:
        """Fields, all or those of ``names``, in which the two differ: ``field: this → other``."""
        old, new = asdict(self), asdict(other)
        return [f"{name}: {old[name]} → {new[name]}" for name in names or old if old[name] != new[name]]

    def require_equal(self, other: "Protocol", where: str) -> None:
        """Check that scores made under ``other`` may join those of this protocol, stored in ``where``.

        Raises:
            ProtocolError: they may not; the message lists each differing field, old → new.
        """
        changed = self.differences(other)
        if changed:
            raise ProtocolError(
                f"The scores in {where} were made under another protocol ({'; '.join(changed)}). Scores of two "
                f"protocols are never mixed: give this run another folder, or ask for the old protocol."
            )
