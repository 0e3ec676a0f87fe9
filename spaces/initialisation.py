"""How the weights of a network are drawn, the same for every space."""

from collections.abc import Callable

import torch
from torch import nn

from zcbench.errors import unknown


def _kaiming(layer: nn.Conv2d | nn.Linear) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.01)
    else:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _xavier(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.xavier_normal_(layer.weight)


def _normal(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.normal_(layer.weight)


_DRAWS: dict[str, Callable[[nn.Conv2d | nn.Linear], None]] = {"kaiming": _kaiming, "xavier": _xavier, "normal": _normal}

INITIALISATIONS = ("default", *_DRAWS)


def check_init(init: str) -> None:
    """Refuse an initialisation that is none.

    Raises:
        UnknownNameError: as the sentence says; the message has the nearest ones.
    """
    if init not in INITIALISATIONS:
        raise unknown("initialisation", init, INITIALISATIONS)


@torch.no_grad()
def initialise(module: nn.Module, init: str) -> None:
    """Draw all convolution and linear weights again, from the global generator, and set biases to zero.

    ``default`` leaves what the network's constructor drew: PyTorch's own draw, biases included, but for the linear
    layers of AutoFormer, DeiT, T2T-ViT and PVT. ``kaiming``: normal with variance 2 / fan-out for convolutions
    (arXiv:1502.01852), and standard deviation 0.01 for linear layers, so that the first logits are small. ``xavier``:
    normal with variance 2 / (fan-in + fan-out). ``normal``: standard normal. Normalisation layers keep scale 1 and
    shift 0 in all four, and the class token and position embeddings of a transformer their own draw.
    """
    if init == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            _DRAWS[init](layer)
            if layer.bias is not None:
                layer.bias.zero_()
