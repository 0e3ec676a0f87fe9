"""A trained network as a teacher, with its outputs for all images kept in memory."""

import torch
from torch import Tensor, nn

from zcbench.distill.outputs import Outputs
from zcbench.distill.reading import Reader
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.evaluation import Quality
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.sharing import state_sha256
from zcbench.distill.training.stored import CHUNK, SHARED, OutputStore, StoredOutputs, TeacherOutputs

MOST_BYTES = 1 << 30


class Teacher:
    """A network in evaluation mode whose outputs are read without gradient.

    Where the images of a training do not change from epoch to epoch, the outputs are computed once per image and kept;
    one `Teacher` may be handed to any number of trainings on the same `TrainingData`, which then share them. They are
    computed anew where the weights of the network have changed since.

    Args:
        network: the teacher; it is put into evaluation mode.
        most_bytes: the outputs are kept only if they take no more memory than this.
        outputs: where they are stored, in files that all processes share; in memory if None.
    """

    def __init__(self, network: nn.Module, most_bytes: int = MOST_BYTES, outputs: TeacherOutputs | None = None) -> None:
        self.network, self.outputs = network.eval(), outputs
        self._most_bytes = most_bytes
        self._kept: tuple[object, Outputs] | None = None
        self._measured: tuple[object, dict[str, float]] | None = None

    def reader(self, reads: frozenset[str], precision: str, image: Tensor) -> Reader:
        """A reader of these outputs; the network is moved to the device and the layout of ``image``."""
        memory = torch.channels_last if _is_channels_last(image) else torch.contiguous_format
        self.network.eval().to(image.device, memory_format=memory)  # type: ignore[call-overload]
        return Reader(self.network, reads, precision, image)

    def remembered(self, data: TrainingData, reads: frozenset[str], precision: str) -> Outputs | None:
        """Outputs for all training images in their order; None if they take too much memory."""
        key = (
            state_sha256(self.network),
            data.sha256,
            reads,
            precision,
            str(data.images.device),
            _is_channels_last(data.images),
        )
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        reader = self.reader(reads, precision, data.images[:1])
        one = reader.without_gradient(data.images[:1])
        if sum(tensor.nbytes for _, tensor in one.tensors()) * len(data) > self._most_bytes:
            return None
        self._kept = (key, _joined([reader.without_gradient(chunk) for chunk in torch.split(data.images, CHUNK)]))
        return self._kept[1]

    def stored(self, data: TrainingData, reads: frozenset[str], precision: str) -> StoredOutputs:
        """Stored outputs for all training images, which are made first where they are not there.

        Raises:
            StoreError: files are damaged, or there is no room.
            RecipeError: an output is NaN or infinite, or too large for the type that is stored.
        """
        assert self.outputs is not None
        reader = self.reader(reads, precision, data.images[:1])
        return OutputStore(self.outputs, self.network, data, precision).opened(reader, reads | {"logits"})

    def announced(self, data: TrainingData, reads: frozenset[str], recipe: Recipe) -> str:
        """A sentence on the stored outputs: where they are, and how large those are that a training will make.

        Args:
            data: training images, on the device of the training.
            reads: outputs that the losses read.
            recipe: of the training.

        Raises:
            RecipeError: the recipe draws other images in every epoch.
        """
        assert self.outputs is not None
        self.outputs.require_fit(recipe, data)
        images = data.to(data.device, recipe.layout)
        images = images.held_out(recipe.validation) if recipe.validation else images
        reader = self.reader(reads, recipe.precision, images.images[:1])
        store = OutputStore(self.outputs, self.network, images, recipe.precision)
        kind = f"The teacher's outputs ({', '.join(sorted(reads | {'logits'}))}, {self.outputs.dtype})"
        if not (missing := store.missing(reads | {"logits"})):
            return f"{kind} are in {self.outputs.place}."
        one = reader.without_gradient(images.images[:1])
        made = Outputs().replace(**{name: one.read(name) for name in missing})
        size = self.outputs.bytes(made, len(images)) / 1e6
        return f"{kind} take {size:,.1f} MB in {self.outputs.place}, and are made once."

    def quality(self, data: TrainingSource) -> Quality:
        """Accuracy and loss on the test images, measured once for the same images and weights."""
        measured = self._measures(data)
        return Quality(measured["accuracy"], measured["loss"])

    def score(self, data: TrainingSource) -> float:
        """The metric of the task on the test images, in percent, measured once likewise."""
        return self._measures(data)[data.task.metric]

    def _measures(self, data: TrainingSource) -> dict[str, float]:
        key = (state_sha256(self.network), data.sha256)
        if self._measured is None or self._measured[0] != key:
            self.network.to(data.probe().device)
            self._measured = (key, data.task.measure(self.network, data.tested()))
        return self._measured[1]


def near_chance(score: float, data: TrainingSource) -> bool:
    """Whether a value of the task's metric on the test images is hardly above that of guessing."""
    return data.task.near_chance(score, data.num_classes, data.test_count)


def chosen(outputs: Outputs, indices: Tensor) -> Outputs:
    """The outputs for some of the images."""
    names = dict(outputs.tensors())
    parts = {name: [t if name in SHARED else t[indices] for t in outputs.read(name)] for name in names}
    return Outputs().replace(**parts)


def _joined(chunks: list[Outputs]) -> Outputs:
    def whole(name: str) -> list[Tensor]:
        columns = zip(*(chunk.read(name) for chunk in chunks))
        return [parts[0] if name in SHARED else torch.cat(parts) for parts in columns]

    return Outputs().replace(**{name: whole(name) for name in dict(chunks[0].tensors())})


def _is_channels_last(images: Tensor) -> bool:
    return images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
