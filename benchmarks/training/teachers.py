"""Train a teacher into the catalogue, once: the function behind ``zcbench teachers train``."""

import hashlib
import re
import shutil
from pathlib import Path

from rich.console import Console

from zcbench import spaces
from zcbench.benchmarks.scoring.catalogue import (
    NAME,
    RECORD,
    WEIGHTS,
    TrainedTeacher,
    catalogue_folder,
    fingerprint,
    teachers,
)
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, read_teacher
from zcbench.benchmarks.training.environment import environment
from zcbench.distill.tasks.reading import recorded
from zcbench.distill.training.course import TrainingResult
from zcbench.distill.training.data.images import DataSource, TrainingData
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.export import save_weights
from zcbench.distill.training.loop import train
from zcbench.distill.training.observers import StepBar
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import ProtocolError
from zcbench.runtime.devices import kind_of, own_device
from zcbench.runtime.stop import Stop
from zcbench.runtime.threads import one_thread
from zcbench.spaces import Space
from zcbench.storage.run_folder import RunFolder, plain

_STATE = "teacher.training"


def train_teacher(
    teacher: str,
    data: DataSource,
    recipe: Recipe | None = None,
    *,
    name: str | None = None,
    space: str = "nasbench201",
    init: str = "default",
    device: str = "cpu",
    catalogue: str | Path | None = None,
    console: Console | None = None,
) -> TrainedTeacher:
    """Train a teacher and keep it in the catalogue; one that is there, of the same recipe and images, is returned.

    A training that was stopped or killed is resumed by the same call, to the same bits. One thread is used, as in a
    worker, so that ``zcbench truth build`` with this recipe trains the same weights. The recipe's seed is that of the
    initialisation too.

    Args:
        teacher: as `zcbench.benchmarks.scoring.teachers.read_teacher` takes it.
        data: training and test images, as `zcbench.distill.train` takes them.
        recipe: how; the defaults of `Recipe` if omitted.
        name: in the catalogue; made of teacher, images and recipe if omitted.
        space: of an architecture that names none.
        init: initialisation scheme: default, kaiming, xavier or normal.
        device: where to train.
        catalogue: folder; ``teachers`` in the data folder if None.
        console: for progress; silent if omitted.

    Raises:
        ProtocolError: the name is none or is taken, or the teacher has weights already.
        TeacherError: it cannot be built, or the one that is there is damaged.
        StoreError: another process trains it, or the catalogue cannot be written.
        TrainingStopped: Ctrl-C or SIGTERM; its checkpoint is kept.
        ZcbenchError: as `zcbench.distill.train`.

    Example:
        >>> import tempfile
        >>> from zcbench import datasets
        >>> digits = datasets.load("digits(images=64,test_images=32)"), datasets.load("digits", split="test")
        >>> where = {"space": "resnet", "catalogue": tempfile.mkdtemp()}
        >>> first = train_teacher("1-1-1@8-8-8-8", digits, Recipe(epochs=1, batch_size=32), name="small", **where)
        >>> train_teacher("1-1-1@8-8-8-8", digits, Recipe(epochs=1, batch_size=32), **where) == first
        True
    """
    recipe, images, home = recipe or Recipe(), TrainingData.taken(data), spaces.get(space)
    choice = read_teacher(teacher, home, recipe.seed)
    if choice.checkpoint is not None:
        raise ProtocolError(f"The teacher {teacher!r} is trained. Expected an architecture or a function; name one.")
    identity = _identity(choice, home, images, recipe, init, device)
    listed = catalogue_folder() if catalogue is None else Path(catalogue)
    key = fingerprint(identity)
    folder = RunFolder(listed / key, "a teacher")
    known = _known(listed, key)
    if known is not None:
        return known
    named = _checked_name(name or _own_name(choice, images, key), listed)
    with folder.locked():
        if (known := _known(listed, key)) is not None:  # trained meanwhile
            return known
        if choice.file is not None:
            shutil.copyfile(choice.file, folder.path / choice.file.name)
        result = _trained(choice, home, images, recipe, (init, device), folder.path, console)
        made = TrainedTeacher(
            name=named,
            key=key,
            folder=folder.path,
            identity=identity,
            sha256=hashlib.sha256((folder.path / WEIGHTS).read_bytes()).hexdigest(),
            accuracy=result.score,
            loss=result.loss,
            epochs=len(result.history),
            seconds=round(result.seconds, 3),
            data=images.description,
            environment=environment(own_device(device)) | {"threads": 1},
        )
        folder.write_json(RECORD, plain(made.to_json()))
        (folder.path / _STATE).unlink(missing_ok=True)
    return TrainedTeacher.read(folder.path).usable()


def _trained(
    choice: TeacherChoice,
    space: Space,
    data: TrainingSource,
    recipe: Recipe,
    where: tuple[str, str],
    folder: Path,
    console: Console | None,
) -> TrainingResult:
    init, device = where
    network = build_teacher(choice, space, init, data.num_classes, data.image_shape, task=data.task)
    observers = [] if console is None else [StepBar(console, choice.label)]
    with one_thread(), Stop() as stop:
        result = train(
            network,
            None,
            data,
            recipe,
            device=own_device(device),
            checkpoint=folder / _STATE,
            observers=observers,
            stop=lambda: stop.asked,
        )
    save_weights(network, folder / WEIGHTS)
    return result


def _identity(
    choice: TeacherChoice, space: Space, data: TrainingSource, recipe: Recipe, init: str, device: str
) -> dict[str, object]:
    """All that decides the weights."""
    return plain(
        {
            "space": None if choice.file else (choice.space or space).spec,
            "arch": choice.arch,
            "file": None if choice.file is None else choice.file.name,
            "file_sha256": choice.file_sha256,
            "init": init,
            "num_classes": data.num_classes,
            "image_shape": data.image_shape,
            "data_sha256": data.sha256,
            **recorded(data.task),
            "recipe": recipe.to_dict(),
            "device": kind_of(device),
        }
    )


def _known(catalogue: Path, key: str) -> TrainedTeacher | None:
    """The teacher of this recipe, if the catalogue has it."""
    found = catalogue / key
    return TrainedTeacher.read(found).usable() if (found / RECORD).exists() else None


def _checked_name(name: str, catalogue: Path) -> str:
    if not NAME.fullmatch(name):
        raise ProtocolError(
            f"The name {name!r} was given. Expected letters, digits and any of . _ + -, at most 100, beginning with a "
            f"letter or a digit; give another one."
        )
    for known in teachers(catalogue):
        if known.name == name:
            raise ProtocolError(
                f"The catalogue {catalogue} has a teacher {name!r} of another recipe or other images: {known.key}. "
                f"Expected a name for each; give another one."
            )
    return name


def _own_name(choice: TeacherChoice, data: TrainingSource, key: str) -> str:
    """Architecture or function, classes and side of the images, and the first digits of the key."""
    arch = re.sub(r"[^A-Za-z0-9]+", "-", choice.arch).strip("-")[:40].strip("-")
    return f"{arch}-{data.num_classes}classes-{data.image_shape[1]}px-{key[:6]}"
