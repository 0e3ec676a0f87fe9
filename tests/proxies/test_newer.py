"""Proxies of 2022 to 2026: values against slow references, closed forms and published scores."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

import zcbench
from zcbench.proxies import REGISTRY, Signals, evaluate
from zcbench.proxies.passes.units import packed
from zcbench.proxies.signals.signals import Minibatch, Response
from zcbench.spaces.transformers.layer import TransformerLayer
from zcbench.streams import numpy_stream, seeded

from ..oracles import newer as references
from .conftest import make_network

#: Relative error of float32; sums that divide by differences of gradients are less exact.
TOLERANCE = {"logsynflow": 1e-9, "zico_bc": 1e-3, "lswag": 1e-3, "lswag_gradients": 1e-3, "epsinas": 1e-4}


def value(name, network, batch, **options):
    (score,) = evaluate(network, batch, [name], **options)
    assert score.status == "ok", score
    return score.value


def given(name, **values):
    """The proxy's value for signals that are written down."""
    batch = Minibatch(torch.zeros(2, 3, 4, 4), torch.zeros(2).long())
    return REGISTRY.get(name)(Signals(values, batch, values))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("name", TOLERANCE)
def test_equals_the_slow_reference(name, inplace, batch):
    """Slow reference: modules, deep copies, loops over weights; in-place ReLUs change nothing."""
    expected = getattr(references, name)(make_network(), batch)
    assert value(name, make_network(inplace=inplace), batch) == pytest.approx(expected, rel=TOLERANCE[name])


def test_intrain_equals_the_slow_reference(network, batch):
    """Slow reference: eigenvalues of NumPy's covariance, gradients by ``backward()``."""
    for name, expected in zip(
        ("intrain_capacity", "intrain_resilience", "intrain"), references.intrain(make_network(), batch)
    ):
        assert value(name, network, batch) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("inplace", [False, True])
def test_wrcor_equals_the_slow_reference(inplace, batch):
    """Slow reference: ReLUs exchanged for modules that keep their inputs; blocks counted by hand, without the stem."""
    blocks = {"1": 0, "2.relu": 0, "5": 2, "6.relu": 2}  # blocks: the stem 0, then 2, 3 and 6
    expected = references.wrcor(make_network(), batch, blocks.__getitem__)
    assert value("wrcor", make_network(inplace=inplace), batch) == pytest.approx(expected, rel=1e-5)


