"""DeiT, T2T-ViT and PVT: published sizes, closed formulas, the networks against references, and the proxies on them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import zcbench.spaces
from zcbench import proxies
from zcbench.errors import UnknownNameError
from zcbench.proxies import evaluate
from zcbench.proxies.scoring.evaluation import TeacherSignals
from zcbench.spaces import ProductSpace, SpaceError
from zcbench.spaces.measuring import measure
from zcbench.spaces.transformers.pvt import ReducedAttention
from zcbench.spaces.transformers.t2t import RandomFeatureLayer, Split, sinusoids
from zcbench.streams import numpy_stream

IMAGE = (3, 224, 224)
#: A space for images of 16x16, and a small architecture of it.
SMALL = [
    ("deit(patch=4)", "16/2/4/2"),
    ("t2t(stride=1)", "16/1/4/2"),
    ("pvt(patch=1)", "16/2-2-2-2/1-1-1-1/1-1-2-4"),
]


def _space(spec: str) -> ProductSpace:
    space = zcbench.spaces.get(spec)
    assert isinstance(space, ProductSpace)
    return space


@pytest.mark.parametrize(
    ("space", "arch", "classes", "image_shape", "params"),
    [
        ("deit", "deit_ti", 1000, IMAGE, 5_717_416),
        ("deit", "deit_s", 1000, IMAGE, 22_050_664),
        ("deit", "deit_ti", 100, IMAGE, 5_543_716),
        ("deit(patch=4)", "deit_ti", 100, (3, 32, 32), 5_380_132),
        ("t2t", "t2t_7", 1000, IMAGE, 4_255_694),
        ("t2t", "t2t_7", 100, IMAGE, 4_024_394),
        ("t2t", "t2t_14", 1000, IMAGE, 21_465_806),
        ("pvt", "pvt_ti", 1000, IMAGE, 13_229_288),
        ("pvt", "pvt_ti", 100, IMAGE, 12_767_588),
        ("pvt", "pvt_ti", 100, (3, 32, 32), 12_386_660),
        ("pvt", "pvt_s", 1000, IMAGE, 24_485_864),
    ],
)
def test_published_parameters(
    space: str, arch: str, classes: int, image_shape: tuple[int, int, int], params: int
) -> None:
    """Published: timm's DeiT-Ti and -S, T2T-ViT-7 and -14, PVT-Tiny and -Small; the others by the same formulas."""
    assert _space(space).params(arch, classes, image_shape) == params


@pytest.mark.parametrize(
    ("space", "arch", "macs"),
    [("deit", "deit_ti", 1.254), ("t2t", "t2t_7", 1.1), ("t2t", "t2t_14", 4.8), ("pvt", "pvt_ti", 1.9)],
)
def test_published_macs(space: str, arch: str, macs: float) -> None:
    """Published: 10^9 multiply-adds at 224x224, within 5 %: a paper's count has other parts of the attention."""
    assert _space(space).macs(arch, 1000, IMAGE) / 1e9 == pytest.approx(macs, rel=0.05)


@pytest.mark.parametrize("spec", ["deit", "deit(patch=4)", "t2t", "t2t(stride=2)", "pvt", "pvt(patch=2)"])
def test_closed_formulas_equal_measured_sizes(spec: str) -> None:
    """Independent reference: all five sizes counted on the functions that a network without weights calls."""
    space = _space(spec)
    for number, arch in enumerate(space.sample(numpy_stream("closed", spec), 4)):
        shape = (3, space.multiple * (1 + number % 2), space.multiple * 2)
        cost = measure(lambda arch=arch, shape=shape: space.network(space.parse(arch), shape, 7), shape)
        assert tuple(space.costs([arch], 7, shape).iloc[0])[1:] == cost


