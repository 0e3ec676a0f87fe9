"""Score one network with several proxies: run the passes once, let every proxy read."""

import math
import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import zip_longest
from operator import attrgetter
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zcbench.datasets.inputs import tensors_of
from zcbench.errors import BatchError, ProtocolError, ZcbenchError, message
from zcbench.proxies.passes.plan import analytic, collect
from zcbench.proxies.passes.values import Thin
from zcbench.proxies.scoring.contract import Proxy, select
from zcbench.proxies.scoring.inputs import minibatch, on_network
from zcbench.proxies.scoring.isolation import Isolation, marks
from zcbench.proxies.signals.borrowing import borrowed
from zcbench.proxies.signals.errors import ScoreError
from zcbench.proxies.signals.limits import time_limit
from zcbench.proxies.signals.objective import Function, Loss
from zcbench.proxies.signals.outputs import Output
from zcbench.proxies.signals.read_only import HINT, refused_by
from zcbench.proxies.signals.signals import Minibatch, NetworkCosts, Signals, own_copy
from zcbench.proxies.signals.table import ANALYTIC
from zcbench.streams import exclusive, own_randomness, seed_everything

_VERSION = attrgetter("_version")
_NO_DECOMPOSITION: type[RuntimeError] = vars(torch.linalg)["LinAlgError"]  # exported, but not declared so


class Score(NamedTuple):
    """One attempt: the value, or the named status that says why there is none.

    ``seconds`` is the time of the proxy alone: its own arithmetic and every pass that it needs.
    """

    proxy: str
    version: int
    value: float
    status: str
    reason: str
    seconds: float


class ScoreFailure(ZcbenchError):
    """Some proxies gave no value; ``scores`` holds every attempt, the finished ones included."""

    def __init__(self, scores: Sequence[Score]) -> None:
        self.scores = list(scores)
        failed = "; ".join(f"{s.proxy} ({s.status}): {s.reason.rstrip('.')}" for s in scores if s.status != "ok")
        super().__init__(
            f"No value for {failed}. Leave them out, or use zcbench.proxies.evaluate, which reports a status for each."
        )


class TeacherSignals:
    """A network whose signals are computed once for a batch and reused for every student.

    Args:
        network: the teacher; as it is given, random or trained.
        seed: of the random numbers inside its passes.
        output: reads its output, as that of the student by `score`.
    """

    def __init__(self, network: nn.Module, seed: int = 0, output: Output | Callable[[Any], Any] | None = None) -> None:
        self.network, self._output = network, Output.of(output)
        self._seed = seed
        self._batch: Minibatch | None = None
        self._known: Signals | None = None
        self._reads: frozenset[str] = frozenset()

    def signals(self, batch: Minibatch, reads: frozenset[str]) -> Signals:
        """The teacher's signals for ``batch``; computed anew only for another batch or further signals.

        Raises:
            BatchError: labels and teacher do not fit together, or it has no values.
        """
        batch = on_network(self.network, batch)
        same = self._batch is not None and _equal(self._batch, batch)
        if self._known is None or not same or not reads <= self._reads:
            wanted = reads | (self._reads if same else frozenset())
            with borrowed(self.network, self._output):
                known = collect(self.network, own_copy(batch), wanted, seed=self._seed)
            self._known, self._batch, self._reads = known, own_copy(batch), wanted
        return self._known

    def forget(self) -> None:
        """Compute the next signals anew, such as after a proxy has written to these."""
        self._known = None


def _equal(one: Minibatch, other: Minibatch) -> bool:
    pairs = list(zip_longest(one.tensors(), other.tensors()))
    known = all(isinstance(a, Tensor) and isinstance(b, Tensor) for a, b in pairs) and one.objective == other.objective
    return known and all(torch.equal(a, b) for a, b in pairs)


