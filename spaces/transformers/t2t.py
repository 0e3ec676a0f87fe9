"""T2T-ViT, whose tokens are made of overlapping windows in two attentive steps, as a search space.

Yuan et al., "Tokens-to-Token ViT", ICCV 2021, arXiv:2101.11986, section 3 and table 2; the attention of the two steps
is Performer's (Choromanski et al., ICLR 2021, arXiv:2009.14794, section 2).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

from zcbench.errors import unknown
from zcbench.spaces.base import ImageShape
from zcbench.spaces.cost import Cost
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space
from zcbench.spaces.transformers.costs import attention, layer, linear, norm, plus, products, times, weights
from zcbench.spaces.transformers.layer import Attention, TransformerLayer, draw, with_token

#: Channels of the tokens before the last split, and random features of their attention.
TOKEN, FEATURES = 64, 32
NORM = 1e-5  # epsilon of all normalisations
TINY = 1e-8  # in the denominator of the attention by random features
#: Kernel of the first split for each stride; those after it have kernel 3, stride 2.
KERNELS = {"1": 3, "2": 3, "4": 7}


class Split(nn.Module):
    """Overlapping windows of maps (B, C, H, W) as tokens (B, T, C·k²), and the sides of their grid.

    Args:
        kernel: k, odd.
        stride: between two windows.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, (kernel - stride + 1) // 2

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, T, C·k²)."""
        return unfold(maps, self.kernel, padding=self.padding, stride=self.stride).transpose(1, 2)

    def side(self, side: int) -> int:
        """Windows along a side of so many positions."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1


class RandomFeatureLayer(nn.Module):
    r"""Transformer layer with one head of linear attention, to another width: (B, T, C) to (B, T, 64).

    .. math::  \varphi(x) = \tfrac{1}{\sqrt m} \exp(W x - \lVert x \rVert^2 / 2), \qquad
               y = v + P\Big( \frac{\varphi(q) \sum_t \varphi(k_t) v_t^\top}
               {\varphi(q) \cdot \sum_t \varphi(k_t) + 10^{-8}} \Big)

    W are m = 32 fixed directions, orthogonal and of length √m; an MLP of ratio 1 comes behind it.

    Args:
        channels: C.
    """

    directions: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=NORM)
        self.kqv = nn.Linear(channels, 3 * TOKEN)
        self.projection = nn.Linear(TOKEN, TOKEN)
        self.norm2 = nn.LayerNorm(TOKEN, eps=NORM)
        self.mlp = nn.Sequential(nn.Linear(TOKEN, TOKEN), nn.GELU(), nn.Linear(TOKEN, TOKEN))
        directions = nn.init.orthogonal_(torch.empty(FEATURES, TOKEN)) * math.sqrt(FEATURES)
        self.register_buffer("directions", directions)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, C) to (B, T, 64)."""
        key, query, value = self.kqv(self.norm1(tokens)).chunk(3, dim=-1)
        key, query = self._features(key), self._features(query)
        attended = query @ (key.transpose(1, 2) @ value)
        share = query @ key.sum(dim=1).unsqueeze(-1)
        tokens = value + self.projection(attended / (share + TINY))
        return tokens + self.mlp(self.norm2(tokens))

    def _features(self, vectors: Tensor) -> Tensor:
        lengths = vectors.square().sum(dim=-1, keepdim=True) / 2
        return (vectors @ self.directions.t() - lengths).exp() / math.sqrt(FEATURES)


class T2TNetwork(nn.Module):
    """T2T-ViT: images (B, C, H, W) in, logits (B, N) of the class token out.

    Args:
        head_channels: channels of each head; h heads are h times as wide.
        ratio: width between the two linear layers of a layer, as a multiple of the network's.
        depth: number of layers behind the tokens.
        heads: heads of each layer.
        stride: of the first split; one of `KERNELS`.
        image_shape: (C, H, W).
        num_classes: N.
    """

    positions: Tensor

    def __init__(
        self,
        head_channels: int,
        ratio: int,
        depth: int,
        heads: int,
        stride: int,
        image_shape: ImageShape,
        num_classes: int,
    ) -> None:
        super().__init__()
        width = head_channels * heads
        self.splits = nn.ModuleList((Split(KERNELS[str(stride)], stride), Split(3, 2), Split(3, 2)))
        self.grids = grids(stride, image_shape)
        kernel = KERNELS[str(stride)]
        self.tokens = nn.ModuleList(RandomFeatureLayer(n) for n in (image_shape[0] * kernel**2, TOKEN * 9))
        self.embedding = nn.Linear(TOKEN * 9, width)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.register_buffer("positions", sinusoids(math.prod(self.grids[-1]) + 1, width))
        self.layers = nn.Sequential(
            *(
                TransformerLayer(
                    width,
                    heads,
                    head_channels,
                    width * ratio,
                    attention=Attention(width, heads, head_channels, bias=False),
                    epsilon=NORM,
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width, eps=NORM)
        self.classifier = nn.Linear(width, num_classes)
        draw(self, (self.class_token,))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the class token."""
        tokens = self.splits[0](images)
        for step, split, grid in zip(self.tokens, list(self.splits)[1:], self.grids):
            tokens = split(step(tokens).transpose(1, 2).reshape(images.shape[0], TOKEN, *grid))
        tokens = with_token(self.class_token, self.embedding(tokens)) + self.positions
        return self.classifier(self.norm(self.layers(tokens))[:, 0])


