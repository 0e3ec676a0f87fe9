import os
from pathlib import Path

import pytest
import torch

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
