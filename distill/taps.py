"""Taps that listen to one forward pass and leave no trace on the network."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

RELUS = frozenset(
    {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.leaky_relu, F.leaky_relu_}
)
POOLS = frozenset({F.adaptive_avg_pool2d, F.avg_pool2d, F.adaptive_max_pool2d, F.max_pool2d, torch.mean, Tensor.mean})
FLATTENS = frozenset({torch.flatten, Tensor.flatten, Tensor.view, Tensor.reshape, torch.reshape})

WeightLayer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


def weight_layers(network: nn.Module) -> dict[str, WeightLayer]:
    """Convolutions and linear layers by name, each weight once."""
    layers: dict[str, WeightLayer] = {}
    for layer, name in names_of_layers(network).items():
        layers.setdefault(name, layer)
    return layers


def names_of_layers(network: nn.Module) -> dict[WeightLayer, str]:
    """Every convolution and linear layer, and the name of the first that has the same weight."""
    first: dict[int, str] = {}
    names: dict[WeightLayer, str] = {}
    for name, module in network.named_modules():
        if isinstance(module, WeightLayer):
            own = own_weight(module)
            names[module] = first.setdefault(id(module if own is None else own), name)
    return names


def own_weight(layer: nn.Module) -> nn.Parameter | None:
    """The weight that a layer holds; None where it is computed anew in each forward pass from other parameters."""
    return layer._parameters.get("weight")


class ForwardTap(TorchFunctionMode):
    """Listens to the functions of a forward pass: ReLU codes and the feature map before global pooling.

    It sees ``nn.ReLU`` and ``F.relu`` alike. The feature map is the input of the last pooling that reduces a map to
    one position, or the last map of several positions that is flattened. A network may shrink its images to one
    position before it pools them: where no map of several positions ends, the last map of one that is pooled counts.

    Args:
        relu_codes: number of images whose codes are listened for; 0 for none.
        features: whether the feature map is.
    """

    def __init__(self, *, relu_codes: int = 0, features: bool = False) -> None:
        super().__init__()
        self.relu_codes: list[Tensor] = []
        self._map: Tensor | None = None
        self._point: Tensor | None = None
        self._listen_relu, self._images = relu_codes > 0, relu_codes
        self._listen_features = features
        self._known: dict[int, tuple[weakref.ref[Tensor], int, Tensor]] = {}

    @property
    def features(self) -> Tensor | None:
        """The feature map that was heard, ``(B, C, H, W)``; None if there is none."""
        return self._point if self._map is None else self._map

    def renewed(self) -> "ForwardTap":
        """A tap for the same things that has heard nothing yet."""
        return ForwardTap(relu_codes=self._images, features=self._listen_features)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, and note what it was given."""
        kwargs = kwargs or {}
        source: Any = args[0] if args else kwargs.get("input")
        if self._listen_relu and _rectifies(func, args, kwargs) and self._of_images(source):
            self.relu_codes.append(self._code(source))
        result = func(*args, **kwargs)
        if self._listen_features and _ends_map(func, source, result):
            if source[0, 0].numel() > 1:
                self._map = source if func in POOLS else source.clone()  # what is flattened may be overwritten
            elif func in POOLS:
                self._point = source
        return result

    def _of_images(self, x: Any) -> bool:
        """Whether a tensor has a row for each image; a ReLU may be applied to a parameter too."""
        return isinstance(x, Tensor) and x.ndim >= 2 and len(x) == self._images and not isinstance(x, nn.Parameter)

    def _code(self, x: Tensor) -> Tensor:
        """Active units ``(B, D)``; a tensor that went through a ReLU before, unchanged since, gives the same object."""
        known = self._known.get(id(x))
        if known is not None and known[0]() is x and known[1] == x._version:
            return known[2]
        code = (x.detach() > 0).flatten(1)
        self._known[id(x)] = (weakref.ref(x), x._version, code)
        return code


def _rectifies(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether ``func`` is a ReLU; ``nn.ReLU6`` calls a hard tangent from 0."""
    if func in (F.hardtanh, F.hardtanh_):
        return (args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)) == 0
    return func in RELUS


def _ends_map(func: Callable[..., Any], source: Any, result: Any) -> bool:
    """Whether ``func`` pools a feature map to one position, or flattens it."""
    if not (isinstance(source, Tensor) and isinstance(result, Tensor)) or source.ndim != 4:
        return False
    pools = func in POOLS and result.shape[:2] == source.shape[:2] and result.numel() == source.shape[:2].numel()
    return pools or (func in FLATTENS and result.ndim == 2)


L = TypeVar("L", bound=nn.Module)


@contextmanager
def layer_outputs(
    layers: Mapping[L, str], listener: Callable[[str, L, Tensor, Tensor], Tensor | None]
) -> Iterator[None]:
    """Within the block call ``listener(name, layer, input, output)`` after each layer; it may replace the output."""

    def hook(name: str) -> Callable[..., Tensor | None]:
        return lambda layer, inputs, output: listener(name, layer, inputs[0], output)

    handles = [layer.register_forward_hook(hook(name)) for layer, name in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
