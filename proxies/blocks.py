"""The pass through the blocks of a network: what each puts out for noise, and what it makes of a random gradient."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from zcbench.proxies.data_free import standard_normal
from zcbench.proxies.passes import Values, missing
from zcbench.proxies.signals import Batch, Blocks
from zcbench.proxies.taps import WeightLayer
from zcbench.streams import torch_stream


def blocks(network: nn.Module, batch: Batch, seed: int) -> Values:
    """Blocks of the network for as many standard normal images as the batch has.

    The network is cut at the borders of its blocks, so that one backward pass pulls all signs back at once. If a map
    feeds several later blocks, what they pull back is added.
    """
    stream = torch_stream("blocks", seed, device=batch.images.device)
    images = standard_normal(batch.images.shape, batch.images, stream)
    cut = _Cut()
    handles = [module.register_forward_hook(cut) for module in block_modules(network, images[:1])]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    if not cut.outputs:
        return {"blocks": missing("No block puts out a feature map.")}
    signs = [_signs(output, stream) for output in cut.outputs[1:]]
    return {"blocks": Blocks([leaf.detach() for leaf in cut.leaves], signs, _pull_back(cut, signs))}


class _Cut:
    """Forward hook that hands on a block's output as a new leaf: values flow on, gradients stop."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.leaves: list[Tensor] = []

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            return None
        self.outputs.append(output)
        self.leaves.append(output.detach().requires_grad_())
        return self.leaves[-1].clone()  # what comes next may overwrite it


def _signs(output: Tensor, stream: torch.Generator) -> Tensor:
    bits = torch.randint(2, output.shape, dtype=torch.int8, device=output.device, generator=stream)
    return (2 * bits - 1).to(output.dtype)


def _pull_back(cut: _Cut, signs: list[Tensor]) -> list[Tensor]:
    """Gradient of ⟨signs, output⟩ of every block for the map before it; zero where nothing leads back."""
    leaves = cut.leaves[:-1]
    pairs = [(output, sign) for output, sign in zip(cut.outputs[1:], signs) if output.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    outputs, directions = zip(*pairs)
    return list(torch.autograd.grad(outputs, leaves, directions, allow_unused=True, materialize_grads=True))


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
