"""Outputs of a teacher for all training images, in files that every process maps into memory."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np
import torch
from torch import Tensor, nn

from zcbench.distill.code_identity import network_code_sha256
from zcbench.distill.errors import RecipeError
from zcbench.distill.outputs import Outputs
from zcbench.distill.reading import Reader
from zcbench.distill.training.checkpoint import network_sha256
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import StoreError, unknown
from zcbench.storage.files import data_folder, replaced

DTYPES = ("float16", "float32")
#: Outputs of which there is one for all images.
SHARED = frozenset({"classifier"})
CHUNK = 256
#: Text for outputs that are in no files.
MEMORY = "memory"
_FOLDER, _CARD = "teacher-outputs", "card.json"
_FORMAT = 1


@dataclass(frozen=True)
class TeacherOutputs:
    """Where and how a teacher's outputs for the training images are stored, for recipes without random augmentation.

    They are made once for a teacher, its weights, images and precision, and mapped by every process that needs them.

    Attributes:
        dtype: ``float16``, half the size and rounded; or ``float32``, the bits that the teacher gives.
        folder: where; ``teacher-outputs`` in the data folder if None.

    Raises:
        UnknownNameError: another dtype.
    """

    dtype: str = "float16"
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise unknown("dtype of stored outputs", self.dtype, DTYPES)
        object.__setattr__(self, "folder", self.place)  # the same one in every process

    @classmethod
    def named(cls, given: str, data_dir: str | Path | None = None) -> "TeacherOutputs | None":
        """What a text says: ``memory`` for none, or a dtype, in the data folder.

        Raises:
            UnknownNameError: neither.

        >>> TeacherOutputs.named("float16", "/data").folder.as_posix(), TeacherOutputs.named("memory")
        ('/data/teacher-outputs', None)
        """
        if given not in (MEMORY, *DTYPES):
            raise unknown("place of a teacher's outputs", given, (MEMORY, *DTYPES))
        return None if given == MEMORY else cls(given, data_folder(data_dir) / _FOLDER)

    @property
    def place(self) -> Path:
        """The folder."""
        return (data_folder() / _FOLDER if self.folder is None else Path(self.folder)).absolute()

    def require_fit(self, recipe: Recipe, data: TrainingSource) -> None:
        """Check that the teacher is given the same images in every epoch.

        Raises:
            RecipeError: the recipe draws them anew, or they are read from a stream.
        """
        if recipe.augmentation != "none":
            raise RecipeError(
                f"Stored teacher outputs were asked for with augmentation={recipe.augmentation!r}, which draws other "
                f"images in every epoch. Expected augmentation 'none'; take it, or leave the stored outputs out."
            )
        if not isinstance(data, TrainingData):
            raise RecipeError(
                "Stored teacher outputs were asked for with images that are read in every epoch anew. Expected images "
                "in memory; take TrainingData.from_dataset(…, in_memory=True), or leave the stored outputs out."
            )

    def bytes(self, outputs: Outputs, count: int) -> int:
        """Size of the files for ``count`` images.

        Args:
            outputs: for one image.
            count: number of images.
        """
        each = 2 if self.dtype == "float16" else 4
        return sum(tensor.numel() * (4 if name in SHARED else each * count) for name, tensor in outputs.tensors())


@dataclass(frozen=True)
class StoredOutputs:
    """Outputs for all training images, mapped into memory.

    Attributes:
        tensors: by name of output; as stored, in the order of the images.
        dtypes: that the teacher gives.
        device: where batches are wanted.
    """

    tensors: Mapping[str, list[Tensor]] = field(repr=False)
    dtypes: Mapping[str, torch.dtype]
    device: torch.device

    def chosen(self, indices: Tensor) -> Outputs:
        """The outputs for some of the images, in the type that the teacher gives."""
        places = indices.cpu()

        def part(name: str, tensor: Tensor) -> Tensor:
            return (tensor if name in SHARED else tensor[places]).to(self.device, self.dtypes[name])

        return Outputs().replace(
            **{name: [part(name, tensor) for tensor in found] for name, found in self.tensors.items()}
        )


class OutputStore:
    """The stored outputs of one teacher for the training images of one data set.

    Args:
        how: where, and in which type.
        network: the teacher, in evaluation mode.
        data: on the device and in the layout of the training.
        precision: of autocast, as in the recipe.

    Raises:
        StoreError: files are damaged or were edited, or there is no room for new ones.
        RecipeError: an output is NaN or infinite, or too large for ``float16``.
    """

    def __init__(self, how: TeacherOutputs, network: nn.Module, data: TrainingData, precision: str) -> None:
        self._how, self._data = how, data
        last = data.images.is_contiguous(memory_format=torch.channels_last) and not data.images.is_contiguous()
        about = {
            "format": _FORMAT,
            "teacher": network_sha256(network),
            "code": network_code_sha256(network),
            "images": data.sha256,
            "precision": precision,
            "channels_last": last,
            "device": data.images.device.type,
            "torch": torch.__version__,
            "dtype": how.dtype,
        }
        self.folder = how.place / hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]

    def missing(self, reads: frozenset[str]) -> frozenset[str]:
        """Those of the outputs that are not there yet."""
        return reads - self._card().keys()

    def opened(self, reader: Reader, reads: frozenset[str]) -> StoredOutputs:
        """The outputs, made first where they are missing; processes that need them at the same time wait for one."""
        if self.missing(reads):
            with self._alone():
                if missing := self.missing(reads):
                    self._make(reader, missing)
        card = self._card()
        tensors = {name: [self._mapped(part) for part in card[name]] for name in sorted(reads)}
        dtypes = {name: getattr(torch, card[name][0]["given"]) for name in reads}
        return StoredOutputs(tensors, dtypes, self._data.images.device)

    def _make(self, reader: Reader, names: frozenset[str]) -> None:
        images = self._data.images
        first = reader.without_gradient(images[:1])
        wanted = [(name, place) for name in sorted(names) for place in range(len(first.read(name)))]
        self._require_room(self._how.bytes(first, len(images)))
        with _named(self.folder), _drafts([self._file(*one) for one in wanted]) as files:
            writers = {
                one: _Writer(file, first.read(one[0])[one[1]], len(images), self._how.dtype, one[0])
                for one, file in zip(wanted, files)
            }
            for chunk in torch.split(images, CHUNK):
                outputs = reader.without_gradient(chunk)
                for (name, place), writer in writers.items():
                    writer.add(outputs.read(name)[place])
        parts = {
            name: [writers[name, place].entry(self._file(name, place)) for place in range(len(first.read(name)))]
            for name in names
        }
        with _named(self.folder), replaced(self.folder / _CARD) as draft:
            draft.write_text(json.dumps(self._card() | parts, indent=1) + "\n", encoding="utf-8")

    def _file(self, name: str, place: int) -> Path:
        return self.folder / f"{name}-{place}.npy"

    def _require_room(self, size: int) -> None:
        place = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        if (free := shutil.disk_usage(place).free) < size:
            raise StoreError(
                f"The teacher's outputs take {size / 1e6:,.1f} MB, and {place} has {free / 1e6:,.1f} MB left. Expected "
                f"room for them; make room, name another folder, or leave the stored outputs out."
            )

    def _card(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / _CARD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, f"{_CARD} cannot be read") from error
        return found

    def _mapped(self, part: Mapping[str, Any]) -> Tensor:
        file = self.folder / part["file"]
        _require_whole(file, part["sha256"])
        try:
            found = torch.from_numpy(np.load(file, mmap_mode="c"))  # copies what is written to, so never the file
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, f"{file.name} cannot be read") from error
        return found.permute(0, 3, 1, 2) if part["channels_last"] else found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time where the file system has locks; elsewhere each makes the same files."""
        with _named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / ".lock")
            with suppress(NotImplementedError):
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


