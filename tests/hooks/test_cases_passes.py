"""Calls and passes that some networks do not take: computed in another way, or what rests on them is refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

import zcbench
from zcbench.errors import BatchError

from .networks import Attention, ConvNet, Swish
from .scoring import assert_same, batch, made, scores

# Calls


class ByKeyword(Attention):
    """An attention module, called by position or by keyword."""

    def __init__(self, keyword):
        super().__init__()
        del self.qkv, self.out
        self.attention, self.keyword = nn.MultiheadAttention(16, 2, batch_first=True), keyword

    def attend(self, tokens: Tensor) -> Tensor:
        if self.keyword:
            return self.attention(query=tokens, key=tokens, value=tokens)[0]
        return self.attention(tokens, tokens, tokens)[0]


def test_layers_called_by_keyword():
    """Invariance: the call by position."""
    names = ["snip", "jacov", "near", "fisher", "zico", "synflow", "gradsign"]
    assert_same(made(ByKeyword, False), ByKeyword(True), names, batch(side=16))


class WrittenOut(Attention):
    """A softmax and two products in place of the fused attention, which has no second derivative."""

    def heads(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.mT / 8**0.5).softmax(-1) @ v


def test_fused_attention_has_second_derivatives():
    """Invariance: the attention written out."""
    assert_same(made(WrittenOut), Attention(), ["grasp", "dextr", "gradsign", "te_nas_ntk"], batch(side=16))


def test_mobile_networks_have_a_default_score():
    """Contract: hard activation functions have no second derivative, which ends no call without a list."""
    layers = (nn.Conv2d(3, 8, 3), nn.Hardswish(), nn.Conv2d(8, 8, 3), nn.Hardsigmoid())
    found = zcbench.score(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)), batch())
    assert {"grasp", "dextr", "snip"} <= set(found)


def residual(activation, inplace):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.norm, self.activation = (
                nn.Conv2d(3, 8, 3, padding=1),
                nn.BatchNorm2d(8),
                activation(inplace),
            )
            self.conv, self.linear = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.linear((x + self.conv(self.activation(self.norm(x)))).mean((2, 3)))

    return Block()


def twice_rectified(inplace):
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(inplace), nn.BatchNorm2d(8), nn.ReLU(inplace), nn.Conv2d(8, 8, 3))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


IN_PLACE = {
    "Hardswish": lambda inplace: residual(nn.Hardswish, inplace),
    "ReLU": lambda inplace: residual(nn.ReLU, inplace),
    "SiLU": lambda inplace: residual(nn.SiLU, inplace),
    "relu, norm, relu": twice_rectified,
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_behind_a_normalisation(name):
    """Invariance: not in place. Without the normalisation they would overwrite what the shortcut carries."""
    assert_same(made(IN_PLACE[name], False), IN_PLACE[name](True), ["synflow", "snip", "zen", "fisher"])


# Passes


class Pooled(nn.Module):
    """A convolution and a classifier; how the pooled map loses its axes is given."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.conv, self.linear = shape, nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.shape(F.adaptive_avg_pool2d(F.relu(self.conv(x)), 1)))


def test_a_pass_of_one_image_that_fails_takes_no_other_with_it():
    """Invariance: squeeze() drops the axis of a single image; all proxies have the value of flatten, or refuse."""
    flat, squeezed = made(Pooled, lambda x: x.flatten(1)), Pooled(lambda x: x.squeeze())
    names = ["snip", "naswot", "macs", "params", "synflow", "fisher", "kd:kd", "gradsign", "vkdnw"]
    squeezed.load_state_dict(flat.state_dict())
    expected, found = (scores(network, names, teacher=flat) for network in (flat, squeezed))
    for name, value in found.items():
        assert value in ("not_applicable", pytest.approx(expected[name], rel=1e-4)), name
    assert not any(isinstance(found[name], str) for name in ("snip", "naswot", "macs", "params", "fisher", "kd:kd"))


def written(x):
    out = torch.zeros(x.shape, dtype=x.dtype)
    out[:, :4] = x[:, :4]
    return out


