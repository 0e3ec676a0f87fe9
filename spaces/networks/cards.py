"""What is found out about a network of one's own before it is scored: fingerprint, output and sizes."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zcbench.content import class_content, is_installed
from zcbench.datasets.inputs import Given, tensors_of
from zcbench.datasets.outputs import output_of
from zcbench.errors import ZcbenchError
from zcbench.spaces.cost import Cost
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.measuring import counted
from zcbench.spaces.networks.sources import Source, is_drawn, made, reason
from zcbench.streams import own_randomness, seed_everything

_PLAIN = (bool, int, float, str, type(None))


class NetworkCard(NamedTuple):
    """One network as a run keeps it.

    Attributes:
        sha256: fingerprint of its definition and of its weights with seed 0.
        drawn: whether its weights are drawn anew for each seed.
        outputs: shape of its output for one input, without the batch.
        cost: its sizes for one input.
    """

    sha256: str
    drawn: bool
    outputs: tuple[int, ...]
    cost: Cost

    def to_json(self) -> dict[str, object]:
        """Content of a JSON object, see `from_json`."""
        return {"sha256": self.sha256, "drawn": self.drawn, "outputs": list(self.outputs), **self.cost._asdict()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "NetworkCard":
        """Inverse of `to_json`."""
        cost = Cost(*(content[name] for name in Cost._fields))
        return cls(content["sha256"], content["drawn"], tuple(content["outputs"]), cost)


def are_cards(content: object) -> bool:
    """Whether the content is a JSON object each value of which is one that `NetworkCard.to_json` writes."""
    return isinstance(content, dict) and all(isinstance(card, dict) and _is_card(card) for card in content.values())


def _is_card(card: Mapping[str, object]) -> bool:
    numbers, outputs = [card.get(name) for name in Cost._fields], card.get("outputs")
    whole = isinstance(outputs, list) and all(type(number) is int for number in (*numbers, *outputs))
    return whole and isinstance(card.get("sha256"), str) and isinstance(card.get("drawn"), bool)


class Example(NamedTuple):
    """What a network is measured with.

    Attributes:
        inputs: one input, ``(1, ...)``.
        read: the output in what the network returns.
    """

    inputs: Given
    read: Callable[[Any], object] = output_of


def inspected(name: str, source: Source, example: Example) -> NetworkCard:
    """Card of a network, from one forward pass; a function is called twice.

    Args:
        name: of the network.
        source: the network, or a function that makes it.
        example: what it is measured with.

    Raises:
        SpaceError: the function gives one network twice, or other weights for the same seed; or the network does not
            take the input, or its output is no floating tensor with the batch on the first axis.
    """
    network = made(name, source, 0)
    sha256 = fingerprint(network)
    if is_drawn(source):
        _check_again(name, network, sha256, made(name, source, 0))
    cost, output = _measured(name, network, example)
    if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != 1 or not output.is_floating_point():
        given = (
            f"a tensor {tuple(output.shape)} of {output.dtype}"
            if isinstance(output, Tensor)
            else f"a {type(output).__name__}"
        )
        raise SpaceError(
            f"The network {name!r} returns {given} for one input. Expected a floating tensor whose first axis is the "
            f"batch."
        )
    return NetworkCard(sha256, is_drawn(source), tuple(output.shape[1:]), cost)


def _check_again(name: str, first: nn.Module, sha256: str, second: nn.Module) -> None:
    """Refuse a function whose second network is the first one, or has other weights for the same seed."""
    if first is second:
        raise SpaceError(
            f"The function of the network {name!r} gives the same network at every call. Expected a new one for each "
            f"initialisation; give the network itself in place of the function, or make it inside the function."
        )
    if fingerprint(second) != sha256:
        raise SpaceError(
            f"The function of the network {name!r} gives other weights when it is called again with the same seed. "
            f"Expected weights from the global generators of PyTorch, NumPy or Python, without a seed of its own "
            f"state; give the network itself in place of the function."
        )


def _measured(name: str, network: nn.Module, example: Example) -> tuple[Cost, object]:
    inputs = example.inputs.clone()
    parameter = next((one for one in network.parameters() if one.is_floating_point()), None)
    try:
        with own_randomness():
            seed_everything("networks", "example")
            return counted(
                network, inputs if parameter is None else inputs.to(parameter.device, parameter.dtype), example.read
            )
    except ZcbenchError as error:
        raise SpaceError(f"The network {name!r} cannot be measured: {error}") from error
    except Exception as error:
        shown = ", ".join(str(tuple(one.shape)) for one in tensors_of(inputs))
        raise SpaceError(
            f"The network {name!r} does not take an input of shape {shown}: {reason(error)}. Expected networks that "
            f"all take the inputs of the batch."
        ) from error


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of all that defines a network: its modules, their classes and plain attributes, and its tensors.

    Of classes of installed packages the name counts, of all others the code.
    """
    digest = hashlib.sha256()
    for text in _texts(network):
        digest.update(text.encode("utf-8", "backslashreplace") + b"\0")
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _texts(network: nn.Module) -> Iterator[str]:
    kinds: dict[type, None] = {}
    for name, module in network.named_modules():
        kinds[type(module)] = None
        plain = {key: value for key, value in vars(module).items() if _is_plain(value) and key != "training"}
        yield f"{name} {type(module).__module__}.{type(module).__qualname__} {plain}"
    for kind in kinds:
        if not is_installed(kind):
            yield class_content(kind) or ""


def _is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple | list) and all(map(_is_plain, value)))


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