class _Writer:
    """Writes one output of all images as a ``.npy`` file, chunk by chunk; a full disk is an error, and no signal."""

    def __init__(self, file: BinaryIO, one: Tensor, count: int, dtype: str, name: str) -> None:
        self._file, self._name, self._shared, self._done = file, name, name in SHARED, False
        self._given, self._digest = str(one.dtype).removeprefix("torch."), hashlib.sha256()
        self._dtype = np.dtype("float32" if self._shared else dtype)
        self._last = one.ndim == 4 and not one.is_contiguous()  # sums of a loss run in the order of the memory
        shape = tuple(self._ordered(one).shape)
        self._shape = shape if self._shared else (count, *shape[1:])
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(_Both(file, self._digest), header)

    def add(self, tensor: Tensor) -> None:
        """Append a chunk."""
        if self._shared and self._done:
            return
        self._done = True
        exact = self._ordered(tensor.detach()).float().cpu()
        with np.errstate(over="ignore"):
            kept = exact.numpy().astype(self._dtype)
        if not np.isfinite(kept).all():
            if bool(exact.isfinite().all()):
                raise RecipeError(
                    f"The teacher's {self._name!r} reaches {float(exact.abs().max()):.4g}, too large for float16. "
                    f"Expected at most 65504; store float32, or leave the stored outputs out."
                )
            raise RecipeError(
                f"The teacher gives NaN or infinity as {self._name!r} for training images. Expected finite outputs; "
                f"check its weights and how its images were normalised."
            )
        _Both(self._file, self._digest).write(np.ascontiguousarray(kept).data.cast("B"))

    def entry(self, file: Path) -> dict[str, Any]:
        """What the card says of the file."""
        return {
            "file": file.name,
            "sha256": self._digest.hexdigest(),
            "shape": self._shape,
            "channels_last": self._last,
            "given": self._given,
        }

    def _ordered(self, tensor: Tensor) -> Tensor:
        return tensor.permute(0, 2, 3, 1) if self._last else tensor


class _Both:
    """A file whose fingerprint is taken as it is written."""

    def __init__(self, file: BinaryIO, digest: Any) -> None:
        self._file, self._digest = file, digest

    def write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._digest.update(content)


@contextmanager
def _drafts(files: list[Path]) -> Iterator[list[BinaryIO]]:
    """Files to write to, which take their places together when the block ends well."""
    if not files:
        yield []
        return
    with replaced(files[0]) as draft, draft.open("wb") as opened, _drafts(files[1:]) as rest:
        yield [opened, *rest]
        opened.flush()


_WHOLE: set[tuple[str, int, int, int]] = set()  # files that this process has read through


def _require_whole(file: Path, sha256: str) -> None:
    """Compare a file with its fingerprint, once in a process as long as it is the same file."""
    try:
        found = file.stat()
        known = (str(file), found.st_ino, found.st_mtime_ns, found.st_size)
        if known in _WHOLE:
            return
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise _damaged(file.parent, f"{file.name} cannot be read: {error.strerror}") from error
    if digest != sha256:
        raise _damaged(file.parent, f"{file.name} is damaged or was edited")
    _WHOLE.add(known)


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"The teacher's outputs cannot be written to {folder}: {error.strerror or error}. Expected room, and a "
            f"folder that can be written; make room, name another folder, or leave the stored outputs out."
        ) from error


def _damaged(folder: Path, why: str) -> StoreError:
    return StoreError(
        f"The stored teacher outputs in {folder} cannot be used: {why}. Expected the files as they were written; "
        f"delete the folder, and they are made again."
    )
