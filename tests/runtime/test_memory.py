"""What a worker gives back to the system."""

import ctypes
import sys

import pytest

from zcbench.runtime.memory import give_back, resident

BLOCK, COUNT = 100_000, 2000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc, which keeps what is freed")
def test_freed_blocks_are_given_back():
    """Closed form: 200 MB in blocks too small to be mapped one by one, freed under one that stays."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("needs glibc, which keeps what is freed")
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks[:-1]:
        libc.free(block)
    held = resident()
    give_back(limit=2 * held)
    assert resident() > held - BLOCK * COUNT / 2  # below the limit nothing happens
    give_back(limit=0)
    assert resident() < held - BLOCK * COUNT / 2
    libc.free(blocks[-1])


def test_resident_memory_is_that_of_the_process():
    """Independent figure: the page counts of /proc/self/statm."""
    try:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:
        assert resident() == 0
        return
    assert resident() == pytest.approx(pages * 4096, rel=0.1)
