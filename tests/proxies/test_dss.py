"""The proxy for vision transformers."""

import copy

import pytest
import torch
from torch import nn

import zcbench
from zcbench.proxies import evaluate
from zcbench.spaces.transformers.layer import TransformerLayer
from zcbench.streams import seeded


class Tiny(nn.Module):
    """Patches, one transformer layer, the mean token, a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.layer, self.head = nn.Conv2d(3, 8, 4, 4), TransformerLayer(8, 2, 4, 16), nn.Linear(8, 5)

    def forward(self, images):
        return self.head(self.layer(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


@pytest.fixture
def tiny():
    with seeded("tests", "dss"):
        return Tiny()


def test_equals_the_slow_reference(tiny, make_batch):
    """Slow reference: absolute weights set, ones, ``backward()``, singular values by a full decomposition."""
    twin = copy.deepcopy(tiny).double()
    for parameter in twin.parameters():
        parameter.data.abs_()
    twin(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()

    def nuclear(matrix):
        return torch.linalg.svd(matrix.detach())[1].sum().item()

    attention = [twin.layer.attention.qkv, twin.layer.attention.projection]
    others = [twin.layer.mlp[0], twin.layer.mlp[2], twin.head]
    expected = sum(nuclear(m.weight) * nuclear(m.weight.grad) for m in attention)
    expected += sum((m.weight.detach() * m.weight.grad).abs().sum().item() for m in others)
    assert zcbench.score(tiny, make_batch(), ["dss"])["dss"] == pytest.approx(expected, rel=1e-9)


def test_convolutional_networks_are_refused_by_name(network, batch):
    """Listed, not applicable, not failed."""
    score = evaluate(network, batch, ["dss"])[0]
    assert (score.status, "vision transformers" in score.reason) == ("not_applicable", True)


def test_pytorch_s_own_transformer(batch):
    """A transformer layer of PyTorch has its attention recognised."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    tiny = Tiny()
    tiny.layer = layer
    assert evaluate(tiny, batch, ["dss"])[0].status == "ok"
