"""Accuracy and loss of a trained network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zcbench.hooks.modes import evaluating, set_mode

_CHUNK = 256


class Quality(NamedTuple):
    """Accuracy in percent and mean cross-entropy in nats over some images."""

    accuracy: float
    loss: float


@torch.no_grad()
def evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> Quality:
    """Accuracy and loss in evaluation mode and float32; the modes of the modules are restored.

    Args:
        network: gives logits ``(B, N)``.
        images: ``(M, C, H, W)``, on the device of the network.
        labels: ``(M,)``.
    """
    with evaluating(network):
        logits = torch.cat([network(part) for part in torch.split(images, _CHUNK)])
    hits = int((logits.argmax(1) == labels).sum())
    return Quality(100 * hits / len(labels), cross_entropy(logits, labels).item())


def to_training_mode(network: nn.Module) -> None:
    """Training mode for a network that is in evaluation mode as a whole; all other modes stay as they are.

    So parts that were put into evaluation mode, such as a frozen normalisation, keep it.
    """
    if not any(module.training for module in network.modules()):
        set_mode(network, True)
