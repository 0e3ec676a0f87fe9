"""Slow references of the proxies of 2022 to 2026: hooks, ``backward()``, NumPy, loops over images and weights."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from zcbench.streams import torch_stream

from .proxies import layers


def logsynflow(network, batch):
    twin = copy.deepcopy(network).double()
    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            setattr(twin.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], nn.Identity())
    for parameter in twin.parameters():
        parameter.data.abs_()
    twin(torch.ones(1, *batch[0].shape[1:], dtype=torch.float64)).sum().backward()
    pairs = ((m.weight.detach().numpy(), m.weight.grad.numpy()) for m in layers(twin))
    return math.log(sum(np.abs(w * np.log(1 + g)).sum() for w, g in pairs))


def half_gradients(network, batch):
    """Gradients of the layers of each half of the batch, and the sizes of the outputs."""
    middle, found, sizes = len(batch[0]) // 2, [], []
    for half in (slice(None, middle), slice(middle, None)):
        twin = copy.deepcopy(network).train()
        sizes = []
        for module in layers(twin):
            module.register_forward_hook(lambda m, inputs, output, own=sizes: own.append(tuple(output.shape[1:])))
        F.cross_entropy(twin(batch[0][half].clone()), batch[1][half]).backward()
        found.append([m.weight.grad.double().flatten().tolist() for m in layers(twin)])
    return *found, sizes


def zico_bc(network, batch):
    total = 0.0
    for one, other, (channels, *positions) in zip(*half_gradients(network, batch)):
        ratios = [np.mean(np.abs([a, b])) / np.std([a, b]) for a, b in zip(one, other) if a != b]
        total += math.log(sum(ratios)) - math.log(math.prod(positions) / math.sqrt(channels))
    return total


def lswag_gradients(network, batch):
    total = 0.0
    for one, other, _ in zip(*half_gradients(network, batch)):
        spreads = [np.std([abs(a), abs(b)]) for a, b in zip(one, other) if abs(a) != abs(b)]
        total += math.log(sum(1 / spread for spread in spreads))
    return total


def lswag(network, batch):
    twin, patterns = copy.deepcopy(network).train(), set()

    def hook(module, inputs, output):
        signs = (output > 0).reshape(len(output), -1)[:64]
        patterns.update("".join("01"[bit] for bit in column) for column in signs.T.tolist())

    for module in twin.modules():
        if isinstance(module, nn.ReLU | nn.GELU):
            module.register_forward_hook(hook)
    twin(batch[0].clone())
    return lswag_gradients(network, batch) * len(patterns)


def epsinas(network, batch):
    found = []
    for constant in (1e-7, 1.0):
        twin = copy.deepcopy(network).train()
        for module in twin.modules():
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
            if getattr(module, "weight", None) is not None:
                nn.init.constant_(module.weight, constant)
        with torch.no_grad():
            z = twin(batch[0].clone()).double().numpy().flatten()
        p = (z - z.min()) / (z.max() - z.min())
        found.append(np.where(p == 0, np.nan, p))
    return float(np.nanmean(np.abs(found[0] - found[1])) / np.nanmean(found))


def wrcor(network, batch, block_of):
    """``block_of`` says in which block a ReLU lies, by the name of its module."""
    twin, size = copy.deepcopy(network).train(), len(batch[0])
    matrices = []

    def correlate(rows, weight):
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix = np.corrcoef(rows.detach().reshape(size, -1).double().numpy())
        if not np.isnan(matrix).any():
            matrices.append(weight * np.abs(matrix))

    class Watched(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = weight

        def forward(self, x):
            own = x * 1
            correlate(own, self.weight)
            own.register_hook(lambda gradient: correlate(gradient, self.weight))
            return own.relu()

    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.ReLU):
            setattr(twin.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], Watched(2 ** block_of(name)))
    F.cross_entropy(twin(batch[0].clone()), batch[1]).backward()
    return float(np.linalg.slogdet(sum(matrices))[1])


def intrain(network, batch, seed=0, classes=5):
    """The capacity, the resilience, and the score."""
    stream = torch_stream("noise", seed)
    images = torch.randn(batch[0].shape, generator=stream).double()
    labels = torch.randint(classes, (len(images),), generator=stream)
    twin, capacity = copy.deepcopy(network).double().train(), []

    def hook(module, inputs, output):
        rows = output.detach().movedim(1, -1).reshape(-1, output.shape[1]).double().numpy()
        values = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True)) + 1e-10
        capacity.append(math.log(values.sum() ** 2 / (values**2).sum()))

    for module in twin.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(hook)
    F.cross_entropy(twin(images.clone()), labels).backward()
    gradients = [p.grad.double().numpy().flatten() for p in twin.parameters()]
    largest = max(np.abs(g).max() for g in gradients)
    healthy = [g for g in gradients if len(g) > 1 and np.abs(g).max() > 1e-12 * largest]
    resilience = sum(min(1, np.std(g, ddof=1) / (np.abs(g).max() + 1e-10)) for g in healthy)
    return sum(capacity), resilience, sum(capacity) * (1 + resilience) / math.log(len(capacity) + 1)


def v_pca(hidden):
    """Of the outputs ``(B, T, C)`` of the first linear maps."""
    counts = []
    for output in hidden:
        rows = output.detach().reshape(-1, output.shape[-1]).double().numpy()
        shares = np.sort(np.linalg.eigvalsh(np.cov(rows, rowvar=False)))[::-1]
        running, count = 0.0, 0
        while running <= 0.99 * shares.sum():
            running, count = running + shares[count], count + 1
        counts.append(count)
    return sum(counts)
