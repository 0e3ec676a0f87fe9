"""Blocks of a network, and the stages that they form."""

from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from zcbench.distill.taps import WeightLayer
from zcbench.distill.tokens import batch_first, sequence, token_map

#: Stages that a transformer is cut into if all its blocks have one size.
CUTS = 3


class StageTap:
    """Within the block keeps the last map ``(B, C, H, W)`` that a block puts out at each spatial size.

    The tokens that a block of a transformer puts out are taken as a map, see `token_map`. A transformer whose maps are
    all of one size has no stages of its own and is cut into `CUTS` of equal numbers of blocks, the first being the
    shortest; with fewer blocks each is a stage. There is no one way to do so: the released code of One-for-All
    distillation (arXiv:2310.19444) cuts twelve blocks into four stages, after the blocks 2, 4, 10 and 12.

    Args:
        network: its blocks are listened to.
        image: one image, which finds them.
        graph: whether a gradient shall lead through the maps.
    """

    def __init__(self, network: nn.Module, image: Tensor, *, graph: bool = False) -> None:
        self._graph = graph
        self._maps: dict[tuple[int, ...], Tensor] = {}
        self._tokens: list[Tensor] = []
        self._handles: list[Any] = []
        found, self._axes = _listened(network, image)
        self._modules = _blocks(network, found, set(self._axes))

    def __enter__(self) -> Self:
        self._maps, self._tokens = {}, []
        self._handles = [module.register_forward_hook(self._listen) for module in self._modules]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """The maps, shallow to deep."""
        if len(self._maps) == 1 and len(self._tokens) > 1:
            count, parts = len(self._tokens), min(CUTS, len(self._tokens))
            return tuple(self._tokens[count * part // parts - 1] for part in range(1, parts + 1))
        return tuple(self._maps.values())

    def _listen(self, module: nn.Module, inputs: Any, output: Any) -> None:
        maps = output if isinstance(output, Tensor) and output.ndim == 4 else self._as_map(module, inputs, output)
        if maps is not None:
            size = tuple(maps.shape[2:])
            self._maps.pop(size, None)
            self._maps[size] = (maps if self._graph else maps.detach()).clone()  # what comes next may overwrite it
            if len(self._maps) > 1:
                self._tokens = []
            elif maps is not output:
                self._tokens.append(self._maps[size])

    def _as_map(self, module: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        tokens = sequence(inputs, output)
        return None if tokens is None else token_map(batch_first(tokens, self._axes[module]))


def block_modules(network: nn.Module, image: Tensor) -> list[nn.Module]:
    """The blocks of a network, from the outside in.

    Lists, Sequentials that hold composite modules, and modules that put out no feature map are unfolded. What is then
    met is a block if it is a convolution, a Sequential of plain layers with a convolution among them, or any other
    composite module. For NAS-Bench-201: the stem, every cell, and both residual blocks.
    """
    return _blocks(network, _listened(network, image)[0], set())


def token_axis(network: nn.Module, image: Tensor, module: nn.Module) -> int:
    """Axis of the batch in the tokens that ``module`` puts out, 0 or 1."""
    return _listened(network, image)[1].get(module, 0)


def _blocks(network: nn.Module, maps: set[nn.Module], tokens: set[nn.Module]) -> list[nn.Module]:
    """Blocks that put out a map, and blocks of a transformer that put out tokens, from the outside in."""

    def unfold(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            if (child in maps and _is_block(child)) or (child in tokens and _is_token_block(child)):
                yield child
            else:
                yield from unfold(child)

    return list(dict.fromkeys(unfold(network)))


def _is_token_block(module: nn.Module) -> bool:
    """Whether it is a composite module with weights that holds no list of such."""
    lists = [part for part in (module, *module.children()) if isinstance(part, nn.Sequential | nn.ModuleList)]
    nested = any(True for part in lists for inner in part.children() for _ in inner.children())
    return bool(list(module.children())) and not nested and any(isinstance(m, WeightLayer) for m in module.modules())


def _is_block(module: nn.Module) -> bool:
    parts = list(module.children())
    if not parts:
        return isinstance(module, WeightLayer)
    if isinstance(module, nn.Sequential):
        composite = any(True for part in parts for _ in part.children())
        return not composite and any(isinstance(part, WeightLayer) for part in parts)
    return True


def _listened(network: nn.Module, image: Tensor) -> tuple[set[nn.Module], dict[nn.Module, int]]:
    """Modules that put out a feature map, and those that map tokens to tokens, with the axis of the batch in these.

    They are found with one image in evaluation mode.
    """
    found: set[nn.Module] = set()
    axes: dict[nn.Module, int] = {}

    def listen(module: nn.Module, inputs: Any, output: Any) -> None:
        tokens = sequence(inputs, output)
        if isinstance(output, Tensor) and output.ndim == 4:
            found.add(module)
        elif tokens is not None and 1 in tokens.shape[:2]:
            axes[module] = 0 if tokens.shape[0] == 1 else 1

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
    return found, axes
