"""Reads the outputs that distillation losses need off a network, with their gradient."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zcbench.distill.errors import MissingOutput
from zcbench.distill.last_map import LastMap
from zcbench.distill.outputs import OUTPUTS, Outputs
from zcbench.distill.stages import StageTap
from zcbench.distill.taps import ForwardTap, layer_outputs
from zcbench.errors import BatchError

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_HEAD = frozenset({"embedding", "classifier"})


class Reader:
    """Runs a network and gives what it puts out; the definitions are those of the proxies' signals.

    What is not read costs nothing: for the logits alone the network is just called.

    Args:
        network: gives logits ``(B, N)`` for images.
        reads: names of `OUTPUTS`.
        precision: ``float32``, or the type of autocast.
        image: an image of the right size, ``(1, C, H, W)``.
    """

    def __init__(self, network: nn.Module, reads: frozenset[str], precision: str, image: Tensor) -> None:
        self.network, self._reads = network, reads | {"logits"}
        self._autocast = torch.autocast(image.device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)
        self._stages = StageTap(network, image, graph=True) if "stages" in reads else None
        self._linear = {layer: name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}

    def __call__(self, images: Tensor) -> Outputs:
        """Outputs for a batch.

        Raises:
            BatchError: the network does not return logits.
            MissingOutput: it lacks an output that is read.
        """
        with self._listening(images) as heard, self._autocast:
            logits = self.network(images)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
            given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise BatchError(
                f"The network returns {given} for {len(images)} images. Expected one tensor of logits "
                f"({len(images)}, classes); wrap the network so that it returns just that."
            )
        return self._outputs(logits, heard)

    def without_gradient(self, images: Tensor) -> Outputs:
        """The same, and nothing to differentiate."""
        with torch.no_grad():
            return self(images)

    @contextmanager
    def _listening(self, images: Tensor) -> Iterator[dict[str, Any]]:
        """Within the block listen; afterwards the dictionary holds what was heard."""
        heard: dict[str, Any] = {}
        tap = ForwardTap(features=True)
        last = LastMap(self.network, images, lambda: tap.features)

        def keep(name: str, layer: nn.Module, source: Tensor, output: Tensor) -> None:
            heard["embedding"], heard["classifier"] = source, layer.weight

        with ExitStack() as stack:
            if "features" in self._reads:
                stack.enter_context(tap)
                stack.enter_context(last)
            if self._stages is not None:
                stack.enter_context(self._stages)
            if self._reads & _HEAD:
                stack.enter_context(layer_outputs(self._linear, keep))
            yield heard
        if "features" in self._reads:
            heard["features"] = last.features
        if self._stages is not None:
            heard["stages"] = self._stages.stages or None

    def _outputs(self, logits: Tensor, heard: dict[str, Any]) -> Outputs:
        values: dict[str, Any] = {"logits": logits} | {name: heard.get(name) for name in self._reads - {"logits"}}
        for name, value in values.items():
            if value is None:
                raise MissingOutput(
                    f"The network {type(self.network).__name__} has no {name!r} ({OUTPUTS[name]}), which a distiller "
                    f"reads. Use a network that has it, or a distiller that does not read it."
                )
        return Outputs(**values)