def _layer_norm(x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def _doubled(network: torch.nn.Module) -> torch.nn.Module:
    """In float64, with biases that are not zero."""
    stream = torch.Generator().manual_seed(3)
    for name, weight in network.named_parameters():
        if name.endswith("bias"):
            weight.data = 0.1 * torch.randn(weight.shape, generator=stream)
    return network.double()


def _images(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_deit_reads_patches_row_by_row_and_the_class_token() -> None:
    """Slow reference: patches cut by hand, and PyTorch's multi-head attention on the same weights."""
    network = _doubled(_space("deit(patch=4)").build("16/2/2/3", image_shape=(3, 8, 12)))
    images = _images(2, 3, 8, 12)
    patches = [images[:, :, y : y + 4, x : x + 4].flatten(1) for y in (0, 4) for x in (0, 4, 8)]
    tokens = F.linear(torch.stack(patches, 1), network.patches.weight.flatten(1), network.patches.bias)
    tokens = torch.cat([network.class_token.expand(2, 1, 48), tokens], 1) + network.positions
    for layer in network.layers:
        norm1 = F.layer_norm(tokens, (48,), layer.norm1.weight, layer.norm1.bias, 1e-6)
        attended, _ = F.multi_head_attention_forward(
            *(norm1.transpose(0, 1),) * 3,
            *(48, 3, layer.attention.qkv.weight, layer.attention.qkv.bias, None, None, False, 0.0),
            *(layer.attention.projection.weight, layer.attention.projection.bias),
        )
        tokens = tokens + attended.transpose(0, 1)
        tokens = tokens + layer.mlp(F.layer_norm(tokens, (48,), layer.norm2.weight, layer.norm2.bias, 1e-6))
    token = F.layer_norm(tokens, (48,), network.norm.weight, network.norm.bias, 1e-6)[:, 0]
    torch.testing.assert_close(network(images), network.classifier(token))


def test_random_features_equal_a_sum_over_keys() -> None:
    """Slow reference: the estimated kernel of every query and key, direction by direction."""
    layer = _doubled(RandomFeatureLayer(20))
    tokens = _images(2, 5, 20)
    key, query, value = layer.kqv(layer.norm1(tokens)).split(64, -1)
    kernel = torch.zeros(2, 5, 5, dtype=torch.float64)
    for direction in layer.directions:
        for one in range(5):
            for other in range(5):
                q, k = query[:, one], key[:, other]
                exponent = (q + k) @ direction - (q.square().sum(1) + k.square().sum(1)) / 2
                kernel[:, one, other] += exponent.exp() / 32
    attended = value + layer.projection(kernel @ value / (kernel.sum(-1, keepdim=True) + 1e-8))
    expected = attended + layer.mlp(layer.norm2(attended))
    torch.testing.assert_close(layer(tokens), expected)
    gram = layer.directions @ layer.directions.T
    torch.testing.assert_close(gram, 32 * torch.eye(32, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("kernel", "stride", "side"), [(7, 4, 224), (3, 2, 56), (3, 1, 16)])
def test_splits_are_windows(kernel: int, stride: int, side: int) -> None:
    """Closed form: as many windows as pixels over the stride; the middle of window (y, x) is at the stride's pixels."""
    split = Split(kernel, stride)
    assert split.side(side) == side // stride
    maps = torch.arange(side * side, dtype=torch.float32).reshape(1, 1, side, side)
    tokens = split(maps)
    assert tokens.shape == (1, (side // stride) ** 2, kernel**2)
    first = kernel // 2 - split.padding
    middles = tokens[0, :, kernel**2 // 2].reshape(side // stride, -1)
    assert torch.equal(middles, maps[0, 0, first::stride, first::stride])


def test_positions_of_t2t_are_fixed_sinusoids() -> None:
    """Closed form: 50,432 numbers for T2T-ViT-7 at 224x224, sin 0 and cos 0 first, and no parameter among them."""
    table = sinusoids(197, 256)
    assert table.numel() == 50_432
    assert table[0, 0, :4].tolist() == [0, 1, 0, 1]
    assert table[0, 5, 6].item() == pytest.approx(math.sin(5 / 10000 ** (6 / 256)), abs=1e-6)
    assert table[0, 5, 7].item() == pytest.approx(math.cos(5 / 10000 ** (6 / 256)), abs=1e-6)
    network = _space("t2t(stride=1)").build("16/1/2/3", image_shape=(3, 8, 8))
    names = {name for name, _ in network.named_buffers()}
    assert names == {"positions", "tokens.0.directions", "tokens.1.directions"}


@pytest.mark.parametrize("reduction", [1, 2])
def test_reduced_attention_equals_pytorchs(reduction: int) -> None:
    """Slow reference: keys and values of windows that are cut by hand, and PyTorch's scaled product attention."""
    layer = _doubled(ReducedAttention(12, 3, reduction, (4, 6)))
    tokens = _images(2, 24, 12)
    kept = tokens
    if reduction == 2:
        grid = tokens.reshape(2, 4, 6, 12)
        windows = [grid[:, y : y + 2, x : x + 2].permute(0, 3, 1, 2).flatten(1) for y in (0, 2) for x in (0, 2, 4)]
        kept = F.linear(torch.stack(windows, 1), layer.reduction.weight.flatten(1), layer.reduction.bias)
        kept = _layer_norm(kept, 1e-5) * layer.norm.weight + layer.norm.bias
    key, value = layer.key_value(kept).split(12, -1)
    parts = [part.unflatten(-1, (3, 4)).transpose(1, 2) for part in (layer.query(tokens), key, value)]
    expected = layer.projection(F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(tokens), expected)


def test_options_are_in_the_specification_and_checked() -> None:
    """Round trip, and messages: a patch or stride that is none is refused with what was expected."""
    assert [zcbench.spaces.get(name).spec for name in ("deit", "t2t", "pvt")] == [
        *("deit(patch=16)", "t2t(stride=4)", "pvt(patch=4)"),
    ]
    with pytest.raises(SpaceError, match="patch=0"):
        zcbench.spaces.get("deit", patch=0)
    with pytest.raises(SpaceError, match="at most 16"):
        zcbench.spaces.get("pvt", patch=32)
    with pytest.raises(UnknownNameError, match="stride of T2T-ViT"):
        zcbench.spaces.get("t2t", stride=3)


@pytest.mark.parametrize("spec", [spec for spec, _ in SMALL])
def test_spaces_pass_the_checks(spec: str) -> None:
    """Invariance: the interface of every space, on drawn architectures."""
    space = zcbench.spaces.get(spec)
    assert [finding for finding in zcbench.spaces.check(space) if not finding.passed] == []
    rng = np.random.default_rng(0)
    child = space.crossover(space.sample(rng), space.sample(rng), rng)
    assert space.mutate(child, rng) in space


#: Proxies that a transformer has no number for, by the reason that they give.
REASONS = (
    *("No ReLU is called", "no feature map", "There is no thin network", "equal widths", "one by one", "at least two"),
    *("No block outputs", "No module outputs", "no convolution", "stages and the teacher"),
)


@pytest.mark.parametrize(("spec", "arch"), SMALL)
def test_every_proxy_runs_or_says_why_not(spec: str, arch: str) -> None:
    """Invariance: a finite number, a named singularity, or a reason that holds for every transformer."""
    network = zcbench.spaces.get(spec).build(arch, image_shape=(3, 16, 16))
    teacher = zcbench.spaces.get("resnet").build("resnet8", image_shape=(3, 16, 16), seed=1)
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batch = images, torch.arange(8) % 4
    found = evaluate(network, batch, proxies.names(), teacher=TeacherSignals(teacher))
    assert {score.status for score in found} <= {"ok", "not_applicable", "singular"}
    assert all(math.isfinite(score.value) for score in found if score.status == "ok")
    silent = [score for score in found if score.status == "not_applicable"]
    assert [score for score in silent if not any(reason in score.reason for reason in REASONS)] == []
    assert sum(score.status == "ok" for score in found) >= 50
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
