"""Conditions: all that a score depends on besides its architecture, proxy and seed, as one record of objects."""

from collections.abc import Collection
from dataclasses import dataclass, field

from torch import nn

from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.options import LARGEST, NetworkOptions, Setup
from zcbench.benchmarks.scoring.teachers import TeacherChoice, build_teacher, read_teacher
from zcbench.datasets import Batch
from zcbench.errors import TeacherError, unknown
from zcbench.proxies import REGISTRY, Loss, Output
from zcbench.spaces import Space
from zcbench.spaces.base import ImageShape
from zcbench.spaces.initialisation import INITIALISATIONS


@dataclass(frozen=True)
class Conditions(NetworkOptions):
    """What all scores of a run have in common.

    Attributes:
        space: where the architectures are from.
        batch: inputs and labels; their classes are those of the networks.
        teacher: for proxies that compare with one, as `read_teacher` gives it.
        output: reads the output of every network; see ``output`` of `zcbench.score`.
        loss: of every network; see ``loss`` of `zcbench.score`.

    Raises:
        ProtocolError: an unknown ``dtype`` or ``layout``.
        UnknownNameError: an unknown initialisation.

    Example:
        >>> batch = datasets.batch(datasets.load("noise", image_size=8), 4)
        >>> conditions = Conditions(spaces.get("nasbench201", channels=4, cells=1), batch, init="kaiming")
        >>> conditions.num_classes, conditions.image_shape
        (10, (3, 8, 8))
    """

    space: Space
    batch: Batch
    teacher: TeacherChoice | None = None
    output: Output = field(default_factory=Output)
    loss: Loss = field(default_factory=Loss)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init not in INITIALISATIONS:
            raise unknown("initialisation", self.init, INITIALISATIONS)

    @property
    def num_classes(self) -> int:
        """Classes of the networks."""
        return self.batch.num_classes

    @property
    def image_shape(self) -> ImageShape:
        """``(C, H, W)``, or the shape of another input."""
        return self.batch.image_shape

    def build(self, arch: str, seed: int) -> nn.Module:
        """The network of ``arch``, in training mode, with the weights of ``seed``."""
        return self.space.build(arch, self.num_classes, seed, self.image_shape, self.init)

    def build_teacher(self) -> nn.Module | None:
        """The teacher's network, in training mode; None without a teacher.

        Raises:
            TeacherError: the function or the checkpoint does not give a network for these classes and images.
            SpaceError: its space has no network for them.
        """
        if self.teacher is None:
            return None
        return build_teacher(self.teacher, self.space, self.init, self.num_classes, self.image_shape)


def prepare(setup: Setup, proxies: Collection[str] = ()) -> Conditions:
    """Look up what ``setup`` names.

    Args:
        setup: names of space, data set and teacher, and the rest; NAS-Bench-201, cifar10 and 'largest' if None.
        proxies: what will be scored; a space too large for a largest teacher needs none where none is compared with.

    Raises:
        UnknownNameError: a space, data set or initialisation that is not known.
        TeacherError: the teacher cannot be found.
        DataError: the images are not here.
        BatchError: more images than there are, or fewer than two.
    """
    space = spaces.get(setup.space or "nasbench201")
    teacher = _teacher(setup, space, proxies)
    images = datasets.load(setup.dataset or "cifar10", setup.data_dir, image_size=setup.image_size)
    return Conditions(
        space,
        datasets.batch(images, setup.batch_size, setup.batch_seed),
        teacher,
        init=setup.init,
        dtype=setup.dtype,
        layout=setup.layout,
        device=setup.device,
    )


def _teacher(setup: Setup, space: Space, proxies: Collection[str]) -> TeacherChoice | None:
    given = setup.teacher or LARGEST
    try:
        return read_teacher(given, space, setup.teacher_seed, checkpoint=setup.teacher_checkpoint)
    except TeacherError:  # a space too large to be listed has no largest
        needed = any(REGISTRY.get(name).needs_teacher for name in proxies)
        if given != LARGEST or setup.teacher_checkpoint or needed:
            raise
        return None
