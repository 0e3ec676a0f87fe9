from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from zcbench.distill import Outputs
from zcbench.streams import torch_stream

Shape = tuple[int, int, int]


class Pair(NamedTuple):
    student: Outputs
    teacher: Outputs
    labels: Tensor


def make_outputs(
    key: str,
    size: int = 5,
    classes: int = 4,
    stages: tuple[Shape, ...] = ((3, 6, 6), (4, 4, 4), (6, 3, 3)),
    dtype: torch.dtype = torch.float64,
) -> Outputs:
    """Outputs of a network that never was: pooled last stage as embedding, a linear classifier with a bias on it."""
    stream = torch_stream("tests", "outputs", key)
    maps = [torch.randn(size, *stage, generator=stream, dtype=torch.float64).relu() + 0.05 for stage in stages]
    weight = torch.randn(classes, stages[-1][0], generator=stream, dtype=torch.float64)
    bias = torch.randn(classes, generator=stream, dtype=torch.float64)
    leaves = [tensor.to(dtype).requires_grad_() for tensor in [*maps, weight]]
    embedding = leaves[-2].mean((2, 3))
    logits = 2 * linear(embedding, leaves[-1], bias.to(dtype))
    return Outputs(logits, embedding, leaves[-2], leaves[:-1], leaves[-1])


def make_pair(size: int = 5, dtype: torch.dtype = torch.float64) -> Pair:
    """Student and teacher of equal shapes, so that every loss applies without an adapter."""
    labels = torch.tensor([0, 2, 2, 1, 0, 3, 1, 2])[:size]
    return Pair(make_outputs("student", size, dtype=dtype), make_outputs("teacher", size, dtype=dtype), labels)


@pytest.fixture
def pair() -> Pair:
    return make_pair()


@pytest.fixture
def outputs() -> Callable[..., Outputs]:
    return make_outputs
