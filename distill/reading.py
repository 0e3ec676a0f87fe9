"""Reads the outputs of a network that distillation losses need, with their gradient."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from zcbench.distill.answers import answer
from zcbench.distill.errors import MissingOutput
from zcbench.distill.outputs import OUTPUTS, Outputs
from zcbench.errors import BatchError
from zcbench.hooks.heads import classifier_of, last_map, map_of, overwritten
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.stages import StageRecorder
from zcbench.hooks.weights import named_state
from zcbench.spaces.dense import DenseNetwork

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Reader:
    """Runs a network and returns its outputs; the definitions are those of the proxies' signals.

    Only outputs that are read are recorded: for the logits alone the network is just called. A `DenseNetwork` gives its
    maps itself.

    Args:
        network: gives logits ``(B, N)`` for images, or ``(B, N, H, W)`` or ``(B, C, A)`` of a dense task, where
            `zcbench.distill.answers.answer` finds them.
        reads: names of `OUTPUTS`.
        precision: ``float32``, or the type of autocast.
        image: an image of the right size, ``(1, C, H, W)``.
    """

    def __init__(self, network: nn.Module, reads: frozenset[str], precision: str, image: Tensor) -> None:
        self.network, self._reads = network, reads | {"logits"}
        self._autocast = torch.autocast(image.device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)
        self._dense = isinstance(network, DenseNetwork)
        self._stages = StageRecorder(network, image, graph=True) if "stages" in reads and not self._dense else None
        self._copies = False

    def __call__(self, images: Tensor) -> Outputs:
        """Outputs for a batch.

        Raises:
            BatchError: the network does not return logits.
            MissingOutput: it lacks an output that is read.
        """
        if isinstance(self.network, DenseNetwork):
            return self._maps(self.network, images)
        given = images if self._reads == {"logits"} else images.view_as(images)  # which carries what is recorded
        with self._recorder(given), self._stages or nullcontext(), self._autocast:
            found = answer(self.network(given))
        logits = found.logits
        if logits.ndim not in (2, 3, 4) or len(logits) != len(images):
            raise BatchError(
                f"The network returns {tuple(logits.shape)} for {len(images)} images. Expected logits "
                f"({len(images)}, classes); wrap the network so that it returns them."
            )
        if "features" in self._reads and not self._copies and overwritten(last_map(logits)):
            self._copies = True  # the network writes to its last map: from now on a copy is kept
            return self(images)
        return self._outputs(*found)

    def _maps(self, network: DenseNetwork, images: Tensor) -> Outputs:
        with self._autocast:
            found = network.maps(images)
        values = {"logits": found.logits, "features": found.features, "stages": found.stages}
        return self._given({**values, "embedding": None, "classifier": None}, found.auxiliary)

    def without_gradient(self, images: Tensor) -> Outputs:
        """The same, and nothing to differentiate."""
        with torch.no_grad():
            return self(images)

    def _recorder(self, images: Tensor) -> AbstractContextManager[object]:
        if self._reads == {"logits"}:
            return nullcontext()
        return Recorder(named_state(self.network), images, copies=self._copies)

    def _outputs(self, logits: Tensor, auxiliary: tuple[Tensor, ...]) -> Outputs:
        values: dict[str, Any] = {"logits": logits}
        if "features" in self._reads:
            values["features"] = map_of(logits)
        if self._reads & {"embedding", "classifier"}:
            classifier = classifier_of(logits)
            if "embedding" in self._reads:
                values["embedding"] = classifier and classifier.embedding
            if "classifier" in self._reads:
                values["classifier"] = classifier and classifier.weight.matrix
        if self._stages is not None:
            values["stages"] = self._stages.stages or None
        return self._given(values, auxiliary)

    def _given(self, values: dict[str, Any], auxiliary: tuple[Tensor, ...]) -> Outputs:
        """The outputs that are read.

        Raises:
            MissingOutput: one is not there.
        """
        for name, value in values.items():
            if value is None and name in self._reads:
                raise MissingOutput(
                    f"The network {type(self.network).__name__} has no {name!r} ({OUTPUTS[name]}), which a distiller "
                    f"reads. Use a network that has it, or a distiller that does not read it."
                )
        return Outputs(**{name: values[name] for name in values if name in self._reads}, auxiliary=auxiliary)
