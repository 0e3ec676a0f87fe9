"""Output times gradient of every layer, summed over positions, as the gradient passes."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from zcbench.hooks.axes import FIRST, Images
from zcbench.hooks.trace import Call
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Failure
from zcbench.proxies.signals.spectra import wide


class Saliency:
    """Records the outputs of the weights of a pass, and their gradients.

    Args:
        size: number of images B.
        copies: whether the network works on a copy of each output, because it overwrites some in place.
    """

    def __init__(self, size: int, *, copies: bool = False) -> None:
        self._size, self._copy_outputs = size, copies
        self._outputs: list[tuple[Tensor, int]] = []
        self._products: dict[str, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._mixed: set[str] = set()
        self._reshaped = False
        self._handles: list[RemovableHandle] = []

    def record(self, call: Call) -> Tensor | None:
        """Register a hook that sums output ⊙ gradient; return a copy of the output if the network shall use one."""
        output, name = call.output, call.weight.name
        if not output.requires_grad:
            return None
        if call.images is None or call.channels < 0:
            self._mixed.add(name)
            return None
        self._outputs.append((output, output._version))
        self._values[call.number] = output.detach()  # the hook is held by the graph, which it must not hold itself
        images, channels, size, number = call.images, call.channels, self._size, call.number

        def add_product(gradient: Tensor) -> None:
            total = per_image(wide(self._values[number]) * wide(gradient.detach()), images, channels, size)
            known = self._products.get(name)
            if known is not None and known.shape != total.shape:  # tied weights, used in both directions
                self._mixed.add(name)
                return
            self._products[name] = total if known is None else known + total

        self._handles.append(output.register_hook(add_product))
        return output.clone() if self._copy_outputs else None

    def biased(self, number: int, output: Tensor | None) -> None:
        """Replace the output of a layer by the sum with its bias."""
        if output is None:
            self._reshaped = True
        elif number in self._values:
            self._values[number] = output.detach().clone()

    def overwritten(self) -> bool:
        """Whether a layer's output was overwritten in place."""
        return any(output._version != version for output, version in self._outputs)

    def release(self) -> None:
        """Remove the hooks: a hook keeps the graph that keeps its tensor."""
        for handle in self._handles:
            handle.remove()
        self._outputs, self._handles = [], []

    def values(self, gradients: Mapping[str, Tensor], joined: Mapping[str, list[str]]) -> dict[str, Tensor] | Failure:
        """The sums ``(B, C_out)`` by weight; a failure if a weight acts by a function whose output is not recorded.

        Args:
            gradients: of every weight by name.
            joined: names of the parts of a weight that is used in parts.
        """
        for name, parts in joined.items():
            found = [self._products.pop(part) for part in (name, *parts) if part in self._products]
            if found:
                self._products[name] = torch.cat(found, dim=1)
        if self._reshaped:
            return Failure(NotApplicable("A bias is added to a layer's output after that was given another shape."))
        if self._mixed:
            name = min(self._mixed)
            return Failure(
                NotApplicable(
                    f"The output of {name!r} does not keep the images apart, or has another width in each use."
                )
            )
        for name, gradient in gradients.items():
            if name not in self._products and gradient.any():
                where = "it is applied to parameters, or inside a recurrence or an own function"
                return Failure(NotApplicable(f"The output of {name!r} is not recorded: {where}."))
        return self._products


def per_image(product: Tensor, images: Images, channels: int, size: int) -> Tensor:
    """Sum over positions: ``(B, C)``."""
    if images == FIRST:
        moved = product if channels == 1 else product.movedim(channels, 1)
        return moved.flatten(2).sum(2) if moved.ndim > 2 else moved
    moved = images._replace(axis=images.axis - (channels < images.axis)).first(product.movedim(channels, -1), size)
    return moved.flatten(1, -2).sum(1) if moved.ndim > 2 else moved
