"""Networks that once got wrong numbers, errors or false reasons, with the values that are right."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .scoring import assert_same, batch, made, scores

# The last feature map


class Gated(nn.Module):
    """A gate of squeeze-and-excitation after the first of two convolutions; the last pooling is given."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.excite = nn.Linear(16, 16)
        self.second = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.linear = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x * torch.sigmoid(self.excite(x.mean((2, 3))))[..., None, None]
        return self.linear(self.pool(self.second(x)))


POOLS = {
    "mean": lambda x: x.mean((2, 3)),
    "one axis after the other": lambda x: x.mean(3).mean(2),
    "flattened": lambda x: x.flatten(2).mean(-1),
    "columns first": lambda x: x.sum(2).sum(2) / 256,
    "tokens": lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1, 32).mean(1),
    "product": lambda x: torch.einsum("bchw,hw->bc", x, torch.full((16, 16), 1 / 256).to(x)),
}


@pytest.mark.parametrize("name", POOLS)
def test_the_last_map_does_not_depend_on_the_pooling(name):
    """Closed values, to the digits given: those of a mean over both axes."""
    found = scores(
        made(Gated, POOLS[name]),
        ["zen", "diswot_relation", "kd:sp", "kd:fitnet"],
        teacher=made(Gated, POOLS["mean"], seed=1),
    )
    assert found == pytest.approx(
        {"zen": 2.839376, "diswot_relation": 0.000113, "kd:sp": -0.000113, "kd:fitnet": -0.666523}, abs=1e-6
    )


class GatedHead(Gated):
    """A 1x1 convolution as classifier, behind a gate of two linear layers."""

    def __init__(self, convolution):
        super().__init__(lambda x: F.adaptive_avg_pool2d(x, 1))
        self.linear = nn.Conv2d(32, 10, 1) if convolution else nn.Linear(32, 10)
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        if self.convolution:
            return super().forward(x).flatten(1)
        self.pool = lambda x: x.mean((2, 3))
        return super().forward(x)


def test_the_classifier_is_what_makes_the_logits():
    """Invariance: a linear layer and a 1x1 convolution with its weights, against one teacher."""
    one, other, teacher = made(GatedHead, False), made(GatedHead, True), made(GatedHead, True, seed=1)
    other.load_state_dict({name: t.reshape(other.state_dict()[name].shape) for name, t in one.state_dict().items()})
    names = ["diswot_semantic", "kd:rkd", "kd:crd", "kd:nd", "kd:cka_gap", "kd:fitnet_embedding"]
    found = [scores(network, names, teacher=teacher) for network in (one, other)]
    assert found[0] == pytest.approx(found[1], rel=1e-4) and not any(isinstance(v, str) for v in found[0].values())


# Recurrences


class Rows(nn.Module):
    """The rows of an image as a sequence."""

    def __init__(self, kind):
        super().__init__()
        self.recurrent, self.linear = kind(96, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.recurrent(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])


@pytest.mark.parametrize(("kind", "macs"), [(nn.LSTM, 524_608), (nn.GRU, 393_536), (nn.RNN, 131_392)])
def test_a_recurrence_has_macs_depth_and_weights(kind, macs):
    """Closed form: 32 steps of g·32·(96 + 32) and a classifier of 320; slow reference for snip: Σ |w ∂L/∂w|."""
    network, (images, labels) = made(Rows, kind), batch()
    found = scores(network, ["params", "macs", "depth", "zen", "vkdnw", "gradsign", "snip"])
    F.cross_entropy(network(images), labels).backward()
    weights = [weight for weight in network.parameters() if weight.ndim == 2]
    assert found["snip"] == pytest.approx(sum(float((w * w.grad).abs().sum()) for w in weights), rel=1e-4)
    assert (found["macs"], found["depth"], found["zen"]) == (macs, 1, "not_applicable")
    assert found["params"] == sum(weight.numel() for weight in network.parameters())
    assert found["vkdnw"] > 0 and found["gradsign"] > 0


# Where the images are


