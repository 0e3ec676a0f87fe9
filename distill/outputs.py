"""The outputs of one network for one batch that a distillation loss may read."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from zcbench.distill.errors import MissingOutput, ShapeMismatch

T = TypeVar("T")

#: Description of every output, in the order of the documentation.
OUTPUTS: dict[str, str] = {
    "logits": "output of the network, (B, N), or (B, N, H, W) of a dense task",
    "embedding": "input of the last linear layer, (B, C)",
    "features": "last feature map before global pooling, (B, C, H, W)",
    "stages": "last feature map of each stage, shallow to deep, (B, C_l, H_l, W_l) each",
    "classifier": "weight of the last linear layer, (N, C)",
}

_AXES = {"logits": (2, 3, 4), "embedding": (2,), "features": (4,), "stages": (4,), "classifier": (2,)}


class Shapes(NamedTuple):
    """Shapes of `Outputs` without the batch: what an adapter is built for; None where an output is absent."""

    classes: int | None = None
    width: int | None = None
    features: tuple[int, ...] | None = None
    stages: tuple[tuple[int, ...], ...] | None = None


class Outputs:
    """Outputs of one network for one batch; it cannot be changed, and each output may be absent.

    Args:
        logits: ``(B, N)``.
        embedding: ``(B, C)``.
        features: ``(B, C, H, W)``.
        stages: ``(B, C_l, H_l, W_l)`` each, shallow to deep.
        classifier: ``(N, C)``.
        auxiliary: logits of auxiliary heads, ``(B, N)`` each; no loss reads them.
        memory: what `once` has computed; shared by all `Outputs` of one network and batch.

    Raises:
        ShapeMismatch: an output is no floating tensor with that many axes.
    """

    __slots__ = ("_memory", "_values", "auxiliary")

    def __init__(
        self,
        logits: Tensor | None = None,
        embedding: Tensor | None = None,
        features: Tensor | None = None,
        stages: Sequence[Tensor] | None = None,
        classifier: Tensor | None = None,
        *,
        auxiliary: Sequence[Tensor] = (),
        memory: dict[Hashable, object] | None = None,
    ) -> None:
        given = {"logits": logits, "embedding": embedding, "features": features, "classifier": classifier}
        values = {name: (value,) for name, value in given.items() if value is not None}
        self.auxiliary = tuple(auxiliary)
        self._memory: dict[Hashable, object] = {} if memory is None else memory
        self._values: dict[str, tuple[Tensor, ...]] = values | ({} if stages is None else {"stages": tuple(stages)})
        for name, tensor in self.tensors():
            _check(name, tensor)

    @property
    def logits(self) -> Tensor:
        """Output of the network, ``(B, N)``."""
        return self.read("logits")[0]

    @property
    def embedding(self) -> Tensor:
        """Input of the last linear layer, ``(B, C)``."""
        return self.read("embedding")[0]

    @property
    def features(self) -> Tensor:
        """Last feature map before global pooling, ``(B, C, H, W)``."""
        return self.read("features")[0]

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """Last feature map of each stage, shallow to deep, ``(B, C_l, H_l, W_l)`` each."""
        return self.read("stages")

    @property
    def classifier(self) -> Tensor:
        """Weight of the last linear layer, ``(N, C)``."""
        return self.read("classifier")[0]

    @property
    def shapes(self) -> Shapes:
        """Shapes without the batch."""
        first = {name: tuple(tensors[0].shape) for name, tensors in self._values.items() if tensors}
        stages = self._values.get("stages")
        return Shapes(
            classes=first["logits"][1] if "logits" in first else None,
            width=first["embedding"][1] if "embedding" in first else None,
            features=first["features"][1:] if "features" in first else None,
            stages=None if stages is None else tuple(tuple(stage.shape[1:]) for stage in stages),
        )

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor of every output that is there; ``stages`` comes once for each stage."""
        return ((name, tensor) for name, tensors in self._values.items() for tensor in tensors)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Outputs":
        """The same outputs, each changed; these very ones if ``change`` gives back every tensor."""
        changed = {name: tuple(change(tensor) for tensor in tensors) for name, tensors in self._values.items()}
        same = all(new is old for name in changed for new, old in zip(changed[name], self._values[name]))
        return self if same else _outputs(changed)

    def replace(self, **values: Tensor | Sequence[Tensor]) -> "Outputs":
        """The same outputs, with some exchanged."""
        changed = {name: (value,) if isinstance(value, Tensor) else tuple(value) for name, value in values.items()}
        return _outputs(self._values | changed)

    def once(self, work: Callable[..., T], *details: Hashable) -> T:
        """``work(self, *details)``, computed once: what losses share, and what all students need of one teacher.

        Where a gradient will lead through it, it is computed each time.

        Args:
            work: a function of a module, which depends on its arguments alone.
            details: further arguments.
        """
        if torch.is_grad_enabled() and any(tensor.requires_grad for _, tensor in self.tensors()):
            return work(self, *details)
        if (work, details) not in self._memory:
            self._memory[work, details] = work(self, *details)
        return cast(T, self._memory[work, details])

    def read(self, name: str) -> tuple[Tensor, ...]:
        """The tensors of an output: one, or one for each stage.

        Raises:
            MissingOutput: the network did not give it.
        """
        if name not in self._values:
            there = ", ".join(self._values) or "nothing"
            raise MissingOutput(
                f"The network gave {there}, but no {name!r} ({OUTPUTS[name]}). Use a network that has it, or a loss "
                f"that does not read it."
            )
        return self._values[name]

    def __repr__(self) -> str:
        shown = (f"{name}={[tuple(tensor.shape) for tensor in tensors]}" for name, tensors in self._values.items())
        return f"Outputs({', '.join(shown)})"


def _outputs(values: dict[str, tuple[Tensor, ...]]) -> Outputs:
    made = Outputs()
    made._values = values
    for name, tensor in made.tensors():
        _check(name, tensor)
    return made


def _check(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor) or not torch.is_floating_point(tensor) or tensor.ndim not in _AXES[name]:
        given = f"{tensor.dtype} {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ShapeMismatch(f"Given {name} of {given}. Expected a floating tensor: {OUTPUTS[name]}.")
