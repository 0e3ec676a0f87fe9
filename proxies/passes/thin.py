"""The pass on the thin network: the architecture with one channel, on small crops of the batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zcbench.hooks.record import FunctionCallbacks
from zcbench.hooks.recorder import Recorder
from zcbench.hooks.weights import named_state
from zcbench.proxies.passes.codes import ReluCodes
from zcbench.proxies.passes.values import Values, missing
from zcbench.proxies.signals.signals import Minibatch
from zcbench.streams import torch_stream

CROPS = 3000  # three batches of 1000 crops of 3 x 3, as in the released code of TE-NAS
SIDE = 3


def thin_codes(thin: Callable[[], nn.Module | None] | None, batch: Minibatch, seed: int) -> Values:
    """ReLU codes of the thin network for random crops of one channel, in training mode."""
    if not isinstance(batch.images, Tensor) or batch.images.ndim != 4:
        return {"thin_codes": missing("The inputs are no images, of which crops could be taken.")}
    network = thin() if thin is not None else None
    if network is None:
        reason = "There is no thin network of the architecture: its space builds none, or evaluate was given no thin=."
        return {"thin_codes": missing(reason)}
    crops = _crops(batch.images, seed)
    codes = ReluCodes(len(crops))
    network.to(batch.images).train()
    with torch.no_grad(), Recorder(named_state(network), crops, functions=FunctionCallbacks(codes.record)):
        logits = network(crops)
    return {"thin_codes": codes.values(logits)}


def _crops(images: Tensor, seed: int) -> Tensor:
    """Squares from random places of random channels of random images, ``(CROPS, 1, SIDE, SIDE)``."""
    stream = torch_stream("thin_codes", seed, device=images.device)

    def draw(end: int) -> Tensor:
        return torch.randint(end, (CROPS, 1, 1), generator=stream, device=images.device)

    count, channels, height, width = images.shape
    rows, columns = (torch.arange(min(SIDE, side), device=images.device) for side in (height, width))
    image, channel = draw(count), draw(channels)
    y, x = draw(height - len(rows) + 1) + rows[:, None], draw(width - len(columns) + 1) + columns
    return images[image, channel, y, x][:, None]