def test_wrcor_counts_cells_as_the_paper(make_batch):
    """Closed form: on NAS-Bench-201 the ReLUs of cell i have i, reductions counted, and the last one comes behind."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=2)
    network = space.build("|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")

    def cell(name):
        part, number, *_ = name.split(".")
        places = {"stage1": 0, "reduction1": 2, "stage2": 3, "reduction2": 5, "stage3": 6}
        return places[part] + (int(number) if part.startswith("stage") else 0) if part in places else 8

    batch = make_batch(6, side=16)
    assert value("wrcor", network, batch) == pytest.approx(references.wrcor(network, batch, cell), rel=1e-5)


def test_wrcor_by_hand():
    """Closed form: K = 2 [[1, .5], [.5, 1]] + [[1, .5], [.5, 1]] has the determinant 9 · .75; signs do not matter."""
    one = torch.tensor([[1.0, -0.5], [-0.5, 1.0]]).double()
    found = given("wrcor", responses=(Response(1, one, None), Response(0, None, -one)))
    assert found == pytest.approx(math.log(9 * 0.75))


def test_zico_bc_by_hand():
    """Closed form: one weight of gradients 1 and 3 has the ratio 2; the output is 16 positions of 4 channels."""
    pair = ({"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])})
    sizes = {"w": zcbench.proxies.signals.signals.OutputSize(4, 16)}
    assert given("zico_bc", half_gradients=pair, output_sizes=sizes) == pytest.approx(math.log(2) - math.log(16 / 2))


def test_intrain_capacity_of_a_diagonal_covariance():
    """Closed form: eigenvalues 1, 1, 2 have the participation ratio 16 / 6; a dead layer adds nothing."""
    maps = (torch.diag(torch.tensor([1.0, 1.0, 2.0])), torch.zeros(3, 3))
    assert given("intrain_capacity", noise_covariances=maps) == pytest.approx(math.log(16 / 6), rel=1e-6)


def test_intrain_does_not_see_a_bias_before_a_normalisation(make_batch):
    """Invariance: such a bias has a gradient of rounding errors, and the network computes the same without it."""

    def build(bias):
        with seeded("tests", "bias"):
            layers = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
            network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        if bias:
            network[0].bias = nn.Parameter(torch.randn(8, generator=torch.Generator().manual_seed(0)))
        return network

    values = [value("intrain", build(bias), make_batch()) for bias in (False, True)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_patterns_are_packed_bit_by_bit():
    """Closed form: bit i of a unit is its sign for image i; images beyond the 64th are not read."""
    active = torch.rand(70, 5, generator=torch.Generator().manual_seed(0)) > 0.5
    expected = [sum(int(bit) << i for i, bit in enumerate(column[:64])) for column in active.T.tolist()]
    assert packed(active).tolist() == [number - 2**64 if number >= 2**63 else number for number in expected]
    assert packed(active[:3]).tolist() == [sum(int(bit) << i for i, bit in enumerate(c[:3])) for c in active.T.tolist()]


def test_epsinas_by_hand():
    """Closed form: logits 0, 1, 2 and 0, 2, 2 are scaled to 0, .5, 1 and 0, 1, 1; the zeros are missing."""
    pair = (torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.0, 2.0, 2.0]]))
    assert given("epsinas", constant_logits=pair) == pytest.approx((0.5 / 2) / (3.5 / 4))


def test_epsinas_is_undefined_for_equal_logits(make_batch):
    """By construction: three convolutions without a skip connection underflow at 1e-7."""
    space = zcbench.spaces.get("nasbench201", channels=4)
    arch = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|"
    (score,) = evaluate(space.build(arch), make_batch(4, side=16), ["epsinas"])
    assert score.status == "singular"


class Tiny(nn.Module):
    """Patches, two transformer layers of 2 and 4 heads, the mean token, a linear classifier."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)
        self.layers = nn.Sequential(TransformerLayer(8, 2, 4, 16), TransformerLayer(8, 4, 2, 24))
        if fused:
            for layer in self.layers:
                layer.attention.forward = lambda x, own=layer.attention: fused_attention(own, x)

    def forward(self, images):
        return self.head(self.layers(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


def fused_attention(attention, tokens):
    """The same attention by PyTorch's function for it."""
    batch, count, _ = tokens.shape
    split = attention.qkv(tokens).reshape(batch, count, 3, attention.heads, attention.head_channels)
    values = scaled_dot_product_attention(*split.permute(2, 0, 3, 1, 4).unbind(0))
    return attention.projection(values.transpose(1, 2).reshape(batch, count, -1))


def tiny(**options):
    with seeded("tests", "newer"):
        return Tiny(**options)


@pytest.mark.parametrize("fused", [False, True])
def test_head_confidence_equals_a_loop(fused, make_batch):
    """Slow reference: the weights of every head formed anew from the tokens that enter its attention."""
    network, batch, means = tiny(fused=fused), make_batch(), []

    def hook(layer, inputs):
        tokens, attention = layer.norm1(inputs[0]), layer.attention
        width = attention.head_channels
        query, key, _ = attention.qkv(tokens).detach().double().chunk(3, -1)
        for head in range(attention.heads):
            part = slice(head * width, (head + 1) * width)
            weights = (query[..., part] @ key[..., part].mT / math.sqrt(width)).exp()
            means.append(float((weights.amax(-1) / weights.sum(-1)).mean()))

    twin = tiny()
    for layer in twin.layers:
        layer.register_forward_pre_hook(hook)
    twin(batch[0])
    assert value("head_confidence", network, batch) == pytest.approx(np.mean(means), rel=1e-5)
    assert len(means) == 6


def test_w_pca_equals_the_slow_reference(make_batch):
    """Slow reference: hooks on the first linear maps, NumPy's covariance, components counted one by one."""
    network, batch, hidden = tiny(), make_batch(), []
    twin = tiny()
    for layer in twin.layers:
        layer.mlp[0].register_forward_hook(lambda m, inputs, output: hidden.append(output))
    twin(batch[0])
    expected = references.v_pca(hidden)
    assert value("v_pca", network, batch) == expected
    assert value("w_pca", network, batch) == expected * sum(p.numel() for p in network.parameters())


def test_lswag_reads_gelus(make_batch):
    """Slow reference: as for ReLUs."""
    network, batch = tiny(), make_batch(6)
    patterns = value("lswag", network, batch) / value("lswag_gradients", network, batch)
    twin, expected = tiny(), set()
    for layer in twin.layers:
        layer.mlp[1].register_forward_hook(
            lambda m, inputs, output: expected.update(map(tuple, (output > 0).reshape(6, -1).T.tolist()))
        )
    twin(batch[0])
    assert patterns == pytest.approx(len(expected))


def test_synaptic_diversity_is_the_first_part_of_dss(make_batch):
    """Independent path: what `dss` has beyond the saliency of the other linear layers."""
    network, batch = tiny(), make_batch()
    twin = tiny().double()
    for parameter in twin.parameters():
        parameter.data.abs_()
    twin(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    others = [layer.mlp[place] for layer in twin.layers for place in (0, 2)] + [twin.head]
    saliency = sum((m.weight.detach() * m.weight.grad).abs().sum().item() for m in others)
    expected = value("dss", network, batch) - saliency
    assert value("synaptic_diversity", network, batch) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["head_confidence", "w_pca", "v_pca", "synaptic_diversity"])
def test_convolutional_networks_are_refused_by_name(name, network, batch):
    """Listed, not applicable, not failed."""
    assert evaluate(network, batch, [name])[0].status == "not_applicable"


def published_network(arch: str) -> nn.Module:
    """As the authors draw it: normal with variance 2 / fan-out, the classifier too."""
    network = zcbench.spaces.get("nasbench201").build(arch, seed=0, init="kaiming")
    generator = torch.Generator().manual_seed(0)
    network.classifier.weight.data.normal_(std=math.sqrt(2 / 10), generator=generator)
    return network


@pytest.mark.data
def test_logsynflow_equals_the_published_scores(data_dir):
    """Published scores of 30 cells, means of three draws: equal to 1 % where no weight is dead.

    Of a dead weight the released code adds |w| log 1 = 0; the published scores have |w log 1e-6| there.
    """
    read = {}

    @zcbench.proxy("published_logsynflow", reads="linearised_gradients", higher_is_better=True)
    def with_offset(signals):
        pairs = signals.linearised_gradients.values()
        read["dead"] = any(not g.any() for _, g in pairs)
        return sum((w * (g + 1e-6).log()).abs().sum().item() for w, g in pairs)

    path = data_dir / "sources" / "published-scores" / "freerea.nb201.parquet"
    scores = pd.read_parquet(path).set_index("arch")["cifar10/logsynflow"]
    archs = scores.index[numpy_stream("published").choice(len(scores), 30, replace=False)]
    batch, alive = (torch.zeros(2, 3, 32, 32), torch.zeros(2).long()), 0
    for arch in archs:
        ours, offset = evaluate(published_network(arch), batch, ["logsynflow", with_offset])
        assert offset.value == pytest.approx(scores[arch], rel=0.01)
        if not read["dead"]:
            assert math.exp(ours.value) == pytest.approx(scores[arch], rel=0.01)
            alive += 1
    assert 10 < alive < 30
