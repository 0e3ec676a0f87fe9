"""The uses of the parameters of a network."""

from dataclasses import dataclass

import torch
from torch import nn

from zcbench.datasets.inputs import Given
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.weights import Weight, named_state


@dataclass(frozen=True)
class Usage:
    """The roles of a network's parameters in one forward pass.

    Attributes:
        weights: of convolutions, linear maps and recurrences, in the order of `WeightTable`.
        biases: names of parameters that are added to the output of a layer or normalisation.
        scales: names of parameters that batch normalisations multiply with.
        gains: names of parameters that any normalisation multiplies with.
        used: names of all parameters that a function was given.
    """

    weights: tuple[Weight, ...]
    biases: frozenset[str]
    scales: frozenset[str]
    gains: frozenset[str]
    used: frozenset[str]

    @property
    def whole(self) -> bool:
        """Whether every weight is a parameter as a whole."""
        return all(weight.whole for weight in self.weights)

    @classmethod
    def of(cls, recorder: Recorder) -> "Usage":
        """The uses that a recorder with ``roles`` has recorded."""
        weights = tuple(recorder.weights)
        used = recorder.used | {weight.name for weight in weights}
        roles = map(frozenset, (recorder.biases, recorder.scales, recorder.gains, used))
        return cls(weights, *roles)


def record_usage(network: nn.Module, images: Given) -> Usage:
    """Look at one forward pass of at most two images, in the mode that the network is in."""
    part = images[:2].clone()
    with torch.no_grad(), Recorder(named_state(network), part, roles=True) as recorder:
        network(part)
    return Usage.of(recorder)
