"""The backbone's maps of a network for a dense task, recorded in a pass."""

from collections.abc import Set
from typing import Any, Self

from torch import Tensor, nn

from zcbench.proxies.passes.values import missing
from zcbench.proxies.signals.signals import Failure
from zcbench.spaces.dense import DenseMaps, DenseNetwork

NO_BACKBONE = (
    "The network gives a class for each position, and which of its maps are the backbone's is not known. Make it a "
    "zcbench.spaces.dense.DenseNetwork, whose method maps names them."
)
_SIGNALS = frozenset({"features", "stages"})


class DenseRecorder:
    """Within the block, keeps the maps that a `DenseNetwork` returns: those that losses read in a training.

    Args:
        network: its method ``maps`` is wrapped.
        wanted: signals; others than ``features`` and ``stages`` do not matter.
    """

    def __init__(self, network: DenseNetwork, wanted: Set[str]) -> None:
        self._network, self._wanted = network, wanted & _SIGNALS
        self._found: dict[str, Any] = {}

    def __enter__(self) -> Self:
        maps = self._network.maps

        def recorded(images: Tensor) -> DenseMaps:
            found = maps(images)
            if "features" in self._wanted:
                self._found["features"] = found.features.detach().clone()  # later functions may overwrite it
            if "stages" in self._wanted:
                self._found["stages"] = tuple(stage.detach().clone() for stage in found.stages)
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
        """Those of the signals that are wanted; failures where ``maps`` was not called."""
        return {**dict.fromkeys(self._wanted, missing(NO_BACKBONE)), **self._found}


def recorder_of(network: nn.Module, wanted: Set[str]) -> DenseRecorder | None:
    """What records the wanted maps of a backbone; None for other networks."""
    return DenseRecorder(network, wanted) if isinstance(network, DenseNetwork) else None


def no_backbone() -> dict[str, Failure]:
    """The failures of ``features`` and ``stages`` where a class is given for each position by no known backbone."""
    return dict.fromkeys(_SIGNALS, missing(NO_BACKBONE))