class Step(nn.Module):
    """A function between a convolution and the pooling."""

    def __init__(self, step):
        super().__init__()
        self.step, self.conv, self.linear = step, nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.step(self.conv(x)).mean((2, 3)))


STEPS = {
    "autograd function": (F.silu, Swish.apply),
    "writing": (lambda x: F.pad(x[:, :4], (0, 0, 0, 0, 0, 4)), written),
}


@pytest.mark.parametrize("name", STEPS)
def test_gradients_of_each_image_where_vmap_does_not_apply(name):
    """Invariance: a function of PyTorch in its place."""
    plain, odd = STEPS[name]
    assert_same(made(Step, plain), Step(odd), ["gradsign", "vkdnw", "te_nas_ntk", "snip"])


def one_logit():
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(8, 1))


def test_one_logit_is_that_of_two_classes():
    """Closed form: its binary cross-entropy is the cross-entropy of the logits (0, z)."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = one_logit()

        def forward(self, x):
            z = self.network(x)
            return torch.cat((torch.zeros_like(z), z), dim=1)

    names = ["grad_norm", "snip", "fisher", "plain", "grasp", "gradsign", "zico", "te_nas_ntk", "jacov", "epe_nas"]
    names += ["vkdnw", "params", "macs", "naswot", "synflow"]
    images, labels = batch()
    one, two = (scores(made(make), names, (images, labels % 2)) for make in (one_logit, Two))
    assert one == pytest.approx(two, rel=1e-4)


def test_labels_of_no_loss():
    """Bad input: the sentence names the labels and what the network has."""
    images, labels = batch()
    with pytest.raises(BatchError, match=r"labels of whole numbers \(B,\) for an output \(B, 1\), which fit no loss"):
        scores(one_logit(), ["snip"], (images, labels))


def test_an_exported_module_is_refused_in_words():
    """Bad input: it hides its layers and fixes its mode; the sentence says what to give."""
    exported = torch.export.export(ConvNet(), (torch.randn(8, 3, 16, 16),)).module()
    with pytest.raises(BatchError, match=r"torch\.export.*Give the module it was made from"):
        scores(exported, ["params", "snip"], batch(side=16))


class OwnTrain(nn.Sequential):
    """Its ``train`` is a loop over data."""

    def train(self, loader, epochs): ...


def layers():
    return (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def test_a_train_of_its_own():
    """Invariance: the same layers in a Sequential of PyTorch."""
    plain = nn.Sequential(*made(layers))
    assert_same(plain, OwnTrain(*layers()), ["params", "snip", "naswot", "zen", "fisher"])


def test_pruned_weights_are_scored():
    """Slow reference for snip: Σ |w ∂L/∂w| of the weights as they are used."""
    network, (images, labels) = nn.Sequential(*made(layers)), batch()
    prune.random_unstructured(network[0], "weight", 0.3)
    found = scores(network, ["snip", "params"])
    F.cross_entropy(network(images), labels).backward()
    kept, head = network[0].weight_orig, network[4].weight
    expected = float((kept * kept.grad).abs().sum() + (head * head.grad).abs().sum())
    assert found == pytest.approx({"snip": expected, "params": 314}, rel=1e-4)


CONSTANTS = {
    "positions": lambda x: x + torch.linspace(0, 1, x.shape[-1]),
    "zeros": lambda x: x + torch.zeros(x.shape),
    "a list": lambda x: x * torch.tensor([1.0] * 8)[:, None, None],
    "a grid": lambda x: F.grid_sample(x, F.affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape))),
    "a matrix": lambda x: x @ torch.eye(x.shape[-1]),
    "joined": lambda x: torch.cat([x, torch.ones(len(x), 8, 1, x.shape[3])], 2),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_float32_constants_in_passes_of_double_precision(name):
    """Invariance: the constant in the type of the map."""
    step = CONSTANTS[name]

    def typed(x):
        return step(x.float()).to(x.dtype)

    assert_same(made(Step, typed), Step(step), ["synflow", "snip"])
