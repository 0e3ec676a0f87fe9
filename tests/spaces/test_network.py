"""Built networks: the published function, and weights that depend on nothing but the arguments."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zcbench.spaces
from zcbench.errors import ArchitectureError, UnknownNameError
from zcbench.spaces import NASBench201, SpaceError
from zcbench.spaces.nasbench201 import cell

IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def _normalise(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    return F.batch_norm(x, None, None, weights[f"{name}.weight"], weights[f"{name}.bias"], training=True)


def _conv(x: Tensor, weights: dict[str, Tensor], name: str, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.1.weight"]
    x = F.conv2d(F.relu(x), kernel, stride=stride, padding=kernel.shape[-1] // 2)
    return _normalise(x, weights, f"{name}.2")


def _pool(x: Tensor) -> Tensor:
    inside = F.avg_pool2d(torch.ones_like(x), 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1) / inside  # the mean over those pixels of the window that are in the image


def _published_cell(x: Tensor, arch: str, weights: dict[str, Tensor], name: str) -> Tensor:
    nodes, operations = [x], iter(cell.parse(arch))
    for target in (1, 2, 3):
        total = torch.zeros_like(x)
        for source in range(target):
            operation = next(operations)
            if operation == "skip_connect":
                total = total + nodes[source]
            elif operation == "avg_pool_3x3":
                total = total + _pool(nodes[source])
            elif operation != "none":
                total = total + _conv(nodes[source], weights, f"{name}.edges.{source}_{target}")
        nodes.append(total)
    return nodes[3]


def _published(x: Tensor, arch: str, cells: int, weights: dict[str, Tensor]) -> Tensor:
    """The network of the paper's figure 1, written with functions only."""
    x = _normalise(F.conv2d(x, weights["stem.0.weight"], padding=1), weights, "stem.1")
    for stage in (1, 2, 3):
        for index in range(cells):
            x = _published_cell(x, arch, weights, f"stage{stage}.{index}")
        if stage < 3:
            block = f"reduction{stage}"
            main = _conv(_conv(x, weights, f"{block}.conv_a", stride=2), weights, f"{block}.conv_b")
            x = main + F.conv2d(F.avg_pool2d(x, 2), weights[f"{block}.shortcut.1.weight"])
    x = F.relu(_normalise(x, weights, "last.0")).mean(dim=(2, 3))
    return F.linear(x, weights["classifier.weight"], weights["classifier.bias"])


def test_logits_equal_the_published_network(some: list[str]) -> None:
    """Slow reference: the same layers as functions, with explicit zeros, on the same weights in float64."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=2)
    for arch in some:
        network = space.build(arch, image_shape=(3, 16, 16)).double()
        expected = _published(IMAGES.double(), arch, 2, dict(network.named_parameters()))
        torch.testing.assert_close(network(IMAGES.double()), expected)


def test_gradients_exist_where_the_cell_is_cut_off(tiny: NASBench201) -> None:
    """Closed form: an empty cell passes zeros on, so the images' gradient is there and zero."""
    network = tiny.build("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    images = IMAGES.clone().requires_grad_()
    network(images).sum().backward()
    assert images.grad is not None
    assert not images.grad.any()


def test_every_convolution_of_a_cell_has_its_own_relu(tiny: NASBench201, all_3x3: str) -> None:
    """Closed form: 6 in each of 3 cells, 2 in each of 2 blocks, and the last; none works in place."""
    relus = [layer for layer in tiny.build(all_3x3).modules() if isinstance(layer, nn.ReLU)]
    assert len(relus) == 6 * 3 + 2 * 2 + 1
    assert not any(relu.inplace for relu in relus)


def test_weights_depend_on_the_arguments_alone(tiny: NASBench201, some: list[str]) -> None:
    """Invariance: the same bits whatever was drawn or built before, and global states as they were."""
    first = tiny.build(some[0], seed=1).state_dict()
    torch.rand(5)
    tiny.build(some[1])
    state = torch.get_rng_state()
    second = zcbench.spaces.get("nasbench201", channels=4, cells=1).build(some[0], seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_argument_changes_the_weights(tiny: NASBench201, some: list[str]) -> None:
    """Invariance: another seed, class count, shape or initialisation draws another stem."""
    choices = [{}, {"seed": 1}, {"num_classes": 11}, {"image_shape": (3, 16, 16)}, {"init": "normal"}]
    stems = [tiny.build(some[0], **choice).stem[0].weight.sum().item() for choice in choices]
    stems.append(tiny.build(some[1]).stem[0].weight.sum().item())
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize(
    ("init", "conv_deviation", "linear_deviation"),
    [
        ("default", (1 / (3 * 64 * 9)) ** 0.5, (1 / (3 * 64)) ** 0.5),
        ("kaiming", (2 / (64 * 9)) ** 0.5, 0.01),
        ("xavier", (2 / (2 * 64 * 9)) ** 0.5, (2 / (64 + 100)) ** 0.5),
        ("normal", 1.0, 1.0),
    ],
)
def test_initialisations(
    space: NASBench201, all_3x3: str, init: str, conv_deviation: float, linear_deviation: float
) -> None:
    """Closed form: standard deviations of a 64-channel 3x3 convolution and of the classifier; BN starts at 1 and 0."""
    network = space.build(all_3x3, num_classes=100, init=init)
    convolution = network.stage3[0].edges["0_1"][1].weight
    assert convolution.std().item() == pytest.approx(conv_deviation, rel=0.03)
    assert network.classifier.weight.std().item() == pytest.approx(linear_deviation, rel=0.05)
    assert bool(network.classifier.bias.any()) is (init == "default")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert bool((layer.weight == 1).all())
            assert not layer.bias.any()


def test_default_is_pytorchs_own(tiny: NASBench201, some: list[str]) -> None:
    """Closed form: the first layer drawn is the stem, uniform within 1 / sqrt(fan-in), from the derived stream."""
    with zcbench.streams.seeded("init", tiny.spec, some[0], "default", 10, (3, 32, 32), 0):
        expected = nn.Conv2d(3, 4, 3, padding=1, bias=False).weight
    assert torch.equal(tiny.build(some[0]).stem[0].weight, expected)


def test_networks_can_be_copied(tiny: NASBench201, some: list[str]) -> None:
    """Invariance: a deep copy has the same logits."""
    network = tiny.build(some[0]).eval()
    assert torch.equal(copy.deepcopy(network)(IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_classes": 0}, SpaceError, "num_classes=0. Expected: a whole number of at least 1"),
        ({"num_classes": 2.5}, SpaceError, "num_classes=2.5"),
        ({"image_shape": (3, 30, 32)}, SpaceError, "multiples of 4"),
        ({"image_shape": (0, 32, 32)}, SpaceError, "image shape"),
        ({"image_shape": (32, 32)}, SpaceError, r"\(channels, height, width\)"),
        ({"image_shape": (3, 32.0, 32)}, SpaceError, "image shape"),
        ({"image_shape": 32}, SpaceError, "image shape 32"),
        ({"init": "kaimin"}, UnknownNameError, "Did you mean 'kaiming'"),
        ({"arch": "|none~0|"}, ArchitectureError, "1 nodes"),
    ],
)
def test_bad_options(
    tiny: NASBench201, some: list[str], options: dict[str, object], error: type[Exception], message: str
) -> None:
    """Closed form: what is out of range is an error before anything is built."""
    with pytest.raises(error, match=message):
        tiny.build(**{"arch": some[0], **options})
