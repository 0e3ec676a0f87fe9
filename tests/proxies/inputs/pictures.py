"""Eight small classifiers of images of 16 x 16, written as networks of pytorchcv and transformers are."""

from types import SimpleNamespace

import torch
from torch import Tensor, nn

CLASSES = 10


def convolved(given: int, channels: int, side: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(given, channels, side, stride, side // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.bias)  # else a gate of the mean of a normalised map is one of zeros
    return nn.Sequential(conv, norm, nn.ReLU(inplace=True))


def ended(*body: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


class Residual(nn.Module):
    """Two convolutions beside a shortcut, with a gate of squeeze-and-excitation where it is asked for."""

    def __init__(self, channels: int, *, gate: bool = False) -> None:
        super().__init__()
        self.one, self.two = convolved(channels, channels), convolved(channels, channels)[:2]
        self.pool, self.relu = nn.AdaptiveAvgPool2d(1), nn.ReLU()
        layers = (nn.Conv2d(channels, 2, 1), nn.ReLU(), nn.Conv2d(2, channels, 1), nn.Sigmoid())
        self.gate = nn.Sequential(*layers) if gate else None

    def forward(self, x: Tensor) -> Tensor:
        inner = self.two(self.one(x))
        if self.gate is not None:
            inner = inner * self.gate(self.pool(inner))
        return self.relu(x + inner)


class Dense(nn.Module):
    """New channels beside those that came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = convolved(channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(x)], 1)


class Inverted(nn.Module):
    """The inverted block of MobileNetV2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide, self.depth = convolved(channels, 2 * channels, 1), convolved(2 * channels, 2 * channels, groups=12)
        self.wide[2], self.depth[2] = nn.ReLU6(), nn.ReLU6()
        self.narrow = convolved(2 * channels, channels, 1)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(self.depth(self.wide(x)))


class Next(nn.Module):
    """The block of ConvNeXt, with the channels last inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm, self.gelu = nn.LayerNorm(channels), nn.GELU()
        self.wide, self.narrow = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.gelu(self.wide(self.norm(self.conv(x).permute(0, 2, 3, 1))))
        return x + self.narrow(inner).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Attention of two heads, written out, and a perceptron; both beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project, self.wide, self.narrow = (nn.Linear(a, b) for a, b in ((width, width), (width, 16), (16, width)))
        self.gelu = nn.GELU()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        normal = self.before(x)
        q, k, v = (part(normal).unflatten(2, (2, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(mask[:, None, None] == 0, -1e4)
        x = x + self.project((scores.softmax(3) @ v).transpose(1, 2).flatten(2))
        return x + self.narrow(self.gelu(self.wide(self.after(x))))


class Vision(nn.Module):
    """A vision transformer whose output is an object with ``logits``, as those of transformers are."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv2d(3, width, 4, 4), nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, 17, width) / 10)
        self.blocks = nn.ModuleList([Attention(width), Attention(width)])
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        x = self.embed(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        for block in self.blocks:
            x = block(x)
        return SimpleNamespace(loss=None, logits=self.classifier(self.norm(x)[:, 0]), hidden_states=None)


#: Functions that make the networks, by name.
NETWORKS = {
    "vgg": lambda: ended(convolved(3, 8), convolved(8, 12), nn.MaxPool2d(2), convolved(12, 12), channels=12),
    "resnet": lambda: ended(convolved(3, 8), Residual(8), convolved(8, 12, stride=2), Residual(12), channels=12),
    "seresnet": lambda: ended(convolved(3, 8), Residual(8, gate=True), channels=8),
    "densenet": lambda: ended(convolved(3, 8), Dense(8), Dense(12), nn.AvgPool2d(2), Dense(16), channels=20),
    "mobilenet": lambda: ended(convolved(3, 6, 3, 2), Inverted(6), Inverted(6), convolved(6, 12, 1), channels=12),
    "resnext": lambda: ended(convolved(3, 8, 5, 2), convolved(8, 8, groups=4), Residual(8), channels=8),
    "convnext": lambda: ended(nn.Conv2d(3, 8, 4, 4), Next(8), Next(8), channels=8),
    "vit": Vision,
}


def pictures(size: int = 16) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    return torch.randn(size, 3, 16, 16, generator=stream, dtype=torch.float64), torch.randint(
        CLASSES, (size,), generator=stream
    )
