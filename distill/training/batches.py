"""The batches of a training in order, and the teachers' outputs for each of them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zcbench.distill.errors import DivergedLoss, RecipeError
from zcbench.distill.outputs import Outputs
from zcbench.distill.reading import Reader
from zcbench.distill.training.augmentation import CropFlip
from zcbench.distill.training.images import TrainingData
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import Teacher, chosen
from zcbench.streams import torch_stream

_CHUNK = 256


class TrainingBatch(NamedTuple):
    """Inputs of one step: images, their labels, and their places in the training data."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class TrainingBatches:
    """Batches by step number, and the outputs of the teachers for them.

    Order and augmentation of an epoch are pure functions of the recipe's seed and the epoch. Without augmentation the
    teachers' outputs are computed once for each image and kept, if there is enough memory.

    Args:
        data: training images, on the device and in the layout of the recipe.
        teachers: may be empty.
        readers: one for each teacher.
        reads: names of the outputs that are read.
        recipe: batch size, augmentation, seed, precision and layout are used.

    Raises:
        RecipeError: a teacher gives NaN or infinity for a training image.
    """

    def __init__(
        self,
        data: TrainingData,
        teachers: Sequence[Teacher],
        readers: Sequence[Reader],
        reads: frozenset[str],
        recipe: Recipe,
    ) -> None:
        self._data, self._recipe, self._readers = data, recipe, readers
        self._per_epoch = recipe.steps_per_epoch(len(data))
        self._memory = torch.channels_last if recipe.layout == "channels_last" else torch.contiguous_format
        self._crop = _cropping(data, recipe)
        self._kept = None if self._crop else _kept_outputs(teachers, data, reads, recipe.precision)
        self._order = (-1, torch.empty(0))

    def at(self, step: int) -> TrainingBatch:
        """The batch of step number ``step``, from 0."""
        epoch, place = divmod(step, self._per_epoch)
        first = place * self._recipe.batch_size
        indices = self._ordered(epoch)[first : first + self._recipe.batch_size]
        images = self._data.images[indices] if self._crop is None else self._crop(indices, epoch, first)
        return TrainingBatch(images.contiguous(memory_format=self._memory), self._data.labels[indices], indices)

    def taught(self, batch: TrainingBatch) -> list[Outputs]:
        """The outputs of each teacher for a batch, without gradient."""
        if self._kept is not None:
            return [chosen(outputs, batch.indices) for outputs in self._kept]
        return [reader.without_gradient(batch.images) for reader in self._readers]

    def explained(self, error: DivergedLoss) -> DivergedLoss:
        """The error; with advice on the images or on a teacher where they are the cause."""
        images = self._data.images
        if not bool(images.isfinite().all()):
            return DivergedLoss(f"{error.what} The training images hold NaN or infinity; mend or leave them out.")
        for reader in self._readers:
            parts = (_not_finite(reader.without_gradient(part)) for part in torch.split(images, _CHUNK))
            if wrong := next(filter(None, parts), None):
                return DivergedLoss(f"{error.what} The teacher gives NaN or infinity as {wrong}; check its weights.")
        return error

    def _ordered(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            order = torch.randperm(len(self._data), generator=torch_stream("order", self._recipe.seed, epoch))
            self._order = (epoch, order.to(self._data.labels.device))
        return self._order[1]


def _cropping(data: TrainingData, recipe: Recipe) -> CropFlip | None:
    if recipe.augmentation == "none":
        return None
    padding = data.image_shape[1] // 8 if recipe.padding is None else recipe.padding
    return CropFlip(data.images, padding, data.black, recipe.seed)


def _kept_outputs(
    teachers: Sequence[Teacher], data: TrainingData, reads: frozenset[str], precision: str
) -> list[Outputs] | None:
    """Each teacher's outputs for all training images; None if those of one take too much memory."""
    known = [teacher.remembered(data, reads, precision) for teacher in teachers]
    whole = [outputs for outputs in known if outputs is not None]
    for number, outputs in enumerate(whole):
        if wrong := _not_finite(outputs):
            raise RecipeError(
                f"The teacher {number + 1} of {len(known)} gives NaN or infinity as {wrong} for training images. "
                f"Expected finite outputs; check its weights and how its images were normalised."
            )
    return None if None in known else whole


def _not_finite(outputs: Outputs) -> str | None:
    """Name of an output that holds NaN or infinity."""
    return next((name for name, tensor in outputs.tensors() if not bool(tensor.isfinite().all())), None)
