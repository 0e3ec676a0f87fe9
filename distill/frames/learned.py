"""Modules of a frame that are trained by a look-ahead: on the loss that a student would have after some steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from zcbench.distill.errors import RecipeError
from zcbench.distill.frames.contract import Pairing
from zcbench.hooks.rewrites import check_twice, lacks_second_derivative, twice_differentiable


class LearnedPairing(Pairing):
    """Modules of a frame, some of which are trained by a look-ahead in place of the student's optimizer.

    Their optimizer is Adam; it is part of the state of this module, and so of a checkpoint.

    Args:
        meta: the modules that are trained by the look-ahead; their parameters are marked as frozen.
        steps: of the loss in the frame, in a look-ahead.
        every: steps of the training between two look-aheads.
        rate: learning rate of ``meta``.
    """

    def __init__(self, meta: nn.ModuleList, steps: int, every: int, rate: float) -> None:
        super().__init__()
        self.meta, self.steps, self.every = meta.requires_grad_(False), steps, every
        self._optimizer = Adam(meta.parameters(), lr=rate)

    def learn(self, gradients: Sequence[Tensor]) -> None:
        """One step of the optimizer with the gradients of ``meta``; none where one of them is not finite."""
        if all(bool(gradient.isfinite().all()) for gradient in gradients):
            for parameter, gradient in zip(self.meta.parameters(), gradients, strict=True):
                parameter.grad = gradient
            self._optimizer.step()
            self._optimizer.zero_grad()

    def get_extra_state(self) -> dict[str, Any]:
        """State of the optimizer."""
        return self._optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over the state of the optimizer."""
        self._optimizer.load_state_dict(state)


def look_ahead(
    networks: Sequence[nn.Module],
    meta: nn.Module,
    transfer: Callable[[], Tensor],
    label: Callable[[], Tensor],
    steps: int,
    rate: float,
) -> list[Tensor]:
    r"""Gradient of the loss after some steps with respect to parameters that these steps depend on.

    .. math::  \theta_{t+1} = \theta_t - \alpha \nabla_\theta L_\phi(\theta_t), \quad t < T, \qquad
               \theta_{T+1} = \theta_T - \alpha \nabla_\theta L_y(\theta_T), \qquad
               \nabla_\phi L_y(\theta_{T+1})

    Parameters, buffers and modes of the networks are left as they are.

    Args:
        networks: with the parameters :math:`\theta`, those that are not frozen.
        meta: a module inside them, with the frozen parameters :math:`\phi`.
        transfer: runs the networks and returns :math:`L_\phi`, a scalar.
        label: likewise :math:`L_y`.
        steps: T.
        rate: :math:`\alpha`.

    Returns:
        A tensor for each parameter of ``meta``, in its order.

    Raises:
        RecipeError: a function of the networks or of the losses has no second derivative.

    Example:
        >>> student, meta = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False).requires_grad_(False)
        >>> _ = nn.init.ones_(student.weight), nn.init.ones_(meta.weight)
        >>> def square(scale):  # L_y = w² and L_φ = φ w²: after both steps w is (1 - 2αφ)(1 - 2α)
        ...     return (scale * student.weight**2).sum()
        >>> given = dict(transfer=lambda: square(meta.weight), label=lambda: square(1), steps=1, rate=0.25)
        >>> look_ahead([student, meta], meta, **given)[0].item()  # -4α w (1 - 2α)
        -0.125
    """
    whole = _Whole(networks)
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    learned = {names[id(item)]: item.detach().clone().requires_grad_() for item in meta.parameters()}
    own: Mapping[str, Tensor] = {name: item for name, item in whole.named_parameters() if item.requires_grad}

    def gradients(loss: Callable[[], Tensor], places: Mapping[str, Tensor], *, graph: bool) -> Sequence[Tensor]:
        buffers = {name: buffer.clone() for name, buffer in whole.named_buffers()}
        value = functional_call(whole, {**buffers, **own, **learned}, (loss,))
        if not graph:
            check_twice([value])
        wanted = list(places.values())
        return torch.autograd.grad(value, wanted, create_graph=graph, allow_unused=True, materialize_grads=True)

    try:
        with torch.enable_grad(), twice_differentiable():
            for loss in [transfer] * steps + [label]:
                slopes = gradients(loss, own, graph=True)
                own = {name: item - rate * slope for (name, item), slope in zip(own.items(), slopes, strict=True)}
            return list(gradients(label, learned, graph=False))
    except (RuntimeError, NotImplementedError) as error:
        if lacks_second_derivative(error):
            raise RecipeError(
                f"A look-ahead differentiates the steps of the training, and a function of the student or of the loss "
                f"has no second derivative: {error}. Expected functions that PyTorch differentiates twice; take "
                f"another frame."
            ) from error
        raise


class _Whole(nn.ModuleList):
    """Several networks as one module, which runs what it is given."""

    def forward(self, work: Callable[[], Tensor]) -> Tensor:
        return work()
