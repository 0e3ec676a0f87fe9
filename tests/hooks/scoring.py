"""Scores of small networks, and their comparison."""

import pytest
import torch

from zcbench.proxies import evaluate


def batch(size=8, side=32):
    images = torch.randn(size, 3, side, side, generator=torch.Generator().manual_seed(0))
    return images, torch.arange(size) % 10


def scores(network, proxies, given=None, teacher=None):
    """Values by proxy; the status where there is none."""
    found = evaluate(network, given or batch(), proxies, teacher=teacher)
    return {score.proxy: score.value if score.status == "ok" else score.status for score in found}


def made(network, *given, seed=0):
    torch.manual_seed(seed)
    return network(*given)


def assert_same(one, other, proxies, given=None):
    """Both networks have the same weights and a value for every proxy."""
    other.load_state_dict(one.state_dict())
    found = [scores(network, proxies, given) for network in (one, other)]
    assert not any(isinstance(value, str) for value in found[0].values()), found[0]
    assert found[1] == pytest.approx(found[0], rel=1e-4)
