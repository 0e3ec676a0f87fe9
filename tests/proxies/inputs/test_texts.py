"""Proxies without data on texts: the vectors of the tokens are drawn, and a sequence is a map of height 1."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from zcbench.proxies import score
from zcbench.streams import torch_stream

from ...oracles.tasks import layers
from .test_calls import Encoder
from .test_tasks import Text, text


def transformer() -> tuple[Encoder, dict[str, Tensor]]:
    torch.manual_seed(0)
    batch = text()
    del batch["attention_mask"]
    return Encoder(first=True), batch


def entropy(tokens: Tensor) -> float:
    values = np.linalg.eigvalsh(np.cov(tokens.detach().double().reshape(-1, tokens.shape[2]).numpy().T))
    shares = values / values.sum()
    return float(-(shares * np.log(shares)).sum())


def test_blocks_of_a_transformer():
    """Slow reference: the layers of the encoder one by one, a covariance of tokens and an outer product for each."""
    network, batch = transformer()
    stream, maps = torch_stream("blocks", 0), []
    vectors = torch.empty(16, 9, 8).normal_(generator=stream)
    for layer in network.encoder.layers:
        maps.append(layer(maps[-1].detach() if maps else vectors))
    signs = [(2 * torch.randint(2, (16, 8, 1, 9), dtype=torch.int8, generator=stream) - 1).float() for _ in maps[1:]]
    norms = []
    for layer, before, sign in zip(network.encoder.layers[1:], maps, signs):
        source, target = before.detach().requires_grad_(), sign[:, :, 0].mT
        layer(source).backward(target)
        products = [np.outer(a, b) for a, b in zip(source.grad.reshape(-1, 8).numpy(), target.reshape(-1, 8).numpy())]
        norms.append(np.linalg.svd(np.mean(products, axis=0), compute_uv=False)[0])
    entropies = [entropy(tokens) for tokens in maps]
    expected = {
        "az_expressivity": sum(entropies),
        "az_progressivity": min(np.diff(entropies)),
        "az_trainability": np.mean([2 - norm - 1 / (norm + 1e-6) for norm in norms]),
    }
    assert score(network, batch, list(expected)) == pytest.approx(expected, rel=1e-3)


def test_zen_of_an_encoder():
    """Slow reference: weights, vectors and their changes from the stream of the pass, one after the other."""
    torch.manual_seed(0)
    network, batch, stream = Text(), text(), torch_stream("gaussian_response", 0)
    found = score(network, batch, ["zen"])["zen"]
    for layer in layers(network):
        shape = layer.weight.shape
        turned = isinstance(layer, torch.nn.Embedding)
        drawn = torch.empty(shape[::-1] if turned else shape).normal_(generator=stream)
        layer.weight.data = drawn.T if turned else drawn
    for module in network.modules():
        if getattr(module, "bias", None) is not None:
            torch.nn.init.zeros_(module.bias)
    one, other = (torch.empty(16, 9, 8).normal_(generator=stream) for _ in range(2))
    maps = [features(network, vectors, batch["attention_mask"]) for vectors in (one, one + 0.01 * other)]
    change = (maps[0] - maps[1]).flatten(1).double().norm(dim=1).mean()
    assert found == pytest.approx(math.log(change), rel=1e-4)


def features(network: Text, vectors: Tensor, mask: Tensor) -> Tensor:
    """The last sequence of tokens for the vectors in place of those that the embedding looks up."""
    kept = []
    network.norm.register_forward_hook(lambda module, inputs, output: kept.append(output.detach()))
    handle = network.embed.register_forward_hook(lambda module, inputs, output: vectors)
    network(torch.zeros(16, 9).long(), mask)
    handle.remove()
    return kept[-1]
