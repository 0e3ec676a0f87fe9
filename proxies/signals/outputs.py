"""The part of a network's return value that is its output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle
from torch import Tensor

from zcbench.content import content
from zcbench.datasets.outputs import output_of
from zcbench.errors import BatchError, shortened
from zcbench.runtime.parcel import portable

EXPECTED = (
    "Expected a tensor, an object or dictionary with 'logits', or a tuple that begins with one; give output=, a "
    "function of the return value that gives the tensor."
)


@dataclass(frozen=True)
class Output:
    """Reads the output of a network: a tensor, its ``logits``, or the first of a tuple; or what a function makes of it.

    Attributes:
        function: from the return value to a tensor; None for the rule above.

    Example:
        >>> import torch
        >>> Output()({"logits": torch.zeros(2, 3), "loss": None}).shape
        torch.Size([2, 3])
        >>> Output(lambda returned: returned["out"])({"out": torch.zeros(2, 3)}).shape
        torch.Size([2, 3])
    """

    function: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, given: "Output | Callable[[Any], Any] | None") -> "Output":
        """The record of a function, of None, or of a record."""
        return given if isinstance(given, Output) else cls(given)

    def __call__(self, returned: object) -> Tensor:
        """The output tensor in a return value.

        Raises:
            BatchError: there is none.
        """
        found = output_of(returned) if self.function is None else self.function(returned)
        if not isinstance(found, Tensor):
            source = "The network" if self.function is None else "The function output="
            raise BatchError(f"{source} returns {_told(found)}, which holds no tensor of logits. {EXPECTED}")
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Also a function that another process cannot import is written."""
        return _opened, (portable(self.function, "the function output="),)

    @property
    def label(self) -> str | None:
        """Name of the function; None without one."""
        return None if self.function is None else getattr(self.function, "__qualname__", type(self.function).__name__)

    @property
    def sha256(self) -> str | None:
        """Fingerprint of the definition of the function; None without one."""
        return None if self.function is None else content(self.function)


def _opened(function: bytes) -> Output:
    return Output(cloudpickle.loads(function))


def _told(found: object) -> str:
    if isinstance(found, Mapping):
        return f"a {type(found).__name__} with the keys {shortened(', '.join(map(str, found))) or 'none'}"
    if isinstance(found, tuple | list):
        return f"a {type(found).__name__} of {len(found)}"
    return f"a {type(found).__name__}"
