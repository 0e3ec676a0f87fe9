"""The passes of a single image: outputs of the modules, and curvature of the logits on a circle."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zcbench.datasets.inputs import Given, rebuilt, tensors_of
from zcbench.hooks.axes import Images
from zcbench.hooks.heads import classifier_of, last_map, map_of
from zcbench.hooks.modes import is_leaf
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import check_twice, twice_differentiable
from zcbench.hooks.stages import channels_second
from zcbench.hooks.trace import Trace, is_map, sides, trace_of
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.drawn import Lookups, normal_inputs, standard_normal
from zcbench.proxies.passes.logits import single_logits
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Failure, Minibatch
from zcbench.streams import torch_stream


def channel_maps(network: nn.Module, batch: Minibatch, seed: int) -> Values:
    """Maps ``(C, H*W)`` of every call of a module, containers too, for one standard normal image.

    Minibatch normalisation normalises the image by itself. A container that passes on its last layer's output gives the
    same object again, unless something overwrites the output in place later: each map is kept as the module gave it.
    """
    stream = torch_stream("channel_maps", seed, device=batch.images.device)
    image = normal_inputs(batch.images[:1], 1, stream)
    lookups = Lookups(image, lambda found: standard_normal(found.shape, found, stream))
    maps = _maps(network, image, lookups)
    lookups.check()
    return {"channel_maps": maps}


def image_maps(network: nn.Module, batch: Minibatch) -> Values:
    """`channel_maps` for the first image of the batch."""
    return {"image_maps": _maps(network, batch.images[:1].clone())}


def _maps(network: nn.Module, image: Given, lookups: Lookups | None = None) -> list[Tensor] | Failure:
    """Output maps of the modules, and one of one position where the last of them is pooled.

    The pooled map is there whether a module pools or a function does; other maps that a pooling leaves one position,
    such as those of a squeeze-and-excitation, are left out.
    """
    kept = _Maps()
    handles = [module.register_forward_pre_hook(kept.enter) for module in network.modules()]
    handles += [module.register_forward_hook(kept) for module in network.modules()]
    try:
        with torch.no_grad(), Recorder(named_state(network), image, layers=kept.layer, lookups=lookups):
            output = network(image)
        classifier, last, pooled = classifier_of(output), last_map(output), map_of(output)
    finally:
        for handle in handles:
            handle.remove()
    if kept.loose:
        return missing(
            "A convolution, normalisation or activation function is called outside a module of its own, and this proxy "
            "reads the outputs of modules."
        )
    if kept.maps and kept.unknown:
        return missing(
            "A module outputs a sequence whose axis of channels is not known, such as one before the first weight. "
            "Call its function in its place."
        )
    if kept.maps and classifier is not None and last is not None and pooled is not None:
        several = pooled[0, 0].numel() > 1 and classifier.embedding.shape[1] == pooled.shape[1]
        kept.maps += [classifier.embedding.T] if several and is_map(last.tensor, last.trace) else []
    return kept.maps or missing("No module outputs a feature map.")


def circle(network: nn.Module, batch: Minibatch, seed: int) -> Values:
    r"""Velocity and acceleration of the logits z, ``(N,)`` each, at the beginning of a random circle of images.

    .. math::  \dot z = \partial_t z(x_t)|_{t=0}, \qquad \ddot z = \partial_t^2 z(x_t)|_{t=0}, \qquad
               x_t = u \cos t + w \sin t

    u and w are orthonormal, of the shape of an image; their plane is drawn evenly from all planes. Both come from
    ⟨y, z⟩, differentiated once and twice by t and then by y, so that no logit needs a backward pass of its own. (Two
    forward-mode derivatives do not serve: through batch normalisation the second one of PyTorch 2.13.0 is wrong.)

    Raises:
        NotApplicable: the network does not return logits for a single image.
    """
    stream = torch_stream("circle", seed, device=batch.images.device)
    part = batch.part(slice(1))
    given = tensors_of(part.images)
    if not all(tensor.is_floating_point() for tensor in given):
        raise NotApplicable("Some inputs are whole numbers, in which there is no circle.")
    numbers, like = sum(tensor.numel() for tensor in given), given[0]
    plane, _ = torch.linalg.qr(standard_normal(torch.Size((numbers, 2)), like, stream).double())
    u, w = (_parted(side, given) for side in plane.T)
    t = torch.zeros((), dtype=like.dtype, device=like.device, requires_grad=True)
    with twice_differentiable():
        path = rebuilt(part.images, [one * t.cos() + other * t.sin() for one, other in zip(u, w)])
        z = single_logits(network(path), part).flatten(1)
    if z.shape[1] < 2:
        raise NotApplicable("The network has one output, whose path has no curvature.")
    y = torch.zeros_like(z, requires_grad=True)
    first = _derivative((y * z).sum(), t)
    check_twice([first])
    second = _derivative(first, t)
    return {"circle": (_derivative(first, y)[0].detach(), _derivative(second, y)[0].detach())}


def _parted(side: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of the shapes and types of ``like`` from all their numbers in a row."""
    rows = side.split([tensor.numel() for tensor in like])
    return [row.reshape(tensor.shape).to(tensor.dtype) for row, tensor in zip(rows, like)]


def _derivative(scalar: Tensor, variable: Tensor) -> Tensor:
    """∂ scalar / ∂ variable, which can be differentiated again; zero where the one does not depend on the other."""
    if not scalar.requires_grad:
        return torch.zeros_like(variable)
    (found,) = torch.autograd.grad(scalar, variable, create_graph=True, materialize_grads=True)
    return found


class _Maps:
    """Forward hook that keeps feature maps; one tensor at one version is kept once and named as often as it comes."""

    def __init__(self) -> None:
        self.maps: list[Tensor] = []
        self.loose = self.unknown = False
        self._known: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._stack: list[list[Any]] = []

    def enter(self, module: nn.Module, inputs: object) -> None:
        """Note that a module is called."""
        self._stack.append([is_leaf(module), 0])

    def layer(self, result: Tensor, images: Images | None, channels: int | None, number: int) -> None:
        """Note a layer that no module of its own calls: another module does, or one that calls several."""
        trace = trace_of(result)
        if trace is not None and _is_large(result, trace) and self._stack:
            self._stack[-1][1] += 1
            leaf, count = self._stack[-1]
            self.loose = self.loose or not leaf or count > 1

    def __call__(self, module: nn.Module, inputs: object, output: object) -> None:
        self._stack.pop()
        maps = channels_second(output)
        trace = trace_of(output)
        if isinstance(output, Tensor) and trace is not None and output.ndim == 3 and not trace.grid:
            self.unknown = self.unknown or trace.depth == 0 or trace.channels is None or trace.split
        if (
            not isinstance(output, Tensor)
            or maps is None
            or trace is None
            or (maps[0, 0].numel() == 1 and trace.last is not None)
        ):
            return
        key = id(output), output._version
        if key not in self._known:
            self._known[key] = output, maps[0].flatten(1).clone()  # held, so that its id is not given away
        self.maps.append(self._known[key][1])


def _is_large(result: Tensor, trace: Trace) -> bool:
    """Whether it is a map of several positions."""
    if not is_map(result, trace):
        return False
    return sides(result, trace) != [1] if result.ndim == 3 else result[0, 0].numel() > 1
