"""Slow, independent implementations: module hooks, ``backward()``, deep copies, loops over images."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench.streams import torch_stream

LAYERS = (nn.Conv2d, nn.Linear)


def layers(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, LAYERS)]


def backward(network: nn.Module, batch: tuple[Tensor, Tensor]) -> nn.Module:
    twin = copy.deepcopy(network).train()
    F.cross_entropy(twin(batch[0].clone()), batch[1]).backward()
    return twin


def l2_norm(network, batch):
    return sum(math.sqrt(float((m.weight.detach() ** 2).sum())) for m in layers(network))


def grad_norm(network, batch):
    return sum(math.sqrt(float((m.weight.grad**2).sum())) for m in layers(backward(network, batch)))


def snip(network, batch):
    return sum(float((m.weight.detach() * m.weight.grad).abs().sum()) for m in layers(backward(network, batch)))


def plain(network, batch):
    return sum(float((m.weight.detach() * m.weight.grad).sum()) for m in layers(backward(network, batch)))


class _Watched(nn.Module):
    """A layer whose output passes an identity that keeps output and gradient."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        self.output = self.layer(x)
        self.output.retain_grad()
        return self.output * 1


def fisher(network, batch):
    return sum(value * weight.numel() for value, weight in channel_information(network, batch))


def fisher_channel(network, batch):
    return sum(value for value, _ in channel_information(network, batch))


def channel_information(network, batch):
    """Half the mean over images of the squared sum over positions, and the weights of the channel, one by one."""
    twin = copy.deepcopy(network).train()
    watched = []
    for name, module in list(twin.named_modules()):
        if isinstance(module, LAYERS):
            parent = twin.get_submodule(name.rpartition(".")[0])
            watched.append(_Watched(module))
            setattr(parent, name.rpartition(".")[2], watched[-1])
    F.cross_entropy(twin(batch[0].clone()), batch[1]).backward()
    found = []
    for w in watched:
        weight = w.layer.weight
        output, gradient = (
            t.movedim(-1, 1) if isinstance(w.layer, nn.Linear) else t for t in (w.output.detach(), w.output.grad)
        )
        for channel in range(weight.shape[0]):
            per_image = [float((output[n, channel] * gradient[n, channel]).sum()) for n in range(len(batch[0]))]
            found.append((0.5 * float(np.mean(np.square(per_image))), weight[channel]))
    return found


def grasp(network, batch, step=1e-7):
    """Finite differences in float64: H g = (g(θ + hg) − g(θ − hg)) / 2h."""
    twin = copy.deepcopy(network).double().train()
    images, labels = batch[0].double(), batch[1]

    def gradients():
        found = torch.autograd.grad(F.cross_entropy(twin(images.clone()), labels), [m.weight for m in layers(twin)])
        return [g.detach() for g in found]

    start, total = gradients(), 0.0
    originals = [m.weight.detach().clone() for m in layers(twin)]
    shifted = []
    for sign in (1, -1):
        for m, w, g in zip(layers(twin), originals, start):
            m.weight.data = w + sign * step * g
        shifted.append(gradients())
    for w, plus, minus in zip(originals, *shifted):
        total -= float((w * (plus - minus) / (2 * step)).sum())
    return total


def synflow(network, batch):
    twin = copy.deepcopy(network).double()
    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            setattr(twin.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], nn.Identity())
    for p in twin.parameters():
        p.data.abs_()
    twin(torch.ones(1, *batch[0].shape[1:], dtype=torch.float64)).sum().backward()
    return math.log(sum(float((m.weight.detach() * m.weight.grad).abs().sum()) for m in layers(twin)))


def jacobian(network, batch):
    twin = copy.deepcopy(network).train()
    images = batch[0].clone().requires_grad_()
    out = twin(images * 1)
    out.backward(torch.ones_like(out))
    return images.grad.reshape(len(images), -1).numpy()


def jacov(network, batch):
    v = np.linalg.eigvals(np.corrcoef(jacobian(network, batch))).real
    return float(-np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5)))


def epe_nas(network, batch):
    rows, total = jacobian(network, batch), 0.0
    for label in set(batch[1].tolist()):
        own = rows[[i for i, y in enumerate(batch[1].tolist()) if y == label]]
        corr = np.atleast_2d(np.corrcoef(own))
        total += abs(sum(math.log(abs(corr[i, j]) + 1e-5) for i in range(len(own)) for j in range(len(own))))
    return total


def epe_nas_many(network, batch):
    """The authors' rule for more than 100 classes: means per image, compared between every two classes."""
    rows, labels = jacobian(network, batch), batch[1].tolist()
    sums = []
    for label in sorted(set(labels)):
        corr = np.corrcoef(rows[[i for i, y in enumerate(labels) if y == label]])
        if np.ndim(corr) == 0:  # one image: the division by the length fails, and the class is left out
            continue
        sums.append(sum(math.log(abs(c) + 1e-5) for c in corr.flatten()) / len(corr))
    return sum(abs(one - other) for one in sums for other in sums) / len(sums)


def zen(network, batch, seed=0):
    """Gaussian weights and images from the stream of the pass, one after the other; hooks on normalisations."""
    stream = torch_stream("gaussian_response", seed)
    twin = copy.deepcopy(network).train()
    for layer in layers(twin):
        layer.weight.data = torch.randn(layer.weight.shape, generator=stream)
    for module in twin.modules():
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    shape = (16, *batch[0].shape[1:])
    image, noise = torch.randn(shape, generator=stream), torch.randn(shape, generator=stream)
    scales = []
    norms = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [
        n.register_forward_pre_hook(lambda m, i: scales.append(i[0].double().var((0, 2, 3), correction=0).mean()))
        for n in norms
    ]
    body = twin[:-3]  # up to the pooling
    with torch.no_grad():
        one = body(image)
        for handle in handles:
            handle.remove()
        change = (one - body(image + 0.01 * noise)).flatten(1).double().norm(dim=1).mean()
    return math.log(change) + sum(math.log(scale) / 2 for scale in scales)


def naswot(network, batch):
    twin = copy.deepcopy(network).train()
    size = len(batch[0])
    kernel = np.zeros((size, size))

    def hook(module, inputs):
        codes = (inputs[0].reshape(size, -1) > 0).numpy()
        for i in range(size):
            for j in range(size):
                kernel[i, j] += (codes[i] == codes[j]).sum()

    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(hook)
    twin(batch[0].clone())
    return float(np.linalg.slogdet(kernel)[1])


def feature_map(network, batch):
    kept = []
    twin = copy.deepcopy(network).train()
    for module in twin.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda m, inputs: kept.append(inputs[0].detach()))
    twin(batch[0].clone())
    return kept[0].double().numpy()


def diswot_relation(network, batch, teacher):
    grams = []
    for one in (network, teacher):
        flat = feature_map(one, batch).reshape(len(batch[0]), -1)
        gram = flat @ flat.T
        grams.append(gram / np.linalg.norm(gram, axis=1, keepdims=True))
    return float(((grams[0] - grams[1]) ** 2).sum() / len(batch[0]) ** 2)


def diswot_semantic(network, batch, teacher):
    gradients = [layers(backward(one, batch))[-1].weight.grad.double().numpy() for one in (network, teacher)]
    classes, channels = gradients[0].shape
    total = 0.0
    for n in range(classes):
        pair = [np.outer(g[n], g[n]) for g in gradients]
        pair = [m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), 1e-300) for m in pair]
        total += ((pair[0] - pair[1]) ** 2).sum()
    return float(total / (channels * classes))
