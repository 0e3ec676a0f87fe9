"""The pass that compares the images by their responses: inputs of the ReLUs, and gradients of these."""

import torch
from torch import Tensor, nn

from zcbench.datasets.inputs import tensors_of
from zcbench.hooks.axes import Images
from zcbench.hooks.functions import Args, Function, Kwargs, argument, rectifies
from zcbench.hooks.products import with_argument
from zcbench.hooks.record import FunctionCallbacks
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.rewrites import Calling
from zcbench.hooks.stages import block_modules
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.logits import check_logits
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.borrowing import same_buffers
from zcbench.proxies.signals.signals import Failure, Minibatch, Response
from zcbench.streams import seed_everything


def responses(network: nn.Module, batch: Minibatch, seed: int) -> Values:
    """Correlations of the images at every ReLU, in a forward pass and a backward pass of the mean loss."""
    with same_buffers(network):
        blocks = block_modules(network, batch.images, by_pixel=batch.by_pixel)
    seed_everything("passes", seed)  # the search for blocks may have drawn numbers
    if not blocks:
        return {"responses": missing("No block outputs a feature map.")}
    images = batch.images.clone()
    leaves = [tensor.requires_grad_() for tensor in tensors_of(images) if tensor.is_floating_point()]
    images = images.clone()
    relus = _Relus(len(images))
    handles = [module.register_forward_hook(relus.leave) for module in blocks]
    try:
        callbacks = FunctionCallbacks(relus.announce)
        with Recorder(named_state(network), images, functions=callbacks, through=relus.call):
            output = check_logits(network(images), batch)
    finally:
        for handle in handles:
            handle.remove()
    torch.autograd.grad(batch.loss(output), leaves or list(network.parameters()), allow_unused=True)
    return {"responses": relus.values()}


class _Relus(Calling):
    """Gives every ReLU an input of its own, whose gradient is what passes through this ReLU.

    The recorder announces a ReLU and then calls the function. One that it finds by its values is announced too late.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._passed = size, 0
        self._found: list[Response] = []
        self._announced: Images | None = None
        self._unknown = False

    def announce(self, x: Tensor, images: Images | None, rectified: bool) -> None:
        """A ReLU is about to be called; other units are left out."""
        if rectified:
            self._unknown = self._unknown or images is None or self._announced is not None
            self._announced = images

    def leave(self, module: nn.Module, inputs: object, output: object) -> None:
        """A block has been left."""
        self._passed += 1

    def call(self, func: Function, args: Args, kwargs: Kwargs) -> object:
        """Call an announced ReLU with a copy of its input; one that writes to its input writes to it all the same."""
        images, self._announced = self._announced, None
        if images is None or not rectifies(func, args, kwargs):
            self._unknown = self._unknown or images is not None  # written as other functions
            return func(*args, **kwargs)
        given: Tensor = argument(0, "input", args, kwargs)
        own = given.clone()
        self._record(own, images)
        args, kwargs = with_argument(0, "input", own, args, kwargs)
        result = func(*args, **kwargs)
        return given.copy_(own) if result is own else result

    def values(self) -> list[Response] | Failure:
        """The responses, in the order of the calls."""
        if self._unknown or self._announced is not None:
            return missing("A ReLU does not keep the images apart, is written as other functions, or has no gradient.")
        return self._found or missing("No ReLU is called in the forward pass.")

    def _record(self, own: Tensor, images: Images) -> None:
        self._unknown = self._unknown or not own.requires_grad  # within a reentrant checkpoint
        if self._unknown:
            return
        place = len(self._found)
        self._found.append(Response(max(0, self._passed - 1), self._correlations(own, images), None))

        def keep(gradient: Tensor) -> None:
            self._found[place] = self._found[place]._replace(gradients=self._correlations(gradient, images))

        own.register_hook(keep)

    def _correlations(self, x: Tensor, images: Images) -> Tensor | None:
        """Correlations ``(B, B)`` of the images, in float64; None if an image is constant."""
        rows = images.first(x.detach(), self._size).reshape(self._size, -1).double()
        centred = rows - rows.mean(1, keepdim=True)
        norms = centred.norm(dim=1, keepdim=True)
        return (centred / norms) @ (centred / norms).mT if (norms > 0).all() else None
