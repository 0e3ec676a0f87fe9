"""The pass through the blocks of a network: the output of each for noise, and its pull-back of a random gradient."""

import torch
from torch import Tensor, nn

from zcbench.hooks.recorder import Recorder
from zcbench.hooks.stages import block_modules, channels_second
from zcbench.hooks.trace import as_sequence, trace_of
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.drawn import Lookups, normal_inputs, standard_normal
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.signals import Blocks, Minibatch
from zcbench.streams import torch_stream


def blocks(network: nn.Module, batch: Minibatch, seed: int) -> Values:
    """Blocks of the network for as many standard normal images as the batch has.

    The network is cut at the borders of its blocks, so that one backward pass pulls all signs back at once. If a map
    feeds several later blocks, their pull-backs are added.
    """
    stream = torch_stream("blocks", seed, device=batch.images.device)
    images, cut = normal_inputs(batch.images, len(batch.images), stream), _Cut()
    lookups = Lookups(images, lambda found: standard_normal(found.shape, found, stream))
    handles = [module.register_forward_hook(cut) for module in block_modules(network, images, by_pixel=batch.by_pixel)]
    try:
        with Recorder(named_state(network), images, lookups=lookups):
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    lookups.check()
    if cut.lost:
        return {"blocks": missing("A block outputs a map that mixes the images.")}
    if not cut.outputs:
        return {"blocks": missing("No block outputs a feature map.")}
    signs = [_signs(output, stream) for output in cut.outputs[1:]]
    return {"blocks": Blocks([leaf.detach() for leaf in cut.leaves], signs, _pull_back(cut, signs))}


class _Cut:
    """Forward hook that returns a block's output as a new leaf, at which gradients stop."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.leaves: list[Tensor] = []
        self.lost = False

    def __call__(self, module: nn.Module, inputs: object, output: object) -> Tensor | None:
        maps = channels_second(output)
        if maps is None:
            self.lost = self.lost or (isinstance(output, Tensor) and output.ndim == 4)
            return None
        self.outputs.append(maps)
        self.leaves.append(maps.detach().requires_grad_())
        leaf = self.leaves[-1].clone()  # later functions may overwrite it
        trace = trace_of(output)
        if isinstance(output, Tensor) and output.ndim == 3 and trace is not None:
            return as_sequence(leaf, trace)
        return leaf if maps is output else leaf.movedim(1, -1)


def _signs(output: Tensor, stream: torch.Generator) -> Tensor:
    output = output.detach()
    bits = torch.randint(2, output.shape, dtype=torch.int8, device=output.device, generator=stream)
    return torch.empty_like(output).copy_(bits).mul_(2).sub_(1)  # in the memory layout of the output


def _pull_back(cut: _Cut, signs: list[Tensor]) -> list[Tensor]:
    """Gradient of ⟨signs, output⟩ of every block for the map before it; zero where nothing leads back."""
    leaves = cut.leaves[:-1]
    pairs = [(output, sign) for output, sign in zip(cut.outputs[1:], signs) if output.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    outputs, directions = zip(*pairs)
    return list(torch.autograd.grad(outputs, leaves, directions, allow_unused=True, materialize_grads=True))
