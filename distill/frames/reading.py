"""Frames by name, and losses in them."""

import math
from collections.abc import Callable
from dataclasses import fields

from zcbench.distill.errors import HyperparameterError
from zcbench.distill.frames.contract import Frame, FramedDistiller
from zcbench.distill.frames.ensemble import Ensemble
from zcbench.distill.frames.l2t import L2T
from zcbench.distill.frames.n_to_one import NToOne
from zcbench.distill.frames.online import Online
from zcbench.distill.frames.own import Self
from zcbench.distill.frames.review import ReviewFrame
from zcbench.distill.functions import Loss, as_distillers
from zcbench.errors import unknown
from zcbench.specification import SpecificationError, read_specification

#: Frames by name.
FRAMES: dict[str, Callable[..., Frame]] = {
    kind.name: kind for kind in (Ensemble, L2T, NToOne, Online, ReviewFrame, Self)
}


def read_frame(spec: str | Frame) -> Frame:
    """The frame of a specification, such as ``"ensemble(projectors=3)"``.

    Raises:
        UnknownNameError: no frame has this name, or it has no such hyperparameter.
        HyperparameterError: a value is no whole number of at least 1, or no finite number of at least 0 where the
            hyperparameter is one with decimals, or the specification cannot be read.
    """
    if isinstance(spec, Frame):
        return spec
    try:
        name, values = read_specification(spec, example="ensemble(projectors=3)")
    except SpecificationError as error:
        raise HyperparameterError(str(error)) from None
    if name not in FRAMES:
        raise unknown("frame", name, FRAMES)
    known = {item.name: item.default for item in fields(FRAMES[name])}  # type: ignore[arg-type]
    for option in values:
        if option not in known:
            raise unknown(f"hyperparameter of the frame {name!r}", option, known)
    return FRAMES[name](**{option: _checked(name, option, value, known[option]) for option, value in values.items()})


def _checked(frame: str, option: str, value: object, default: object) -> int | float:
    """The value of a hyperparameter, in the type of its default."""
    expected = "a whole number from 1"
    if isinstance(default, float):
        expected = "a finite number from 0"
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return float(value)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise HyperparameterError(f"Given {option}={value!r} of the frame {frame!r}. Expected {expected}.")


def framed(frame: str | Frame, loss: Loss) -> FramedDistiller:
    """A loss in a frame, named ``FRAME/LOSS``.

    Args:
        frame: a frame, or its specification: ``ensemble``, ``l2t``, ``n_to_one``, ``online``, ``review``
            or ``self``.
        loss: a distiller by name, specification or as an object, or a plain function.

    Raises:
        UnknownNameError: the frame or the loss is not known.
        HyperparameterError: a hyperparameter has a wrong value.

    Example:
        >>> import torch
        >>> from zcbench.distill import Outputs
        >>> loss = framed("ensemble(projectors=2)", "fitnet")
        >>> loss.name
        'ensemble(projectors=2)/fitnet'
        >>> student = Outputs(features=torch.ones(1, 3, 2, 2), logits=torch.zeros(1, 2))
        >>> teacher = Outputs(features=torch.zeros(1, 5, 2, 2), logits=torch.zeros(1, 2))
        >>> loss(student, teacher, adapter=loss.projectors(student.shapes, teacher.shapes)).item() > 0
        True
    """
    chosen, (inner,) = read_frame(frame), as_distillers([loss])
    return FramedDistiller(
        name=f"{chosen.spec}/{inner.name}",
        function=inner.function,
        reads=(inner.reads - chosen.gives) | chosen.reads,
        adapts=inner.adapts,
        source=f"{chosen.source}; {inner.source}",
        version=inner.version,
        as_proxy=False,
        min_images=inner.min_images,
        settings=inner.settings,
        frame=chosen,
        inner=inner,
    )
