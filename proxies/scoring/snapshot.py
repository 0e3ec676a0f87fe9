"""Snapshots of a network, which detect and undo changes by the code of plug-ins."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zcbench.datasets.inputs import Given
from zcbench.streams import own_randomness

#: Attributes that may change while a network is used; they are restored silently.
_MOVING = ("training",)
_HOOKS_OF_TENSORS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_CONTAINERS = (dict, list, set)

#: The place of something in a network: the path of a module, and the name of an attribute or tensor.
Place = tuple[str, str]


class _Values(NamedTuple):
    """A tensor of the network: name, tensor, its storage, a copy of its values, and its flag and hooks."""

    name: str
    tensor: Tensor
    storage: Tensor
    copy: Tensor
    requires_grad: bool
    hooks: tuple[Any, ...]


class _Gradient(NamedTuple):
    parameter: nn.Parameter
    grad: Tensor | None
    copy: Tensor | None


class Snapshot:
    """State of a network that a proxy is about to be handed: all that its modules and tensors have.

    Gradients, values of buffers and modes may change while it works and are put back in silence, and so is whatever a
    forward pass changes by itself. Parameters and their flags, modules, buffers, hooks, methods and other attributes
    may not.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._modules = [(path, module, type(module), _attributes(module)) for path, module in network.named_modules()]
        self._parameters = [_values(name, parameter) for name, parameter in network.named_parameters()]
        others = [*network.named_buffers(), *_plain_tensors(network)]
        self._others = [_values(name, tensor) for name, tensor in others]
        self._grads = [_Gradient(p, p.grad, None if p.grad is None else p.grad.clone()) for p in network.parameters()]

    def restore(self, images: Given | None = None) -> list[str]:
        """Restore everything and return the names of all changes that are not allowed.

        Args:
            images: for a forward pass that shows which attributes such a pass changes by itself; it is run only if an
                attribute has changed.
        """
        places = self._put_back()
        changed = [entry.name for entry in self._parameters if self._restore_values(entry)]
        self._restore_gradients()
        for entry in self._others:
            _write_back(entry)
        if places and images is not None:
            places -= self._moved_by_itself(images)
        return [*changed, *(f"{path}.{name}".lstrip(".") for path, name in sorted(places))]

    def _restore_values(self, entry: _Values) -> bool:
        tensor, now = entry.tensor, (entry.tensor.requires_grad, _hooks(entry.tensor))
        same = _same(tensor, entry.copy) and tensor.data_ptr() == entry.storage.data_ptr()
        if not same:
            _write_back(entry)
        if now != (entry.requires_grad, entry.hooks):
            tensor.requires_grad_(entry.requires_grad)
            for name, hooks in zip(_HOOKS_OF_TENSORS, entry.hooks):
                setattr(tensor, name, None if hooks is None else hooks.copy())
            same = False
        return not same

    def _restore_gradients(self) -> None:
        for parameter, grad, copy in self._grads:
            parameter.grad = grad
            if grad is not None and copy is not None:
                with torch.no_grad():
                    grad.copy_(copy)

    def _put_back(self) -> set[Place]:
        """Let every module have its type and attributes again; where something else was."""
        return {
            (path, name)
            for path, module, kind, attributes in self._modules
            for name in _restored(module, kind, attributes)
            if name not in _MOVING
        }

    def _moved_by_itself(self, images: Given) -> set[Place]:
        """What a forward pass changes in the network's modules; it is put back."""
        with own_randomness(), torch.no_grad(), suppress(Exception):
            self._network(images.clone())
        moved = self._put_back()
        for entry in self._others:
            _write_back(entry)
        return moved


def _values(name: str, tensor: Tensor) -> _Values:
    detached = tensor.detach()
    return _Values(name, tensor, detached, detached.clone(), tensor.requires_grad, _hooks(tensor))


def _hooks(tensor: Tensor) -> tuple[Any, ...]:
    found = (getattr(tensor, name, None) for name in _HOOKS_OF_TENSORS)
    return tuple(None if hooks is None else hooks.copy() for hooks in found)


def _write_back(entry: _Values) -> None:
    with torch.no_grad(), suppress(RuntimeError):  # one that needs gradients and is no leaf has none to give back
        if entry.tensor.data_ptr() != entry.storage.data_ptr() or entry.tensor.shape != entry.copy.shape:
            entry.tensor.data = entry.storage
        if not _same(entry.storage, entry.copy):
            entry.storage.copy_(entry.copy)  # the signals share this memory


def _plain_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors that modules keep as plain attributes."""
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                yield f"{path}.{name}".lstrip("."), value


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Every attribute, and its content if it is a container, such as PyTorch's dictionaries of hooks and parameters."""
    return {name: (value, _held(value)) for name, value in vars(module).items()}


def _held(value: Any) -> Any:
    return value.copy() if isinstance(value, _CONTAINERS) else None


def _restored(module: nn.Module, kind: type, attributes: dict[str, tuple[Any, Any]]) -> list[str]:
    """Put type and attributes back; names of those that were others."""
    changed = ["__class__"] if type(module) is not kind else []
    if changed:
        object.__setattr__(module, "__class__", kind)
    own = vars(module)
    for name in own.keys() - attributes.keys():
        del own[name]
        changed.append(name)
    for name, (value, held) in attributes.items():
        if own.get(name, _held) is not value:
            own[name] = value
            changed.append(name)
        changed += _refilled(name, value, held)
    return changed


def _refilled(name: str, value: Any, held: Any) -> list[str]:
    """Fill a container as it was; the names of its entries that were others, or its own."""
    if held is None or _alike(value, held):
        return []
    entries = (
        [str(key) for key in value.keys() | held.keys() if value.get(key) is not held.get(key)]
        if (isinstance(value, dict))
        else []
    )
    value.clear()
    (value.extend if isinstance(value, list) else value.update)(held)
    return entries if name in ("_parameters", "_buffers", "_modules") and entries else [name]


def _alike(one: Any, other: Any) -> bool:
    """Whether two containers hold the same objects in the same order; a set has none."""
    if len(one) != len(other):
        return False
    if isinstance(one, set):
        return {id(item) for item in one} == {id(item) for item in other}
    if isinstance(one, dict):
        return all(a == b and one[a] is other[b] for a, b in zip(one, other))
    return all(a is b for a, b in zip(one, other))


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal bits, not-a-number included."""
    return one.dtype == other.dtype and one.shape == other.shape and bool(((one == other) | (one != one)).all())
