"""Records the functions that a forward pass calls: its weights, its ReLUs, its last map and its classifier."""

import torch
import torch.nn.functional as F
from torch import Tensor

from zcbench.hooks import activating, axes, einsum, looking_up, normalising, recurrences, weighing
from zcbench.hooks.flow import tensors_in
from zcbench.hooks.functions import ALIASES, COMPOSITES, Args, Function, Kwargs
from zcbench.hooks.record import Handler, Record, Unrecorded

_OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket)
_OUTPUTS = (Tensor, tuple, list)
_RESHAPING: frozenset[Function] = frozenset(axes.MOVES) | axes.RESHAPES
_BODIES: dict[Function, Function] = COMPOSITES | ALIASES


def _compose(record: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Call the functions that ``func`` is made of, or the one that it stands for."""
    with record:
        return _BODIES[func](*args, **kwargs)


def _ask_for_gradient(recorder: Record, func: Function, args: Args, kwargs: Kwargs) -> object:
    """Set ``requires_grad``; PyTorch refuses it for what is computed from inputs that have a gradient already."""
    tensor, wanted = args[0], args[1]
    return None if wanted is True and tensor.requires_grad else recorder.call(func, args, kwargs)


_HANDLERS: dict[Function, Handler] = (
    dict.fromkeys(_BODIES, _compose)
    | activating.HANDLERS
    | weighing.HANDLERS
    | einsum.HANDLERS
    | recurrences.HANDLERS
    | normalising.HANDLERS
    | looking_up.HANDLERS
    | {vars(torch._C.TensorBase)["requires_grad"].__set__: _ask_for_gradient}
)


class Recorder(Record):
    """Context manager that follows the images through the functions that are called; its arguments are `Record`'s.

    A function of a module, of ``torch.nn.functional``, of ``torch`` or of a tensor counts alike, with its arguments
    given by position or by keyword. A tensor that depends on the images carries a `Trace`; one that is computed from
    parameters alone is known by the parameter that it comes from.

    Raises:
        Unrecorded: the network calls an operator below PyTorch's functions.
    """

    def __torch_function__(
        self, func: Function, types: object, args: Args = (), kwargs: Kwargs | None = None
    ) -> object:
        """Call ``func`` and record it."""
        kwargs = kwargs or {}
        if self.roles:
            self.note_used(args, kwargs)
        handler = _HANDLERS.get(func)
        if handler is not None:
            return handler(self, func, args, kwargs)
        before = None
        if func in looking_up.PICKS and looking_up.picks_weight(self, func, args, kwargs):
            with self:
                return F.embedding(args[1], args[0])
        if func in _RESHAPING:
            if not args and "input" in kwargs:
                args, kwargs = (kwargs["input"],), {name: value for name, value in kwargs.items() if name != "input"}
            before = getattr(args[0], "shape", None) if args else None
        elif isinstance(func, _OPERATORS):
            self._refuse_operator(func, args, kwargs)
        result = self.call(func, args, kwargs)
        if isinstance(result, _OUTPUTS):
            self.follow(func, args, kwargs, result, before)
            self.watch(func, args, kwargs, result)
            mask = args[0].__dict__.get(activating.MASK) if args and isinstance(args[0], Tensor) else None
            if mask is not None and func in axes.COPIES and isinstance(result, Tensor):
                result.__dict__[activating.MASK] = mask
        return result

    def _refuse_operator(self, func: Function, args: Args, kwargs: Kwargs) -> None:
        name = str(func)
        if name.startswith("aten") or any(self.origin(tensor) is not None for tensor in tensors_in(args, kwargs)):
            raise Unrecorded(
                f"The network calls the operator {name}, which cannot be recorded. Call the function of torch or "
                f"torch.nn.functional."
            )
