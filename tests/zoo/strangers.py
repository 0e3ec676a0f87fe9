"""Small classifiers in the styles of public packages, written with PyTorch alone."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 10


class InvertedResidual(nn.Module):
    """Block of a mobile network: expand, depthwise, squeeze and excite by 1x1 convolutions, project."""

    def __init__(self, width: int, hidden: int, out: int, stride: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(width, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(True))
        depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(hidden), nn.Hardswish(inplace=True))
        self.fc1, self.fc2 = nn.Conv2d(hidden, hidden // 4, 1), nn.Conv2d(hidden // 4, hidden, 1)
        self.project = nn.Sequential(nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out))
        self.residual = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        scale = self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(y, 1)), inplace=True))
        y = self.project(F.hardsigmoid(scale, inplace=True) * y)
        if self.residual:
            y += x
        return y


class Mobile(nn.Module):
    """In the style of torchvision's MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
        self.features = nn.Sequential(stem, InvertedResidual(8, 16, 8, 1), InvertedResidual(8, 24, 16, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        head = nn.Linear(32, CLASSES)
        self.classifier = nn.Sequential(nn.Linear(16, 32), nn.Hardswish(inplace=True), nn.Dropout(0.2, True), head)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Attention(nn.Module):
    """Queries, keys and values by one layer, and the fused product."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, dim // heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))


class Vision(nn.Module):
    """In the style of timm's vision transformer: a class token, positions, blocks that normalise first."""

    def __init__(self, dim: int = 16, depth: int = 2) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, 8, 8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, dim) * 0.02)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for _ in range(2 * depth + 1))
        self.attentions = nn.ModuleList(Attention(dim, 2) for _ in range(depth))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim)) for _ in range(depth)
        )
        self.head = nn.Linear(dim, CLASSES)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps)):
            x = x + attention(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        return self.norms[-1](x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x)[:, 0])


class Window(nn.Module):
    """Attention in windows of 4x4 with a bias for each offset, on maps (B, H, W, C) that may be rolled."""

    def __init__(self, dim: int, heads: int, shift: int) -> None:
        super().__init__()
        self.heads, self.shift, self.scale = heads, shift, (dim // heads) ** -0.5
        self.qkv, self.proj, self.norm = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), nn.LayerNorm(dim)
        self.table = nn.Parameter(torch.randn(49, heads) * 0.02)
        place = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")).flatten(1)
        offset = (place[:, :, None] - place[:, None, :] + 3) * torch.tensor([7, 1])[:, None, None]
        self.register_buffer("index", offset.sum(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        shortcut, (b, h, w, c) = x, x.shape
        x = torch.roll(self.norm(x), (-self.shift, -self.shift), dims=(1, 2))
        x = x.view(b, h // 4, 4, w // 4, 4, c).transpose(2, 3).reshape(-1, 16, c)
        q, k, v = self.qkv(x).view(len(x), 16, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1) + self.table[self.index].permute(2, 0, 1)
        x = self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(-1, 16, c))
        x = x.view(b, h // 4, w // 4, 4, 4, c).transpose(2, 3).reshape(b, h, w, c)
        return shortcut + torch.roll(x, (self.shift, self.shift), dims=(1, 2))


class Windows(nn.Module):
    """In the style of Swin: windows, rolled windows, and patches merged in between; channels come last."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, kernel_size=4, stride=4)
        self.blocks = nn.ModuleList([Window(16, 2, 0), Window(16, 2, 2)])
        self.merge_norm, self.merge = nn.LayerNorm(64), nn.Linear(64, 32, bias=False)
        self.last, self.norm, self.head = Window(32, 4, 0), nn.LayerNorm(32), nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        parts = [x[:, i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
        x = self.merge(self.merge_norm(torch.cat(parts, -1)))
        return self.head(self.norm(self.last(x)).mean((1, 2)))


class Elastic(nn.Module):
    """A convolution that uses the first channels of its weight, and the middle of its kernel; `bias` is a flag."""

    def __init__(self, most_in: int, most_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(most_in, most_out, 5, padding=2, bias=False)
        self.bn, self.active_out, self.kernel, self.bias = nn.BatchNorm2d(most_out), most_out, 5, False

    def forward(self, x: Tensor) -> Tensor:
        edge = (5 - self.kernel) // 2
        weight = self.conv.weight[: self.active_out, : x.size(1), edge : 5 - edge, edge : 5 - edge]
        y, n = F.conv2d(x, weight, None, 1, self.kernel // 2), self.active_out
        mean, variance = self.bn.running_mean[:n], self.bn.running_var[:n]
        return F.batch_norm(y, mean, variance, self.bn.weight[:n], self.bn.bias[:n], self.bn.training)


class SuperNet(nn.Module):
    """In the style of once-for-all: a super-network of which a part is active."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Elastic(3, 16), Elastic(16, 32)
        self.classifier = nn.Linear(32, CLASSES)
        self.first.active_out, self.second.active_out, self.second.kernel = 8, 16, 3

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x), inplace=True), 4)
        x = F.relu6(self.second(x)).mean(3).mean(2)
        return F.linear(x, self.classifier.weight[:, : x.size(1)], self.classifier.bias)


@dataclass
class Output:
    """What the models of transformers return."""

    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class Layer(nn.Module):
    """Attention with three layers, called by keyword, that returns a tuple."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(size, size),
            nn.Linear(size, size, bias=False),
            nn.Linear(size, size),
        )
        self.intermediate, self.output = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)

    def forward(self, hidden_states: Tensor, output_attentions: bool = False) -> tuple[Tensor, ...]:
        q, k, v = (
            layer(input=hidden_states).view(*hidden_states.shape[:2], 2, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        probabilities = nn.functional.softmax(torch.matmul(q, k.transpose(-1, -2)) / q.shape[-1] ** 0.5, dim=-1)
        context = torch.matmul(probabilities, v).permute(0, 2, 1, 3).contiguous().view(hidden_states.shape)
        hidden_states = self.output(F.gelu(self.intermediate(context))) + hidden_states
        return (hidden_states, probabilities) if output_attentions else (hidden_states,)


class ForImageClassification(nn.Module):
    """In the style of transformers: patches by convolution, keywords everywhere, an object as output."""

    def __init__(self) -> None:
        super().__init__()
        self.projection, self.dropout = nn.Conv2d(3, 16, 8, stride=8), nn.Dropout(0.0)
        self.layer = nn.ModuleList([Layer(16) for _ in range(2)])
        self.layernorm, self.classifier = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, pixel_values: Tensor | None = None, output_hidden_states: bool = False) -> Output:
        assert pixel_values is not None
        hidden_states = self.dropout(self.projection(pixel_values).flatten(2).transpose(1, 2))
        every = (hidden_states,)
        for module in self.layer:
            hidden_states = module(hidden_states=hidden_states, output_attentions=False)[0]
            every += (hidden_states,)
        pooled = self.layernorm(hidden_states.mean(dim=1))
        return Output(logits=self.classifier(pooled), hidden_states=every if output_hidden_states else None)


class OnlyLogits(nn.Module):
    """The wrapper that a user writes around such a model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = ForImageClassification()

    def forward(self, x: Tensor) -> Tensor:
        logits = self.model(pixel_values=x).logits
        assert logits is not None
        return logits


NETWORKS = {
    "mobile": Mobile,
    "vision": Vision,
    "windows": Windows,
    "super-network": SuperNet,
    "transformers": OnlyLogits,
}
