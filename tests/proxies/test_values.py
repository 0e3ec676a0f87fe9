"""Values of the proxies against slow references, closed forms and invariances."""

import math

import pytest
import torch
from torch import nn

import zcbench

from . import references
from .conftest import make_network

ALONE = ["l2_norm", "grad_norm", "snip", "plain", "fisher", "synflow", "jacov", "epe_nas", "naswot"]
WITH_TEACHER = ["diswot_relation", "diswot_semantic"]


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", ALONE)
def test_equals_the_slow_reference(name, inplace, batch):
    """Slow reference: modules, deep copies and loops; in-place ReLUs change nothing."""
    network = make_network(inplace=inplace)
    expected = getattr(references, name)(make_network(), batch)
    assert zcbench.score(network, batch, proxies=[name])[name] == pytest.approx(expected, rel=2e-4, abs=1e-5)


@pytest.mark.parametrize("name", WITH_TEACHER)
def test_distance_to_a_teacher_equals_the_slow_reference(name, network, teacher, batch):
    """Slow reference: class by class and with every C x C matrix formed."""
    expected = getattr(references, name)(network, batch, teacher)
    assert zcbench.score(network, batch, proxies=[name], teacher=teacher)[name] == pytest.approx(expected, rel=1e-4)
