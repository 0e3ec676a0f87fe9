"""Convolutions of the pass with constant weights."""

import pytest
import torch
import torch.nn.functional as F

from zcbench.proxies.passes.constant import _OfConstants

SETTINGS = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": "same", "dilation": 2},
    {"padding": (1, 0), "bias": torch.arange(6.0, dtype=torch.float64)},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_equal_weights(settings: dict) -> None:
    """Slow reference: PyTorch's convolution; the same for grouped ones, and bit for bit for other weights."""
    images = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    for value, groups in ((1.0, 1), (1e-7, 1), (1.0, 2)):
        weight = torch.full((6, 4 // groups, 3, 3), value, dtype=torch.float64)
        expected = F.conv2d(images, weight, groups=groups, **settings)
        with _OfConstants([weight]):
            torch.testing.assert_close(
                F.conv2d(images, weight, groups=groups, **settings), expected, rtol=1e-12, atol=0
            )
    other = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    expected = F.conv2d(images, other, **settings)
    with _OfConstants([weight]):
        assert torch.equal(F.conv2d(images, other, **settings), expected)


def test_positional_arguments() -> None:
    """Slow reference: the same with all arguments by position."""
    images, weight = torch.randn(2, 4, 9, 8, dtype=torch.float64), torch.full((6, 1, 3, 3), 0.5, dtype=torch.float64)
    weight = weight.repeat(1, 2, 1, 1)
    expected = F.conv2d(images, weight, None, 1, 1, 1, 2)
    with _OfConstants([weight]):
        torch.testing.assert_close(F.conv2d(images, weight, None, 1, 1, 1, 2), expected, rtol=1e-12, atol=0)
