"""Options of a scoring run, as text and numbers: the command line makes its options of these records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcbench.errors import ProtocolError
from zcbench.storage.files import is_file

if TYPE_CHECKING:
    from zcbench.benchmarks.scoring.teachers import TeacherChoice
    from zcbench.datasets import Batch
    from zcbench.proxies import Loss, Output
    from zcbench.proxies.signals.objective import Function
    from zcbench.spaces import Space

DTYPES = ("float32", "float64", "bfloat16", "float16")
LAYOUTS = ("contiguous", "channels_last")
AUTO = "auto"  # the layout that is faster for the inputs and the device
LARGEST = "largest"  # architecture of the space, as a teacher
OWN = "own"  # teacher of each architecture of a space of pairs
NO_TEACHER = "none"


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """How networks are initialised and computed.

    Attributes:
        init: initialisation: that of the space or network (default), kaiming, xavier or normal.
        dtype: floating type of networks and images: ``float32``, ``float64``, ``bfloat16`` or ``float16``.
        layout: memory layout: contiguous; channels_last, which is faster and rounds differently; or auto, which takes
            channels_last for images on a CPU, else contiguous.
        device: where networks run: cpu, cuda, or several GPUs as in cuda:0,cuda:1, over which workers are dealt out.

    Raises:
        ProtocolError: an unknown ``dtype`` or ``layout``.
    """

    init: str = "default"
    dtype: str = "float32"
    layout: str = "contiguous"
    device: str = "cpu"

    def __post_init__(self) -> None:
        require_known(self.dtype, self.layout, (*LAYOUTS, AUTO))


def require_known(dtype: str, layout: str, layouts: Sequence[str] = LAYOUTS) -> None:
    """Raise `ProtocolError` for an unknown floating type or memory layout."""
    if dtype not in DTYPES:
        raise ProtocolError(f"dtype={dtype!r} was given. Expected one of {', '.join(DTYPES)}.")
    if layout not in layouts:
        raise ProtocolError(f"layout={layout!r} was given. Expected {' or '.join(layouts)}.")


def faster_layout(dimensions: int, device: str) -> str:
    """The layout that ``auto`` stands for: a rule, since a measured choice would differ between two runs.

    Args:
        dimensions: of the inputs, without the batch.
        device: where networks run.
    """
    return "channels_last" if dimensions == 3 and device == "cpu" else "contiguous"


@dataclass(frozen=True, kw_only=True)
class BatchOptions(NetworkOptions):
    """Images that networks are scored on, and the teacher that they are compared with, by name or as objects.

    Attributes:
        dataset: images of the batch: cifar10, cifar100, digits or noise; 'cifar10(files=2)' takes the first two
            training files only, whatever else is there; digits_scenes(side=24), with masks, for networks of a
            segmentation.
        batch_size: images in the batch.
        batch_seed: seed that chooses the images.
        image_size: side length to bring images to.
        teacher: teacher of all students: an architecture of the space, 'largest' for the one with the most MACs,
            SPACE:ARCH for one of another space as in resnet:resnet56, FILE.py:FUNCTION for a network of your own,
            trained:NAME for one of 'zcbench teachers list' with its weights, or 'none'.
        teacher_checkpoint: file with the teacher's weights, a state_dict.
        teacher_seed: initialisation of the teacher; outside the students' seeds, or it may be its own student.
    """

    dataset: "str | Batch | None" = None
    batch_size: int = 64
    batch_seed: int = 0
    image_size: int | None = None
    teacher: "str | TeacherChoice | None" = None
    teacher_checkpoint: Path | None = None
    teacher_seed: int = 1000


@dataclass(frozen=True, kw_only=True)
class Setup(BatchOptions):
    """Conditions by name, or as objects; `zcbench.benchmarks.scoring.conditions.prepare` looks the names up.

    Attributes:
        space: architecture space, with options as in nasbench201(channels=4,cells=1), or FILE.py:NAME for networks of
            your own.
        output: function that takes the output out of what a network returns, FILE.py:FUNCTION; a tensor, its logits or
            the first of a tuple without one.
        loss: loss whose gradients proxies read: cross_entropy, binary_cross_entropy, mse, FILE.py:FUNCTION, or that of
            a task, such as detection, with its options; that of the labels without one.
        data_dir: folder with images and accuracies.
    """

    space: "str | Space | None" = None
    output: "str | Output | Callable[[Any], Any] | None" = None
    loss: "str | Loss | Function | None" = None
    data_dir: Path | None = None


@dataclass(frozen=True)
class Sample:
    """Which architectures are scored; ``archs`` may also be a list of them.

    Attributes:
        archs: how many architectures to sample, 'all', or a text file with one a line.
        subset: set that architectures are taken from: all, live, unique, or known, those that every truth has.
        seed: seed of the sample.
    """

    archs: str | int | Path | Sequence[str] | None = None
    subset: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.archs, int | Path):
            object.__setattr__(self, "archs", str(self.archs))

    @property
    def listed(self) -> bool:
        """Whether the architectures are named one by one."""
        return self.archs is not None and (not isinstance(self.archs, str) or is_file(self.archs))
