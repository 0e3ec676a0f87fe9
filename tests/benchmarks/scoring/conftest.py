import textwrap
from pathlib import Path

import pandas as pd
import pytest

from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.run import score_run
from zcbench.proxies import REGISTRY

PROXIES = ["params", "synflow", "naswot"]


@pytest.fixture(scope="session")
def space():
    return spaces.get("nasbench201", channels=4, cells=1)


@pytest.fixture(scope="session")
def batch():
    return datasets.batch(datasets.load("digits"), 8)


@pytest.fixture(scope="session")
def archs(space):
    return [space[i] for i in (1462, 6111, 14000, 10676)]


@pytest.fixture
def run(space, archs, batch, tmp_path):
    """A scoring run with small defaults; keywords replace them."""

    def start(**given):
        defaults = {"archs": archs, "proxies": PROXIES, "seeds": [0, 1], "out": tmp_path / "run", "workers": 0}
        return score_run(**{"space": space, "batch": batch, **defaults, **given})

    return start


@pytest.fixture
def plugin(tmp_path):
    """Writes a plug-in file and gives its path; what it registered is forgotten when the test ends."""
    REGISTRY.names()  # what is built in stays
    known = dict(REGISTRY._items)

    def write(code: str) -> Path:
        file = tmp_path / "plugin.py"
        header = "import os, signal, time\nfrom pathlib import Path\nfrom zcbench import proxy\n"
        file.write_text(header + textwrap.dedent(code))
        return file

    yield write
    REGISTRY._items.clear()
    REGISTRY._items.update(known)


@pytest.fixture
def values():
    """The part of a table of scores that two runs must share, bit for bit."""

    def pick(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.drop(columns="seconds").sort_values(["arch", "seed", "proxy"], ignore_index=True)

    return pick
