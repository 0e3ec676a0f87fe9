"""The weights that a forward pass uses, whoever holds them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn


class Weight(NamedTuple):
    """A weight of a convolution, a linear map or a recurrence, as the function was given it.

    Attributes:
        name: the parameter's name; a part of a parameter, or what is computed from one, has a number behind it.
        tensor: the parameter itself where all of it is used, else the tensor that the function was given.
        kind: ``convolution``, ``linear`` or ``recurrence``.
        outputs: number of output channels.
        whole: whether it is a parameter as a whole.
        transposed: whether its first axis holds the input channels, as in ``x @ weight``.
    """

    name: str
    tensor: Tensor
    kind: str
    outputs: int
    whole: bool = True
    transposed: bool = False

    @property
    def matrix(self) -> Tensor:
        """The weight with a row for each output channel, ``(N, C)``, where it is a linear map."""
        return self.tensor.T if self.transposed else self.tensor.flatten(1)

    @property
    def inputs(self) -> int:
        """Number of entries behind one output channel."""
        return self.tensor.numel() // max(1, self.outputs)


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

    def name_of(self, tensor: Tensor) -> str | None:
        """Name of the parameter that ``tensor`` is or is a view of; None if it is neither."""
        name = self.names.get(id(tensor))
        return name if name is not None or tensor._base is None else self.names.get(id(tensor._base))

    def add(self, given: Tensor, origin: str, kind: str, outputs: int, transposed: bool) -> Weight:
        """The entry of a weight that a function was given, which comes from the parameter ``origin``."""
        whole = self.names.get(id(given)) is not None
        tensor, key = given, id(given)
        base = given._base
        if not whole and base is not None and id(base) in self.names:
            whole = base.numel() == given.numel()
            if whole:
                tensor, key = base, id(base)
                transposed = transposed != (given.ndim == 2 == base.ndim and given.stride() != base.stride())
            else:
                key = hash((id(base), given.storage_offset(), tuple(given.shape), given.stride()))
        known = self._found.get(key)
        if known is None:
            name = origin if whole else self._numbered(origin)
            known = self._found[key] = Weight(name, tensor, kind, outputs, whole, transposed)
            self._places[name] = self._order.get(origin, len(self._order))
        return known

    def __iter__(self) -> Iterator[Weight]:
        """In the order in which the network registers the parameters that they come from."""
        return iter(sorted(self._found.values(), key=lambda weight: self._places[weight.name]))

    def __len__(self) -> int:
        return len(self._found)

    def _numbered(self, origin: str) -> str:
        self._counts[origin] = self._counts.get(origin, 0) + 1
        return f"{origin}[{self._counts[origin]}]"


def named_state(network: nn.Module) -> dict[str, Tensor]:
    """Parameters of a network by name, each tensor once."""
    return dict(network.named_parameters())
