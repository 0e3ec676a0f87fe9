"""Random streams derived from a key, so that a number never depends on what was drawn before it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
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


def torch_stream(*key: object, device: str | torch.device = "cpu") -> torch.Generator:
    """PyTorch generator of the stream that ``key`` names."""
    return torch.Generator(device=device).manual_seed(derive(*key))


@contextmanager
def seeded(*key: object) -> Iterator[None]:
    """Run a block on PyTorch's global generators as the stream of ``key``, and put their states back afterwards.

    For code that takes no generator, such as the default initialisation of a layer or dropout.
    """
    with torch.random.fork_rng():
        torch.manual_seed(derive(*key))
        yield
