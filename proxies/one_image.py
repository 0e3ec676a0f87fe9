"""The pass that shows the network one random image and keeps every map that its modules put out."""

from typing import Any

import torch
from torch import Tensor, nn

from zcbench.proxies.data_free import standard_normal
from zcbench.proxies.errors import NotApplicable
from zcbench.proxies.passes import Values, missing
from zcbench.proxies.signals import Batch
from zcbench.streams import torch_stream


def channel_maps(network: nn.Module, batch: Batch, seed: int) -> Values:
    """Maps ``(C, H*W)`` of every call of a module, containers too, for one standard normal image.

    Batch normalisation normalises the image by itself. A container that passes on its last layer's output gives the
    same object again, unless something overwrites the output in place later: each map is kept as the module gave it.

    Raises:
        NotApplicable: the network cannot take a single image in training mode.
    """
    stream = torch_stream("channel_maps", seed, device=batch.images.device)
    image = standard_normal(batch.images[:1].shape, batch.images, stream)
    heard = _Maps()
    handles = [module.register_forward_hook(heard) for module in network.modules()]
    try:
        with torch.no_grad():
            network(image)
    except ValueError as error:  # what batch normalisation says of one position
        raise NotApplicable(f"The network cannot take one image by itself in training mode: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return {"channel_maps": heard.maps or missing("No module puts out a feature map.")}


class _Maps:
    """Forward hook that keeps feature maps; one tensor at one version is kept once and named as often as it comes."""

    def __init__(self) -> None:
        self.maps: list[Tensor] = []
        self._known: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            return
        key = id(output), output._version
        if key not in self._known:
            self._known[key] = output, output[0].flatten(1).clone()  # held, so that its id is not given away
        self.maps.append(self._known[key][1])
