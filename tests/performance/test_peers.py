"""All proxies of a set in one call, against one call per proxy written as the code of the papers does, in one run.

    make benchmark

One thread, a NAS-Bench-201 network at C=16, N=5, batch 64 x 3 x 32 x 32, the memory layout ``auto`` of a scoring run.
The references are contiguous, as the released codes are. The asserted figures are ratios of processor time.
"""

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
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
SEVEN = ["grad_norm", "snip", "fisher", "plain", "jacov", "synflow", "naswot"]
EIGHT = [*SEVEN, "grasp"]
SIXTEEN = [*SEVEN, "params", "macs", "n_convs", "l2_norm", "epe_nas", "fisher_channel", "swap", "swap_reg", "near"]
LEAST = {"eight": (EIGHT, 2.5), "seven": (SEVEN, 3.5), "sixteen": (SIXTEEN, 7.0)}
ROUNDS = 3

Batch = tuple[Tensor, Tensor]


def layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def trained(network: nn.Module, batch: Batch) -> nn.Module:
    """A copy after one forward and backward pass."""
    twin = copy.deepcopy(network).train()
    F.cross_entropy(twin(batch[0]), batch[1]).backward()
    return twin


def grad_norm(network: nn.Module, batch: Batch) -> float:
    return sum(float(layer.weight.grad.norm()) for layer in layers(trained(network, batch)))


def snip(network: nn.Module, batch: Batch) -> float:
    """Gradients for a mask of ones in front of every weight."""
    twin = copy.deepcopy(network).train()
    masks = []
    for layer in layers(twin):
        weight, mask = layer.weight.detach(), torch.ones_like(layer.weight, requires_grad=True)
        del layer._parameters["weight"]
        layer.weight = weight * mask
        masks.append(mask)
    F.cross_entropy(twin(batch[0]), batch[1]).backward()
    return sum(float(mask.grad.abs().sum()) for mask in masks)


def plain(network: nn.Module, batch: Batch) -> float:
    return sum(float((layer.weight.detach() * layer.weight.grad).sum()) for layer in layers(trained(network, batch)))


def l2_norm(network: nn.Module, batch: Batch) -> float:
    return sum(float(layer.weight.detach().norm()) for layer in layers(copy.deepcopy(network)))


def saliencies(network: nn.Module, batch: Batch) -> list[tuple[Tensor, int]]:
    """Activation times gradient at the output of each layer, summed over positions; a module after each layer."""
    twin, found = copy.deepcopy(network).train(), []

    def watch(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        result = output.clone()
        result.register_hook(lambda gradient: found.append((output.detach() * gradient, module.weight[0].numel())))
        return result

    for layer in layers(twin):
        layer.register_forward_hook(watch)
    F.cross_entropy(twin(batch[0]), batch[1]).backward()
    return [(one.flatten(2).sum(2) if one.ndim == 4 else one, size) for one, size in found]


def fisher(network: nn.Module, batch: Batch) -> float:
    return sum(float(one.square().mean(0).sum() / 2) * size for one, size in saliencies(network, batch))


def fisher_channel(network: nn.Module, batch: Batch) -> float:
    return sum(float(one.square().mean(0).sum() / 2) for one, _ in saliencies(network, batch))


def jacobian(network: nn.Module, batch: Batch) -> np.ndarray:
    twin, images = copy.deepcopy(network).train(), batch[0].clone().requires_grad_()
    output = twin(images)
    output.backward(torch.ones_like(output))
    return images.grad.flatten(1).numpy()


def jacov(network: nn.Module, batch: Batch) -> float:
    values = np.linalg.eig(np.corrcoef(jacobian(network, batch)))[0].real
    return float(-np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5)))


def epe_nas(network: nn.Module, batch: Batch) -> float:
    rows, labels = jacobian(network, batch), batch[1].numpy()
    matrices = [np.atleast_2d(np.corrcoef(rows[labels == label])) for label in np.unique(labels)]
    return float(sum(np.abs(np.log(np.abs(matrix) + 1e-5).sum()) for matrix in matrices))


def synflow(network: nn.Module, batch: Batch) -> float:
    """The absolute weights in double precision, batch normalisation in evaluation mode switched off."""
    twin = copy.deepcopy(network).double().eval()
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda x: x
    for parameter in twin.parameters():
        parameter.data.abs_()
    twin(torch.ones(1, *batch[0].shape[1:], dtype=torch.float64)).sum().backward()
    return sum(float((layer.weight.detach() * layer.weight.grad).abs().sum()) for layer in layers(twin))


def activations(network: nn.Module, batch: Batch) -> list[Tensor]:
    twin, found = copy.deepcopy(network).train(), []
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, inputs, output: found.append(output.detach().flatten(1)))
    with torch.no_grad():
        twin(batch[0])
    return found


