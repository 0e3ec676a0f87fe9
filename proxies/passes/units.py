"""The units of the ReLUs and GELUs of a pass: their patterns over the images, and how they vary together on tokens."""

import weakref
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks.axes import Images
from zcbench.hooks.trace import trace_of
from zcbench.proxies.passes.codes import positive
from zcbench.proxies.passes.values import missing
from zcbench.proxies.signals.errors import NotANumber
from zcbench.proxies.signals.signals import Failure

#: Images that a pattern runs over: the bits of an int64.
PATTERN_IMAGES = 64


class UnitRecorder:
    """Records the patterns of the units of each ReLU and GELU, and the covariances of the hidden tokens.

    Args:
        size: number of images B.
        wanted: names of the signals that are wanted.
    """

    def __init__(self, size: int, wanted: Iterable[str]) -> None:
        self._size = size
        self._keep_patterns, self._keep_tokens = (name in wanted for name in ("unit_patterns", "hidden_covariances"))
        self._patterns: list[Tensor | None] = []
        self._known: dict[int, tuple[weakref.ref[Tensor], int, Tensor | None]] = {}
        self._covariances: list[Tensor] = []
        self._mixed = False

    def record(self, x: Tensor, images: Images | None, rectified: bool) -> None:
        """Record the input of a ReLU or GELU."""
        if self._keep_patterns:
            self._patterns.append(self._pattern_of(x, images))
        if self._keep_tokens and _is_hidden(x):
            self._mixed = self._mixed or not _is_whole(images)
            self._covariances.append(covariance(x.detach().flatten(0, 1)))

    def patterns(self, logits: Tensor) -> list[Tensor] | Failure:
        """Patterns ``(D,)`` of every call; calls on the same tensor share one object."""
        if not self._patterns:
            return missing("No ReLU or GELU is called in the forward pass.")
        if any(pattern is None for pattern in self._patterns):
            return missing("A ReLU or GELU is called on a tensor that does not keep the images apart.")
        if torch.isnan(logits).any():
            return Failure(NotANumber("Units of the network are not a number, so they have no pattern."))
        return [pattern for pattern in self._patterns if pattern is not None]

    def covariances(self) -> list[Tensor] | Failure:
        """Covariances ``(C, C)`` of the hidden tokens of every feed-forward part."""
        if self._mixed:
            return missing("A feed-forward part works on windows, or on a tensor that mixes the images.")
        return self._covariances or missing("No ReLU or GELU follows a linear map of tokens.")

    def _pattern_of(self, x: Tensor, images: Images | None) -> Tensor | None:
        known = self._known.get(id(x))
        if known is None or known[0]() is not x or known[1] != x._version:
            pattern = None if images is None else packed(images.first(positive(x), self._size))
            known = self._known[id(x)] = (weakref.ref(x), x._version, pattern)
        return known[2]


def packed(active: Tensor) -> Tensor:
    """Each unit's signs over the first 64 of ``(B, ...)`` images, as the bits of an int64: ``(D,)``."""
    rows = active[:PATTERN_IMAGES].reshape(min(len(active), PATTERN_IMAGES), -1).to(torch.uint8)
    padded = F.pad(rows, (0, 0, 0, PATTERN_IMAGES - len(rows)))
    powers = 2 ** torch.arange(8, dtype=torch.uint8, device=rows.device)
    octets = (padded.reshape(8, 8, -1) * powers[:, None]).sum(1, dtype=torch.uint8)
    return octets.T.contiguous().view(torch.int64).flatten()


def covariance(rows: Tensor) -> Tensor:
    """Covariance of the columns of ``(n, C)``, divided by n: ``(C, C)``."""
    centred = rows - rows.mean(0)
    return centred.mT @ centred / len(rows)


def _is_hidden(x: Tensor) -> bool:
    """Whether a tensor ``(B, T, C)`` is the output of a linear map of tokens."""
    trace = trace_of(x)
    return x.ndim == 3 and trace is not None and trace.head is not None and trace.channels == 2


def _is_whole(images: Images | None) -> bool:
    """Whether a tensor holds whole images, each once."""
    return images is not None and images.outer == images.inner == 1
