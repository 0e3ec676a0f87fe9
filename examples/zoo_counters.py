"""Parameters and MACs by counters that are not zcbench's: fvcore, and ptflops for what fvcore cannot trace."""

from collections.abc import Sequence
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

#: Operators that fvcore counts although they multiply no two matrices.
NO_PRODUCTS = (
    *("aten::batch_norm", "aten::group_norm", "aten::layer_norm", "aten::instance_norm", "aten::adaptive_avg_pool2d"),
    *("aten::upsample_nearest2d", "aten::upsample_bilinear2d", "aten::grid_sampler"),
)


def shape(value: Any) -> list[int]:
    """Sizes of a tensor in fvcore's trace."""
    return list(value.type().sizes())


def nothing(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """No MACs."""
    return 0


def attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """MACs of scaled_dot_product_attention: query times key, and that times value."""
    query, key, value = (shape(item) for item in inputs[:3])
    heads = torch.Size(query[:-2]).numel()
    return heads * query[-2] * key[-2] * (query[-1] + value[-1])


def added_product(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """MACs of baddbmm."""
    one, other = shape(inputs[1]), shape(inputs[2])
    return torch.Size(one).numel() * other[-1]


def named_padding(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """MACs of a convolution with ``padding="same"`` or ``"valid"``."""
    return torch.Size(shape(outputs[0])).numel() * torch.Size(shape(inputs[1])[1:]).numel()


def recurrence(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """MACs of an LSTM: each matrix of its weights once for every position of every sequence."""
    steps = torch.Size(shape(inputs[0])[:-1]).numel()
    weights = [shape(item) for item in inputs[2].node().inputs()]
    return steps * sum(torch.Size(sizes).numel() for sizes in weights if len(sizes) == 2)


#: Operators that fvcore does not count.
PRODUCTS = {
    "aten::scaled_dot_product_attention": attention,
    "aten::baddbmm": added_product,
    "aten::_convolution_mode": named_padding,
    "aten::lstm": recurrence,
}


def by_fvcore(network: nn.Module, image: Tensor) -> int:
    """MACs of one image by fvcore, from a trace of the network."""
    analysis = FlopCountAnalysis(network, image)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    analysis.set_op_handle(**dict.fromkeys(NO_PRODUCTS, nothing), **PRODUCTS)
    return int(analysis.total())


def by_ptflops(network: nn.Module, image: Tensor) -> int:
    """MACs of one image by ptflops, from the operators that PyTorch dispatches; additions of biases are among them."""
    from ptflops import get_model_complexity_info  # it imports torchvision, see `declare_torchvision`

    counted = get_model_complexity_info(
        network, tuple(image.shape[1:]), backend="aten", as_strings=False, print_per_layer_stat=False
    )
    return int(counted[0])


def count_apart(network: nn.Module, image: Tensor, macs: float | None) -> dict[str, Any]:
    """Parameters, and MACs by fvcore; by ptflops too where fvcore cannot trace the network or differs from ``macs``."""
    torch.backends.mha.set_fastpath_enabled(False)  # neither counter knows the fused attention of the CPU
    network.eval()
    counts: dict[str, Any] = {"params": sum(parameter.numel() for parameter in network.parameters())}
    with torch.no_grad():
        try:
            counts["fvcore"] = by_fvcore(network, image)
        except (TypeError, RuntimeError, torch.jit.Error) as error:
            counts["untraced"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if not close(macs, counts.get("fvcore")):
            counts["ptflops"] = by_ptflops(network, image)
    return counts


def close(macs: float | None, other: int | None) -> bool:
    """Whether two counts agree within .1 %."""
    return macs is not None and other is not None and abs(macs - other) <= 1e-3 * other
