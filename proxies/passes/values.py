"""The inputs of a pass, and its results: signals by name, where a failure takes the place of a value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

from torch import nn

from zcbench.errors import BatchError
from zcbench.hooks.record import Unrecorded
from zcbench.hooks.rewrites import lacks_second_derivative
from zcbench.hooks.usage import Usage, record_usage
from zcbench.proxies.signals.borrowing import Buffer, copied_buffers, put_back
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Failure, Minibatch
from zcbench.streams import seed_everything

Values = dict[str, object]
Thin = Callable[[], nn.Module | None]

#: Signals of passes that replace parameters according to their use.
_BY_ROLE = frozenset({"constant_logits", "gaussian_response", "image_gradients", "logit_jacobians"})


class Clock:
    """Seconds that each part of the passes took."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time the block under ``name``."""
        start = perf_counter()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + perf_counter() - start


@dataclass
class PassInputs:
    """The inputs of a pass: a borrowed network, the batch, the signals that are wanted, and the seed of its stream."""

    network: nn.Module
    batch: Minibatch
    wanted: frozenset[str]
    seed: int
    clock: Clock
    thin: Thin | None = None
    known: Usage | None = None

    @cached_property
    def buffers(self) -> list[Buffer]:
        """The network's buffers as they are before the first pass, which each pass restores."""
        return copied_buffers(self.network)

    @property
    def needs_usage(self) -> bool:
        """Whether a pass reads `usage`."""
        return bool(self.wanted & _BY_ROLE)

    @property
    def usage(self) -> Usage:
        """The uses of the parameters; recorded in a pass of two images unless an earlier pass has recorded them."""
        if self.known is None:
            try:
                self.known = record_usage(self.network, self.batch.images)
            finally:
                put_back(self.buffers)
            seed_everything("passes", self.seed)
        return self.known


def attempt(values: Values, names: frozenset[str], work: Callable[[], Values]) -> None:
    """Add the results of ``work`` to ``values``; if it raises, each of ``names`` becomes that failure."""
    try:
        values |= work()
    except BatchError:
        raise
    except Exception as error:
        values |= dict.fromkeys(names, failure_of(error))


def failure_of(error: Exception) -> Failure:
    """The failure of an error; `NotApplicable` if the error says that the network lacks something."""
    if isinstance(error, Unrecorded):
        return missing(str(error))
    if isinstance(error, ValueError) and "more than 1 value per channel" in str(error):
        return missing(f"Batch normalisation has one value per channel: {error}")
    if lacks_second_derivative(error):
        return missing(f"The network calls a function that PyTorch cannot differentiate twice: {error}")
    return Failure(error.with_traceback(None))  # a traceback would keep the graph


def missing(reason: str) -> Failure:
    """A signal that the network does not have."""
    return Failure(NotApplicable(reason))
