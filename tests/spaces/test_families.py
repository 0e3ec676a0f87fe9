"""The networks of the distillation literature and the transformers: sizes, functions, weights."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zcbench.spaces
from zcbench.errors import UnknownNameError
from zcbench.spaces import ProductSpace, SpaceError
from zcbench.spaces.measuring import measure
from zcbench.spaces.transformers.autoformer import AutoFormerNetwork
from zcbench.spaces.transformers.layer import Attention, TransformerLayer
from zcbench.spaces.transformers.pit import PiTNetwork
from zcbench.spaces.transformers.pvt import ReducedAttention
from zcbench.spaces.transformers.t2t import RandomFeatureLayer
from zcbench.streams import numpy_stream

#: One small network of each space, and an image that it takes.
SMALL = [
    ("s0", "131", (3, 16, 16)),
    ("resnet", "1-2-1@8-16-24-32", (1, 16, 8)),
    ("resnet_large", "32/b5x16x1/n3x32x2/b7x64x1/n5x128x1", (3, 64, 32)),
    ("wrn", "16-2", (3, 8, 8)),
    ("wrn", "10-1", (3, 8, 8)),
    ("vgg", "vgg8", (3, 16, 16)),
    ("vgg", "vgg11", (3, 64, 64)),
    ("mobilenetv2", "2-0.25", (3, 32, 32)),
    ("shufflenet", "v1", (3, 8, 8)),
    ("shufflenet", "v2-0.5", (2, 16, 16)),
    ("autoformer", "192/" + ",".join(["3.5x3", "4x4"] * 6), (3, 32, 48)),
    ("pit", "16/2/1-4-2/2-4-8", (3, 32, 40)),
    ("deit(patch=4)", "16/3/2/3", (3, 16, 24)),
    ("t2t(stride=1)", "16/2/2/3", (2, 8, 16)),
    ("pvt(patch=1)", "16/4-4-4-4/1-2-1-1/1-1-2-4", (3, 16, 24)),
]
IMAGE = (3, 224, 224)


def _space(name: str) -> ProductSpace:
    space = zcbench.spaces.get(name)
    assert isinstance(space, ProductSpace)
    return space


@pytest.mark.parametrize(
    ("space", "arch", "millions"),
    [
        ("resnet", "resnet8", 0.08),
        ("resnet", "resnet14", 0.18),
        ("resnet", "resnet20", 0.28),
        ("resnet", "resnet32", 0.47),
        ("resnet", "resnet44", 0.67),
        ("resnet", "resnet56", 0.86),
        ("resnet", "resnet110", 1.74),
        ("resnet", "resnet8x4", 1.23),
        ("resnet", "resnet32x4", 7.43),
        ("wrn", "wrn_16_1", 0.18),
        ("wrn", "wrn_16_2", 0.70),
        ("wrn", "wrn_40_1", 0.57),
        ("wrn", "wrn_40_2", 2.26),
        ("vgg", "vgg8", 3.97),
        ("vgg", "vgg13", 9.46),
        ("mobilenetv2", "mobilenetv2", 0.81),
        ("shufflenet", "ShuffleV1", 0.95),
        ("shufflenet", "ShuffleV2", 1.36),
    ],
)
def test_published_parameters(space: str, arch: str, millions: float) -> None:
    """Published: millions of parameters at 100 classes, as papers on distillation print them."""
    assert round(_space(space).params(arch, num_classes=100) / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("space", "teacher", "student", "ratio"),
    [
        ("wrn", "40-2", "16-2", 3.21),
        ("wrn", "40-2", "40-1", 3.96),
        ("resnet", "resnet56", "resnet20", 3.10),
        ("resnet", "resnet110", "resnet20", 6.24),
        ("resnet", "resnet110", "resnet32", 3.67),
        ("resnet", "resnet32x4", "resnet8x4", 6.03),
        ("vgg", "vgg13", "vgg8", 2.39),
    ],
)
def test_published_compression_ratios(space: str, teacher: str, student: str, ratio: float) -> None:
    """Published: parameters of the teacher over those of the student, arXiv:2303.07599, table 1."""
    sizes = [_space(space).params(arch, num_classes=100) for arch in (teacher, student)]
    assert sizes[0] / sizes[1] == pytest.approx(ratio, abs=0.006)


@pytest.mark.parametrize(
    ("arch", "params", "macs"),
    [("resnet18", 11689512, 1.8e9), ("resnet34", 21797672, 3.6e9), ("resnet50", 25557032, 4.1e9)],
)
def test_published_sizes_of_large_resnets(arch: str, params: int, macs: float) -> None:
    """Published: torchvision's parameters at 1,000 classes, and the multiply-adds of the paper's table 1 within 8 %."""
    space = _space("resnet_large")
    assert space.params(arch, 1000, IMAGE) == params
    assert space.macs(arch, 1000, IMAGE) == pytest.approx(macs, rel=0.08)


def test_published_macs_of_resnets() -> None:
    """Published: 40.81 M and 125.75 M for ResNet-20 and -56 (D-X-Y/AutoDL-Projects); 36.5 M parameters in WRN-28-10."""
    resnets = _space("resnet").costs(["resnet20", "resnet56"])["macs"] / 1e6
    assert resnets.tolist() == pytest.approx([40.81, 125.75], abs=0.01)
    assert _space("wrn").params("28-10") == pytest.approx(36.5e6, rel=0.002)


@pytest.mark.parametrize(
    ("head_channels", "heads", "params", "macs"),
    [(32, (2, 4, 8), 4.85, 0.71), (48, (2, 4, 8), 10.61, 1.4), (48, (3, 6, 12), 23.46, 2.9)],
)
def test_published_sizes_of_pit(head_channels: int, heads: tuple[int, ...], params: float, macs: float) -> None:
    """Published: PiT-Ti, -XS and -S, naver-ai/pit: 4.9, 10.6 and 23.5 M; 0.71, 1.4 and 2.9 G, the latter within 2 %."""
    cost = measure(lambda: PiTNetwork(head_channels, 4, (2, 6, 4), heads, IMAGE, 1000), IMAGE)
    assert cost.params / 1e6 == pytest.approx(params, abs=0.01)
    assert cost.macs / 1e9 == pytest.approx(macs, rel=0.02)


def test_published_sizes_of_autoformer() -> None:
    """Published: AutoFormer-T, 5.7 M and 1.3 G (arXiv:2107.00651); 64 channels a head, without relative positions."""
    ratios = (3.5, 3.5, 3.0, 3.5, 3.0, 3.0, 4.0, 4.0, 3.5, 4.0, 3.5, 4.0, 3.5)
    layers = list(zip(ratios, (3,) * 10 + (4, 3, 3)))
    cost = measure(lambda: AutoFormerNetwork(192, layers, 64, IMAGE, 1000), IMAGE)
    assert cost.params / 1e6 == pytest.approx(5.7, abs=0.1)
    assert cost.macs / 1e9 == pytest.approx(1.3, abs=0.05)


def test_the_number_of_heads_costs_parameters_in_the_paper_only() -> None:
    """Closed form: with 64 channels a head, one head more in a layer of width 192 is 192·192 + 3·64 + 64·192 more."""
    few, many = ("192/" + ",".join([f"4x{heads}", *["4x3"] * 11]) for heads in (3, 4))
    sizes = {name: zcbench.spaces.get("autoformer", attention=name) for name in ("auto-prox", "paper")}
    assert sizes["auto-prox"].params(many) == sizes["auto-prox"].params(few)
    assert sizes["paper"].params(many) - sizes["paper"].params(few) == 192 * 192 + 3 * 64 + 64 * 192


def _counted(network: nn.Module, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Parameters, MACs and convolutions of one forward pass, layer by layer; attention by the number of its tokens."""
    macs, convolutions = [], []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            single = layer.kernel_size == (1, 1) and inputs[0].shape[2:] == (1, 1)  # a linear map of one position
            convolutions.extend([] if single else [layer])
            kernel = layer.kernel_size[0] * layer.kernel_size[1]
            macs.append(output[0].numel() * layer.in_channels // layer.groups * kernel)
        elif isinstance(layer, nn.Linear):
            macs.append(output[0].numel() * layer.in_features)
        elif isinstance(layer, Attention):
            macs.append(2 * inputs[0].shape[1] ** 2 * layer.heads * layer.head_channels)
        elif isinstance(layer, ReducedAttention):
            reduction = 1 if layer.reduction is None else layer.reduction.stride[0]
            keys = inputs[0].shape[1] if reduction == 1 else math.prod(side // reduction for side in layer.grid)
            macs.append(2 * inputs[0].shape[1] * keys * inputs[0].shape[2])
        elif isinstance(layer, RandomFeatureLayer):  # features of keys and queries, their two products, the denominator
            macs.append(inputs[0].shape[1] * (2 * 64 * 32 + 2 * 64 * 32 + 32))

    for layer in network.modules():
        layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(2, *image_shape))
    return sum(weight.numel() for weight in network.parameters()), sum(macs), len(convolutions)


@pytest.mark.parametrize(("name", "arch", "image_shape"), SMALL)
def test_costs_equal_built_networks(name: str, arch: str, image_shape: tuple[int, int, int]) -> None:
    """Slow reference: build the network, count its parameters, and count MACs and convolutions as it runs."""
    space = _space(name)
    row = space.costs([arch], 7, image_shape).iloc[0]
    assert (row.params, row.macs, row.n_convs) == _counted(space.build(arch, 7, image_shape=image_shape), image_shape)
    assert row.arch == arch


@pytest.mark.parametrize(
    ("name", "arch", "depth"),
    [
        ("s0", "357", 1 + 2 * (3 + 5 + 7)),
        ("wrn", "40-2", 1 + 2 * 18),
        ("vgg", "vgg16", 13),
        ("mobilenetv2", "6-0.5", 1 + 3 * 17 + 1),
        ("shufflenet", "v1", 1 + 3 * 16),
        ("shufflenet", "v2-1", 1 + 3 * 16 + 1),
        ("autoformer", "192/" + ",".join(["4x3"] * 12), 1 + 4 * 12),
        ("pit", "16/2/3-8-6/2-4-8", 1 + 4 * (3 + 8 + 6) + 2),
        ("deit", "deit_ti", 1 + 4 * 12),
        ("t2t", "t2t_7", 4 * 2 + 1 + 4 * 7),
        ("pvt", "pvt_ti", 4 + 5 * 6 + 4 * 2),
    ],
)
def test_depth(name: str, arch: str, depth: int) -> None:
    """Closed form: layers on the longest path; in a transformer four per layer, in PiT two poolings."""
    assert _space(name).depth(arch) == depth


def _normalised(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Channels of all normalisation layers that one forward pass calls, by their attributes."""
    widths = []

    def count(layer: nn.Module, inputs: object, output: object) -> None:
        widths.append(layer.normalized_shape[0] if isinstance(layer, nn.LayerNorm) else layer.num_features)

    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.LayerNorm):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(2, *image_shape))
    return sum(widths)


@pytest.mark.parametrize(("name", "arch", "image_shape"), SMALL)
def test_width_equals_the_layers_of_the_network(name: str, arch: str, image_shape: tuple[int, int, int]) -> None:
    """Slow reference: build the network, and add up the attributes of the layers that it calls."""
    space = _space(name)
    assert space.costs([arch], 7, image_shape)["width"][0] == _normalised(
        space.build(arch, 7, image_shape=image_shape), image_shape
    )


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "nasbench_macro", "transnas_micro", "transnas_macro"])
def test_analytic_width_equals_the_layers_of_the_network(name: str) -> None:
    """Slow reference: as above, for the formulas of the benchmarks."""
    space, shape = zcbench.spaces.get(name), (3, 64, 64)
    for arch in [space.sample(numpy_stream("width", seed)) for seed in range(4)]:
        assert space.costs([arch], 10, shape)["width"][0] == _normalised(space.build(arch, image_shape=shape), shape)


def test_measured_costs_equal_the_formulas_of_nasbench201() -> None:
    """Independent reference: for cells that join input to output, NAS-Bench-201's closed forms."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=2)
    archs = [arch for arch in space.subset("unique")[::600] if space.depth(arch)]
    for row in space.costs(archs, 7, (3, 16, 16)).itertuples():
        cost = measure(lambda arch=row.arch: space.build(arch, 7, image_shape=(3, 16, 16)), (3, 16, 16))
        assert cost == (row.params, row.macs, row.n_convs, row.depth, row.width)


def test_no_architectures_and_their_types() -> None:
    """Closed form: an empty table with the same columns; counts are whole numbers."""
    table = _space("s0").costs([])
    assert list(table.columns) == ["arch", "params", "macs", "n_convs", "depth", "width"]
    assert len(table) == 0
    assert (_space("s0").costs(["111"]).dtypes[1:] == "int64").all()


@pytest.mark.parametrize(("name", "arch", "image_shape"), SMALL)
def test_every_weight_is_used(name: str, arch: str, image_shape: tuple[int, int, int]) -> None:
    """Invariance: logits of the right shape, finite, and every parameter has a gradient that is not all zero."""
    network = _space(name).build(arch, 5, image_shape=image_shape)
    generator = torch.Generator().manual_seed(0)
    logits = network(torch.randn(4, *image_shape, generator=generator))
    assert logits.shape == (4, 5)
    assert network.training
    (logits * torch.randn(4, 5, generator=generator)).sum().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.any(), key


@pytest.mark.parametrize(("name", "arch", "image_shape"), SMALL)
def test_weights_depend_on_the_arguments_alone(name: str, arch: str, image_shape: tuple[int, int, int]) -> None:
    """Invariance: equal arguments equal bits, another seed others; neither building nor counting moves a generator."""
    space = _space(name)
    state = torch.get_rng_state()
    first = space.build(arch, image_shape=image_shape, seed=1).state_dict()
    space.costs([arch], 11, image_shape)
    torch.rand(3)
    again, other = (space.build(arch, image_shape=image_shape, seed=seed).state_dict() for seed in (1, 2))
    torch.set_rng_state(state)
    space.build(arch, image_shape=image_shape)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels read group by group in turn."""
    channels = x.shape[1]
    return x[:, [group * channels // groups + place for place in range(channels // groups) for group in range(groups)]]


def _norm(x: Tensor, layer: nn.Module) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    return (x - mean) / (variance + layer.eps).sqrt()


def test_resnet_equals_the_published_network() -> None:
    """Slow reference: stem, blocks with projections, average, classifier, as functions on the same weights."""
    network = _space("s0").build("131", image_shape=(3, 8, 8)).double()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = F.relu(_norm(F.conv2d(images, network.stem[0].weight, padding=1), network.stem[1]))
    for stage, stride in ((network.stage1, 1), (network.stage2, 2), (network.stage3, 2)):
        for number, block in enumerate(stage):
            step = stride if number == 0 else 1
            inner = F.relu(_norm(F.conv2d(x, block.conv1.weight, stride=step, padding=1), block.bn1))
            inner = _norm(F.conv2d(inner, block.conv2.weight, padding=1), block.bn2)
            if step == 2:
                x = _norm(F.conv2d(x, block.shortcut[0].weight, stride=2), block.shortcut[1])
            x = F.relu(inner + x)
    expected = F.linear(x.mean((2, 3)), network.classifier.weight, network.classifier.bias)
    torch.testing.assert_close(network(images), expected)


def test_shuffle_blocks_equal_the_published_ones() -> None:
    """Slow reference: one block of either version, in place of modules functions and a written-out shuffle."""
    x = torch.randn(2, 240, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    block = _space("shufflenet").build("v1").stage1[1].double()
    inner = F.relu(_norm(F.conv2d(x, block.narrow[0].weight, groups=3), block.narrow[1]))
    inner = F.conv2d(_shuffled(inner, 3), block.filter[0].weight, padding=1, groups=60)
    inner = F.conv2d(F.relu(_norm(inner, block.filter[1])), block.widen[0].weight, groups=3)
    torch.testing.assert_close(block(x), F.relu(x + _norm(inner, block.widen[1])))

    x = x[:, :48]
    block = _space("shufflenet").build("v2-0.5").stage1[1].double()
    passed, rest = x[:, :24], x[:, 24:]
    rest = F.relu(_norm(F.conv2d(rest, block.own[0].weight), block.own[1]))
    rest = _norm(F.conv2d(rest, block.own[3].weight, padding=1, groups=24), block.own[4])
    rest = F.relu(_norm(F.conv2d(rest, block.own[5].weight), block.own[6]))
    torch.testing.assert_close(block(x), _shuffled(torch.cat([passed, rest], 1), 2))


def test_transformer_layer_equals_pytorchs() -> None:
    """Independent reference: nn.TransformerEncoderLayer with the same weights."""
    ours = TransformerLayer(12, 3, 4, 20).double()
    theirs = nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).double()
    theirs.self_attn.in_proj_weight.data = ours.attention.qkv.weight.data
    theirs.self_attn.in_proj_bias.data = ours.attention.qkv.bias.data
    pairs = [(theirs.self_attn.out_proj, ours.attention.projection), (theirs.linear1, ours.mlp[0])]
    for target, source in (*pairs, (theirs.linear2, ours.mlp[2])):
        target.load_state_dict(source.state_dict())
    tokens = torch.randn(2, 5, 12, dtype=torch.float64)
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_tokens_of_a_pooling_keep_their_places() -> None:
    """Closed form: with attention and MLP silenced, PiT pools the patches of a map with rows and columns in order."""
    network = PiTNetwork(16, 2, (1, 1, 1), (2, 2, 2), (3, 48, 32), 4).double()
    for layer in network.modules():
        if isinstance(layer, TransformerLayer):
            for silent in (layer.attention.projection, layer.mlp[2]):
                nn.init.zeros_(silent.weight)
                nn.init.zeros_(silent.bias)
    heard: list[Tensor] = []
    network.poolings[1].register_forward_hook(lambda _, inputs, output: heard.append(output[0]))
    images = torch.randn(2, 3, 48, 32, dtype=torch.float64)
    network(images)
    maps = network.patches(images) + network.positions
    assert maps.shape[2:] == (5, 3)
    torch.testing.assert_close(heard[0], network.poolings[1].conv(network.poolings[0].conv(maps)))


@pytest.mark.parametrize(("name", "arch", "image_shape"), [SMALL[0], SMALL[-5], SMALL[-4]])
def test_initialisations(name: str, arch: str, image_shape: tuple[int, int, int]) -> None:
    """Closed form: linear layers deviate by .01 with kaiming and by 1 with normal, positions always by .02."""
    space = _space(name)
    for init, deviation in (("kaiming", 0.01), ("normal", 1.0)):
        network = space.build(arch, 100, image_shape=image_shape, init=init)
        assert network.classifier.weight.std().item() == pytest.approx(deviation, rel=0.05)
        if hasattr(network, "positions"):
            assert network.positions.std().item() == pytest.approx(0.02, rel=0.15)
    with pytest.raises(UnknownNameError, match="Did you mean 'kaiming'"):
        space.build(arch, image_shape=image_shape, init="kaimin")


def test_autoformers_default_is_its_own() -> None:
    """Closed form: linear layers normal with .02, cut off at two units, and no bias, as in the released code."""
    network = _space("autoformer").build(_space("autoformer")[0], image_shape=(3, 32, 32))
    weight = network.layers[3].mlp[0].weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not network.layers[3].mlp[0].bias.any()


@pytest.mark.parametrize(
    ("name", "image_shape", "message"),
    [
        ("s0", (3, 30, 32), "multiples of 4"),
        ("vgg", (3, 36, 32), "multiples of 8"),
        ("mobilenetv2", (3, 24, 32), "multiples of 16"),
        ("autoformer", (3, 224, 220), "multiples of 16"),
        ("pit", (3, 8, 32), "multiples of 8 and at least 16"),
        ("deit", (3, 40, 32), "multiples of 16"),
        ("t2t(stride=2)", (3, 36, 32), "multiples of 8"),
        ("pvt", (3, 48, 32), "multiples of 32"),
        ("pit", (3, 32), "channels, height, width"),
    ],
)
def test_images_that_do_not_fit(name: str, image_shape: tuple[int, ...], message: str) -> None:
    """Closed form: the shape that was given and what fits, from costs and build alike."""
    space = _space(name)
    for call in (space.build, lambda arch, **options: space.costs([arch], **options)):
        with pytest.raises(SpaceError, match=message):
            call(space[0], image_shape=image_shape)
    with pytest.raises(SpaceError, match="num_classes=0"):
        space.build(space[0], num_classes=0)