def grids(stride: int, image_shape: ImageShape) -> list[tuple[int, int]]:
    """Rows and columns of the tokens behind each of the three splits."""
    found, sides = [], image_shape[1:]
    for split in (Split(KERNELS[str(stride)], stride), Split(3, 2), Split(3, 2)):
        sides = tuple(map(split.side, sides))
        found.append((sides[0], sides[1]))
    return found


def sinusoids(count: int, width: int) -> Tensor:
    r"""Fixed positions (1, T, C): :math:`\sin` in even and :math:`\cos` in odd channels c of
    :math:`t / 10000^{2 \lfloor c / 2 \rfloor / C}`.
    """
    channels = torch.arange(width, dtype=torch.float64)
    rates = 10000 ** (2 * (channels // 2) / width)
    angles = torch.arange(count, dtype=torch.float64)[:, None] / rates
    return torch.where(channels % 2 == 0, angles.sin(), angles.cos()).float()[None]


@space
class T2T(ProductSpace):
    """T2T-ViT of 2 to 14 equal layers behind two attentive steps of overlapping tokens: 1,248 of them.

    A string is ``base/ratio/depth/heads``: channels per head (16, 32, 48, 64), MLP ratio (1 to 4), layers (2 to 14) and
    heads (2 to 7). T2T-ViT-7 is ``64/2/7/4``, and ``t2t_7``; further names are ``t2t_10``, ``t2t_12`` and ``t2t_14``.

    Args:
        stride: of the first split: 4, with a kernel of 7, for images of 224x224, as published; 1 or 2, with a kernel of
            3, for small images. A network has one token for each 4·stride pixels along a side.

    Raises:
        UnknownNameError: ``stride`` is neither 1, 2 nor 4.

    Example:
        >>> T2T().params("t2t_7", 1000, (3, 224, 224)), T2T().params("t2t_7", 100, (3, 224, 224))
        (4255694, 4024394)

    Note:
        Without dropout and stochastic depth. Positions and the directions of the random features are fixed, and no
        parameters.
    """

    name = "t2t"
    label = "T2T-ViT"
    example = "64/2/7/4"
    analytic = True
    sites = (
        Site("the channels per head", ("16", "32", "48", "64")),
        Site("the MLP ratio", ("1", "2", "3", "4")),
        Site("the depth", tuple(map(str, range(2, 15)))),
        Site("the heads", tuple(map(str, range(2, 8)))),
    )
    separators = ("/", "/", "/")
    aliases = {  # noqa: RUF012
        "t2t_7": "64/2/7/4",
        "t2t_10": "64/2/10/4",
        "t2t_12": "64/2/12/4",
        "t2t_14": "64/3/14/6",
    }

    def __init__(self, stride: int = 4) -> None:
        if isinstance(stride, bool) or str(stride) not in KERNELS:
            raise unknown("stride of T2T-ViT", str(stride), KERNELS)
        self.stride, self.multiple = int(stride), 4 * int(stride)
        self.spec = f"{self.name}(stride={self.stride})"

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """T2T-ViT of this width, depth and these heads."""
        head_channels, ratio, depth, heads = map(int, values)
        return T2TNetwork(head_channels, ratio, depth, heads, self.stride, image_shape, num_classes)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        head_channels, ratio, depth, heads = map(int, values)
        width, windows = head_channels * heads, image_shape[0] * KERNELS[str(self.stride)] ** 2
        first, second, last = map(math.prod, grids(self.stride, image_shape))
        tokens = last + 1
        layers = layer(width, width * ratio, tokens, attention(width, width, tokens, bias=False))
        return plus(
            _random_feature_layer(windows, first),
            _random_feature_layer(TOKEN * 9, second),
            linear(TOKEN * 9, width, last),
            weights(width),
            times(depth, layers),
            norm(width),
            linear(width, num_classes, 1)._replace(depth=0),
        )


def _random_feature_layer(channels: int, tokens: int) -> Cost:
    mlp = times(2, linear(TOKEN, TOKEN, tokens))
    features = products(2 * tokens * TOKEN * FEATURES)
    attended = products(2 * tokens * FEATURES * TOKEN + tokens * FEATURES)
    parts = (norm(channels), linear(channels, 3 * TOKEN, tokens), features, attended, linear(TOKEN, TOKEN, tokens))
    return plus(*parts, norm(TOKEN), mlp)
