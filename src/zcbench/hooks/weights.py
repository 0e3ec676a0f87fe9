"""The weights that a forward pass uses, in modules or elsewhere."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from zcbench.hooks.modes import named_modules_of


class Weight(NamedTuple):
    """A weight of a convolution, a linear map or a recurrence.

    Attributes:
        name: the parameter's name; a part of a parameter, or a tensor computed from one, has a number behind it.
        tensor: the parameter itself where all of it is used, else the tensor that the function was given.
        kind: ``convolution``, ``linear`` or ``recurrence``.
        outputs: number of output channels.
        whole: whether it is a parameter as a whole.
        transposed: whether its first axis holds the input channels, as in ``x @ weight``.
        part: whether it is a part of a parameter.
        joint: whether it is computed from several parameters.
    """

    name: str
    tensor: Tensor
    kind: str
    outputs: int
    whole: bool = True
    transposed: bool = False
    part: bool = False
    joint: bool = False

    @property
    def matrix(self) -> Tensor:
        """The weight with a row for each output channel, ``(N, C)``, where it is a linear map."""
        return self.tensor.T if self.transposed else self.tensor.flatten(1)

    @property
    def inputs(self) -> int:
        """Number of entries behind one output channel."""
        return self.tensor.numel() // max(1, self.outputs)


class Origin(NamedTuple):
    """The parameter that a tensor is, shows or was computed from.

    Attributes:
        name: of the parameter, or ``computed`` if it is not known.
        tensor: the parameter, where the tensor has all its numbers and no others; None otherwise.
        flipped: whether its two axes are exchanged.
        base: the parameter that the tensor is a part of.
        joint: whether it was computed from several parameters, or from unknown ones.
    """

    name: str
    tensor: Tensor | None = None
    flipped: bool = False
    base: Tensor | None = None
    joint: bool = False


class WeightTable:
    """The weights of one forward pass, each once.

    Args:
        parameters: the tensors that stand for parameters in this pass, by name.
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.names = {id(tensor): name for name, tensor in parameters.items()}
        self._order = {name: place for place, name in enumerate(parameters)}
        self._found: dict[object, Weight] = {}
        self._places: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._parts: dict[int, tuple[Tensor, list[Weight]]] = {}

    def origin(self, tensor: Tensor) -> Origin | None:
        """The parameter that a tensor is or is a view of; None if it is neither."""
        name = self.names.get(id(tensor))
        if name is not None:
            return Origin(name, tensor)
        base = tensor._base
        name = None if base is None else self.names.get(id(base))
        if name is None or base is None:
            return None
        if base.numel() != tensor.numel():
            return Origin(name, base=base)
        return Origin(name, base, tensor.ndim == base.ndim == 2 and tensor.stride() != base.stride())

    def add(self, given: Tensor, origin: Origin, kind: str, outputs: int, transposed: bool) -> Weight:
        """The entry of a weight that a function was given."""
        if origin.tensor is not None:
            transposed = transposed != origin.flipped
            if given.numel() != origin.tensor.numel():  # repeated, for each image or group
                outputs = origin.tensor.shape[-1 if transposed else 0]
            entry = Weight(origin.name, origin.tensor, kind, outputs, True, transposed)
            return self._keep(id(origin.tensor), entry, origin)
        if origin.base is None:
            key: object = id(given)
        else:
            key = (id(origin.base), given.storage_offset(), tuple(given.shape), given.stride())
        known = self._found.get(key)
        if known is not None:
            return known
        part = origin.base is not None
        entry = Weight(self._numbered(origin.name), given, kind, outputs, False, transposed, part, origin.joint)
        if origin.base is not None:
            self._parts.setdefault(id(origin.base), (origin.base, []))[1].append(entry)
        return self._keep(key, entry, origin)

    def __iter__(self) -> Iterator[Weight]:
        """In the order in which the network registers the parameters that they come from.

        The parts of a parameter that make up all of it are that parameter.
        """
        joined = {part.name: whole for whole, parts in self._joined() for part in parts}
        found = {(weight := joined.get(one.name, one)).name: weight for one in self._found.values()}
        return iter(sorted(found.values(), key=lambda weight: self._places[weight.name]))

    def joined(self) -> dict[str, list[str]]:
        """Names of the parts of each parameter that is used in parts and as a whole, or in parts that make it up."""
        return {whole.name: [part.name for part in parts] for whole, parts in self._joined()}

    def _joined(self) -> Iterator[tuple[Weight, list[Weight]]]:
        for base, parts in self._parts.values():
            whole = self._found.get(id(base))
            if whole is not None:
                yield whole, parts
            elif sum(part.tensor.numel() for part in parts) == base.numel():
                name = self.names[id(base)]
                outputs = sum(part.outputs for part in parts)
                self._places[name] = self._order[name]
                yield Weight(name, base, parts[0].kind, outputs, True, parts[0].transposed), parts

    def _keep(self, key: object, entry: Weight, origin: Origin) -> Weight:
        kept = self._found.setdefault(key, entry)
        self._places.setdefault(kept.name, self._order.get(origin.name, len(self._order)))
        return kept

    def _numbered(self, origin: str) -> str:
        self._counts[origin] = self._counts.get(origin, 0) + 1
        return f"{origin}[{self._counts[origin]}]"


def named_state(network: nn.Module) -> dict[str, Tensor]:
    """Parameters of a network by name, each tensor once, as ``network.named_parameters()`` has them."""
    state: dict[str, Tensor] = {}
    known: set[int] = set()
    for path, module in named_modules_of(network):
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in known:
                known.add(id(parameter))
                state[f"{path}.{name}" if path else name] = parameter
    return state
