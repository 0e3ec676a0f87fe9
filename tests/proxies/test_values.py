"""Values of the proxies against slow references, closed forms and invariances."""

import math

import pytest
import torch
from torch import nn

import zcbench
from zcbench.streams import numpy_stream

from ..oracles import proxies as references
from .conftest import make_network

ALONE = ["l2_norm", "grad_norm", "snip", "plain", "fisher", "fisher_channel", "synflow", "jacov", "epe_nas", "naswot"]
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


def test_grasp_equals_finite_differences(network, batch):
    """Slow reference: the Hessian product by central differences of the gradient, in float64."""
    images, labels = batch[0].double(), batch[1]
    expected = references.grasp(network, batch)
    assert zcbench.score(network.double(), (images, labels), proxies=["grasp"])["grasp"] == pytest.approx(expected)


def test_gradient_proxies_of_a_linear_classifier(make_batch):
    """Closed form: softmax regression has the weight gradient (P − Y)ᵀX / B."""
    images, labels = make_batch(size=6, side=4)
    layer = nn.Linear(48, 5)
    x = images.flatten(1).double()
    p = (x @ layer.weight.detach().double().T + layer.bias.detach().double()).softmax(1)
    gradient = (p - nn.functional.one_hot(labels, 5)).T @ x / 6
    products = layer.weight.detach().double() * gradient

    scores = zcbench.score(nn.Sequential(nn.Flatten(), layer), (images, labels), proxies=["grad_norm", "snip", "plain"])

    expected = [gradient.norm().item(), products.abs().sum().item(), products.sum().item()]
    assert list(scores.values()) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_naswot_by_hand():
    """Closed form: codes 10 and 01 disagree everywhere, so K = [[2, 0], [0, 2]] and the score is log 4."""
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(2, 2))
    images = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).reshape(2, 1, 1, 2)
    score = zcbench.score(network, (images, torch.tensor([0, 1])), proxies=["naswot"])["naswot"]
    assert score == pytest.approx(math.log(4))


def test_synflow_of_two_linear_layers(make_batch):
    """Closed form: with absolute weights V, W and ones, every layer carries R = 1ᵀ W V 1, so the flow is 2R."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 7, bias=False), nn.ReLU(), nn.Linear(7, 5, bias=False))
    v, w = (network[i].weight.detach().double().abs() for i in (1, 3))
    score = zcbench.score(network, make_batch(side=4), proxies=["synflow"])["synflow"]
    assert score == pytest.approx(math.log(2 * (w @ v).sum().item()))


def gaussian_network(*, norm: bool, channels: int = 64) -> nn.Module:
    middle = [nn.BatchNorm2d(channels)] if norm else []
    conv = nn.Conv2d(3, channels, 1)
    return nn.Sequential(conv, *middle, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5))


def test_zen_of_one_convolution(make_batch):
    """Closed form: Φ is linear, so the change is ε‖W x'‖, whose square has the mean ε² C_out C_in H W."""
    score = zcbench.score(gaussian_network(norm=False), make_batch(side=16), proxies=["zen"])["zen"]
    assert score == pytest.approx(math.log(0.01 * math.sqrt(64 * 3 * 256)), abs=0.1)


def test_zen_of_several_normalisations(network, batch):
    """Slow reference: three normalisations, all their scales; another seed draws other weights and images."""
    for seed in (0, 1):
        (score,) = zcbench.proxies.evaluate(network, batch, ["zen"], seed=seed)
        assert score.value == pytest.approx(references.zen(make_network(), batch, seed), rel=1e-5)


def test_epe_nas_of_many_classes(make_batch):
    """Slow reference: the authors' other rule, beyond 100 classes."""
    network, batch = make_network(num_classes=101), make_batch(size=24, classes=6)
    assert zcbench.score(network, batch, ["epe_nas"])["epe_nas"] == pytest.approx(
        references.epe_nas_many(network, batch), rel=1e-3
    )


def test_zen_gives_back_what_batch_norm_takes(make_batch):
    """Invariance: the scale that a normalisation divides by is added again; acting per channel, hence the tolerance."""
    scores = [
        zcbench.score(gaussian_network(norm=norm), make_batch(side=16), proxies=["zen"])["zen"]
        for norm in (True, False)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.15)


@pytest.mark.parametrize("name", WITH_TEACHER)
def test_a_network_is_no_distance_from_itself(name, network, batch):
    """Closed form: student and teacher are the same network, so the distance is zero."""
    assert zcbench.score(network, batch, proxies=[name], teacher=network)[name] == pytest.approx(0, abs=1e-12)


