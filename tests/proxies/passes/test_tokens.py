"""Transformers: their tokens as feature maps, and the stages that they have or are cut into."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zcbench
from zcbench import proxies, spaces
from zcbench.hooks.tokens import token_map
from zcbench.proxies import Proxy, evaluate

from ...oracles import proxies as references

READ = ("features", "embedding", "stages")


class Transformer(nn.Module):
    """A vision transformer of PyTorch's own layers, with or without class token, in either layout."""

    def __init__(self, *, batch_first=True, class_token=True, pooled=False, layers=5, width=8):
        super().__init__()
        torch.manual_seed(0)
        self.batch_first, self.pooled = batch_first, pooled
        self.embed = nn.Conv2d(3, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width)) if class_token else None
        layer = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, images):
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(images), -1, -1), tokens], 1)
        tokens = self.encoder(tokens if self.batch_first else tokens.transpose(0, 1))
        axis = 1 if self.batch_first else 0
        return self.head(tokens.mean(axis) if self.pooled else tokens.select(axis, 0))


def batch(size=4, side=16):
    stream = torch.Generator().manual_seed(1)
    return torch.randn(size, 3, side, side, generator=stream), torch.randint(10, (size,), generator=stream)


def signals(network, given):
    """What the proxies would read."""
    found = {}

    def spy(view):
        found.update({name: getattr(view, name) for name in READ})
        return 0.0

    (score,) = evaluate(network, given, [Proxy("spy", spy, frozenset(READ), True, False)])
    assert score.status == "ok", score
    return found


@pytest.mark.parametrize("name", ["autoformer", "pit"])
def test_saliency_of_tokens_is_of_channels(name):
    """Slow reference: the sum over tokens of each output channel, channel by channel."""
    space, given = spaces.get(name), batch(side=32)
    network = space.build(space.sample(np.random.default_rng(0), 1)[0], num_classes=10, image_shape=(3, 32, 32))
    found = {s.proxy: s.value for s in evaluate(network, given, ["fisher", "fisher_channel"])}
    assert found["fisher"] == pytest.approx(references.fisher(network, given), rel=1e-4)
    assert found["fisher_channel"] == pytest.approx(references.fisher_channel(network, given), rel=1e-4)


def test_images_may_come_second():
    """Invariance: the same transformer with the tokens before the images has the same saliency."""
    one, other = (evaluate(Transformer(batch_first=first), batch(), ["fisher"])[0] for first in (True, False))
    assert other.value == pytest.approx(one.value, rel=1e-5)


class Attention(nn.Module):
    """PyTorch's attention written out, so that both of its linear maps are layers that are called."""

    def __init__(self, fused):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.in_proj.load_state_dict({"weight": fused.in_proj_weight, "bias": fused.in_proj_bias})
        self.out_proj.load_state_dict(fused.out_proj.state_dict())
        self.batch_first = True

    def forward(self, x, *others, **options):
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.in_proj(x).chunk(3, -1))
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)), None


def test_saliency_of_attention_is_that_of_its_linear_maps():
    """Slow reference: the sums over tokens, channel by channel, of a transformer whose attention is written out."""
    fused, written, given = Transformer(), Transformer(), batch()
    for layer in written.encoder.layers:
        layer.self_attn = Attention(layer.self_attn)
    found = {s.proxy: s.value for s in evaluate(fused, given, ["fisher", "fisher_channel"])}
    assert found["fisher"] == pytest.approx(references.fisher(written, given), rel=1e-4)
    assert found["fisher_channel"] == pytest.approx(references.fisher_channel(written, given), rel=1e-4)


def hooked(network, images, names):
    """Independent path: outputs of named modules."""
    kept = {}
    modules = dict(network.named_modules())
    for name in names:
        modules[name].register_forward_hook(lambda m, i, o, name=name: kept.update({name: o.detach()}))
    network.train()(images)
    return kept


def as_map(tokens, extra):
    """Slow reference: position (y, x) of the map is token ``extra + y * side + x``."""
    count, side = tokens.shape[1] - extra, int((tokens.shape[1] - extra) ** 0.5)
    assert side * side == count
    found = torch.empty(len(tokens), tokens.shape[2], side, side)
    for y in range(side):
        for x in range(side):
            found[:, :, y, x] = tokens[:, extra + y * side + x]
    return found


@pytest.mark.parametrize(
    ("count", "side"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, None), (8, None), (196, 14), (198, 14)]
)
def test_tokens_form_a_square_without_the_first_ones(count, side):
    """Slow reference, or None where neither all tokens nor all but one or two form a square."""
    tokens = torch.randn(3, count, 5)
    found = token_map(tokens)
    if side is None:
        assert found is None
    else:
        assert torch.equal(found, as_map(tokens, count - side * side))


