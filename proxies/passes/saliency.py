"""Output times gradient of every layer, summed over positions, as the gradient passes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zcbench.hooks.axes import FIRST, Images
from zcbench.hooks.trace import Call
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Failure
from zcbench.proxies.signals.spectra import wide


class Saliency:
    """Listens to the weights of a recorded pass, and to the gradient of what they put out.

    Args:
        size: number of images B.
    """

    def __init__(self, size: int) -> None:
        self._size, self._copy_outputs = size, False
        self._outputs: list[tuple[Tensor, int]] = []
        self._products: dict[str, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._mixed: set[str] = set()
        self._reshaped = False
        self._handles: list[Any] = []

    def listen(self, call: Call) -> Tensor | None:
        """Sum output ⊙ gradient up when the gradient comes; give a copy of the output if the network is to use one."""
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
            self._products[name] = self._products[name] + total if name in self._products else total

        self._handles.append(output.register_hook(add_product))
        return output.clone() if self._copy_outputs else None

    def biased(self, number: int, output: Tensor | None) -> None:
        """The output of a layer is what it is after its bias was added."""
        if output is None:
            self._reshaped = True
        elif number in self._values:
            self._values[number] = output.detach().clone()

    def overwritten(self) -> bool:
        """Whether a layer's output was overwritten in place."""
        return any(output._version != version for output, version in self._outputs)

    def start_over_with_copies(self) -> None:
        """From now on let the network work on a copy of each output."""
        self.release()
        self._products, self._values, self._mixed, self._copy_outputs = {}, {}, set(), True

    def release(self) -> None:
        """A hook on a tensor holds the graph that holds the tensor."""
        for handle in self._handles:
            handle.remove()
        self._outputs, self._handles = [], []

    def values(self, gradients: Mapping[str, Tensor], joined: Mapping[str, list[str]]) -> dict[str, Tensor] | Failure:
        """The sums ``(B, C_out)`` by weight; a failure if a weight acts by a function whose output is not seen.

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
            return Failure(NotApplicable(f"What {name!r} puts out does not keep the images apart."))
        for name, gradient in gradients.items():
            if name not in self._products and gradient.any():
                where = "it is applied to parameters, or inside a recurrence or an own function"
                return Failure(NotApplicable(f"What {name!r} gives is not seen: {where}."))
        return self._products


def per_image(product: Tensor, images: Images, channels: int, size: int) -> Tensor:
    """Sum over positions: ``(B, C)``."""
    if images == FIRST:
        moved = product if channels == 1 else product.movedim(channels, 1)
        return moved.flatten(2).sum(2) if moved.ndim > 2 else moved
    moved = images._replace(axis=images.axis - (channels < images.axis)).first(product.movedim(channels, -1), size)
    return moved.flatten(1, -2).sum(1) if moved.ndim > 2 else moved
