"""The layer that all vision transformers here are made of.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929, section 3.1.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

EPSILON = 1e-6  # of the layer normalisations, as in the released code of AutoFormer's and PiT's subnets
DEVIATION = 0.02  # of class tokens and position embeddings


class Attention(nn.Module):
    r"""Multi-head self-attention.

    .. math::  A = \operatorname{softmax}(Q K^\top / \sqrt{d}) V

    per head, with d channels each; tokens (B, T, C) in and out. Written with plain products, so that it can be
    differentiated twice.

    Args:
        channels: C.
        heads: number of heads.
        head_channels: d.
        bias: whether queries, keys and values have a bias.
    """

    def __init__(self, channels: int, heads: int, head_channels: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads, self.head_channels = heads, head_channels
        self.qkv = nn.Linear(channels, 3 * heads * head_channels, bias=bias)
        self.projection = nn.Linear(heads * head_channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        batch, count, _ = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self.heads, self.head_channels)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1) * self.head_channels**-0.5).softmax(dim=-1)
        return self.projection((weights @ value).transpose(1, 2).reshape(batch, count, -1))


class TransformerLayer(nn.Module):
    """Attention and two linear layers, each after a normalisation and added to its input: (B, T, C) in and out.

    Args:
        channels: C.
        heads: heads of the attention.
        head_channels: channels of each head.
        hidden: width between the two linear layers.
        attention: another attention of these channels, in place of `Attention`.
        epsilon: of both normalisations.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        head_channels: int,
        hidden: int,
        *,
        attention: nn.Module | None = None,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=epsilon)
        self.attention = attention or Attention(channels, heads, head_channels)
        self.norm2 = nn.LayerNorm(channels, eps=epsilon)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


def patch_tokens(maps: Tensor) -> Tensor:
    """The positions of maps (B, C, H, W) as tokens (B, H·W, C), row by row."""
    return maps.flatten(2).transpose(1, 2)


def draw(network: nn.Module, tokens: Iterable[nn.Parameter]) -> None:
    """Draw class tokens, positions and linear layers from a truncated normal of deviation .02; biases become zero.

    So do the released codes of AutoFormer, DeiT, PVT and T2T-ViT; convolutions keep PyTorch's draw.
    """
    for weight in tokens:
        nn.init.trunc_normal_(weight, std=DEVIATION)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def with_token(token: Tensor, tokens: Tensor) -> Tensor:
    """A learned token (1, 1, C) in front of the tokens (B, T, C) of each image."""
    return torch.cat([token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
