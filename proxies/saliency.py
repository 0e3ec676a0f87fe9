"""Output times gradient of every layer, summed over positions, as the gradient passes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from zcbench.hooks.axes import FIRST, Images
from zcbench.hooks.trace import Call
from zcbench.proxies.errors import NotApplicable
from zcbench.proxies.signals import Failure
from zcbench.proxies.spectra import wide


class Saliency:
    """Listens to the weights of a recorded pass, and to the gradient of what they put out.

    Args:
        size: number of images B.
    """

    def __init__(self, size: int) -> None:
        self._size, self._copy_outputs = size, False
        self._outputs: list[tuple[Tensor, int]] = []
        self._products: dict[str, Tensor] = {}
        self._mixed: set[str] = set()
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
        values = output.detach()  # the hook is held by the graph, which must not be held by the hook
        images, channels, size = call.images, call.channels, self._size

        def add_product(gradient: Tensor) -> None:
            total = per_image(wide(values) * wide(gradient.detach()), images, channels, size)
            self._products[name] = self._products[name] + total if name in self._products else total

        self._handles.append(output.register_hook(add_product))
        return output.clone() if self._copy_outputs else None

    def overwritten(self) -> bool:
        """Whether a layer's output was overwritten in place."""
        return any(output._version != version for output, version in self._outputs)

    def start_over_with_copies(self) -> None:
        """From now on let the network work on a copy of each output."""
        self.release()
        self._products, self._mixed, self._copy_outputs = {}, set(), True

    def release(self) -> None:
        """A hook on a tensor holds the graph that holds the tensor."""
        for handle in self._handles:
            handle.remove()
        self._outputs, self._handles = [], []

    def values(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor] | Failure:
        """The sums ``(B, C_out)`` by weight; a failure if a weight acts by a function whose output is not seen."""
        if self._mixed:
            name = min(self._mixed)
            return Failure(NotApplicable(f"What {name!r} puts out does not keep the images apart."))
        for name, gradient in gradients.items():
            if name not in self._products and gradient.any():
                return Failure(
                    NotApplicable(
                        f"The output of {name!r} is not seen: it is used inside a recurrence or an own function."
                    )
                )
        return self._products


def per_image(product: Tensor, images: Images, channels: int, size: int) -> Tensor:
    """Sum over positions: ``(B, C)``."""
    if images == FIRST:
        moved = product if channels == 1 else product.movedim(channels, 1)
        return moved.flatten(2).sum(2) if moved.ndim > 2 else moved
    moved = images._replace(axis=images.axis - (channels < images.axis)).first(product.movedim(channels, -1), size)
    return moved.flatten(1, -2).sum(1) if moved.ndim > 2 else moved
