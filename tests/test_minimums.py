"""The lower bounds of setup.cfg, and the file that 'make test-minimum' installs them from."""

import re
from configparser import ConfigParser
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
PARTS = (
    ("options", "install_requires"),
    *(("options.extras_require", extra) for extra in ("official", "cluster", "test")),
)


def requirements() -> list[str]:
    """Every requirement in setup.cfg, references to other extras left out."""
    config = ConfigParser(interpolation=None)
    assert config.read(ROOT / "setup.cfg")
    lines = [line.strip() for part in PARTS for line in config.get(*part).splitlines()]
    return [line for line in lines if line and not line.startswith("%")]


def test_every_requirement_has_a_lower_bound_and_no_other() -> None:
    """Oracle: the form NAME>=VERSION."""
    assert len(requirements()) > 20
    assert [line for line in requirements() if not re.fullmatch(r"[\w.-]+>=\d[\d.]*", line)] == []


def test_the_constraints_are_the_lower_bounds() -> None:
    """Oracle: setup.cfg; write the file again by replacing '>=' in its requirements by '==', sorted."""
    expected = sorted(line.replace(">=", "==") for line in requirements())
    assert (ROOT / "constraints-minimum.txt").read_text().splitlines() == expected


def test_the_tested_versions_are_not_older_than_the_bounds() -> None:
    """Oracle: constraints.txt, which the tests and CI install."""
    pinned = dict(line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line)
    for line in requirements():
        name, bound = line.lower().split(">=")
        assert _numbers(pinned[name.replace("_", "-")]) >= _numbers(bound), line


@pytest.mark.parametrize("name", ["jinja2", "pyarrow"])
def test_what_pandas_asks_of_its_partners_is_declared(name: str) -> None:
    """Oracle: the least version that the installed pandas takes: with an older one it refuses when it is called."""
    from pandas.compat import _optional

    bounds = dict(line.split(">=") for line in requirements())
    assert _numbers(bounds[name]) >= _numbers(_optional.VERSIONS[name]), pd.__version__


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]
    return tuple(numbers + [0] * (6 - len(numbers)))