def test_autoformer_has_three_cuts_and_the_normalised_tokens():
    """Independent path: hooks; the embedding is the pooled map, as in a convolutional network."""
    space = spaces.get("autoformer")
    network = space.build("192/" + ",".join(["4x3"] * 13), image_shape=(3, 48, 48))
    given = batch(side=48)
    found, kept = signals(network, given), hooked(network, given[0], ["norm", "layers.3", "layers.7", "layers.12"])
    assert torch.equal(found["features"], as_map(kept["norm"], 1))
    torch.testing.assert_close(found["features"].mean((2, 3)), found["embedding"])
    stages = [as_map(kept[f"layers.{i}"], 1) for i in (3, 7, 12)]  # 4, 4 and 5 of 13 layers
    assert all(map(torch.equal, found["stages"], stages)) and len(found["stages"]) == 3


def test_pit_has_stages_of_its_own():
    """Independent path: hooks on the last layer of each of its three stages; the patch embedding is none."""
    network = spaces.get("pit").build("16/2/1-4-2/2-2-4", image_shape=(3, 48, 48))
    given = batch(side=48)
    found, kept = signals(network, given), hooked(network, given[0], ["stages.0", "stages.1", "stages.2"])
    stages = [as_map(kept[f"stages.{i}"], 1) for i in range(3)]
    assert [stage.shape[2] for stage in stages] == [5, 3, 2]
    assert all(map(torch.equal, found["stages"], stages)) and len(found["stages"]) == 3
    assert torch.equal(found["features"], stages[-1])


@pytest.mark.parametrize("size", [4, 16, 17])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_users_transformer(batch_first, class_token, pooled, size):
    """Independent path: hooks on PyTorch's layers, in both layouts, also with as many images as tokens."""
    network = Transformer(batch_first=batch_first, class_token=class_token, pooled=pooled)
    given = batch(size)
    names = [f"encoder.layers.{i}" for i in range(5)]
    found, kept = signals(network, given), hooked(network, given[0], names)
    maps = [as_map(tokens if batch_first else tokens.transpose(0, 1), int(class_token)) for tokens in kept.values()]
    torch.testing.assert_close(found["features"], maps[-1])
    for stage, expected in zip(found["stages"], (maps[0], maps[2], maps[4]), strict=True):
        torch.testing.assert_close(stage, expected)


def test_fewer_blocks_than_cuts():
    """Closed form: two layers are two stages, one is one."""
    assert [len(signals(Transformer(layers=n), batch())["stages"]) for n in (1, 2, 3, 4)] == [1, 2, 3, 3]


def test_tokens_that_form_no_map_are_not_applicable():
    """Bad input: 16 patches and four extra tokens; the losses on logits and embedding still give values."""

    class Odd(Transformer):
        def forward(self, images):
            tokens = self.embed(images).flatten(2).transpose(1, 2)
            return self.head(self.encoder(torch.cat([tokens[:, :4], tokens], 1)).mean(1))

    names = ["kd:kd", "kd:rkd", "kd:sp", "kd:at"]
    found = evaluate(Odd(class_token=False), batch(), names, teacher=Transformer())
    assert [score.status for score in found] == ["ok", "ok", "not_applicable", "not_applicable"]


def test_the_network_is_given_back():
    """Invariance: no hook and no mode is left, also where the layout had to be found out."""
    network = Transformer(batch_first=False, class_token=False).eval()
    signals(network, batch(16))
    assert not network.training and not any(m._forward_hooks for m in network.modules())


def test_distances_between_transformers_and_convolutional_networks():
    """Closed form: a network has no distance from itself; contract: losses that compare any shapes give values."""
    student, teacher = Transformer(), spaces.get("resnet").build("resnet8", image_shape=(3, 16, 16))
    names = ["kd:at", "kd:nst", "kd:sp", "kd:pkt", "kd:rkd", "kd:cka_gap", "diswot_relation", "diswot_semantic_cam"]
    assert zcbench.score(student, batch(), names, teacher=student) == pytest.approx(dict.fromkeys(names, 0), abs=1e-5)
    assert all(value != 0 for value in zcbench.score(student, batch(), names, teacher=teacher).values())
    same = ["kd:fsp", "kd:fsp_mean", "kd:kdsvd", "kd:review", "kd:fitnet", "kd:srrl"]
    other = Transformer()
    nn.init.normal_(other.embed.weight)
    assert all(value < 0 for value in zcbench.score(student, batch(), same, teacher=other).values())
    assert proxies.get("kd:fsp").needs_teacher
