from collections.abc import Callable

import pytest

import zcbench
from zcbench.distill import Outputs
from zcbench.spaces import NASBench201

from .. import command
from ..distill.conftest import Pair, make_outputs, make_pair
from ..search.conftest import Counted, Strings


@pytest.fixture(scope="session")
def zcbench_command() -> Callable[..., command.Result]:
    return command.zcbench_command


@pytest.fixture(scope="session")
def space() -> NASBench201:
    return zcbench.spaces.get("nasbench201", channels=4, cells=1)


@pytest.fixture
def fails() -> Callable[..., str]:
    return command.fails


@pytest.fixture
def pair() -> Pair:
    return make_pair()


@pytest.fixture
def outputs() -> Callable[..., Outputs]:
    return make_outputs


@pytest.fixture
def strings() -> type[Strings]:
    return Strings


@pytest.fixture
def counted() -> type[Counted]:
    return Counted
