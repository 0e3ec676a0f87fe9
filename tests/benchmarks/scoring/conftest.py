import textwrap
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.teachers import read_teacher
from zcbench.proxies import REGISTRY
from zcbench.runtime.execution import Execution

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
    """A scoring run with small defaults; keywords, of `scored`, replace them."""

    def start(**given):
        defaults = {"archs": archs, "proxies": PROXIES, "seeds": [0, 1], "out": tmp_path / "run"}
        return scored(**{"space": space, "batch": batch, **defaults, **given})

    return start


def scored(space, batch, archs, proxies, seeds, out, *, teacher=None, notes=None, **options):
    """`score_run` from loose keywords, those of `Execution` and those of `Conditions`; in this process if not told."""
    names = {field.name for field in fields(Execution)}
    how = Execution(**{"workers": 0} | {name: value for name, value in options.items() if name in names})
    kept = {name: value for name, value in options.items() if name not in names}
    choice = read_teacher(teacher, space) if isinstance(teacher, str) else teacher
    return score_run(Conditions(space, batch, choice, **kept), archs, proxies, seeds, out, execution=how, notes=notes)


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