class Stack(nn.Module):
    """Two encoder layers on 16 tokens, before or after the images."""

    def __init__(self, batch_first):
        super().__init__()
        self.batch_first, self.embed = batch_first, nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        if self.batch_first:
            return self.linear(self.encoder(tokens).mean(1))
        return self.linear(self.encoder(tokens.transpose(0, 1)).mean(0))


@pytest.mark.parametrize("size", [12, 16])
def test_images_may_be_second_also_with_as_many_tokens(size):
    """Invariance: tokens before images, and with 16 tokens of 16 images."""
    names = ["naswot", "swap", "fisher", "fisher_channel", "snip"]
    assert_same(made(Stack, True), Stack(False), names, batch(size))


class Windows(nn.Module):
    """A perceptron of the channels on windows of a map that are joined with the images, or on the whole map."""

    def __init__(self, cut):
        super().__init__()
        self.cut, self.embed = cut, nn.Conv2d(3, 16, 4, 4)
        self.up, self.down, self.linear = nn.Conv2d(16, 32, 1), nn.Conv2d(32, 16, 1), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        if self.cut:
            x = x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        x = self.down(F.relu(self.up(x)))
        return self.linear((x.unflatten(0, (-1, 4)).mean(1) if self.cut else x).mean((2, 3)))


def test_windows_of_maps():
    """Invariance: the whole map, and four windows of it on the axis of the images."""
    names = ["naswot", "swap", "fisher", "fisher_channel", "snip"]
    assert_same(made(Windows, False), Windows(True), names)


# Weights


class OwnConv(nn.Module):
    """A convolution that is no nn.Conv2d."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=1)


def torch_conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


@pytest.mark.parametrize("convolution", [torch_conv, OwnConv])
def test_weights_of_own_layers(convolution):
    """Closed values, to the digits given: those of the network of nn.Conv2d, with weights drawn one by one."""
    tail = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    network = nn.Sequential(convolution(3, 8), nn.ReLU(), convolution(8, 16), nn.ReLU(), *tail)
    stream = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=stream) * 0.1)
    found = scores(network, ["params", "n_convs", "snip", "l2_norm", "grad_norm", "synflow"])
    expected = {"params": 1538, "n_convs": 2, "snip": 0.176013, "l2_norm": 6.059936, "grad_norm": 0.1502}
    assert found == pytest.approx({**expected, "synflow": 6.041677}, rel=1e-5)


class WithFlags(nn.Module):
    """A flag where other modules hold a parameter."""

    def __init__(self, flag):
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Linear(8, 10)
        if flag:
            self.bias, self.weight, self.norm.flag = False, True, True

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.relu(self.norm(self.conv(x))).mean((2, 3)))


def test_flags_are_no_parameters():
    """Invariance: the network without them."""
    assert_same(made(WithFlags, False), WithFlags(True), ["zen", "vkdnw", "vkdnw_single", "snip"])


class SharedBias(nn.Module):
    """Two convolutions with one bias, in modules or by functions."""

    def __init__(self, functions):
        super().__init__()
        self.functions = functions
        self.one, self.two, self.linear = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 10)
        self.two.bias = self.one.bias

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.one, self.two):
            x = F.relu(F.conv2d(x, layer.weight, self.one.bias) if self.functions else layer(x))
        return self.linear(x.mean((2, 3)))


def test_a_shared_bias():
    """Invariance: modules or functions."""
    assert_same(made(SharedBias, False), SharedBias(True), ["zen", "vkdnw", "vkdnw_single", "snip", "params"])


def test_parameters_of_a_token_are_counted():
    """Closed form: 10 entries of a token, and linear maps of 10·10 + 10 and 3072·10 + 10."""

    class Add(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(10, 10)

        def forward(self, token: Tensor, x: Tensor) -> Tensor:
            return x + self.linear(token)

    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.add = nn.Parameter(torch.zeros(1, 10)), Add()
            self.linear = nn.Linear(3072, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.add(self.token.expand(len(x), 10).view(len(x), 10), self.linear(x.flatten(1)))

    found = scores(made(Token), ["params", "n_convs", "snip"])
    assert (found["params"], found["n_convs"]) == (30_850, 0) and found["snip"] > 0
