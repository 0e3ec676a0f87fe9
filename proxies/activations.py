"""What the layers of the shared forward pass put out: one square matrix of positions and channels from each."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zcbench.distill.taps import RELUS
from zcbench.streams import torch_stream

CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d})
CHANNELS_LAST = frozenset({F.linear, F.layer_norm})
LAYERS = CONVOLUTIONS | CHANNELS_LAST | {F.batch_norm, F.group_norm, F.instance_norm}
ACTIVATIONS = RELUS | {
    *(F.gelu, F.silu, F.mish, F.elu, F.selu, F.celu, F.prelu, F.rrelu, F.softplus, F.hardswish, F.hardsigmoid),
    *(F.hardtanh, F.logsigmoid, F.softsign, F.tanhshrink, torch.tanh, Tensor.tanh, torch.sigmoid, Tensor.sigmoid),
}
HEARD = LAYERS | ACTIVATIONS


class ActivationTap(TorchFunctionMode):
    """Keeps C consecutive positions of what each layer and activation function puts out, a ``(C, C)`` matrix.

    The output, with channels last, is a matrix with a row per image and position. The C rows start where a row of an
    image starts, at one of all such places, drawn from the pass's stream; an output of fewer rows is kept whole.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.matrices: list[Tensor] = []
        self._seed = seed
        self._stream = torch_stream("activation_matrices", seed)

    def renewed(self) -> "ActivationTap":
        """A tap on the same stream that has heard nothing yet."""
        return ActivationTap(self._seed)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, and keep a part of its output."""
        result = func(*args, **(kwargs or {}))
        if func in HEARD and isinstance(result, Tensor) and result.ndim >= 2:
            last = func in CHANNELS_LAST or (result.ndim == 3 and func in ACTIVATIONS)
            self.matrices.append(self._square(result.detach() if last else result.detach().movedim(1, -1)))
        return result

    def _square(self, output: Tensor) -> Tensor:
        """C rows of ``(B, ..., W, C)``, copied, since a later layer may overwrite them."""
        channels, width = output.shape[-1], output.shape[-2] if output.ndim > 2 else 1
        per_image, rows = output[0, ..., 0].numel(), output[..., 0].numel()
        places = max(0, rows - channels) // width + 1
        start = width * int(torch.randint(places, (), generator=self._stream))
        first, last = start // per_image, -(-(start + channels) // per_image)
        offset = start - first * per_image
        return output[first:last].reshape(-1, channels)[offset : offset + channels].clone()
