"""VKDNW, and the derivatives of the logits that it reads."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from zcbench.hooks.usage import record_usage
from zcbench.proxies import REGISTRY, Signals, evaluate
from zcbench.proxies.passes import first_entries
from zcbench.proxies.signals.borrowing import borrowed, same_buffers
from zcbench.proxies.signals.signals import Minibatch
from zcbench.streams import torch_stream

from .conftest import make_network


def doubled(batch):
    return batch[0].double(), batch[1]


def value(name, network, batch, **options):
    (score,) = evaluate(network, batch, [name], **options)
    assert score.status == "ok", score
    return score.value


def fisher_by_loops(network, seed, classes=5, images=32, released=False):
    """F of the network with weights drawn anew, image by image and class by class, with p's covariance formed."""
    twin, stream = copy.deepcopy(network).eval(), torch_stream("logit_jacobians", seed)
    for layer in (m for m in twin.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.ConvTranspose2d)):
        fan_in = layer.weight[0].numel()
        layer.weight.data.normal_(generator=stream).mul_(math.sqrt(2 / fan_in))
    for name, parameter in twin.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    x, total = torch.empty(images, 3, 8, 8, dtype=torch.float64).normal_(generator=stream), 0
    for image in x:
        logits, rows = twin(image[None])[0], []
        for logit in logits:
            grads = torch.autograd.grad(logit, list(twin.parameters()), retain_graph=True)
            rows.append(torch.stack([g.flatten()[0] for g in grads]))
        p = logits.detach().softmax(0) * 0.95 + 0.05 / classes
        middle = torch.diag(p) - torch.outer(p, p)
        middle = turned(middle.numpy()) if released else middle
        total += torch.stack(rows).T @ middle @ torch.stack(rows) / images
    return total.numpy()


def turned(covariance):
    """L'L of the singular LL' by Cholesky's algorithm, entry by entry; the last pivot is 0 but for rounding."""
    size = len(covariance)
    factor = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 1):
            left = covariance[i, j] - sum(factor[i, k] * factor[j, k] for k in range(j))
            factor[i, j] = math.sqrt(max(left, 0)) if i == j else left / factor[j, j]
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-12)
    return torch.from_numpy(factor.T @ factor)


def test_vkdnw_equals_the_slow_reference(batch):
    """Slow reference: a backward pass per image and class, NumPy's eigenvalues and percentiles."""
    network = make_network().double()
    deciles = np.percentile(np.linalg.eigvalsh(fisher_by_loops(network, seed=2)), range(10, 100, 10))
    shares = deciles / deciles.sum()
    expected = -(shares * np.log(shares)).sum()
    assert value("vkdnw", network, doubled(batch), seed=2) == pytest.approx(expected, rel=1e-5)
    assert value("vkdnw_single", network, doubled(batch), seed=2) == pytest.approx(expected + 5, rel=1e-6)


def test_vkdnw_released_equals_the_slow_reference(batch):
    """Slow reference: as for `vkdnw`, with the factors of Cholesky's algorithm the wrong way round."""
    network = make_network().double()
    found = np.linalg.eigvalsh(fisher_by_loops(network, seed=2, released=True))
    shares = np.percentile(found, range(10, 100, 10))
    shares = shares / shares.sum()
    expected = -(shares * np.log(shares)).sum()
    assert value("vkdnw_released", network, doubled(batch), seed=2) == pytest.approx(expected, rel=1e-5)
    assert abs(expected - value("vkdnw", network, doubled(batch), seed=2)) > 1e-3


def test_vkdnw_released_depends_on_the_order_of_the_classes():
    """By construction: classes renamed leave the Fisher matrix as it is, and not the one of the released code."""
    generator = torch.Generator().manual_seed(0)
    jacobians, logits = (torch.randn(size, generator=generator).double() for size in ((8, 5, 12), (8, 5)))
    batch, order = Minibatch(torch.zeros(8, 3, 4, 4), torch.zeros(8).long()), torch.tensor([3, 0, 4, 1, 2])
    for name, same in (("vkdnw", True), ("vkdnw_released", False)):
        one, other = (
            REGISTRY.get(name)(Signals({"logit_jacobians": pair}, batch, ["logit_jacobians"]))
            for pair in ((jacobians, logits), (jacobians[:, order], logits[:, order]))
        )
        assert (one == pytest.approx(other, rel=1e-9)) is same


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean((0, 2, 3), keepdim=True)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.position, self.inner = nn.Parameter(torch.randn(1, 16, 8)), nn.Linear(8, 8)

    def forward(self, x):
        return self.inner(x.flatten(2).transpose(1, 2) + self.position).transpose(1, 2).unflatten(2, (4, 4))


def classifier(*layers, channels=8):
    body = nn.Sequential(nn.Conv2d(3, channels, 3, stride=2, padding=1), *layers)
    return nn.Sequential(body, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)).double()


