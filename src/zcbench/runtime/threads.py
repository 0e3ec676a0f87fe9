"""Number of threads of PyTorch."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block with this number of threads, and restore the former one afterwards."""
    import torch  # here, so that a ranking of stored scores starts without it

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one thread, as workers do."""
    with threads(1):
        yield
