"""Accuracy, loss and further metrics of a trained network."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zcbench.distill.answers import logits_of
from zcbench.distill.training.metrics import METRICS, Metric
from zcbench.hooks.modes import evaluating, set_mode

_CHUNK = 256
_ALWAYS = (METRICS["accuracy"], METRICS["loss"])


class Quality(NamedTuple):
    """Accuracy in percent and mean cross-entropy in nats over some images."""

    accuracy: float
    loss: float


def evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> Quality:
    """Accuracy and loss in evaluation mode and float32; the modes of the modules are restored.

    Args:
        network: gives logits ``(B, N)``.
        images: ``(M, C, H, W)``, on the device of the network.
        labels: ``(M,)``.
    """
    return Quality(**measure(network, chunks(images, labels)))


@torch.no_grad()
def measure(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], metrics: Sequence[Metric] = ()
) -> dict[str, float]:
    """Accuracy, loss and further metrics in evaluation mode and float32, by name; modes are restored.

    Args:
        network: gives logits ``(B, N)``.
        batches: images and labels on the device of the network.
        metrics: beyond accuracy and loss.
    """
    with evaluating(network):
        found = [(logits_of(network(images)), labels) for images, labels in batches]
    logits, labels = (torch.cat(parts) for parts in zip(*found))
    return {metric.name: metric(logits, labels) for metric in (*_ALWAYS, *metrics)}


def chunks(images: Tensor, labels: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """Images and labels in parts of 256."""
    return zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK))


def to_training_mode(network: nn.Module) -> None:
    """Training mode for a network that is in evaluation mode as a whole; all other modes stay as they are.

    So parts that were put into evaluation mode, such as a frozen normalisation, keep it.
    """
    if not any(module.training for module in network.modules()):
        set_mode(network, True)
