"""Small classifiers whose steps are methods, so that each can be written in another way."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNet(nn.Module):
    """Two convolutions with normalisation, a gate of squeeze-and-excitation between them, pooling and classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.narrow, self.widen = nn.Linear(8, 4), nn.Linear(4, 8)
        self.conv2, self.norm2 = nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)
        self.linear = nn.Linear(16, 10)

    def convolve1(self, x: Tensor) -> Tensor:
        return self.conv1(x)

    def normalise1(self, x: Tensor) -> Tensor:
        return self.norm1(x)

    def activate(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def squeeze(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def excite(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.widen(F.relu(self.narrow(self.squeeze(x)))))

    def gate(self, x: Tensor) -> Tensor:
        return x * self.excite(x)[..., None, None]

    def convolve2(self, x: Tensor) -> Tensor:
        return self.conv2(x)

    def normalise2(self, x: Tensor) -> Tensor:
        return self.norm2(x)

    def pool(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def head(self, x: Tensor) -> Tensor:
        return self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gate(self.activate(self.normalise1(self.convolve1(x))))
        return self.head(self.pool(self.activate(self.normalise2(self.convolve2(x)))))


class Residual(nn.Module):
    """A residual block of a grouped and a 1x1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.a, self.norm_a = nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8)
        self.b, self.norm_b = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 10)

    def grouped(self, x: Tensor) -> Tensor:
        return self.a(x)

    def point(self, x: Tensor) -> Tensor:
        return self.b(x)

    def activate(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def forward(self, x: Tensor) -> Tensor:
        x = self.activate(self.norm(self.stem(x)))
        y = self.norm_b(self.point(self.activate(self.norm_a(self.grouped(x)))))
        return self.linear(self.activate(self.add(y, x)).mean((2, 3)))


class TokenNet(nn.Module):
    """A perceptron with one hidden layer on each of 64 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.up, self.down = nn.Conv2d(3, 16, 2, 2), nn.Linear(16, 32), nn.Linear(32, 16)
        self.linear = nn.Linear(16, 10)

    def patches(self, x: Tensor) -> Tensor:
        return self.embed(x).flatten(2).transpose(1, 2)

    def mix(self, tokens: Tensor) -> Tensor:
        return self.down(F.relu(self.up(tokens)))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x)
        return self.linear((tokens + self.mix(tokens)).mean(1))


class Attention(nn.Module):
    """One attention of two heads on 16 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.out = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 48), nn.Linear(16, 16)
        self.linear = nn.Linear(16, 10)

    def heads(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    def attend(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(tokens).reshape(len(tokens), -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        return self.out(self.heads(q, k, v).transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.linear((tokens + self.attend(tokens)).mean(1))


class Multihead(Attention):
    """PyTorch's module."""

    def __init__(self):
        super().__init__()
        del self.qkv, self.out, self.linear
        self.attention, self.linear = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 10)

    def attend(self, tokens):
        return self.attention(tokens, tokens, tokens)[0]


class Swish(torch.autograd.Function):
    """SiLU that keeps only its input for the backward pass, as EfficientNet's; torch.vmap does not take it."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        gate = torch.sigmoid(x)
        return gradient * gate * (1 + x * (1 - gate))
