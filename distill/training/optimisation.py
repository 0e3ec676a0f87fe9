"""Optimizer, schedule and moving average of a recipe."""

from collections.abc import Iterable
from functools import partial
from math import cos, pi

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zcbench.distill.training.recipe import Recipe

_RISING = 0.3  # share of a one-cycle schedule in which the rate rises, if the recipe has no warm-up


def build_optimizer(parameters: Iterable[nn.Parameter], recipe: Recipe) -> Optimizer:
    """The optimizer of ``recipe``, in PyTorch's fused form."""
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, 0.999)
        return AdamW(parameters, lr=recipe.rate, betas=betas, weight_decay=recipe.weight_decay, fused=True)
    return SGD(
        parameters,
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def build_schedule(optimizer: Optimizer, recipe: Recipe, steps_per_epoch: int) -> LRScheduler:
    """The schedule of ``recipe``, which moves once per step."""
    steps = recipe.epochs * steps_per_epoch
    if recipe.schedule == "one_cycle":
        rising = _RISING if recipe.warmup is None else recipe.warmup / recipe.epochs
        return OneCycleLR(
            optimizer,
            recipe.rate,
            total_steps=max(2, steps),
            pct_start=min(1.0, max(rising, 2 / steps)),
            base_momentum=recipe.momentum_span[0],
            max_momentum=recipe.momentum_span[1],
        )
    return LambdaLR(optimizer, partial(_factor, recipe=recipe, steps=steps, per_epoch=steps_per_epoch))


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    r"""An exponential moving average of parameters and floating buffers, updated after every step.

    .. math::  \bar\theta_1 = \theta_1, \quad \bar\theta_t = d \, \bar\theta_{t-1} + (1 - d) \, \theta_t
    """
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _factor(step: int, recipe: Recipe, steps: int, per_epoch: int) -> float:
    """Share of the highest rate that step number ``step``, from 0, has."""
    warmup = round((recipe.warmup or 0) * per_epoch)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.schedule == "cosine":
        return (1 + cos(pi * (step - warmup) / max(1, steps - warmup))) / 2
    if recipe.schedule == "step":
        return float(recipe.gamma ** sum(step >= share * steps for share in recipe.milestones))
    return 1.0
