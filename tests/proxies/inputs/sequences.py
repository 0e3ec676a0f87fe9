"""Convolutional networks on sequences ``(B, C, T)``, and the same on images ``(B, C, 1, T)`` of height 1."""

import copy

import torch
from torch import Tensor, nn


class Convolution(nn.Module):
    """A convolution along the last axis, with the normalisation, of one or of two spatial axes."""

    def __init__(self, axes: int, given: int, channels: int, side: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        flat = axes == 1
        sides = side if flat else (1, side)
        self.conv = (nn.Conv1d if flat else nn.Conv2d)(
            *(given, channels, sides, stride if flat else (1, stride)),
            padding=side // 2 if flat else (0, side // 2),
            groups=groups,
        )
        self.norm = nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)
        nn.init.normal_(self.norm.bias)  # else a gate of the mean of a normalised map is one of zeros

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Block(nn.Module):
    """A residual block with a gate of squeeze-and-excitation."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(axes, channels, channels), Convolution(axes, channels, channels, groups=2)
        self.narrow, self.widen = nn.Linear(channels, 4), nn.Linear(4, channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(self.relu(self.first(x)))
        gate = torch.sigmoid(self.widen(self.relu(self.narrow(inner.flatten(2).mean(2)))))
        return self.relu(x + inner * gate.reshape(*gate.shape, *[1] * (x.ndim - 2)))


class Resnet(nn.Module):
    """A stem, two blocks with a step between, pooling and a classifier."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(Convolution(axes, 3, 8), nn.ReLU())
        self.pool = nn.MaxPool1d(2) if axes == 1 else nn.MaxPool2d((1, 2))
        self.one, self.step, self.two = Block(axes, 8), Convolution(axes, 8, 12, stride=2), Block(axes, 12)
        self.mean = nn.AdaptiveAvgPool1d(1) if axes == 1 else nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.mean(self.two(self.step(self.one(self.pool(self.stem(x)))))).flatten(1))


class Shuffle(nn.Module):
    """Half of the channels are convolved, and the channels are shuffled."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.conv, self.relu = Convolution(axes, channels // 2, channels // 2), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        one, other = x.chunk(2, 1)
        joined = torch.cat([one, self.relu(self.conv(other))], 1)
        return joined.reshape(len(x), 2, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)


class Selective(nn.Module):
    """Two convolutions, stacked on an axis of their own and added up, as in selective kernels."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.one, self.two = Convolution(axes, channels, channels), Convolution(axes, channels, channels, 5)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        both = self.relu(torch.stack([self.one(x), self.two(x)], 2))
        return both.sum(2)


class Next(nn.Module):
    """A convolution by depth, and a perceptron with the channels last."""

    def __init__(self, axes: int, channels: int) -> None:
        super().__init__()
        self.conv = Convolution(axes, channels, channels, 5, groups=channels).conv
        self.norm, self.wide, self.narrow = nn.LayerNorm(channels), nn.Linear(channels, 16), nn.Linear(16, channels)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.conv(x).movedim(1, -1))
        return x + self.narrow(self.gelu(self.wide(inner))).movedim(-1, 1)


class Shufflenet(nn.Module):
    """Bare convolutions, shuffled channels, a block with the channels last, and pooling by a function."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.stem = Convolution(axes, 3, 8, 4, 2).conv
        self.shuffle, self.next = Shuffle(axes, 8), Next(axes, 8)
        self.selective, self.linear = Selective(axes, 10), nn.Linear(10, 5)
        self.last, self.relu = Convolution(axes, 8, 10), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.selective(self.relu(self.last(self.next(self.shuffle(self.stem(x))))))
        return self.linear(x.flatten(2).mean(2))


def pair(make: type[nn.Module], seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """A network of sequences and the network of images that computes the same function."""
    torch.manual_seed(seed)
    flat, tall = make(1), make(2)
    tall.load_state_dict(
        {name: value.reshape(tall.state_dict()[name].shape) for name, value in flat.state_dict().items()}
    )
    return flat, copy.deepcopy(tall)


def signals(size: int = 8, length: int = 48) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    return torch.randn(size, 3, length, generator=stream), torch.arange(size) % 5
