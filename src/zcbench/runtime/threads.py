"""Number of threads of PyTorch."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one thread, as workers do, and restore the number of threads afterwards."""
    import torch  # here, so that a ranking of stored scores starts without it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
