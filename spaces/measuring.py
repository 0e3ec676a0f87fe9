"""What a network costs, measured on one forward pass without memory or arithmetic (PyTorch's meta device)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.datasets.inputs import Given
from zcbench.hooks.functions import Args, Function, Kwargs
from zcbench.hooks.heads import depth_of
from zcbench.hooks.modes import evaluating
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.sizes import Sizes
from zcbench.hooks.weights import named_state
from zcbench.spaces.cost import Cost
from zcbench.spaces.options import ImageShape
from zcbench.streams import exclusive

_SAME_SHAPE = frozenset({F.batch_norm, F.layer_norm, F.relu, F.gelu, Tensor.softmax})
_SUMS = frozenset({Tensor.add, Tensor.__add__})


def measure(build: Callable[[], nn.Module], image_shape: ImageShape) -> Cost:
    """Sizes of the network that ``build`` makes, for one image; nothing is allocated and no generator is moved.

    Multiply-accumulates are those of convolutions, linear layers and, in attention, the two products of tokens with
    tokens. The depth counts the weights on the longest path, the classifier left out.
    """
    with exclusive(), torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        network = build().eval()
        image = torch.empty(1, *image_shape)
        count = Sizes(_without_values)
        with Recorder(named_state(network), image, through=count.call):
            depth = depth_of(network(image))
    params = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    return Cost(params, count.macs, count.n_convs, depth or 0, count.width)


def counted(
    network: nn.Module, example: Given, read: Callable[[Any], object] = lambda returned: returned
) -> tuple[Cost, object]:
    """Sizes of a network as it is, and its output, from one forward pass in evaluation mode.

    Counts are those of `measure`, but for the parameters: the frozen ones count too. Random states are not restored.

    Args:
        network: it is left as it was, but for what its forward pass writes.
        example: one input, ``(1, ...)``.
        read: the output in what the network returns.
    """
    args, kwargs = ((example,), {}) if isinstance(example, Tensor) else (example.args, example.kwargs)
    sizes = Sizes()
    with torch.no_grad(), evaluating(network), Recorder(named_state(network), example, through=sizes.call):
        output = read(network(*args, **kwargs))
    params = sum(weight.numel() for weight in network.parameters())
    return Cost(params, sizes.macs, sizes.n_convs, depth_of(output) or 0, sizes.width), output


def _without_values(func: Function, args: Args, kwargs: Kwargs) -> object:
    """Result of a function of tensors without values."""
    result = _known(func, args)
    return func(*args, **kwargs) if result is None else result


def _known(func: Function, args: Args) -> Tensor | None:
    """Result of a function whose shape is plain to see: the meta device takes far longer to find it."""
    if func is F.linear:
        return args[0].new_empty((*args[0].shape[:-1], args[1].shape[0]))
    equal = func in _SUMS and all(isinstance(x, Tensor) for x in args) and args[0].shape == args[1].shape
    return torch.empty_like(args[0]) if func in _SAME_SHAPE or equal else None
