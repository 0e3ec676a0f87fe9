"""Proxies with passes of their own, against a plain forward and backward, and against their passes alone.

    make benchmark

One thread, a NAS-Bench-201 network at C=16, N=5, batch 64 x 3 x 32 x 32. The plain pass is contiguous, the proxies run
in the memory layout ``auto`` of a scoring run. Beside them stand the passes that they need, written in bare PyTorch in
that layout, and the convolutions of these passes alone. The asserted figures are ratios of processor time.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench import spaces
from zcbench.benchmarks.scoring.options import faster_layout
from zcbench.proxies import evaluate
from zcbench.runtime.memory import keep_freed

from .timing import fastest

ARCHS = {
    "all 3x3": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "mixed": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
}
LAYOUT = getattr(torch, faster_layout(3, "cpu"))
ROUNDS = 2
MOST = 1.75  # times the bare passes, or the goal where that is more; az_nas draws a sign for each entry of a map


class Work(NamedTuple):
    """Images of a pass, how often each convolution runs: forward, by its input, by its weight; and the goal."""

    images: int
    forward: int
    by_input: int
    by_weight: int
    goal: float


#: grasp: forward, backward, their derivative by two products forward and one by input and weight, and another backward.
PASSES = {
    "grasp": Work(64, 3, 3, 3, 2.6),
    "te_nas_ntk": Work(16, 1, 16, 16, 1.2),
    "vkdnw": Work(32, 1, 10, 0, 1.0),
    "zico": Work(32, 2, 2, 2, 0.8),
    "az_nas": Work(64, 1, 1, 0, 0.8),
}
AZ_NAS = ["az_expressivity", "az_progressivity", "az_trainability", "az_complexity"]


@pytest.mark.parametrize("name", ARCHS)
def test_costly_proxies(name, benchmark):
    """Within the goal, or within `MOST` times the bare passes."""
    torch.set_num_threads(1)
    keep_freed()
    space, arch = spaces.get("nasbench201"), ARCHS[name]
    batch = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    network, plain = (space.build(arch, seed=0) for _ in range(2))
    network.to(memory_format=LAYOUT)
    laid = batch[0].contiguous(memory_format=LAYOUT), batch[1]
    sets = {proxy: AZ_NAS if proxy == "az_nas" else [proxy] for proxy in PASSES}
    works: dict[str, Callable[[], object]] = {
        proxy: partial(evaluate, network, laid, chosen) for proxy, chosen in sets.items()
    }
    works |= {f"bare {proxy}": partial(bare, network, laid, proxy, work) for proxy, work in PASSES.items()}
    works |= {
        f"convolutions of {proxy}": partial(convolve, convolutions(network, work), work)
        for proxy, work in PASSES.items()
    }
    works["plain"] = partial(forward_backward, plain, batch)
    seconds = benchmark.pedantic(fastest, args=(works, ROUNDS), rounds=1)
    ratios = {name: value / seconds["plain"] for name, value in seconds.items()}
    print(f"\n{name}: plain {seconds['plain']:.2f} s\n\n| proxy | ratio | bare passes | convolutions alone | goal |")
    print("|---|---:|---:|---:|---:|")
    for proxy, work in PASSES.items():
        alone = ratios[f"bare {proxy}"], ratios[f"convolutions of {proxy}"]
        print(f"| {proxy} | {ratios[proxy]:.2f} | {alone[0]:.2f} | {alone[1]:.2f} | {work.goal} |")
    for proxy, work in PASSES.items():
        assert ratios[proxy] <= max(work.goal, MOST * ratios[f"bare {proxy}"])


def forward_backward(network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    """A plain pass."""
    network.train()
    F.cross_entropy(network(batch[0]), batch[1]).backward()


def bare(network: nn.Module, batch: tuple[Tensor, Tensor], proxy: str, work: Work) -> None:
    """The passes of a proxy in bare PyTorch, without what it records and computes of them."""
    network.train(proxy != "vkdnw")
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    images, labels = (one[: work.images] for one in batch)
    if work.by_weight == 0:
        network.requires_grad_(False)
        images = images.clone().requires_grad_()
        output = network(images)
        for total in output.sum(0)[: work.by_input]:
            torch.autograd.grad(total, images, retain_graph=True)
        network.requires_grad_(True)
    elif proxy == "te_nas_ntk":
        for total in network(images).sum(1):
            torch.autograd.grad(total, weights, retain_graph=True)
    elif proxy == "grasp":
        found = torch.autograd.grad(F.cross_entropy(network(images), labels), weights, create_graph=True)
        torch.autograd.grad(sum((one * one.detach()).sum() for one in found), weights)
    else:
        for part in batch[0].split(work.images):
            torch.autograd.grad(F.cross_entropy(network(part), labels), weights)


class Convolution(NamedTuple):
    """Input, weight and gradient of the output of a convolution, and its further arguments."""

    input: Tensor
    weight: Tensor
    gradient: Tensor
    geometry: tuple[object, ...]


def convolutions(network: nn.Module, work: Work) -> list[Convolution]:
    """The convolutions of a pass; those of one shape share their tensors."""
    found: list[Convolution] = []
    known: dict[object, Convolution] = {}

    def keep(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        shapes = inputs[0].shape, module.weight.shape, output.shape
        if shapes not in known:
            geometry = module.stride, module.padding, module.dilation
            tensors = (torch.randn(shape).contiguous(memory_format=LAYOUT) for shape in shapes)
            known[shapes] = Convolution(*tensors, geometry)
        found.append(known[shapes])

    handles = [m.register_forward_hook(keep) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(torch.randn(work.images, 3, 32, 32).contiguous(memory_format=LAYOUT))
    for handle in handles:
        handle.remove()
    return found


def convolve(convolutions: list[Convolution], work: Work) -> None:
    """The convolutions of the passes of a proxy, and nothing else."""
    backward = torch.ops.aten.convolution_backward.default
    for input, weight, gradient, geometry in convolutions:
        for _ in range(work.forward):
            F.conv2d(input, weight, None, *geometry)
        for count, mask in ((work.by_input, (True, False, False)), (work.by_weight, (False, True, False))):
            for _ in range(count):
                backward(gradient, input, weight, None, *geometry, False, (0, 0), 1, mask)
