"""The weights of the attentions of a pass: the largest that each query gives to a key."""

from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.proxies.passes.values import missing
from zcbench.proxies.signals.signals import Failure


class AttentionRecorder:
    """Records the largest weight that each query gives to a key.

    Args:
        size: number of images B.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._peaks: list[Tensor] = []
        self._mixed = False

    def record(self, weights: Tensor, keys: int, images: Images | None) -> None:
        """Record the weights of an attention, which sum to 1 along the axis ``keys``."""
        if images is None:
            self._mixed = True
            return
        last = keys % weights.ndim == weights.ndim - 1
        peaks = images.first(weights.amax(keys, keepdim=True), self._size)
        self._peaks.append(peaks.reshape(self._size, -1, weights.shape[-2 if last else -1]))

    def values(self) -> list[Tensor] | Failure:
        """Largest weights ``(B, heads, queries)`` of every attention, in the order of the calls."""
        if self._mixed:
            return missing("An attention works on a tensor that does not keep the images apart.")
        return self._peaks or missing("No attention is called; this is about transformers.")