def tied():
    layer, norm = nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.BatchNorm2d(8)
    return classifier(layer, norm, nn.ReLU(), layer, norm)


#: Networks, and whether what reaches the outputs of their layers says all: not where a parameter does something else.
NETWORKS = {
    "residual": (lambda: make_network().double(), True),
    "in place": (lambda: make_network(inplace=True).double(), True),
    "tied": (tied, True),
    "uneven": (lambda: classifier(nn.Conv2d(8, 8, (3, 2), stride=(1, 2), padding=(0, 1), groups=4)), True),
    "no affine": (lambda: classifier(nn.BatchNorm2d(8, affine=False), nn.ReLU(inplace=True)), True),
    "same": (lambda: classifier(nn.Conv2d(8, 8, 3, padding="same")), False),
    "no running statistics": (lambda: classifier(nn.BatchNorm2d(8, track_running_stats=False)), False),
    "group norm": (lambda: classifier(nn.GroupNorm(2, 8)), False),
    "a mean over the batch": (lambda: classifier(Centred(), nn.ReLU(), nn.Conv2d(8, 8, 1)), False),
    "tokens": (lambda: classifier(Tokens()), False),
    "slopes": (lambda: classifier(nn.PReLU(8)), False),
    "transposed": (lambda: classifier(nn.ConvTranspose2d(8, 8, 2)), False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_logit_jacobians_equal_a_loop(name, batch, monkeypatch):
    """Slow reference for every way in which a weight may act, and the short way is taken where it may be."""
    long_way = []
    whole = first_entries._from_weights
    monkeypatch.setattr(first_entries, "_from_weights", lambda *given: long_way.append(name) or whole(*given))
    make, short = NETWORKS[name]
    network = make()
    with borrowed(network), torch.enable_grad():
        given = Minibatch(*doubled(batch))
        with same_buffers(network):
            usage = record_usage(network, given.images)
        jacobians, logits = first_entries.logit_jacobians(network, given, usage, seed=4)["logit_jacobians"]
    p = logits.softmax(1) * 0.95 + 0.05 / 5
    covariance = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    fisher = torch.einsum("bnp,bnm,bmq->pq", jacobians, covariance, jacobians) / len(logits)
    np.testing.assert_allclose(fisher, fisher_by_loops(network, seed=4), rtol=1e-8, atol=1e-12)
    assert bool(long_way) is not short


def test_the_first_weights_of_the_first_tensors(batch):
    """A hundred layers have 200 tensors, of which 128 are read; a constant moves with a bias alone, or not at all."""
    deep = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(99)), nn.Conv2d(3, 5, 8), nn.Flatten())
    bound, still = nn.Sequential(Constant(), nn.Linear(4, 5)), nn.Sequential(nn.Linear(8, 8), Constant(5))
    for network, read, moving in ((deep, 128, 128), (bound, 2, 1), (still, 2, 0)):
        with borrowed(network), torch.enable_grad():
            usage = record_usage(network, batch[0])
            jacobians, _ = first_entries.logit_jacobians(network, Minibatch(*batch), usage, seed=0)["logit_jacobians"]
        assert jacobians.shape == (32, 5, read)
        assert int((jacobians != 0).any(0).any(0).sum()) == moving
    assert evaluate(Constant(5), batch, ["vkdnw"])[0].status == "not_applicable"


class Constant(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.width = width

    def forward(self, x):
        return x.new_zeros(len(x), self.width)


@pytest.mark.parametrize("eigenvalues", [[1.0] * 10, list(range(1, 11)), [0.0] * 4 + [2.0] * 6])
def test_vkdnw_of_a_diagonal_information_matrix(eigenvalues):
    """Closed form: two equally probable classes whose logits ±a move with one weight per image make F = diag(a²)/b."""
    size = len(eigenvalues)
    moves = torch.diag(torch.tensor(eigenvalues).double().sqrt())
    values = {"logit_jacobians": (torch.stack([moves, -moves], dim=1), torch.zeros(size, 2))}
    batch = Minibatch(torch.zeros(size, 3, 4, 4), torch.zeros(size).long())
    deciles = np.percentile(eigenvalues, range(10, 100, 10))
    shares = deciles[deciles > 0] / deciles.sum()
    found = REGISTRY.get("vkdnw")(Signals(values, batch, ["logit_jacobians"]))
    assert found == pytest.approx(-(shares * np.log(shares)).sum())
    assert found <= math.log(9) + 1e-12


def test_vkdnw_is_about_the_architecture_alone(batch, make_batch):
    """Invariance: other weights, running statistics and images change nothing; another seed does."""
    one, other = make_network(), make_network()
    with torch.no_grad():
        other(make_batch()[0] * 5)
        for parameter in other.parameters():
            parameter.mul_(-2)
    scores = [value("vkdnw", one, batch), value("vkdnw", other, (batch[0] + 1, batch[1]))]
    assert scores[0] == scores[1] != value("vkdnw", one, batch, seed=1)