def score(
    network: nn.Module,
    batch: object,
    proxies: str | Proxy | Iterable[str | Proxy] | None = None,
    *,
    teacher: nn.Module | TeacherSignals | None = None,
    output: Output | Callable[[Any], Any] | None = None,
    loss: Loss | Function | str | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Score one network.

    Args:
        network: any module; it is left as it was. Its output is the tensor that it returns, the ``logits`` of an object
            or dictionary, or the first of a tuple, and its first axis is the batch.
        batch: the pair (inputs, labels), a dictionary of tensors with the key ``labels``, a torch DataLoader, whose
            first batch is taken, or a `zcbench.datasets.Batch`. Inputs are images ``(B, C, H, W)``, signals
            ``(B, C, T)``, tables ``(B, D)``, token ids ``(B, T)``, or a tuple or dictionary of tensors that the network
            takes by position or by name.
        proxies: `Proxy` objects, names and patterns, in one text with commas or as a list: ``"synflow,az_*"``,
            ``"all,-grasp"``. If omitted, or where a pattern is given, only those that apply to the network, are given
            what they need, and are defined for it (`evaluate` says why the others are not).
        teacher: the network that the teacher-aware proxies compare with.
        output: function of the return value of the network (and of the teacher) that gives the output.
        loss: function of output and labels that gives a scalar, or ``"cross_entropy"``, ``"binary_cross_entropy"`` or
            ``"mse"``. If omitted it follows the labels: class indices ``(B,)``, or ``(B, H, W)`` for each position,
            have the cross-entropy; labels 0 and 1 for one logit, or for as many as the network has outputs, the binary
            cross-entropy; other floating labels the mean squared error.
        seed: of the random numbers inside a proxy.

    Returns:
        Proxy name to score, in the order asked for; see each proxy for unit, range and direction.

    Raises:
        ScoreFailure: at least one proxy gave no value; it carries all the others.
        BatchError: inputs, labels and network do not fit together.
        UnknownNameError: a name that no proxy has, or a pattern that matches none.

    Example:
        >>> import zcbench
        >>> network, (images, labels) = zcbench.proxies.example()
        >>> scores = zcbench.score(network, (images, labels), proxies=["synflow", "naswot"])
        >>> {name: round(value, 1) for name, value in scores.items()}
        {'synflow': 26.8, 'naswot': 75.3}
    """
    chosen, asked = select("all" if proxies is None else proxies)
    able = [item for item in chosen if item.name in asked or not (item.needs_thin or _lacks(item, teacher))]
    scores = evaluate(network, batch, able, teacher=teacher, output=output, loss=loss, seed=seed)
    scores = [item for item in scores if item.proxy in asked or item.status not in ("not_applicable", "singular")]
    if any(item.status != "ok" for item in scores):
        raise ScoreFailure(scores)
    return {item.proxy: item.value for item in scores}


def _lacks(item: Proxy, teacher: object) -> bool:
    return item.needs_teacher and teacher is None


def evaluate(
    network: nn.Module | None,
    batch: object,
    proxies: str | Proxy | Iterable[str | Proxy],
    *,
    teacher: nn.Module | TeacherSignals | None = None,
    output: Output | Callable[[Any], Any] | None = None,
    loss: Loss | Function | str | None = None,
    costs: NetworkCosts | None = None,
    thin: Thin | None = None,
    seed: int = 0,
    timeout: float | None = None,
) -> list[Score]:
    """Score one network and report a status for every proxy.

    Changes by the proxy of a plug-in are undone before the next one reads: settings of PyTorch, NumPy and Python
    silently; if it changed signals, the network or functions its status is ``changed_network``. One thread of a process
    scores at a time, others wait for it.

    Args:
        network: the network, or None where ``costs`` are all that is read.
        batch: inputs and labels, as `score` takes them.
        proxies: names, patterns and `Proxy` objects, as `score` takes them.
        teacher: a network, or a `TeacherSignals` that keeps its signals for the next student.
        output: reads the output of network and teacher, as in `score`.
        loss: the loss, as in `score`.
        costs: analytic counts; measured in a forward pass if omitted.
        thin: builds the same architecture with one channel, as `Space.thin` does; needed by ``thin_codes`` only.
        seed: of the random numbers inside a pass or a proxy.
        timeout: seconds for each pass over the network, and for each proxy; enforced in the main thread only. A
            teacher's passes have no limit.

    Returns:
        One `Score` per proxy, in the order asked for.

    Raises:
        BatchError: inputs, labels and network do not fit together.
        ProtocolError: a proxy needs a network or a teacher, and there is none.
    """
    chosen, _ = select(proxies)
    checked, read = minibatch(batch, Loss.of(loss)), Output.of(output)
    reads = frozenset[str]().union(*(item.reads for item in chosen))
    if "teacher" in reads and teacher is None:
        names = ", ".join(item.name for item in chosen if item.needs_teacher)
        raise ProtocolError(f"{names} compare with a teacher, and none is given. Give teacher=, or leave them out.")
    if network is None:
        if reads - ANALYTIC or costs is None:
            raise ProtocolError("No network is given. Only proxies that read costs alone can do without, given costs=.")
        batch = checked if all(item.is_own for item in chosen) else own_copy(checked)
        return _without_network(chosen, Signals(analytic(costs), batch, reads), seed, timeout)
    checked = on_network(network, checked)
    student = TeacherSignals(teacher, output=read) if isinstance(teacher, nn.Module) else teacher

    def fresh_signals() -> Signals:
        signals = collect(network, own_copy(checked), reads, costs=costs, thin=thin, seed=seed, timeout=timeout)
        if student is not None and "teacher" in reads:
            signals.meet(_taught(signals, student, checked, _teacher_reads(chosen)))
        return signals

    teaches = any(item.needs_teacher and not item.is_own for item in chosen)
    isolation = Isolation(network, student.network if student is not None and teaches else None, checked.images)
    with exclusive(), borrowed(network, read):
        signals, scores = fresh_signals(), []
        everything = list(signals.tensors())
        for item in chosen:
            shared = everything if item.is_own else list(signals.view(item.reads).tensors())
            before = _written(shared, item)
            scores.append(_score(item, signals, isolation, seed, timeout))
            if _written(shared, item) != before:
                if scores[-1].status != "changed_network":
                    reason = "It wrote to the signals that all proxies share; they were computed anew."
                    scores[-1] = scores[-1]._replace(value=math.nan, status="changed_network", reason=reason)
                if student is not None:
                    student.forget()
                signals = fresh_signals()
                everything = list(signals.tensors())
        return scores


def _without_network(chosen: Sequence[Proxy], signals: Signals, seed: int, timeout: float | None) -> list[Score]:
    """Scores of proxies that read costs alone, which zcbench's own compute without any randomness."""
    if all(item.is_own for item in chosen):
        return [_score(item, signals, Isolation(), None, timeout) for item in chosen]
    with exclusive(), own_randomness():
        isolation = Isolation()
        return [_score(item, signals, isolation, seed, timeout) for item in chosen]


def _written(tensors: Iterable[Tensor], item: Proxy) -> object:
    """A value that changes when ``item`` writes to a tensor: versions for zcbench's own proxies, bytes for others."""
    return sum(map(_VERSION, tensors)) if item.is_own else marks(tensors)


def _taught(student: Signals, teacher: TeacherSignals, batch: Minibatch, reads: frozenset[str]) -> Signals:
    """The teacher's signals; where its forward pass fails and its student's does not, the error names both.

    Raises:
        BatchError: the labels of the batch are none of the teacher's classes, or it returns no logits.
    """
    given = f"{len(batch.images)} inputs {', '.join(str(tuple(one.shape[1:])) for one in tensors_of(batch.images))}"
    try:
        signals = teacher.signals(batch, reads)
    except BatchError as error:
        raise BatchError(f"The student takes {given}, the teacher does not: {error}") from error
    failure = signals.forward_error()
    if failure is not None and student.forward_error() is None and status_of(failure) == "error":
        told = (
            f"The student takes {given}, the teacher does not: {type(failure).__name__}: {failure}. Expected two "
            f"networks for the same inputs; build the teacher for those."
        )
        return signals.with_error(failure, ScoreError(told))
    return signals


def _teacher_reads(chosen: Iterable[Proxy]) -> frozenset[str]:
    """Signals of the teacher that are needed: all that a teacher-aware proxy reads of the student."""
    return frozenset[str]().union(*(item.reads for item in chosen if item.needs_teacher)) - {"teacher", "network"}


def _score(item: Proxy, signals: Signals, isolation: Isolation, seed: int | None, timeout: float | None) -> Score:
    """The attempt of one proxy: never raises, except for an interrupt from the keyboard."""
    trusted = item.is_own and "network" not in item.reads
    view = signals.view(item.reads, alone=not item.is_own)
    around: AbstractContextManager[list[str]] = nullcontext([]) if trusted else isolation.around()
    with around as changed:
        start = perf_counter()
        value, status, reason = _attempt(item, view, seed, timeout)
        seconds = perf_counter() - start + view.seconds()
    if changed:
        value, status, reason = math.nan, "changed_network", f"It changed {', '.join(changed[:3])}; this was undone."
    return Score(item.name, item.version, value, status, reason, seconds)


def _attempt(item: Proxy, view: Signals, seed: int | None, timeout: float | None) -> tuple[float, str, str]:
    """Value, status and reason; of two processes that a proxy makes of one, the new one ends here."""
    process = os.getpid()
    try:
        if seed is not None:
            seed_everything(item.name, seed)
        with time_limit(timeout):
            result = item(view)
        return _judge(item, result)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return math.nan, status_of(error), _reason(error)
    finally:
        if os.getpid() != process:
            os._exit(0)


def _judge(item: Proxy, result: object) -> tuple[float, str, str]:
    if isinstance(result, bool) or not isinstance(result, numbers.Real):
        hint = "; use .item()" if isinstance(result, Tensor) else ""
        return math.nan, "bad_return", f"Returned a {type(result).__name__}. Expected a Python float{hint}."
    value = float(result)
    if math.isnan(value):
        return math.nan, "nan", "The score is not a number."
    if math.isinf(value):
        return math.nan, "infinite", f"The score is {value}."
    return value, "ok", ""


def status_of(error: BaseException) -> str:
    """Name under which a failure is stored: the error's own, ``out_of_memory``, ``singular`` or ``error``."""
    if isinstance(error, _NO_DECOMPOSITION):  # a decomposition that does not converge
        return "singular"
    if isinstance(error, ScoreError):
        return error.status
    exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in message(error)
    return "out_of_memory" if exhausted else "error"


def _reason(error: BaseException) -> str:
    text = " ".join(message(error).split())
    text += f" ({HINT})" if refused_by(error, text) else ""
    return text if isinstance(error, ZcbenchError) else f"{type(error).__name__}: {text}"
