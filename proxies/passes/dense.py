"""The backbone's maps of a network for a dense task, recorded in a pass."""

from typing import Any, Self

from torch import Tensor, nn

from zcbench.proxies.passes.values import missing
from zcbench.proxies.signals.signals import Failure
from zcbench.spaces.dense import DenseMaps, DenseNetwork

NO_BACKBONE = (
    "The network gives a class for each position, and which of its maps are the backbone's is not known. Make it a "
    "zcbench.spaces.dense.DenseNetwork, whose method maps names them."
)


class DenseRecorder:
    """Within the block, keeps the maps that a `DenseNetwork` returns: those that losses read in a training.

    Args:
        network: its method ``maps`` is wrapped.
    """

    def __init__(self, network: DenseNetwork) -> None:
        self._network = network
        self._found: DenseMaps | None = None

    def __enter__(self) -> Self:
        maps = self._network.maps

        def recorded(images: Tensor) -> DenseMaps:
            found = maps(images)
            stages = tuple(stage.detach().clone() for stage in found.stages)  # later functions may overwrite them
            self._found = found._replace(features=found.features.detach().clone(), stages=stages)
            return found

        self._own = vars(self._network).get("maps")
        self._network.maps = recorded  # type: ignore[method-assign]
        return self

    def __exit__(self, *error: object) -> None:
        del self._network.maps
        if self._own is not None:
            self._network.maps = self._own  # type: ignore[method-assign]

    @property
    def values(self) -> dict[str, Any]:
        """The signals ``features`` and ``stages``; failures where ``maps`` was not called."""
        if self._found is None:
            return no_backbone()
        return {"features": self._found.features, "stages": self._found.stages}


def recorder_of(network: nn.Module) -> DenseRecorder | None:
    """What records the backbone's maps; None for other networks."""
    return DenseRecorder(network) if isinstance(network, DenseNetwork) else None


def no_backbone() -> dict[str, Failure]:
    """The failures of ``features`` and ``stages`` where a class is given for each position by no known backbone."""
    return dict.fromkeys(("features", "stages"), missing(NO_BACKBONE))
