"""Items of map-style data sets, as PyTorch's are: images and labels by number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from zcbench.errors import BatchError
from zcbench.streams import own_randomness, seed_everything

#: Images ``(B, C, H, W)`` and labels ``(B,)``.
Pair = tuple[Tensor, Tensor]

_CHUNK = 256
_IMAGES = ("pixel_values", "image", "images", "img", "x")  # keys of an image in a dictionary
_LABELS = ("labels", "label", "target", "y")


@runtime_checkable
class _Indexed(Protocol):
    def __getitem__(self, index: int) -> object: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class IndexedSplit:
    """Images of a map-style data set.

    Attributes:
        name: ``training``, ``test`` or ``validation``.
        dataset: gives items by number.
        numbers: those of its items that belong to the split.
        read: whether the items are in memory.
    """

    name: str
    dataset: _Indexed
    numbers: Tensor
    read: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, places: Tensor) -> "IndexedSplit":
        """The items at these places of the split."""
        return replace(self, numbers=self.numbers[places])

    def take(self, places: Tensor, *key: object) -> Pair:
        """Images and labels at these places; random transforms are drawn on the stream of ``key``."""
        with own_randomness():
            seed_everything("items", *key)
            return stacked(self.name, _items(self.dataset, self.numbers[places].tolist()))

    def batches(self, *key: object) -> Iterator[Pair]:
        """All images in order."""
        for number, places in enumerate(torch.arange(len(self)).split(_CHUNK)):
            yield self.take(places, *key, number)

    def few(self, count: int) -> Pair:
        """The first ``count`` images."""
        return self.take(torch.arange(min(count, len(self))), "first")

    def labels(self) -> Tensor:
        """All labels in order, without reading images where the data set has them."""
        known = _known_labels(self.dataset)
        if known is not None:
            return known[self.numbers]
        return torch.cat([labels for _, labels in self.batches("labels")])


def as_indexed(name: str, dataset: object) -> IndexedSplit:
    """The items of a map-style data set by number, read when they are needed; those of an iterable one are read now.

    Raises:
        BatchError: it is no data set, or an iterable one has an item that does not fit.
    """
    if isinstance(dataset, _Indexed):
        if len(dataset) == 0:
            raise BatchError(f"The {name} data set is empty. Expected at least one image; choose another split.")
        return IndexedSplit(name, dataset, torch.arange(len(dataset)))
    if not isinstance(dataset, Iterable):
        raise BatchError(
            f"Given {type(dataset).__name__} as {name} images. Expected a data set of pairs (image, label)."
        )
    return kept(name, list(dataset))


def kept(name: str, dataset: object) -> IndexedSplit:
    """The same, with all items in memory."""
    split = as_indexed(name, dataset)
    if split.read:
        return split
    pairs = stacked(name, _items(split.dataset, split.numbers.tolist()))
    return IndexedSplit(name, TensorDataset(*pairs), torch.arange(len(split)), read=True)


def _items(dataset: _Indexed, numbers: Sequence[int]) -> Iterator[tuple[int, object]]:
    """Number and content of items, one after the other or all at once where the data set can do that."""
    several = getattr(dataset, "__getitems__", None)
    found = several(list(numbers)) if several else (dataset[number] for number in numbers)
    return zip(numbers, found, strict=True)


def stacked(split: str, items: Iterable[tuple[int, object]]) -> Pair:
    """Images ``(B, C, H, W)`` and labels ``(B,)`` of items, each an image and a label.

    Raises:
        BatchError: an item is no such pair, or two images have different shapes.
    """
    images, labels, first = list[Tensor](), list[int](), 0
    for number, item in items:
        image, label = _pair(split, number, item)
        if images and image.shape != images[0].shape:
            raise BatchError(
                f"The {split} images {first} and {number} have the shapes {tuple(images[0].shape)} and "
                f"{tuple(image.shape)}. Expected one shape; resize them in the data set's transform."
            )
        first = number if not images else first
        images.append(image)
        labels.append(label)
    return torch.stack(images), torch.tensor(labels)


def parts(item: object) -> tuple[object, object]:
    """What may be image and label, of an item or of a batch; None where there is none."""
    if isinstance(item, Mapping):
        return _first(item, _IMAGES), _first(item, _LABELS)
    return (item[0], item[1]) if isinstance(item, tuple | list) and len(item) >= 2 else (item, None)


def _first(item: Mapping[object, object], keys: Sequence[str]) -> object:
    return next((item[key] for key in keys if key in item), None)


def _pair(split: str, number: int, item: object) -> tuple[Tensor, int]:
    """Image and label of one item."""
    image, label = parts(item)
    if isinstance(label, Tensor) and label.numel() == 1 and not label.is_floating_point():
        label = label.item()
    whole = hasattr(label, "__index__") and not isinstance(label, bool | Tensor)
    if not (isinstance(image, Tensor) and image.is_floating_point() and image.ndim == 3 and whole):
        shown = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise BatchError(
            f"Item {number} of the {split} data set has an image of {shown} and a label of {type(label).__name__}. "
            f"Expected a float tensor (C, H, W) and a class index; convert images in the data set's transform."
        )
    return image.detach().float(), int(label)  # type: ignore[call-overload]


def _known_labels(dataset: object) -> Tensor | None:
    """Labels of a data set that has them, as torchvision's and `TensorDataset` do; None for another one."""
    if isinstance(dataset, Subset):
        whole = _known_labels(dataset.dataset)
        return None if whole is None else whole[torch.as_tensor(list(dataset.indices))]
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) >= 2:
        found: object = dataset.tensors[1]
    else:
        found = next((own for name in ("targets", "labels") if (own := getattr(dataset, name, None)) is not None), None)
    if found is None or getattr(dataset, "target_transform", None) is not None:
        return None
    try:
        labels = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        return None
    plain = labels.ndim == 1 and not labels.is_floating_point()
    return labels.long() if plain and isinstance(dataset, Sized) and len(labels) == len(dataset) else None
