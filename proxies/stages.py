"""Blocks of a network, and the stages that they form."""

from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from zcbench.proxies.taps import WeightLayer


class StageTap:
    """Within the block keeps the last map ``(B, C, H, W)`` that a block puts out at each spatial size.

    Args:
        network: its blocks are listened to.
        image: one image, which finds them.
    """

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self._modules = block_modules(network, image)
        self._maps: dict[tuple[int, ...], Tensor] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self._maps = {}
        self._handles = [module.register_forward_hook(self._listen) for module in self._modules]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """The maps, shallow to deep."""
        return tuple(self._maps.values())

    def _listen(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            size = tuple(output.shape[2:])
            self._maps.pop(size, None)
            self._maps[size] = output.detach().clone()  # what comes next may overwrite it


def block_modules(network: nn.Module, image: Tensor) -> list[nn.Module]:
    """The blocks of a network, from the outside in.

    Lists, Sequentials that hold composite modules, and modules that put out no feature map are unfolded. What is then
    met is a block if it is a convolution, a Sequential of plain layers with a convolution among them, or any other
    composite module. For NAS-Bench-201: the stem, every cell, and both residual blocks.
    """
    mapping = _feature_modules(network, image)

    def unfold(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            if _is_block(child, mapping):
                yield child
            else:
                yield from unfold(child)

    return list(dict.fromkeys(unfold(network)))


def _is_block(module: nn.Module, mapping: set[nn.Module]) -> bool:
    if module not in mapping:
        return False
    parts = list(module.children())
    if not parts:
        return isinstance(module, WeightLayer)
    if isinstance(module, nn.Sequential):
        composite = any(True for part in parts for _ in part.children())
        return not composite and any(isinstance(part, WeightLayer) for part in parts)
    return True


def _feature_modules(network: nn.Module, image: Tensor) -> set[nn.Module]:
    """Modules that put out a feature map, found with one image in evaluation mode."""
    found: set[nn.Module] = set()

    def listen(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            found.add(module)

    modes = [(module, module.training) for module in network.modules()]
    handles = [module.register_forward_hook(listen) for module, _ in modes]
    try:
        network.eval()
        with torch.no_grad():
            network(image.clone())
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return found
