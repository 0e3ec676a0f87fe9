"""Isolation of the proxies of plug-ins: changes by one are detected and undone before the next one reads.

Proxies of zcbench itself are trusted, and cost nothing here.
"""

import os
import signal
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zcbench.datasets.inputs import Given
from zcbench.isolation.patches import Originals
from zcbench.isolation.settings import kept
from zcbench.proxies.scoring.snapshot import Snapshot


class Mark(NamedTuple):
    """A tensor as it is: where it lies, its form, and a checksum of the bytes that it looks at."""

    address: int
    form: tuple[object, ...]
    bytes: int


def marks(tensors: Iterable[Tensor]) -> list[Mark]:
    """Marks of tensors; equal marks mean that neither they nor tensors that share their memory were written to."""
    sums: dict[int, int] = {}
    return [_mark(tensor, sums) for tensor in tensors]


def _mark(tensor: Tensor, sums: dict[int, int]) -> Mark:
    form: tuple[Any, ...] = (tensor.dtype, tensor.layout, tuple(tensor.shape), tensor.requires_grad)
    if tensor.layout != torch.strided or tensor.is_meta:
        return Mark(0, (*form, tensor._version), 0)
    storage, address = tensor.untyped_storage(), tensor.data_ptr()
    form = (*form, tensor.stride(), tensor.storage_offset(), storage.nbytes(), tensor.is_conj(), tensor.is_neg())
    if storage.data_ptr() not in sums:
        plain = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        sums[storage.data_ptr()] = zlib.crc32(plain.cpu().numpy().data)
    return Mark(address, form, sums[storage.data_ptr()])


def _children() -> set[int]:
    """Processes that this thread has started and that are there still; none where the system does not say."""
    try:
        return set(map(int, Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()))
    except OSError:
        return set()


def _end_forked(processes: Iterable[int]) -> None:
    """End those that are copies of this process, and collect those that have ended."""
    for number in processes:
        with suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_bytes()
            if command and command != Path("/proc/self/cmdline").read_bytes():
                continue  # another program, which may still be needed
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)


class Isolation:
    """State that a plug-in's proxy must not change: networks, functions, settings; saved when the first such one runs.

    Args:
        network: the one that is scored; None without one.
        teacher: the one that it is compared with; None without one.
        images: for a forward pass over them.
    """

    def __init__(
        self, network: nn.Module | None = None, teacher: nn.Module | None = None, images: Given | None = None
    ) -> None:
        self._networks = [item for item in (network, teacher) if item is not None]
        self._images = images
        self._snapshots: list[Snapshot] = []
        self._originals: Originals | None = None

    @contextmanager
    def around(self) -> Iterator[list[str]]:
        """Run a proxy in this block; after it the list holds the names of everything that was changed.

        Settings are restored silently; all other changes are named.
        """
        self._save()
        changed: list[str] = []
        children = _children()
        try:
            with kept():
                try:
                    yield changed
                finally:
                    changed += self._originals.restore() if self._originals else []
        finally:
            _end_forked(_children() - children)
            for snapshot in self._snapshots:
                changed += snapshot.restore(self._images)

    def _save(self) -> None:
        if self._originals is None:
            self._originals = Originals(self._networks)
            self._snapshots = [Snapshot(network) for network in self._networks]
