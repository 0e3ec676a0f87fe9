import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start: bits depend on the number of threads
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .processes import as_before

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the real accuracies and images; without it the test is skipped, with the reason."""
    given = os.environ.get("ZCBENCH_DATA")
    if not given:
        pytest.skip("needs real data: set ZCBENCH_DATA to the folder that holds it")
    folder = Path(given).resolve()
    assert folder.is_dir(), f"ZCBENCH_DATA={given!r} is no folder"
    return folder


@pytest.fixture(autouse=True)
def same_draws() -> Iterator[None]:
    """What a test draws and its number of threads do not depend on the tests before it in its process."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(autouse=True, scope="module")
def registries_as_before() -> Iterator[None]:
    """What a module's tests register is forgotten after them: one process runs many modules, in any order."""
    with as_before():
        yield
