"""The passes that need no labels and no shared graph: counts, the linearised network, the Gaussian network."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from zcbench.distill.evaluation import evaluating
from zcbench.distill.taps import ForwardTap
from zcbench.proxies.borrowing import with_state
from zcbench.proxies.passes import Values, check_logits, missing, weight_tensors
from zcbench.proxies.signals import Batch, Costs
from zcbench.spaces.measuring import Depths
from zcbench.streams import torch_stream


def count_costs(network: nn.Module, batch: Batch) -> Values:
    """Count parameters, and the MACs, convolutions and depth of one image, in a forward pass in evaluation mode.

    MACs are half of what PyTorch's counter calls FLOPs: convolutions and matrix products, those of attention included.
    """
    flops, depths, plain_attention = FlopCounterMode(display=False), Depths(), sdpa_kernel(SDPBackend.MATH)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter knows no fused attention of the CPU
    try:
        with torch.no_grad(), evaluating(network), plain_attention, flops, depths:
            logits = network(batch.images[:1].clone())
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    params = sum(parameter.numel() for parameter in network.parameters())
    depth = depths.of(logits) if isinstance(logits, Tensor) else None
    return {"costs": Costs(params, flops.get_total_flops() // 2, depths.n_convs, depth)}


class WithoutBatchNorm(TorchFunctionMode):
    """Batch normalisation returns its input."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func`` unless it is a batch normalisation."""
        return args[0] if func is F.batch_norm else func(*args, **(kwargs or {}))


def linearised_gradients(network: nn.Module, batch: Batch) -> Values:
    r"""Per weight |θ| and ∂R/∂|θ|, R = Σ logits of the network with weights |θ| for one image of ones, in float64."""
    state = {name: t.detach().abs().double() for name, t in network.named_parameters()}
    state |= {name: b.double() if b.is_floating_point() else b.clone() for name, b in network.named_buffers()}
    names = list(weight_tensors(network))
    for name in names:
        state[name].requires_grad_(True)
    ones = torch.ones_like(batch.images[:1], dtype=torch.float64)
    with WithoutBatchNorm():
        logits = with_state(network, state, ones)
    check_logits(logits, Batch(ones, batch.labels[:1]))
    total = logits.sum()
    weights = [state[name] for name in names]
    found = torch.autograd.grad(total, weights, allow_unused=True) if total.requires_grad else [None] * len(names)
    pairs = {n: (w.detach(), torch.zeros_like(w) if g is None else g) for n, w, g in zip(names, weights, found)}
    return {"linearised_gradients": pairs}


class GaussianTap(ForwardTap):
    """Listens for the feature map, and for the variance per channel that each batch normalisation sees."""

    def __init__(self) -> None:
        super().__init__(features=True)
        self.variances: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``; a batch normalisation leaves the biased variance of its input."""
        if func is F.batch_norm:
            self.variances.append(args[0].transpose(0, 1).flatten(1).var(dim=1, correction=0))
        return super().__torch_function__(func, types, args, kwargs)


def standard_normal(shape: torch.Size, like: Tensor, stream: torch.Generator) -> Tensor:
    """Standard normal numbers of the type and device of ``like``; the same ones whatever its memory layout."""
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(generator=stream)


GAUSSIAN_IMAGES = 16  # as in the released code of Zen-NAS


def gaussian_state(network: nn.Module, stream: torch.Generator) -> dict[str, Tensor]:
    """Copies of all parameters and buffers; weights are standard normal, scales of batch norms 1, and biases 0."""
    state = {name: t.detach().clone() for name, t in [*network.named_parameters(), *network.named_buffers()]}
    for name in weight_tensors(network):
        state[name].copy_(standard_normal(state[name].shape, state[name], stream))
    for name, module in network.named_modules():
        if getattr(module, "bias", None) is not None:
            state[f"{name}.bias" if name else "bias"].zero_()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            state[f"{name}.weight"].fill_(1)
    return state


def gaussian_response(network: nn.Module, batch: Batch, seed: int, epsilon: float = 0.01) -> Values:
    """‖Φ(x) − Φ(x + εx')‖₂ per image, and the batch-norm variances, for Gaussian weights and images.

    Φ is the feature map before global pooling. Weights of convolutions and linear layers, x and x' (16 images of the
    batch's shape) are standard normal and come from one stream; batch norms have scale 1 and shift 0; other parameters
    named ``bias`` are 0.
    """
    stream = torch_stream("gaussian_response", seed, device=batch.images.device)
    state = gaussian_state(network, stream)
    shape = torch.Size((GAUSSIAN_IMAGES, *batch.images.shape[1:]))
    image, noise = (standard_normal(shape, batch.images, stream) for _ in range(2))
    one, other = GaussianTap(), ForwardTap(features=True)
    with torch.no_grad():
        for tap, x in ((one, image), (other, image + epsilon * noise)):
            with tap:
                with_state(network, state, x)
    if one.features is None or other.features is None:
        return {"gaussian_response": missing("No feature map is pooled or flattened.")}
    change = (one.features - other.features).flatten(1).norm(dim=1)
    return {"gaussian_response": (change, one.variances)}
