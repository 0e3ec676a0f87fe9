"""Attentions, encoders and class tokens in other words: every score is the same, or refused by name."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .networks import Attention, Multihead
from .rewritings import (
    ALL,
    FEW,
    ROWS,
    TENSORS,
    Pairs,
    compare,
    copy_named,
)

PAIRS = Pairs()


def softmax(net, q, k, v):
    return ((q @ k.transpose(-2, -1)) * 8**-0.5).softmax(-1) @ v


def einsum(net, q, k, v):
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(8)
    return torch.einsum("bhij,bhjd->bhid", F.softmax(scores, dim=-1), v)


def bmm(net, q, k, v):
    scores = torch.bmm(q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2)) / 8**0.5
    return torch.bmm(torch.softmax(scores, -1), v.flatten(0, 1)).view_as(q)


def baddbmm(net, q, k, v):
    scores = torch.baddbmm(q.new_zeros(1, 1, 1), q.flatten(0, 1), k.flatten(0, 1).mT, alpha=8**-0.5)
    return torch.bmm(scores.softmax(-1), v.flatten(0, 1)).view_as(q)


def masked(net, q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(1, 1, 16, 16))


def by_keyword(net, q, k, v):
    return F.scaled_dot_product_attention(query=q, key=k, value=v, dropout_p=0.0, scale=8**-0.5)


HEADS = {
    "softmax": softmax,
    "einsum": einsum,
    "bmm": bmm,
    "baddbmm": baddbmm,
    "mask of zeros": masked,
    "keyword": by_keyword,
}
for name, heads in HEADS.items():
    PAIRS.rewrite(f"attention: {name}", Attention, quick=name != "keyword", heads=heads)


class SequenceFirst(Multihead):
    """PyTorch's module with the tokens before the images, called by keyword."""

    def __init__(self):
        super().__init__()
        self.attention.batch_first = False

    def attend(self, tokens):
        tokens = tokens.transpose(0, 1)
        return self.attention(key=tokens, query=tokens, value=tokens, need_weights=False)[0].transpose(0, 1)


class Separate(Attention):
    """A linear map each for queries, keys and values."""

    def __init__(self):
        super().__init__()
        del self.qkv
        self.query, self.key, self.value = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def take(self, other):
        copy_named(other, self, skip="qkv.")
        for place, part in enumerate((self.query, self.key, self.value)):
            rows = slice(16 * place, 16 * place + 16)
            part.weight.data, part.bias.data = other.qkv.weight[rows].detach(), other.qkv.bias[rows].detach()

    def attend(self, tokens):
        q, k, v = (part(tokens).unflatten(2, (2, 8)).transpose(1, 2) for part in (self.query, self.key, self.value))
        return self.out(self.heads(q, k, v).transpose(1, 2).flatten(2))


def function_of_module(net, tokens):
    held, first = net.attention, tokens.transpose(0, 1)
    weights = (held.in_proj_weight, held.in_proj_bias, None, None, False, 0.0, held.out_proj.weight, held.out_proj.bias)
    return F.multi_head_attention_forward(first, first, first, 16, 2, *weights)[0].transpose(0, 1)


PAIRS.add("attention: module", Attention, Multihead, quick=True)
PAIRS.add("attention: module, sequence first", Attention, SequenceFirst, quick=True)
PAIRS.rewrite("attention: function", Multihead, quick=True, attend=function_of_module)
PAIRS.add("attention: three linear maps", Attention, Separate, TENSORS | ROWS, True)

# Encoders


class Encoder(nn.Module):
    """One encoder layer of PyTorch."""

    batch_first = True

    def __init__(self):
        super().__init__()
        options = {"dropout": 0.0, "batch_first": self.batch_first, "norm_first": True}
        self.embed, self.layer = nn.Conv2d(3, 16, 4, 4), nn.TransformerEncoderLayer(16, 2, 32, **options)
        self.linear = nn.Linear(16, 10)

    def encode(self, tokens):
        return self.layer(tokens)

    def forward(self, x):
        return self.linear(self.encode(self.embed(x).flatten(2).transpose(1, 2)).mean(1))


class EncoderSequenceFirst(Encoder):
    """The same with the tokens before the images."""

    batch_first = False

    def encode(self, tokens):
        return self.layer(tokens.transpose(0, 1)).transpose(0, 1)


class Encoders(Encoder):
    """A stack of one layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoder(self.layer, 1, enable_nested_tensor=False)


def by_parts(net, tokens):
    layer = net.layer
    normed = layer.norm1(tokens)
    tokens = tokens + layer.self_attn(normed, normed, normed, need_weights=False)[0]
    return tokens + layer.linear2(F.relu(layer.linear1(layer.norm2(tokens))))


def functional(net, tokens):
    layer, attention = net.layer, net.layer.self_attn
    normed = F.layer_norm(tokens, (16,), layer.norm1.weight, layer.norm1.bias)
    mapped = F.linear(normed, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = mapped.reshape(len(tokens), -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
    heads = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    tokens = tokens + F.linear(heads, attention.out_proj.weight, attention.out_proj.bias)
    hidden = F.layer_norm(tokens, (16,), layer.norm2.weight, layer.norm2.bias)
    hidden = F.relu(F.linear(hidden, layer.linear1.weight, layer.linear1.bias))
    return tokens + F.linear(hidden, layer.linear2.weight, layer.linear2.bias)


PAIRS.rewrite("encoder: by its parts", Encoder, quick=True, encode=by_parts)
PAIRS.rewrite("encoder: functional", Encoder, quick=True, encode=functional)
PAIRS.add("encoder: sequence first", Encoder, EncoderSequenceFirst, quick=True)
PAIRS.add("encoder: a stack of one", Encoder, Encoders)

# Class tokens


class ClassToken(Attention):
    """A learned token in front, which is classified."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 16))

    def join(self, tokens):
        return torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)

    def read(self, tokens):
        return tokens[:, 0]

    def forward(self, x):
        tokens = self.join(self.embed(x).flatten(2).transpose(1, 2))
        return self.linear(self.read(tokens + self.attend(tokens)))


def repeated(net, tokens):
    return torch.cat((net.token.repeat(len(tokens), 1, 1), tokens), dim=1)


def padded(net, tokens):
    return F.pad(tokens, (0, 0, 1, 0)) + F.pad(net.token, (0, 0, 0, tokens.shape[1]))


def split(net, tokens):
    return tokens.split([1, tokens.shape[1] - 1], 1)[0].squeeze(1)


def by_mask(net, tokens):
    return tokens[torch.arange(tokens.shape[1]).expand(len(tokens), -1) == 0]


PAIRS.rewrite("class token: repeat", ClassToken, join=repeated, read=lambda net, tokens: tokens.select(1, 0))
PAIRS.rewrite("class token: pad", ClassToken, quick=True, join=padded, read=split)
PAIRS.rewrite("class token: first", ClassToken, quick=True, read=lambda net, tokens: tokens.transpose(0, 1)[0])
PAIRS.rewrite("class token: mask", ClassToken, quick=True, read=by_mask)


@pytest.mark.parametrize("pair", PAIRS.quick(), ids=lambda pair: pair.name)
def test_a_rewritten_attention_keeps_some_scores(pair):
    """Invariance: one function, two writings; proxies of each kind of signal."""
    assert compare(pair, FEW) == []


@pytest.mark.long
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_rewritten_attention_keeps_all_scores(pair):
    """Invariance: one function, two writings; every proxy."""
    assert compare(pair, ALL) == []
