"""The labelled batch that networks are scored on, from tensors, arrays, data loaders and dictionaries."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zcbench.datasets.inputs import Given, checked_inputs, tensors_of
from zcbench.errors import BatchError, told

#: Keys of the labels in a dictionary, as in the data sets of Hugging Face.
LABEL_KEYS = ("labels", "label")
EXPECTED = (
    "Expected the pair (inputs, labels), a dictionary of tensors with the key 'labels', a torch DataLoader, or a "
    "zcbench.datasets.Batch."
)


@dataclass(frozen=True, eq=False, repr=False)
class Batch:
    """The inputs and labels that networks are scored on; part of the protocol.

    Attributes:
        images: one floating tensor, such as images ``(B, C, H, W)``, signals ``(B, C, T)`` or tables ``(B, D)``; or the
            `Inputs` of a network that takes whole numbers or several tensors.
        labels: class indices ``(B,)``, index maps ``(B, H, W)``, or values; see ``loss`` of `zcbench.score`.
        num_classes: classes of the task, not only of this batch; of values the number of columns.
        description: which inputs these are, for people.
        dataset: name of the data set.
        seed: the seed that chose the inputs.

    Example:
        >>> Batch.from_numpy(np.zeros((8, 10)), np.linspace(0, 1, 8), dataset="diabetes")
        Batch(diabetes: 8 inputs float32 (10,), labels float32 ())
    """

    images: Given
    labels: Tensor
    num_classes: int
    description: str
    dataset: str
    seed: int

    @classmethod
    def from_tensors(
        cls,
        inputs: object,
        labels: Tensor,
        *,
        num_classes: int | None = None,
        dataset: str = "own",
        description: str | None = None,
    ) -> "Batch":
        """A batch of tensors.

        Args:
            inputs: a tensor, or a tuple, list or mapping of tensors that the network takes by position or by name; the
                first axis is the batch.
            labels: a tensor with as many entries.
            num_classes: classes of the task; by default the largest label plus one.
            dataset: name of the data set.
            description: which inputs these are.

        Raises:
            BatchError: no tensors, or tensors of different lengths.

        Example:
            >>> Batch.from_tensors({"input_ids": torch.zeros(4, 9).long()}, torch.tensor([0, 1, 1, 2])).num_classes
            3
        """
        given = checked_inputs(inputs)
        checked = checked_labels(labels, len(given))
        classes = _classes(checked) if num_classes is None else num_classes
        return cls(given, checked, classes, description or f"{len(given)} inputs of one's own", dataset, 0)

    @classmethod
    def from_numpy(
        cls,
        inputs: object,
        labels: object,
        *,
        num_classes: int | None = None,
        dataset: str = "own",
        description: str | None = None,
    ) -> "Batch":
        """A batch of NumPy arrays, or of what NumPy makes arrays of: data frames, series, lists.

        Floating numbers become PyTorch's default floating type. The arguments are those of `from_tensors`.

        Raises:
            BatchError: no numbers, or arrays of different lengths.
        """
        given: object
        if isinstance(inputs, tuple):
            given = tuple(map(_tensor, inputs))
        elif isinstance(inputs, Mapping):
            given = {name: _tensor(value) for name, value in inputs.items()}
        else:
            given = _tensor(inputs)
        own = _tensor(labels)
        return cls.from_tensors(given, own, num_classes=num_classes, dataset=dataset, description=description)

    @classmethod
    def from_loader(
        cls,
        loader: Iterable[object],
        *,
        num_classes: int | None = None,
        dataset: str = "own",
        description: str | None = None,
    ) -> "Batch":
        """The first batch of a torch DataLoader, or of any iterable of pairs or dictionaries of tensors.

        The arguments are those of `from_tensors`.

        Raises:
            BatchError: the loader is empty, or does not give pairs or dictionaries of tensors.

        Example:
            >>> Batch.from_loader([(torch.zeros(4, 3, 8, 8), torch.arange(4))]).image_shape
            (3, 8, 8)
        """
        try:
            first = next(iter(loader))
        except StopIteration:
            raise BatchError(
                f"The {type(loader).__name__} is empty. Expected at least one batch; check its data set and drop_last."
            ) from None
        except TypeError as error:
            raise BatchError(f"Given {type(loader).__name__} as the batch: {told(error)}. {EXPECTED}") from error
        inputs, labels = parts(first)
        return cls.from_tensors(inputs, labels, num_classes=num_classes, dataset=dataset, description=description)

    @classmethod
    def of(cls, given: object) -> "Batch":
        """A batch from whatever can be one: a `Batch`, a pair, a dictionary with labels, or a DataLoader.

        Raises:
            BatchError: it can be none.
        """
        if isinstance(given, Batch):
            return given
        if isinstance(given, tuple | list | Mapping | Tensor):
            return cls.from_tensors(*parts(given))
        return cls.from_loader(given)  # type: ignore[arg-type]  # refused there

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shown = ", ".join(_shown(one) for one in tensors_of(self.images))
        return f"Batch({self.dataset}: {len(self)} inputs {shown}, labels {_shown(self.labels)})"

    def _repr_html_(self) -> str:
        """What the batch holds, as a table."""
        shown = ", ".join(_shown(one) for one in tensors_of(self.images))
        rows = {
            "data set": self.dataset,
            "batch": self.description,
            "inputs": f"{len(self)} of {shown}",
            "labels": f"{_shown(self.labels)}, {self.num_classes} classes",
            "sha256": self.sha256[:12],
        }
        cells = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows.items())
        return f"<table>{cells}</table>"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one input, such as ``(C, H, W)``; empty if there are several tensors."""
        given = tensors_of(self.images)
        return tuple(given[0].shape[1:]) if len(given) == 1 else ()

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the content: SHA-256 over names, types, shapes, numbers and number of classes."""
        if isinstance(self.images, Tensor) and self.labels.ndim == 1 and not self.labels.is_floating_point():
            return content_sha256(self.num_classes, self.images, self.labels)
        tensors = (*tensors_of(self.images), self.labels)
        names = None if isinstance(self.images, Tensor) else self.images.names
        about = (names, [_shown(one, whole=True) for one in tensors], self.num_classes)
        return _sha256(about, tensors)


def content_sha256(num_classes: int, images: Tensor, *others: Tensor) -> str:
    """Fingerprint of images and what belongs to them: SHA-256 over their shape, number of classes, and all bytes."""
    return _sha256((tuple(images.shape), num_classes), (images, *others))


def _sha256(about: object, tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256(repr(about).encode())
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def parts(given: object) -> tuple[Given, Tensor]:
    """Inputs and labels of a batch: of a pair, or of a dictionary that holds the labels too.

    Raises:
        BatchError: it is neither, or inputs and labels do not fit together.
    """
    if isinstance(given, Mapping):
        key = next((key for key in LABEL_KEYS if key in given), None)
        if key is None or len(given) < 2:
            raise BatchError(f"Given a dictionary with the keys {', '.join(map(str, given)) or 'none'}. {EXPECTED}")
        inputs, labels = {name: value for name, value in given.items() if name != key}, given[key]
    elif isinstance(given, tuple | list) and len(given) == 2:
        inputs, labels = given
    else:
        told_as = f"{len(given)} values" if isinstance(given, tuple | list) else type(given).__name__
        raise BatchError(f"Given {told_as} as the batch. {EXPECTED}")
    checked = checked_inputs(inputs)
    return checked, checked_labels(labels, len(checked))


def checked_labels(labels: object, size: int) -> Tensor:
    """The labels of ``size`` inputs, whole numbers and truth values as ``int64``.

    Raises:
        BatchError: no tensor with ``size`` entries on the first axis.
    """
    if not isinstance(labels, Tensor) or labels.ndim == 0 or len(labels) != size or labels.is_complex():
        given = _shown(labels, whole=True) if isinstance(labels, Tensor) else type(labels).__name__
        raise BatchError(f"Given labels of {given} for {size} inputs. Expected a tensor with one label for each input.")
    return labels if labels.is_floating_point() else labels.long()


def _classes(labels: Tensor) -> int:
    if labels.is_floating_point():
        return 1 if labels.ndim == 1 else labels.shape[1]
    return max(2, int(labels.max()) + 1)


def _tensor(values: Any) -> Tensor:
    try:
        array = np.asarray(values)
        array = array.astype(np.float64) if array.dtype == object else array
        made = torch.from_numpy(np.ascontiguousarray(array).copy())
    except (TypeError, ValueError) as error:
        raise BatchError(f"Given {type(values).__name__}, which is no array of numbers: {told(error)}.") from error
    return made.to(torch.get_default_dtype()) if made.is_floating_point() else made


def _shown(tensor: Tensor, *, whole: bool = False) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape if whole else tensor.shape[1:])}"
