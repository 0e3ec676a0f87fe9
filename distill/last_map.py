"""The last feature map of a network before its classifier."""

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn

from zcbench.distill.stages import token_axis
from zcbench.distill.tokens import TokenTap, batch_first, token_map


class LastMap:
    """Within the block listens for tokens; afterwards gives the map that is pooled or flattened last, or they if later.

    Args:
        network: its modules are listened to.
        images: the batch ``(B, C, H, W)``.
        heard: the map that a `ForwardTap` has heard so far, which listens in the same block.
    """

    def __init__(self, network: nn.Module, images: Tensor, heard: Callable[[], Tensor | None]) -> None:
        self._network, self._images, self._heard = network, images, heard
        self._tokens = TokenTap(network, len(images), heard)

    def __enter__(self) -> Self:
        self._tokens.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._tokens.__exit__(*error)

    @property
    def features(self) -> Tensor | None:
        """The map ``(B, C, H, W)``; None if there is neither."""
        heard, tokens = self._heard(), self._tokens.tokens
        if tokens is None or self._tokens.module is None or self._tokens.marked is not heard:
            return heard
        axis = int(tokens.shape[0] != len(self._images))
        if tokens.shape[0] == tokens.shape[1]:  # as many tokens as images: only one image tells which is which
            axis = token_axis(self._network, self._images[:1], self._tokens.module)
        found = token_map(batch_first(tokens, axis))
        return heard if found is None else found
