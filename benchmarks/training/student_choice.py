"""The student of a training, from a text: an architecture, its number in a space, a result of a search, a function."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from zcbench import references, spaces
from zcbench.benchmarks.scoring.teachers import network_of
from zcbench.benchmarks.truths.sources import sha256
from zcbench.distill.tasks import CLASSIFICATION, Task
from zcbench.errors import ArchitectureError, ProtocolError, writable
from zcbench.references import Reference
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape

_ELSEWHERE = re.compile(r"(\w+(?:\([^()]*\))?):(.+)")


@dataclass(frozen=True)
class Student:
    """An architecture and its space, or a function that makes a network.

    Attributes:
        space: of the architecture; teachers without a space are looked up in it too.
        arch: the architecture; empty for a function.
        function: makes the network, in place of an architecture.
    """

    space: Space
    arch: str = ""
    function: Reference | None = None

    @property
    def label(self) -> str:
        """The architecture, or file and function."""
        return self.arch if self.function is None else f"{writable(self.function.file.name)}:{self.function.name}"

    def build(
        self, num_classes: int, seed: int, image_shape: ImageShape, init: str, task: Task = CLASSIFICATION
    ) -> nn.Module:
        """The network for a task, initialised on the stream of ``seed``.

        Raises:
            ProtocolError: an initialisation scheme for a function, which draws its own weights.
            PluginError, TeacherError: the function gives no network for these classes and images.
            SpaceError: its space has no network for them.
        """
        if self.function is None:
            return task.build(self.space, self.arch, num_classes, seed, image_shape, init)
        if init != "default":
            raise ProtocolError(
                f"Given init={init!r} for the function {self.function}, which draws its own weights. Expected a "
                f"function alone; leave the initialisation out."
            )
        return network_of(self.function, None, "student", seed, num_classes, image_shape, task)

    def to_dict(self) -> dict[str, object]:
        """Space and architecture, or the function and the fingerprint of its file, ready for JSON."""
        if self.function is None:
            return {"space": self.space.spec, "arch": self.arch}
        return {"function": self.label, "file_sha256": sha256(self.function.file)}


def read_student(given: str, space: str = "nasbench201") -> Student:
    """The student that a text names.

    Args:
        given: an architecture of ``space`` or its number there; ``SPACE:ARCH`` or ``SPACE:NUMBER``; a function,
            ``FILE.py:FUNCTION``, called with those of the keywords ``num_classes`` and ``image_shape`` that it takes;
            or a JSON file whose ``best`` has ``arch``, with ``space`` in it or next to it, as ``zcbench search``
            writes it.
        space: space of an architecture that names none.

    Raises:
        ArchitectureError: no architecture of its space, or the file has none.
        UnknownNameError: no space has this name.
        PluginError: the file of the function is missing.

    Example:
        >>> read_student("resnet:0").arch, read_student("resnet:resnet20").space
        ('1-1-1@8-8-8-8', resnet)
    """
    if given.endswith(".json"):
        return _from_file(Path(given), space)
    home = spaces.get(space)
    if function := references.read(given):
        references.load(function)
        return Student(home, function=Reference(function.file.absolute(), function.name))
    if given not in home and (match := _ELSEWHERE.fullmatch(given)):
        home, given = spaces.get(match[1]), match[2]
    if given not in home and given.isdecimal():
        given = _numbered(home, int(given))
    home.index(given)
    return Student(home, given)


def _numbered(space: Space, number: int) -> str:
    try:
        return space[number]
    except IndexError as error:
        raise ArchitectureError(
            f"{space.name} has no architecture {number:,}. Expected a number from 0 to {len(space) - 1:,}."
        ) from error


def _from_file(file: Path, space: str) -> Student:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        best = content["best"]
        arch, written = str(best["arch"]), best.get("space") or content.get("space")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ArchitectureError(
            f"{file} names no student: {type(error).__name__}: {error}. Expected JSON with an architecture under "
            f"'arch' in 'best', as 'zcbench search' writes it."
        ) from error
    home = spaces.get(written if isinstance(written, str) else space)
    home.index(arch)
    return Student(home, arch)
