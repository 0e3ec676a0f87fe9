"""Blocks of a network, and the stages that they form."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zcbench.datasets.inputs import Given
from zcbench.hooks.axes import FIRST
from zcbench.hooks.functions import Args
from zcbench.hooks.modes import evaluating, is_leaf
from zcbench.hooks.record import Unrecorded
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.tokens import sequence, token_map
from zcbench.hooks.trace import Call, as_image, is_map, sides, trace_of
from zcbench.hooks.weights import named_state

#: Stages that a transformer is cut into if all its blocks have one size.
CUTS = 3


class StageRecorder:
    """Within the block, in a recorded pass, keeps the last map ``(B, C, H, W)`` of a block at each size.

    The output tokens of a block of a transformer are taken as a map, see `token_map`. A transformer whose maps are
    all of one size has no stages of its own and is cut into `CUTS` of equal numbers of blocks, the first being the
    shortest; with fewer blocks each is a stage. There is no one way to do so: the released code of One-for-All
    distillation (arXiv:2310.19444) cuts twelve blocks into four stages, after the blocks 2, 4, 10 and 12.

    Args:
        network: its blocks are hooked.
        images: a few images, which find the blocks.
        graph: whether a gradient shall lead through the maps.

    Raises:
        Unrecorded: a layer is called outside every block.
    """

    def __init__(self, network: nn.Module, images: Given, *, graph: bool = False) -> None:
        self._graph = graph
        self._maps: dict[tuple[int, ...], Tensor] = {}
        self._tokens: list[Tensor] = []
        self._lost = False
        self._handles: list[RemovableHandle] = []
        probe = _probe(network, images)
        self._flat, self._modules = probe.flat, _blocks(network, probe, tokens=True)

    def __enter__(self) -> Self:
        self._maps, self._tokens, self._lost = {}, [], False
        self._handles = [module.register_forward_hook(self._keep) for module in self._modules]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """The maps, shallow to deep; none where a block outputs one that mixes the images."""
        if self._lost:
            return ()
        if len(self._maps) == 1 and len(self._tokens) > 1:
            count, parts = len(self._tokens), min(CUTS, len(self._tokens))
            return tuple(self._tokens[count * part // parts - 1] for part in range(1, parts + 1))
        return tuple(self._maps.values())

    def _keep(self, module: nn.Module, inputs: Args, output: object) -> None:
        maps = channels_second(output)
        tokens = maps is None
        self._lost = self._lost or (tokens and isinstance(output, Tensor) and output.ndim == 4)
        if tokens:
            maps = _tokens_as_map(inputs, output)
        if maps is not None:
            size = tuple(maps.shape[2:])
            self._maps.pop(size, None)
            self._maps[size] = (maps if self._graph else maps.detach()).clone()  # later functions may overwrite it
            if len(self._maps) > 1:
                self._tokens = []
            elif tokens or module in self._flat:
                self._tokens.append(self._maps[size])


def channels_second(output: object) -> Tensor | None:
    """A recorded map as ``(B, C, H, W)``, of a sequence with the height 1; None if it is no map of whole inputs."""
    trace = trace_of(output)
    if not isinstance(output, Tensor) or trace is None or not is_map(output, trace):
        return None
    if output.ndim == 3:
        return as_image(output, trace) if trace.depth else None  # before the first weight the channels are not known
    if trace.images != FIRST:
        return None
    return output.movedim(-1, 1) if trace.channels == 3 else output


def block_modules(network: nn.Module, images: Given, *, by_pixel: bool = False) -> list[nn.Module]:
    """The blocks of a network that output a feature map, from the outside in.

    Lists, Sequentials that hold composite modules, and modules that output no feature map are unfolded. A module
    that is then met is a block if it calls a convolution itself, if it is a Sequential of plain layers of which one has
    a weight, or if it is any other composite module. A map of one position that later scales a larger one, as in
    squeeze-and-excitation, is no block, and neither is the classifier. For NAS-Bench-201: the stem, every cell, and
    both residual blocks.

    Args:
        network: it is called in evaluation mode.
        images: a few images.
        by_pixel: whether the network gives logits of a class for each pixel, so that its last layer is a classifier.

    Raises:
        Unrecorded: a layer is called outside every block.
    """
    return _blocks(network, _probe(network, images, by_pixel=by_pixel), tokens=False)


class _Probe(NamedTuple):
    """Modules that output a map, that map tokens to tokens, that call a weight or convolution; the calls of weights.

    Of those that output a sequence, ``flat`` have weights and no convolution, as the blocks of a transformer have, and
    the channels of ``unknown`` are on no known axis.

    A call has the modules that are at work, and says whether its output has several positions, and parts of images.
    """

    maps: set[nn.Module]
    tokens: set[nn.Module]
    weighing: set[nn.Module]
    convolving: set[nn.Module]
    calls: list[tuple[tuple[nn.Module, ...], bool, bool]]
    flat: set[nn.Module]
    unknown: set[nn.Module]


def _probe(network: nn.Module, images: Given, *, by_pixel: bool = False) -> _Probe:
    """Look at one pass of two images in evaluation mode."""
    found = _Probe(set(), set(), set(), set(), [], set(), set())
    stack: list[nn.Module] = []
    gates: dict[nn.Module, int] = {}
    depths: dict[nn.Module, int] = {}
    heads: dict[nn.Module, int] = {}
    latest = 0

    def enter(module: nn.Module, inputs: Args) -> None:
        stack.append(module)

    def called(call: Call) -> None:
        found.weighing.add(stack[-1])
        if call.weight.kind == "convolution":
            found.convolving.add(stack[-1])
        found.calls.append((tuple(stack), call.output.numel() > call.weight.outputs * len(part), call.images is None))

    def leave(module: nn.Module, inputs: Args, output: object) -> None:
        nonlocal latest
        stack.pop()
        trace = trace_of(output)
        if isinstance(output, Tensor) and trace is not None and channels_second(output) is not None:
            one = sides(output, trace) == [1] if output.ndim == 3 else output[0, 0].numel() == 1
            depths[module] = trace.depth
            if trace.last is not None and one:
                gates[module] = trace.order
            else:
                latest = max(latest, trace.order)
            flat = output.ndim == 3 and _of_tokens(module, found)
            (found.flat if flat else found.maps).add(module)
            if trace.head is not None:
                heads[module] = trace.head.number
        elif sequence(inputs, output) is not None and _tokens_as_map(inputs, output) is not None:
            found.tokens.add(module)
        elif isinstance(output, Tensor) and trace is not None and output.ndim == 3 and not trace.grid:
            unknown = trace.channels is None or trace.split
            hidden = unknown if trace.depth else any(True for _ in module.children())
            found.unknown.update([module] if hidden else [])

    part = images[:2].clone()
    handles = [module.register_forward_pre_hook(enter) for module in network.modules()]
    handles += [module.register_forward_hook(leave) for module in network.modules()]
    try:
        with torch.no_grad(), evaluating(network), Recorder(named_state(network), part, calls=called):
            logits = network(part)
    finally:
        for handle in handles:
            handle.remove()
    end = trace_of(logits)
    if end is not None and end.head is not None:  # the classifier is no block
        found.maps.difference_update(module for module, number in heads.items() if number == end.head.number)
    if by_pixel and end is not None:  # nor is that of a class for each pixel, which all weights lead to
        found.maps.difference_update(module for module, depth in depths.items() if depth == end.depth)
    found.maps.difference_update(module for module, order in gates.items() if order < latest)
    return found


def _blocks(network: nn.Module, probe: _Probe, *, tokens: bool) -> list[nn.Module]:
    """Blocks that output a map, and those of a transformer that output tokens, from the outside in."""
    sequences = probe.flat | probe.tokens if tokens else probe.flat

    def unfold(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            maps = child in probe.maps and _is_block(child, probe)
            if maps or (child in sequences and _is_token_block(child, probe.weighing)):
                yield child
            else:
                yield from unfold(child)

    if probe.unknown and (probe.maps or probe.flat):
        raise Unrecorded(
            f"{type(min(probe.unknown, key=repr)).__name__} outputs a sequence whose axis of channels is not known, so "
            f"that the blocks of the network are not known."
        )
    blocks = list(dict.fromkeys(unfold(network)))
    if blocks and _outside(probe.calls, blocks):
        raise Unrecorded(
            f"{type(network).__name__} calls a convolution or linear map by itself, outside its modules, so that its "
            f"blocks are not known. Put it into a module."
        )
    return blocks


def _outside(calls: Iterable[tuple[tuple[nn.Module, ...], bool, bool]], blocks: list[nn.Module]) -> bool:
    """Whether a weight works on several positions, or on parts of the images, outside every block.

    A layer that is called by itself, such as a linear map of tokens, may do the former.
    """
    loose = [call for call in calls if call[1] and set(blocks).isdisjoint(call[0])]
    return any(parts or not is_leaf(stack[-1]) for stack, _, parts in loose)


def _is_token_block(module: nn.Module, weighing: set[nn.Module]) -> bool:
    """Whether it is a composite module with weights, other than an attention, that holds no list of such."""
    if isinstance(module, nn.MultiheadAttention):
        return False
    lists = [part for part in (module, *module.children()) if isinstance(part, nn.Sequential | nn.ModuleList)]
    nested = any(True for part in lists for inner in part.children() for _ in inner.children())
    return bool(list(module.children())) and not nested and not weighing.isdisjoint(module.modules())


def _of_tokens(module: nn.Module, probe: _Probe) -> bool:
    parts = set(module.modules())
    return probe.convolving.isdisjoint(parts) and not probe.weighing.isdisjoint(parts)


def _is_block(module: nn.Module, probe: _Probe) -> bool:
    parts = list(module.children())
    if is_leaf(module):
        return module in probe.convolving
    if isinstance(module, nn.Sequential):
        composite = any(True for part in parts for _ in part.children())
        return not composite and not probe.weighing.isdisjoint(parts)
    return True


def _tokens_as_map(inputs: Args, output: object) -> Tensor | None:
    """Recorded tokens ``(B, T, C)`` or ``(T, B, C)`` as a map; None if they are no whole images."""
    tokens = sequence(inputs, output)
    trace = trace_of(tokens)
    if tokens is None or trace is None or trace.images is None:
        return None
    images = trace.images
    if images.outer != 1 or images.inner != 1 or images.axis > 1:
        return None
    if not trace.grid:
        return as_image(tokens, trace) if is_map(tokens, trace) else None
    return token_map(tokens.transpose(0, images.axis))
