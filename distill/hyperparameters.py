"""Hyperparameters of a distiller: the keyword-only parameters of its function."""

import inspect
import math
from collections.abc import Callable
from typing import Annotated

from zcbench.distill.errors import HyperparameterError

#: Annotation of a hyperparameter that must be above zero, such as a temperature.
Positive = Annotated[float, "above 0"]

#: Annotation of a hyperparameter that counts something.
Count = Annotated[int, "at least 1"]

#: Hyperparameters of every loss that may need an adapter: its name, and the seed of its random weights.
ADAPTER_HYPERPARAMETERS: dict[str, object] = {"adapter": None, "adapter_seed": 0}


def own_hyperparameters(function: Callable[..., object]) -> dict[str, object]:
    """Hyperparameters of ``function`` and their defaults, in its order.

    Raises:
        HyperparameterError: a keyword-only parameter has no default.
    """
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for parameter in parameters:
        if parameter.default is parameter.empty:
            raise HyperparameterError(
                f"The hyperparameter {parameter.name!r} of {function.__qualname__} has no default. Give it one."
            )
    return {parameter.name: parameter.default for parameter in parameters}


def checked_hyperparameter(function: Callable[..., object], name: str, value: object) -> object:
    """``value`` in the type of the hyperparameter's default.

    Raises:
        HyperparameterError: a value of another type, or out of range.
    """
    expected, good = _range(function, name, value)
    if not good:
        raise HyperparameterError(f"Given {name}={value!r}. Expected: {expected}.")
    return float(value) if isinstance(value, int) and isinstance(_default(function, name), float) else value


def _default(function: Callable[..., object], name: str) -> object:
    return (own_hyperparameters(function) | ADAPTER_HYPERPARAMETERS)[name]


def _range(function: Callable[..., object], name: str, value: object) -> tuple[str, bool]:
    default, parameter = _default(function, name), inspect.signature(function).parameters.get(name)
    annotation = parameter.annotation if parameter is not None else None
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(default, bool) or default is None or isinstance(default, str):
        kinds = (str, type(None)) if default is None else type(default)
        return "a name" if not isinstance(default, bool) else "True or False", isinstance(value, kinds)
    if isinstance(default, int):
        least = 1 if annotation is Count else 0
        return f"a whole number of at least {least}", number and isinstance(value, int) and value >= least
    if annotation is Positive:
        return "a finite number above 0", number and isinstance(value, int | float) and value > 0
    return "a finite number", number
