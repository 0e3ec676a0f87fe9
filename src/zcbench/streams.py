"""Random streams derived from a key, so that a number never depends on what was drawn before it."""

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(*key: object) -> int:
    """63-bit seed that is a pure function of ``key``: the first bytes of the SHA-256 of its parts.

    >>> derive("init", "nasbench201", 0) == derive("init", "nasbench201", 0)
    True
    >>> derive("a", "bc") == derive("ab", "c")
    False
    """
    digest = hashlib.sha256(repr(tuple(str(part) for part in key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_stream(*key: object) -> np.random.Generator:
    """NumPy generator of the stream that ``key`` names."""
    return np.random.default_rng(derive(*key))


def torch_stream(*key: object, device: "str | torch.device" = "cpu") -> "torch.Generator":
    """PyTorch generator of the stream that ``key`` names."""
    import torch  # here, so that a list of names starts without it

    return torch.Generator(device=device).manual_seed(derive(*key))


def seed_torch(seed: int) -> None:
    """Set PyTorch's global generators, as ``torch.manual_seed`` does.

    That one notes the stack of its caller for each kind of accelerator that this build of PyTorch might have.
    """
    import torch

    if _has_accelerator():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@cache
def _has_accelerator() -> bool:
    import torch

    kinds = (getattr(torch, name, None) for name in ("cuda", "xpu", "mtia"))
    return torch.backends.mps.is_available() or any(kind is not None and kind.is_available() for kind in kinds)


_lock = threading.RLock()


def _renew() -> None:
    """A forked process begins with a lock of its own: the thread that may hold the old one is not there."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def exclusive() -> Iterator[None]:
    """Only one thread of the process at a time is in such a block; a thread may enter it again.

    For code that borrows what a process has once: PyTorch's global generators, and all other global settings. Do not
    wait in such a block for another thread that enters one.
    """
    with _lock:
        yield


@contextmanager
def seeded(*key: object) -> Iterator[None]:
    """Run a block on PyTorch's global generators as the stream of ``key``, and put their states back afterwards.

    For code that takes no generator, such as the default initialisation of a layer or dropout. Other threads that ask
    for the same wait until the block ends.
    """
    import torch

    with exclusive(), torch.random.fork_rng():
        seed_torch(derive(*key))
        yield


@contextmanager
def own_randomness() -> Iterator[None]:
    """Put the global states of PyTorch, NumPy and ``random`` back after the block; other threads wait for its end."""
    import torch

    with exclusive(), torch.random.fork_rng():
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - what other code may touch
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def seed_everything(*key: object) -> None:
    """Set the global generators to the stream of ``key``; only inside `own_randomness`."""
    seed = derive(*key)
    seed_torch(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
