"""The last feature map of a network, and the linear map that gives its logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from zcbench.hooks.axes import FIRST
from zcbench.hooks.tokens import token_map
from zcbench.hooks.trace import Head, Last, as_image, is_map, trace_of
from zcbench.hooks.weights import Weight


class Classifier(NamedTuple):
    """The linear map ``(N, C)`` that gives the logits, and its input, the embedding ``(B, C)``."""

    weight: Weight
    embedding: Tensor


def last_map(logits: object) -> Last | None:
    """The last map or sequence of tokens that the logits of a recorded pass depend on; None if there is none.

    The output of the linear map that gives the logits is none, and neither is a map that was averaged into parts of
    equal size where these are averaged next: the map before it is the last one.
    """
    trace = trace_of(logits)
    if trace is None:
        return None
    last, head = trace.last, trace.head
    if last is None or head is None or last.trace.head is None or last.trace.head.number != head.number:
        return last
    source = trace_of(head.source)
    return None if source is None else source.last or Last(head.source, head.source._version, source)


def hides_layers(logits: object, last: Last) -> bool:
    """Whether layers other than the classifier work on several positions after the last map."""
    trace = trace_of(logits)
    if trace is None:
        return False
    if trace.head is not None and trace.last is not None and last is not trace.last:
        return False  # the classifier itself works on the map
    return trace.hidden > (1 if trace.head is not None and trace.head.picks else 0)


def depth_of(logits: object) -> int | None:
    """Most weights on a path from the images to the logits, the classifier left out; None if it is not known.

    The classifier is the linear map that gives the logits, or else a last layer that works on one position. A recurrent
    layer counts once, however many steps it takes.
    """
    trace = trace_of(logits)
    return None if trace is None else trace.depth - (trace.head is not None or trace.ends)


def overwritten(last: Last | None) -> bool:
    """Whether the network has written to its last map after it was met."""
    return last is not None and last.tensor._version != last.version


def map_of(logits: object) -> Tensor | None:
    """The last map ``(B, C, H, W)``; None if there is none, or not in one piece for each image.

    The tokens of an image are laid out row by row. The map of a sequence has the height 1.
    """
    last = last_map(logits)
    if last is None or last.trace.images is None or last.trace.depth == 0 or hides_layers(logits, last):
        return None  # on a map of depth 0 no weight has worked: it is the image
    classifier = classifier_of(logits)
    while classifier is not None and last.trace.averaged is not None and _averages(last, classifier.embedding):
        last = last.trace.averaged
    images, channels = last.trace.images, last.trace.channels
    if last.tensor.ndim == 4 and images == FIRST and channels is not None:
        return last.tensor.movedim(channels, 1)
    if is_map(last.tensor, last.trace):
        return as_image(last.tensor, last.trace) if last.tensor.ndim == 3 else None
    plain = images is not None and images.outer == images.inner == 1 and images.axis < 2
    if last.tensor.ndim == 3 and images is not None and plain and last.trace.grid:
        return token_map(last.tensor.transpose(0, images.axis))
    return None


def _averages(last: Last, embedding: Tensor) -> bool:
    """Whether the embedding is the mean of a map."""
    with torch.no_grad():
        maps, trace = last.tensor, last.trace
        maps = as_image(maps, trace) if maps.ndim == 3 and is_map(maps, trace) else maps
        mean = maps.flatten(2).mean(2) if maps.ndim == 4 else embedding.new_zeros(0)
        return mean.shape == embedding.shape and bool(torch.allclose(mean, embedding, rtol=1e-3, atol=1e-6))


def classifier_of(logits: object) -> Classifier | None:
    """The linear map that gives the logits ``(B, N)``, or ``(B,)`` of one; None if no single one does."""
    trace = trace_of(logits)
    if not isinstance(logits, Tensor) or trace is None or trace.head is None:
        return None
    if trace.head.weight.kind == "recurrence":
        return None
    head = trace.head
    embedding = _pooled(head)
    matrix = head.weight.matrix if head.weight.tensor.ndim > 1 else None
    if embedding is None or matrix is None or logits.ndim not in (1, 2):
        return None
    if embedding.ndim != 2 or len(embedding) != len(logits):
        return None
    return Classifier(head.weight, embedding) if matrix.shape == (logits[0].numel(), embedding.shape[1]) else None


def _pooled(head: Head) -> Tensor | None:
    """The input of the linear map for each image, ``(B, C)``: at one position, or averaged where its outputs are."""
    source, trace = head.source, trace_of(head.source)
    if trace is None or trace.images is None or trace.images.outer != 1 or trace.images.inner != 1:
        return None
    if head.weight.kind == "convolution":
        if tuple(head.weight.tensor.shape[2:]) == tuple(source.shape[2:]) and set(head.shape[2:]) == {1}:
            return source.flatten(1)  # a kernel as large as the map
        if set(head.weight.tensor.shape[2:]) != {1} or head.shape[2:] != tuple(source.shape[2:]):
            return None
        positions: tuple[int, ...] = tuple(range(2, source.ndim))
    else:
        positions = tuple(axis for axis in range(source.ndim - 1) if axis != trace.images.axis)
    single = all(source.shape[axis] == 1 for axis in positions)
    if head.picks and head.picks[0] == "mean":
        return source.mean(positions) if positions else source
    if head.picks:
        func, args, kwargs = head.picks[0]
        picked = func(source, *args, **kwargs)
        return picked if isinstance(picked, Tensor) and picked.ndim == 2 else None
    if not single:
        return None
    return source.movedim(trace.images.axis, 0).reshape(source.shape[trace.images.axis], -1)