class Functional(nn.Module):
    """The same ReLUs and pooling as functions instead of modules, with a view instead of a flatten."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.layers = network

    def forward(self, x):
        for layer in self.layers[:-3]:
            x = torch.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
        x = x.mean(dim=(2, 3), keepdim=True)
        return self.layers[-1](x.view(len(x), -1))


@pytest.mark.parametrize("name", ["naswot", "diswot_relation", "zen"])
def test_functions_are_heard_like_modules(name, network, teacher, batch):
    """Invariance: torch.relu and Tensor.mean instead of nn.ReLU and nn.AdaptiveAvgPool2d."""
    scores = [zcbench.score(n, batch, proxies=[name], teacher=teacher)[name] for n in (network, Functional(network))]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_costs_are_measured_as_the_space_counts_them():
    """Independent count: the analytic table of the space."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=1)
    for arch in space.subset("all")[:5]:
        network = space.build(arch, num_classes=7, image_shape=(3, 16, 16))
        counted = zcbench.score(network, (torch.randn(2, 3, 16, 16), torch.tensor([0, 1])), proxies=list(SIZES))
        row = space.costs([arch], num_classes=7, image_shape=(3, 16, 16)).iloc[0]
        assert counted == {name: row[name] for name in SIZES}


@pytest.mark.parametrize("name", [name for name in zcbench.spaces.names() if name != "nasbench201"])
def test_costs_of_every_family(name):
    """Independent count: the space measures shapes alone, attention's products included."""
    space = zcbench.spaces.get(name)
    arch = space.sample(numpy_stream("costs", name), 1)[0]
    side = {"autoformer": 224, "pit": 224, "transnas_macro": 64}.get(name, 32)
    shape = (3, side, side)
    network = space.build(arch, num_classes=7, image_shape=shape)
    counted = zcbench.score(network, (torch.randn(2, *shape), torch.tensor([0, 1])), proxies=["params", "macs"])
    row = space.costs([arch], num_classes=7, image_shape=shape).iloc[0]
    assert counted == {name: row[name] for name in ("params", "macs")}


def test_macs_of_fused_attention():
    """Closed form: PyTorch's encoder layer runs as one kernel in evaluation mode; its products count too."""
    tokens, width, hidden = 16, 8, 12

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(width, 2, hidden, batch_first=True)
            self.head = nn.Linear(width, 2)

        def forward(self, x):
            return self.head(self.layer(x.flatten(2).mT).mean(1))

    score = zcbench.score(Encoder(), (torch.randn(2, width, 4, 4), torch.tensor([0, 1])), proxies=["macs"])
    projections, products = 4 * tokens * width**2, 2 * tokens**2 * width
    assert score == {"macs": projections + products + 2 * tokens * width * hidden + 2 * width}


@pytest.mark.parametrize("name", ["nasbench201", "s0", "resnet", "mobilenetv2", "pit"])
def test_depth_is_that_of_the_space(name, make_batch):
    """Slow reference: the longest path of the built network is what the space says of its string."""
    space = zcbench.spaces.get(name)
    for arch in [space.sample(numpy_stream("depth", seed)) for seed in range(3)]:
        batch = make_batch(2, side=32)
        assert zcbench.score(space.build(arch, seed=0), batch, ["depth"])["depth"] == space.depth(arch)


def test_depth_follows_the_longest_path(make_batch):
    """Closed form: branches of one and two layers, added in place, then a convolution; the classifier is left out.

    The classifier may be a convolution whose output is averaged.
    """

    class Branches(nn.Module):
        def __init__(self, last: nn.Module) -> None:
            super().__init__()
            self.one, self.two = (
                nn.Conv2d(3, 4, 1),
                nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(True), nn.Conv2d(4, 4, 1)),
            )
            self.third, self.last = nn.ConvTranspose2d(4, 5, 2), last

        def forward(self, x):
            y = self.one(x)
            y += self.two(x)
            return self.last(self.third(y).relu_().mean((2, 3)))

    class Written(nn.Module):
        """A convolution that is written into a tensor, and a linear layer that is called last and not used."""

        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.unused = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Linear(5, 2)

        def forward(self, x):
            y = torch.zeros(len(x), 4, *x.shape[2:])
            y[:] = self.one(x)
            logits = self.two(y).mean((2, 3))
            self.unused(logits)
            return logits

    for network, expected in ((Branches(nn.Linear(5, 5)), 3), (Branches(nn.Identity()), 3), (Written(), 1)):
        assert zcbench.score(network, make_batch(2), ["depth"]) == {"depth": expected}


SIZES = ("params", "macs", "n_convs", "depth", "width")


class DeadBranch(nn.Module):
    """A network beside which a branch of zeros is normalised and never used."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.dead = network, nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))

    def forward(self, x):
        self.dead(x * 0)
        return self.network(x)


def test_zen_leaves_dead_normalisations_out(make_batch):
    """Invariance: a normalisation that sees zeros changes nothing; the live weights are drawn first."""
    networks = [gaussian_network(norm=True), DeadBranch(gaussian_network(norm=True))]
    scores = [zcbench.score(network, make_batch(side=16), proxies=["zen"])["zen"] for network in networks]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
