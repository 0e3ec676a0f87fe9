"""Slow references for networks of any inputs, outputs and labels: plain autograd, module hooks, loops over inputs."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)
IMAGES = 16  # that the references of single images and of kernels take


def logits_of(returned):
    return getattr(returned, "logits", returned)


@dataclass(frozen=True)
class Task:
    """A network, its inputs by position or by name, the labels, and the mean loss of an output ``(B, ...)``."""

    network: nn.Module
    inputs: Tensor | dict[str, Tensor]
    labels: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    read: Callable = logits_of

    @property
    def tensors(self):
        return list(self.inputs.values()) if isinstance(self.inputs, dict) else [self.inputs]

    def map(self, change):
        if isinstance(self.inputs, dict):
            return {name: change(tensor) for name, tensor in self.inputs.items()}
        return change(self.inputs)

    def output(self, network, inputs):
        returned = network(**inputs) if isinstance(inputs, dict) else network(inputs)
        return self.read(returned)

    def lost(self, network, part=slice(None)):
        return self.loss(self.output(network, self.map(lambda one: one[part].clone())), self.labels[part])

    def size(self):
        return len(self.labels)


def twin(task):
    return copy.deepcopy(task.network).train()


def layers(network):
    return [module for module in network.modules() if isinstance(module, LAYERS)]


def gradients(task, part=slice(None)):
    own = twin(task)
    task.lost(own, part).backward()
    return [torch.zeros_like(m.weight) if m.weight.grad is None else m.weight.grad for m in layers(own)]


def weights(task):
    return [layer.weight.detach() for layer in layers(task.network)]


def params(task):
    return sum(parameter.numel() for parameter in task.network.parameters())


def l2_norm(task):
    return sum(float(weight.double().square().sum().sqrt()) for weight in weights(task))


def grad_norm(task):
    return sum(float(gradient.double().square().sum().sqrt()) for gradient in gradients(task))


def snip(task):
    return sum(float((w * g).abs().double().sum()) for w, g in zip(weights(task), gradients(task)))


def plain(task):
    return sum(float((w * g).double().sum()) for w, g in zip(weights(task), gradients(task)))


def grasp(task, step=1e-7):
    """Central differences of the gradient, in float64."""
    own = twin(task).double()
    given = task.map(lambda one: one.double() if one.is_floating_point() else one)
    labels = task.labels.double() if task.labels.is_floating_point() else task.labels
    found = layers(own)

    def slopes():
        loss = task.loss(task.output(own, given), labels)
        return torch.autograd.grad(loss, [m.weight for m in found], allow_unused=True, materialize_grads=True)

    start, origin, sides = slopes(), [m.weight.detach().clone() for m in found], []
    for sign in (1, -1):
        for m, w, g in zip(found, origin, start):
            m.weight.data = w + sign * step * g
        sides.append(slopes())
    return -sum(float((w * (one - other) / (2 * step)).sum()) for w, one, other in zip(origin, *sides))


def channels(task):
    """For each layer the weights behind a channel, and Σ over positions of output times gradient, (B, channels)."""
    own, found, kept = twin(task), [], []

    def keep(layer, inputs, output):
        output.retain_grad()
        kept.append((layer, output))
        return output * 1

    for layer in layers(own):
        layer.register_forward_hook(keep)
    task.lost(own).backward()
    for layer, output in kept:
        product = (output * output.grad).detach()
        product = product if isinstance(layer, nn.Linear | nn.Embedding) else product.movedim(1, -1)
        totals = np.zeros((len(product), product.shape[-1]))
        for image in range(len(product)):
            for row in product[image].reshape(-1, product.shape[-1]).double():
                totals[image] += row.numpy()
        found.append((layer.weight.numel() // totals.shape[1], totals))
    return found


def fisher(task):
    return sum(each * float(np.mean(totals**2, 0).sum()) / 2 for each, totals in channels(task))


def fisher_channel(task):
    return sum(float(np.mean(totals**2, 0).sum()) / 2 for _, totals in channels(task))


def synflow(task):
    own = twin(task).double()
    for module in list(own.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())
            if isinstance(child, nn.Embedding):
                child.register_forward_hook(lambda layer, inputs, output: torch.ones_like(output))
    for parameter in own.parameters():
        parameter.data.abs_()
    ones = task.map(lambda one: torch.ones_like(one[:1]).double() if one.is_floating_point() else one[:1])
    task.output(own, ones).sum().backward()
    flow = sum(float((m.weight.detach() * m.weight.grad).sum()) for m in layers(own) if m.weight.grad is not None)
    return math.log(flow)


def jacobian(task):
    own = twin(task)
    given = task.map(lambda one: one.clone().requires_grad_(one.is_floating_point()))
    task.output(own, given).sum().backward()
    tensors = given.values() if isinstance(given, dict) else [given]
    rows = [one.grad.flatten(1) for one in tensors if one.is_floating_point()]
    return torch.cat(rows, 1).double().numpy()


def jacov(task):
    values = np.linalg.eigvalsh(np.corrcoef(jacobian(task))).clip(0) + 1e-5
    return float(-np.sum(np.log(values) + 1 / values))


def epe_nas(task):
    rows, total, labels = jacobian(task), 0.0, task.labels.long().tolist()
    for label in set(labels):
        own = np.atleast_2d(np.corrcoef(rows[[i for i, y in enumerate(labels) if y == label]]))
        total += abs(sum(math.log(abs(entry) + 1e-5) for entry in own.flatten()))
    return total


def codes(task):
    """Signs of the inputs of every ReLU, (B, units), call by call."""
    own, found = twin(task), []
    for module in own.modules():
        if isinstance(module, nn.ReLU | nn.ReLU6):
            module.register_forward_pre_hook(lambda m, inputs: found.append(inputs[0].flatten(1).numpy() > 0))
    with torch.no_grad():
        task.output(own, task.map(Tensor.clone))
    return found


def naswot(task):
    kernel = np.zeros((task.size(), task.size()))
    for code in codes(task):
        for i, one in enumerate(code):
            for j, other in enumerate(code):
                kernel[i, j] += (one == other).sum()
    return float(np.linalg.slogdet(kernel)[1])


def swap(task):
    return float(len({tuple(unit[:IMAGES]) for code in codes(task) for unit in code.T.tolist()}))


def zico(task):
    middle, total = task.size() // 2, 0.0
    for one, other in zip(gradients(task, slice(middle)), gradients(task, slice(middle, None))):
        one, other = one.double().flatten().numpy(), other.double().flatten().numpy()
        moved = one != other
        ratio = (np.abs(one) + np.abs(other))[moved] / np.abs(one - other)[moved]
        total += math.log(ratio.sum()) if moved.any() else 0
    return total


def gradsign(task):
    signs = [[g.sign() for g in gradients(task, slice(i, i + 1))] for i in range(min(IMAGES, task.size()))]
    return float(sum(torch.stack(layer).sum(0).abs().sum() for layer in zip(*signs)))


def unsure(task):
    """Largest change of `gradsign` by gradients that are zero but for rounding."""
    count = 0
    for i in range(min(IMAGES, task.size())):
        for g in gradients(task, slice(i, i + 1)):
            count += int((g.abs() < 1e-12 * g.abs().max()).sum())
    return 2 * count


def te_nas_ntk(task):
    own, rows = twin(task), []
    output = task.output(own, task.map(lambda one: one[:IMAGES].clone()))
    for total in output.flatten(1).sum(1):
        found = torch.autograd.grad(
            total, [m.weight for m in layers(own)], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([g.flatten() for g in found]).double().numpy())
    values = np.linalg.eigvalsh(np.array(rows) @ np.array(rows).T)
    return float(values[-1] / values[0])


#: Every reference by the name of its proxy.
REFERENCES = {
    reference.__name__: reference
    for reference in (
        *(params, l2_norm, grad_norm, snip, plain, fisher, fisher_channel, synflow, jacov, epe_nas, naswot, swap),
        *(zico, gradsign, te_nas_ntk, grasp),
    )
}