def naswot(network: nn.Module, batch: Batch) -> float:
    """Two matrix products for each ReLU, in NumPy."""
    kernel = np.zeros((len(batch[0]),) * 2)
    for output in activations(network, batch):
        code = (output > 0).float().numpy()
        kernel += code @ code.T + (1 - code) @ (1 - code).T
    return float(np.linalg.slogdet(kernel)[1])


def swap(network: nn.Module, batch: Batch) -> float:
    """Number of different patterns of the units over the images."""
    codes = torch.cat([output.sign() for output in activations(network, batch)], dim=1)
    return float(len(torch.unique(codes.T, dim=0)))


def swap_reg(network: nn.Module, batch: Batch) -> float:
    """The same, and the number of parameters."""
    return swap(network, batch) * float(np.exp(-(((params(network, batch) - 1) / 2) ** 2)))


def near(network: nn.Module, batch: Batch) -> float:
    """Effective ranks of square parts of the outputs of layers and activation functions."""
    twin, found = copy.deepcopy(network).train(), []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        rows = output.detach().movedim(1, -1).reshape(-1, output.shape[1])
        values = torch.linalg.svdvals(rows[: rows.shape[1]])
        shares = values / values.sum()
        found.append(float(torch.special.entr(shares).sum().exp()))

    for module in twin.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.ReLU):
            module.register_forward_hook(keep)
    with torch.no_grad():
        twin(batch[0])
    return sum(found)


def zen(network: nn.Module, batch: Batch) -> float:
    """Change of the last map under a small change of Gaussian images, for Gaussian weights."""
    twin, maps = copy.deepcopy(network).train(), []
    for layer in layers(twin):
        nn.init.normal_(layer.weight)
    (pool,) = (module for module in twin.modules() if isinstance(module, nn.AdaptiveAvgPool2d))
    pool.register_forward_pre_hook(lambda module, inputs: maps.append(inputs[0]))
    one, other = torch.randn(2, 16, *batch[0].shape[1:])
    with torch.no_grad():
        twin(one), twin(one + 0.01 * other)
    return float((maps[0] - maps[1]).norm())


def grasp(network: nn.Module, batch: Batch) -> float:
    """A pass for the gradient, and another whose graph the product with the Hessian goes through."""
    twin = copy.deepcopy(network).train()
    weights = [layer.weight for layer in layers(twin)]
    fixed = torch.autograd.grad(F.cross_entropy(twin(batch[0]), batch[1]), weights)
    moving = torch.autograd.grad(F.cross_entropy(twin(batch[0]), batch[1]), weights, create_graph=True)
    sum((one * other).sum() for one, other in zip(fixed, moving)).backward()
    return sum(float((-weight.detach() * weight.grad).sum()) for weight in weights)


def params(network: nn.Module, batch: Batch) -> float:
    return float(sum(parameter.numel() for parameter in network.parameters()))


def macs(network: nn.Module, batch: Batch) -> float:
    """Counted by hooks in a pass of one image."""
    twin, found = copy.deepcopy(network).eval(), []
    for layer in layers(twin):
        layer.register_forward_hook(
            lambda module, inputs, output: found.append(output[0].numel() * module.weight[0].numel())
        )
    with torch.no_grad():
        twin(batch[0][:1])
    return float(sum(found))


def n_convs(network: nn.Module, batch: Batch) -> float:
    return float(len(layers(network)))


@pytest.mark.parametrize("name", ARCHS)
def test_a_set_against_one_call_per_proxy(name, benchmark):
    """At least 2.5 times faster for eight proxies with grasp, 3.5 for seven without, 7 for sixteen first-order ones."""
    torch.set_num_threads(1)
    keep_freed()
    network = spaces.get("nasbench201").build(ARCHS[name], seed=0)
    batch = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    layout = getattr(torch, faster_layout(3, "cpu"))
    ours = copy.deepcopy(network).to(memory_format=layout), (batch[0].contiguous(memory_format=layout), batch[1])
    alone: dict[str, Callable[[], object]] = {
        proxy: partial(globals()[proxy], network, batch) for proxy in dict.fromkeys([*SEVEN, *EIGHT, *SIXTEEN])
    }
    together = {size: partial(evaluate, *ours, proxies=names) for size, (names, _) in LEAST.items()}
    contiguous = {f"{size}, contiguous": partial(evaluate, network, batch, proxies=LEAST[size][0]) for size in LEAST}
    seconds = benchmark.pedantic(fastest, args=(alone | together | contiguous, ROUNDS), rounds=1)
    print(f"\n{name}: " + ", ".join(f"{proxy} {seconds[proxy]:.2f}" for proxy in alone))
    ratios = {size: sum(seconds[proxy] for proxy in names) for size, (names, _) in LEAST.items()}
    for size, total in ratios.items():
        print(
            f"| {size} | {total:.2f} s | {seconds[size]:.2f} s | {total / seconds[size]:.1f} | contiguous "
            f"{total / seconds[f'{size}, contiguous']:.1f} |"
        )
    assert all(total / seconds[size] >= LEAST[size][1] for size, total in ratios.items())
