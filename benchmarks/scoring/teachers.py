"""Teachers of every kind: named in one text, built as a network, with weights from a checkpoint or from a seed."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from zcbench import references, spaces
from zcbench.benchmarks.scoring.catalogue import PREFIX, find
from zcbench.benchmarks.scoring.checkpoints import load_weights
from zcbench.benchmarks.scoring.options import LARGEST, OWN
from zcbench.distill.answers import logits_of
from zcbench.distill.tasks import CLASSIFICATION, Task
from zcbench.errors import BatchError, TeacherError, writable
from zcbench.references import Reference
from zcbench.spaces import Space, SpaceError
from zcbench.spaces.base import ImageShape
from zcbench.spaces.dense import Dense
from zcbench.storage.mirror import local
from zcbench.streams import seeded

#: Side of the images that "largest" counts MACs for, where the space takes it.
_SIDE = 32
_ELSEWHERE = re.compile(r"(\w+(?:\([^()]*\))?):(.+)")


@dataclass(frozen=True)
class TeacherChoice:
    """A network taken as the teacher of every student of a run.

    `read_teacher` reads and `build_teacher` builds it.

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
    def files(self) -> list[Path]:
        """Files that it is built from."""
        return [file for file in (self.file, self.checkpoint) if file is not None]

    def own(self, space: Space) -> bool:
        """Whether it is the teacher of each pair of ``space``."""
        return space.paired and self.space is None and self.file is None

    @property
    def label(self) -> str:
        """What tables call it: the architecture, or file and function."""
        return self.arch if self.file is None else f"{writable(self.file.name)}:{self.arch}"


def _pinned(file: Path, sha256: str | None) -> str:
    """Fingerprint of a file of the teacher's, which must be ``sha256`` if that is given."""
    try:
        found = hashlib.sha256(local(file).read_bytes()).hexdigest()
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


