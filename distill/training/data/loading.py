"""Batches of a PyTorch data loader, in its own order and with its own workers."""

from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from zcbench.datasets.items import Pair, parts
from zcbench.distill.errors import RecipeError
from zcbench.distill.training.data.source import DrawnBatch
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import BatchError
from zcbench.streams import derive, own_randomness, seed_everything


@dataclass(frozen=True, eq=False)
class LoadedSplit:
    """Images of a data loader.

    Attributes:
        name: ``training`` or ``test``.
        loader: gives batches.

    Raises:
        BatchError: the loader has no length.
    """

    name: str
    loader: DataLoader[Any]

    def __post_init__(self) -> None:
        try:
            len(self.loader)
        except TypeError as error:
            raise BatchError(
                f"Given a DataLoader of {self.name} images without a length. Expected a data set with one; give its "
                f"class the method __len__."
            ) from error

    def __len__(self) -> int:
        sampler = self.loader.sampler
        return len(sampler) if isinstance(sampler, Sized) and self.loader.batch_size else len(self.loader)

    @cached_property
    def batch_size(self) -> int:
        """Images in a batch; those of the first one, where a sampler of its own makes the batches."""
        return self.loader.batch_size or len(self._beginning[1])

    def steps(self, accumulation: int) -> int:
        """Steps of an epoch; an incomplete last batch is left out.

        Raises:
            RecipeError: there are fewer batches than one step needs.
        """
        short = bool(self.loader.batch_size) and not self.loader.drop_last and len(self) % self.batch_size
        steps = (len(self.loader) - bool(short)) // accumulation
        if steps < 1:
            raise RecipeError(
                f"Given a DataLoader of {len(self.loader)} batches and accumulation={accumulation}. Expected at least "
                f"one whole batch for each step; choose a smaller batch size or more images."
            )
        return steps

    def batches(self, *key: object) -> Iterator[Pair]:
        """All batches of one pass; what is random is drawn on the streams of ``key``."""
        with own_randomness():
            seed_everything("loader", *key)
            for generator in self._generators():
                generator.manual_seed(derive("loader", *key))
            batches = iter(self.loader)
            batch = next(batches, None)  # most samplers draw their order here
        for number in range(len(self.loader)):
            if batch is None:
                return
            yield _pair(self.name, number, batch)
            with own_randomness():
                seed_everything("items", *key, number + 1)
                batch = next(batches, None)

    def few(self, count: int) -> Pair:
        """The first ``count`` images, at most those of the first batch."""
        images, labels = self._beginning
        return images[:count], labels[:count]

    @cached_property
    def _beginning(self) -> Pair:
        return next(self.batches("first"))

    def labels(self) -> Tensor:
        """All labels of one pass."""
        return torch.cat([labels for _, labels in self.batches("labels")])

    def _generators(self) -> Iterator[torch.Generator]:
        """Generators of the loader and of its samplers, each once."""
        owners = (self.loader, self.loader.sampler, self.loader.batch_sampler)
        inner = getattr(self.loader.batch_sampler, "sampler", None)
        found = {id(own): own for owner in (*owners, inner) if (own := getattr(owner, "generator", None)) is not None}
        yield from found.values()


class LoadedOrder:
    """Batches of a data loader by number: a pass for each epoch, resumed at any batch by reading those before it.

    Args:
        split: the loader.
        recipe: seed and accumulation are used.
        place: brings a batch to the device.
    """

    def __init__(self, split: LoadedSplit, recipe: Recipe, place: Callable[[Pair], Pair]) -> None:
        self._split, self._seed, self._place = split, recipe.seed, place
        self._per_epoch = split.steps(recipe.accumulation) * recipe.accumulation
        self._next = -1
        self._batches: Iterator[Pair] = iter(())
        self._last: DrawnBatch | None = None

    def at(self, number: int) -> DrawnBatch:
        """The batch of this number."""
        if self._last is None or self._next != number + 1:
            self._last, self._next = self._read(number), number + 1
        return self._last

    def _read(self, number: int) -> DrawnBatch:
        epoch, place = divmod(number, self._per_epoch)
        if number != self._next or place == 0:
            self._batches = islice(self._split.batches(self._seed, epoch), place, None)
        pair = next(self._batches, None)
        if pair is None:
            raise BatchError(
                f"The DataLoader ends after fewer than {self._per_epoch} batches. Expected as many as its length says."
            )
        images, labels = self._place(pair)
        first = place * self._split.batch_size
        return DrawnBatch(images, labels, torch.arange(first, first + len(labels)), epoch, first)


def _pair(split: str, number: int, batch: object) -> Pair:
    """Images and labels of a batch."""
    images, labels = parts(batch)
    fits = isinstance(images, Tensor) and isinstance(labels, Tensor) and labels.shape == images.shape[:1]
    if not fits or images.ndim != 4 or not images.is_floating_point():  # type: ignore[attr-defined]
        shown = [
            f"{item.dtype} {tuple(item.shape)}" if isinstance(item, Tensor) else type(item).__name__
            for item in (images, labels)
        ]
        raise BatchError(
            f"Batch {number} of the {split} DataLoader has images of {shown[0]} and labels of {shown[1]}. Expected "
            f"floating images (B, C, H, W) and B class indices; convert them in the data set's transform."
        )
    assert isinstance(images, Tensor)
    assert isinstance(labels, Tensor)
    return images.detach().float(), labels.long() if not labels.is_floating_point() else labels
