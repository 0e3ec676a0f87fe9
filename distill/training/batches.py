"""The batches of a training in order, and the teachers' outputs for each of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from zcbench.distill.errors import DivergedLoss, RecipeError
from zcbench.distill.outputs import Outputs
from zcbench.distill.reading import Reader
from zcbench.distill.training.data.augmentation import CropFlip
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.source import LAYOUTS, TrainingSource
from zcbench.distill.training.recipe import Recipe
from zcbench.distill.training.teaching import Teacher, chosen

_CHUNK = 256


class TrainingBatch(NamedTuple):
    """Inputs of one batch: images, targets of their labels, and their places in the training data."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class TrainingBatches:
    """Batches by number, and the outputs of the teachers for them.

    Order and augmentation of an epoch are pure functions of the recipe's seed and the epoch. Without augmentation the
    teachers' outputs for images in memory are computed once for each image and kept, if there is enough memory, or
    stored in files where a teacher asks for it.

    Args:
        data: training images, on the device and in the layout of the recipe.
        teachers: may be empty.
        readers: one for each teacher.
        reads: names of the outputs that are read.
        recipe: batch size, augmentation, seed, precision and layout are used.

    Raises:
        RecipeError: a teacher gives NaN or infinity for a training image, or asks for stored outputs of images that
            are drawn anew in every epoch.
        StoreError: stored outputs are damaged, or there is no room for them.
    """

    def __init__(
        self,
        data: TrainingSource,
        teachers: Sequence[Teacher],
        readers: Sequence[Reader],
        reads: frozenset[str],
        recipe: Recipe,
    ) -> None:
        self._data, self._readers, self._order = data, readers, data.order(recipe)
        self._memory = LAYOUTS[recipe.layout]
        self._crop = _cropping(data, recipe)
        self._kept: list[_Kept] | None = None
        for teacher in teachers:
            if teacher.outputs is not None:
                teacher.outputs.require_fit(recipe, data)
        if isinstance(data, TrainingData) and not self._crop:
            self._kept = _kept_outputs(teachers, data, reads, recipe.precision)

    def at(self, number: int) -> TrainingBatch:
        """The batch of this number, from 0."""
        images, labels, indices, epoch, first = self._order.at(number)
        if (crop := self._crop) is not None:
            images = crop(images, epoch, first)
            size = (images.shape[2], images.shape[3])
            labels = self._data.task.cropped(labels, crop.cut(epoch, first, len(images)), size)
        labels = self._data.task.targets(labels, tuple(images.shape[1:]))
        return TrainingBatch(images.contiguous(memory_format=self._memory), labels, indices)

    def taught(self, batch: TrainingBatch) -> list[Outputs]:
        """The outputs of each teacher for a batch, without gradient."""
        if self._kept is not None:
            return [kept(batch.indices) for kept in self._kept]
        return [reader.without_gradient(batch.images) for reader in self._readers]

    def explained(self, error: DivergedLoss) -> DivergedLoss:
        """The error; with advice on the images or on a teacher where they are the cause."""
        for start in range(0, len(self._data), _CHUNK):
            images, _ = self._data.take(torch.arange(start, min(start + _CHUNK, len(self._data))), "explained")
            if not bool(images.isfinite().all()):
                return DivergedLoss(f"{error.what} The training images hold NaN or infinity; mend or leave them out.")
            for reader in self._readers:
                if wrong := _not_finite(reader.without_gradient(images)):
                    return DivergedLoss(
                        f"{error.what} The teacher gives NaN or infinity as {wrong}; check its weights."
                    )
        return error


def _cropping(data: TrainingSource, recipe: Recipe) -> CropFlip | None:
    if recipe.augmentation == "none":
        return None
    padding = data.image_shape[1] // 8 if recipe.padding is None else recipe.padding
    count = data.steps_per_epoch(recipe) * recipe.accumulation * data.batch_size(recipe)
    return CropFlip(max(count, len(data)), padding, data.black, recipe.seed)


_Kept = Callable[[Tensor], Outputs]  # outputs for images by their numbers


def _kept_outputs(
    teachers: Sequence[Teacher], data: TrainingData, reads: frozenset[str], precision: str
) -> list[_Kept] | None:
    """Each teacher's outputs for all training images; None if those of one take too much memory."""
    found: list[_Kept | None] = []
    for number, teacher in enumerate(teachers):
        if teacher.outputs is not None:
            found.append(teacher.stored(data, reads, precision).chosen)
            continue
        outputs = teacher.remembered(data, reads, precision)
        if outputs is not None and (wrong := _not_finite(outputs)):
            raise RecipeError(
                f"The teacher {number + 1} of {len(teachers)} gives NaN or infinity as {wrong} for training images. "
                f"Expected finite outputs; check its weights and how its images were normalised."
            )
        found.append(None if outputs is None else partial(chosen, outputs))
    whole = [kept for kept in found if kept is not None]
    return whole if len(whole) == len(found) else None


def _not_finite(outputs: Outputs) -> str | None:
    """Name of an output that holds NaN or infinity."""
    return next((name for name, tensor in outputs.tensors() if not bool(tensor.isfinite().all())), None)