def read_teacher(
    given: str,
    space: Space,
    seed: int = 0,
    *,
    init: str | None = None,
    checkpoint: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> TeacherChoice:
    """The teacher that a text names.

    Args:
        given: an architecture of ``space``; ``"largest"``, the one with the most MACs; ``"SPACE:ARCH"``, one of another
            space, as in ``"resnet:resnet56"``; ``"FILE.py:FUNCTION"``, a function of the user's; or ``"trained:NAME"``,
            one of the catalogue with its weights, see `zcbench.benchmarks.scoring.catalogue.find`.
        space: the space of the students.
        seed: names the stream of its initialisation.
        init: its initialisation scheme; that of the students if None.
        checkpoint: file with its weights.
        data_dir: data folder of the catalogue.

    Raises:
        ArchitectureError: no architecture of its space.
        UnknownNameError: no space, or no teacher of the catalogue, has this name.
        TeacherError: a file is missing, the space of ``"largest"`` is too large to be listed, or a teacher of the
            catalogue is damaged or has other weights given.

    Example:
        >>> read_teacher("resnet:resnet56", spaces.get("nasbench201")).space
        resnet
    """
    file = None if checkpoint is None else Path(checkpoint)
    if space.paired:
        return _own_teachers(given, space, seed, init, file)
    if given.startswith(PREFIX):
        return _trained(given, seed, checkpoint, data_dir)
    if own := references.read(given):
        return TeacherChoice(own.name, seed, init, file=own.file, checkpoint=file)
    elsewhere = None if given in space else _ELSEWHERE.fullmatch(given)
    home, arch = (spaces.get(elsewhere[1]), elsewhere[2]) if elsewhere else (None, given)
    chosen = largest(home or space) if arch == LARGEST else arch
    (home or space).index(chosen)
    return TeacherChoice(chosen, seed, init, home, checkpoint=file)


def _own_teachers(given: str, space: Space, seed: int, init: str | None, checkpoint: Path | None) -> TeacherChoice:
    """The teacher of each pair."""
    if given not in (LARGEST, OWN) or checkpoint is not None:
        wrong = f"the teacher {given!r}" if checkpoint is None else f"the weights {str(checkpoint)!r}"
        raise TeacherError(
            f"Given {wrong} for {space.name}, whose architectures are pairs of a teacher and a student. Expected "
            f"{OWN!r}, the teacher of each pair; leave --teacher and --teacher-checkpoint out."
        )
    return TeacherChoice(OWN, seed, init)


def _trained(given: str, seed: int, checkpoint: str | Path | None, data_dir: str | Path | None) -> TeacherChoice:
    """A teacher of the catalogue, pinned to the weights that its record has."""
    if checkpoint is not None:
        raise TeacherError(
            f"The teacher {given!r} has weights, and the checkpoint {str(checkpoint)!r} was given. Expected one of "
            f"them; leave the checkpoint out, or name the architecture."
        )
    found = find(given, data_dir)
    about = found.identity
    file = about["file"]
    return TeacherChoice(
        about["arch"],
        seed,
        None if file else about["init"],
        None if file else spaces.get(about["space"]),
        file=found.folder / file if file else None,
        checkpoint=found.checkpoint,
        file_sha256=about["file_sha256"],
        checkpoint_sha256=found.sha256,
    )


def largest(space: Space) -> str:
    """The architecture with the most MACs, the first of them: a teacher chosen without looking at any accuracy.

    MACs are those of images of 32×32, or of the next size that the space takes.

    Raises:
        TeacherError: the space is too large to be listed.
    """
    if space.largest:
        return space.largest
    try:
        archs = list(space)
    except SpaceError as error:
        raise TeacherError(
            f"Given the teacher 'largest', for which all of {space.name} would have to be listed: it is too large. "
            f"Expected a teacher by name: one of its architectures, or one of another space as in resnet:resnet56."
        ) from error
    side = -(-max(_SIDE, space.smallest) // space.multiple) * space.multiple
    costs = space.costs(archs, image_shape=(3, side, side))
    return str(costs["arch"].iloc[int(costs["macs"].argmax())])


def build_teacher(
    choice: TeacherChoice,
    space: Space,
    init: str,
    num_classes: int,
    image_shape: ImageShape,
    student: str | None = None,
    task: Task = CLASSIFICATION,
) -> nn.Module:
    """The teacher's network, in training mode, for the students' classes and images.

    Args:
        choice: which.
        space: the space of the students, where its architecture is from unless it says otherwise; dense students have
            a teacher with their head.
        init: initialisation scheme of the students, which is its own unless it says otherwise.
        num_classes: classes N of the students.
        image_shape: ``(C, H, W)`` of their images.
        student: the architecture that it teaches, where the space is one of pairs; the first if None.
        task: decides about the end of the network.

    Raises:
        TeacherError: the function or the checkpoint does not give a network for these classes and images.
        SpaceError: its space has no network for them.
    """
    if choice.own(space):
        pair = student or space.subset()[0]
        network = space.teacher(pair, num_classes, choice.seed, image_shape, choice.init or init)
    elif choice.file is None:
        home = choice.space or space
        home = space.like(home) if isinstance(space, Dense) else home
        network = task.build(home, choice.arch, num_classes, choice.seed, image_shape, choice.init or init)
    else:
        own = Reference(choice.file, choice.arch), choice.file_sha256
        network = network_of(*own, "teacher", choice.seed, num_classes, image_shape, task)
    if choice.checkpoint is not None:
        load_weights(network, choice.checkpoint, choice.checkpoint_sha256)
    return network


def network_of(
    function: Reference,
    sha256: str | None,
    role: str,
    seed: int,
    num_classes: int,
    image_shape: ImageShape,
    task: Task = CLASSIFICATION,
) -> nn.Module:
    """What a function of the user's makes, in training mode, once it gives logits for these images.

    Args:
        function: called with those of the keywords ``num_classes`` and ``image_shape`` that it takes.
        sha256: fingerprint that its file must have; any if None.
        role: ``teacher`` or ``student``; with the seed it names the random stream on which the function is called.
        seed: of that stream.
        num_classes: classes N of the labels.
        image_shape: ``(C, H, W)`` of the images.
        task: of the labels.

    Raises:
        PluginError: there is no such function, or it fails.
        TeacherError: it returns no network for these classes and images.
    """
    with seeded(role, seed):
        network = references.call(function, sha256, num_classes=num_classes, image_shape=image_shape)
        if not isinstance(network, nn.Module):
            raise TeacherError(
                f"The {role}'s function {function} returns {type(network).__name__}. Expected a torch.nn.Module."
            )
        shape = task.logits_shape(num_classes, image_shape)
        _check_logits(network, f"{role} {function}", num_classes, shape, image_shape)
    return network.train()


def _check_logits(
    network: nn.Module, name: str, num_classes: int, expected: tuple[int, ...], image_shape: ImageShape
) -> None:
    """Two images through the network in evaluation mode, which leaves it as it was."""
    images = torch.zeros(2, *image_shape)
    try:
        with torch.no_grad():
            logits = logits_of(network.eval()(images))
    except BatchError:
        raise
    except Exception as error:
        raise TeacherError(
            f"The {name} cannot take the images {image_shape}: {type(error).__name__}: {error}. Expected logits for "
            f"them; let the function build for its keyword image_shape, or bring the images to another size."
        ) from error
    if tuple(logits.shape[1:]) != expected or len(logits) != 2:
        raise TeacherError(
            f"The {name} returns {tuple(logits.shape)} for 2 images, and the images have {num_classes} classes. "
            f"Expected logits {(2, *expected)}; let the function build for its keyword num_classes."
        )
