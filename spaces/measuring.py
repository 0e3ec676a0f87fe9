"""What a network costs, measured on one forward pass without memory or arithmetic (PyTorch's meta device)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zcbench.spaces.base import ImageShape
from zcbench.streams import exclusive

_SAME_SHAPE = frozenset({F.batch_norm, F.layer_norm, F.relu, F.gelu, Tensor.softmax})
_SUMS = frozenset({Tensor.add, Tensor.__add__})
_CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d})
_PRODUCTS = frozenset({torch.matmul, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.bmm})


class Cost(NamedTuple):
    """Sizes of one network, in the order of the columns of `Space.costs`."""

    params: int
    macs: int
    n_convs: int
    depth: int


class Depths(TorchFunctionMode):
    """Counts the convolutions of a forward pass, and for every tensor the weight layers on the longest path to it."""

    def __init__(self) -> None:
        super().__init__()
        self.n_convs = 0
        self._paths: dict[int, tuple[Tensor, tuple[int, bool]]] = {}

    def of(self, logits: Tensor) -> int:
        """Most convolutions and linear layers on a path from the images to the logits, a last linear layer left out."""
        depth, linear = self._path(logits)
        return depth - linear

    def _path(self, x: Tensor) -> tuple[int, bool]:
        """Layers on the longest path to a tensor, and whether the last of them is linear."""
        return self._paths[id(x)][1] if id(x) in self._paths else (0, False)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, and note what leads to its result."""
        result = self._call(func, args, kwargs or {})
        depth, linear = max(map(self._path, _tensors((args, kwargs or {}))), default=(0, False))
        convolves, weighs = func in _CONVOLUTIONS, func is F.linear
        self.n_convs += convolves
        path = (depth + 1, weighs) if convolves or weighs else (depth, linear)
        for output in _tensors(args[0] if func is Tensor.__setitem__ else result):
            self._paths[id(output)] = (output, path)
        return result

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return func(*args, **kwargs)


class _Count(Depths):
    """Counts multiply-accumulates too, of tensors without values."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        result = _known(func, args)
        result = func(*args, **kwargs) if result is None else result
        if func in (F.conv2d, F.linear):
            self.macs += result.numel() * args[1][0].numel()
        elif func in _PRODUCTS:
            self.macs += result.numel() * args[0].shape[-1]
        return result


def measure(build: Callable[[], nn.Module], image_shape: ImageShape) -> Cost:
    """Sizes of the network that ``build`` makes, for one image; nothing is allocated and no generator is moved.

    Multiply-accumulates are those of convolutions, linear layers and, in attention, the two products of tokens with
    tokens. The depth counts the convolutions and linear layers on the longest path, the classifier left out.
    """
    with exclusive(), torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        network = build().eval()
        with _Count() as count:
            logits = network(torch.empty(1, *image_shape))
    params = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    return Cost(params, count.macs, count.n_convs, count.of(logits))


def _known(func: Callable[..., Any], args: tuple[Any, ...]) -> Tensor | None:
    """Result of a function whose shape is plain to see: the meta device takes far longer to find it."""
    if func is F.linear:
        return args[0].new_empty((*args[0].shape[:-1], args[1].shape[0]))
    equal = func in _SUMS and all(isinstance(x, Tensor) for x in args) and args[0].shape == args[1].shape
    return torch.empty_like(args[0]) if func in _SAME_SHAPE or equal else None


def _tensors(item: Any) -> Iterator[Tensor]:
    """The tensors in ``item``, which may be a nest of lists, tuples and dictionaries."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, list | tuple):
        for part in item:
            yield from _tensors(part)
    elif isinstance(item, Mapping):
        yield from _tensors(list(item.values()))
