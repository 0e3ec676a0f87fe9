"""Checks of networks before a training: shared parts, parameters to train, finite weights."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from zcbench.distill.errors import RecipeError


def require_apart(networks: Sequence[tuple[str, nn.Module]], others: Sequence[tuple[str, nn.Module]] = ()) -> None:
    """Raise `RecipeError` where one of ``networks`` shares a module or memory with another one, or with ``others``.

    Args:
        networks: names for the message, and networks; compared with each other and with ``others``.
        others: names and networks that may share parts among themselves, such as teachers that are not trained.
    """
    for place, (name, network) in enumerate(networks):
        for other, second in (*networks[:place], *others):
            if found := _shared(network, second):
                raise RecipeError(
                    f"The {name} and the {other} share {found}. Expected separate networks, since training one would "
                    f"change the other; build a second one, or give copy.deepcopy(network)."
                )


def _shared(one: nn.Module, other: nn.Module) -> str | None:
    """What two networks have in common, in words."""
    if one is other:
        return "everything: they are one network"
    modules = {id(module): name for name, module in one.named_modules()}
    for name, module in other.named_modules():
        if id(module) in modules:
            return f"the module {modules[id(module)] or name or 'of all layers'!r} ({type(module).__name__})"
    places = {_place(tensor): name for name, tensor in _tensors(one) if tensor.numel()}
    for _, tensor in _tensors(other):
        if tensor.numel() and _place(tensor) in places:
            return f"the memory of {places[_place(tensor)]!r}"
    return None


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(network.named_parameters(), network.named_buffers())


def _place(tensor: Tensor) -> object:
    if tensor.device.type == "meta" or tensor.layout is not torch.strided:
        return id(tensor)
    return tensor.device, tensor.untyped_storage().data_ptr()


def require_trainable(student: nn.Module) -> None:
    """Raise `RecipeError` unless a parameter of ``student`` can be trained."""
    parameters = list(student.parameters())
    if any(parameter.requires_grad for parameter in parameters):
        return
    why = f"all its {len(parameters)} parameters are frozen (requires_grad=False)" if parameters else "it has none"
    raise RecipeError(
        f"The student {type(student).__name__} has no parameter to train: {why}. Expected at least one; call "
        f"requires_grad_(True) on the layers to train."
    )


def require_finite(name: str, network: nn.Module) -> None:
    """Raise `RecipeError` where a weight of ``network`` is not finite or a buffer is NaN; masks may be infinite."""
    buffers = {id(buffer) for buffer in network.buffers()}
    for where, tensor in _tensors(network):
        values = tensor.detach()
        wrong = values.isnan() if id(tensor) in buffers else ~values.isfinite()
        if bool(wrong.any()):
            raise RecipeError(
                f"The {name} holds NaN or infinity in {where!r} before the training. Expected finite weights; check "
                f"how it was initialised or trained, or its checkpoint."
            )


def require_usable(students: Sequence[nn.Module], teachers: Sequence[nn.Module]) -> None:
    """Raise `RecipeError` where networks share parts, a student cannot be trained, or a network holds NaN."""
    alone = len(students) == 1
    learning = [("student" if alone else f"student {number}", own) for number, own in enumerate(students, 1)]
    teaching = [("teacher", network) for network in teachers]
    require_apart(learning, teaching)
    for student in students:
        require_trainable(student)
    for name, network in (*learning, *teaching):
        require_finite(name, network)


def frozen_parts(network: nn.Module) -> list[str]:
    """Names of parameters without gradient and of modules in evaluation mode."""
    fixed = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    return fixed + [f"{name or 'network'} (eval)" for name, module in network.named_modules() if not module.training]


def state_sha256(network: nn.Module) -> str:
    """Fingerprint of all parameters and buffers, those that no state_dict holds included."""
    digest = hashlib.sha256()
    for name, tensor in _tensors(network):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
