import numpy as np
import pytest

import zcbench.spaces
from zcbench.spaces import NASBench201

ALL_3X3 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"


@pytest.fixture(scope="session")
def space() -> NASBench201:
    return zcbench.spaces.get("nasbench201")


@pytest.fixture(scope="session")
def tiny() -> NASBench201:
    return zcbench.spaces.get("nasbench201", channels=4, cells=1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def all_3x3() -> str:
    return ALL_3X3


@pytest.fixture(scope="session")
def some(space: NASBench201) -> list[str]:
    """Twelve drawn cells, and the corner cases: all 3x3, empty, cut off, convolutions fed by or feeding zeros."""
    return [
        *space.sample(np.random.default_rng(3), 12),
        ALL_3X3,
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|",
    ]
