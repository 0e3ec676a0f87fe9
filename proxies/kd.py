"""Distillation losses recast as proxies: the loss that an untrained student has under an untrained teacher.

Every distiller of `zcbench.distill` is the proxy ``kd:NAME``, with
hyperparameters as ``kd:kd(temperature=2)``. The recast is that of Dong et al., "DisWOT", CVPR 2023,
arXiv:2303.15678, section 4.
"""

import inspect
from functools import cache

import torch
from torch import Tensor

from zcbench import distill
from zcbench.distill import BadLoss, Distiller, MissingOutput, Outputs, ShapeMismatch, TooFewImages
from zcbench.distill.errors import RecipeError
from zcbench.distill.tasks import Segmentation
from zcbench.proxies.scoring.contract import REGISTRY, Proxy
from zcbench.proxies.signals.errors import BadReturn, NotApplicable
from zcbench.proxies.signals.signals import Signals
from zcbench.registry import Derived

PREFIX = "kd:"


class Recast:
    """Minus a distillation loss, as a function of signals.

    Args:
        distiller: the loss.
    """

    def __init__(self, distiller: Distiller) -> None:
        self.distiller = distiller
        self.__module__ = distiller.function.__module__  # whose page of the paper it is
        self.__wrapped__ = distiller.function  # whose definition is part of the key of a score
        first, _, rest = (inspect.getdoc(distiller.function) or "").partition("\n")
        self.__doc__ = f"Minus the loss `{distiller.name}` between untrained networks. {first}\n{rest}".rstrip()

    def __call__(self, signals: Signals) -> float:
        """The score: minus the loss of the student under the teacher, so that higher is better.

        The logits of a segmentation are compared pixel by pixel, as in its training.

        Raises:
            NotApplicable: a network lacks an output, shapes do not fit, or the batch is too small.
            BadReturn: the loss is no scalar.
        """
        try:
            if signals.by_pixel:
                Segmentation().check_losses([self.distiller])
            labels = self._labels(signals) if self.distiller.uses_labels else None
            with torch.no_grad():
                return -self.distiller(self._outputs(signals), self._outputs(signals.teacher), labels).item()
        except (MissingOutput, RecipeError, ShapeMismatch, TooFewImages) as error:
            raise NotApplicable(str(error)) from error
        except BadLoss as error:
            raise BadReturn(str(error)) from error

    def _labels(self, signals: Signals) -> Tensor:
        return signals.rows[1] if "logits" in self.distiller.reads else signals.labels

    def _outputs(self, signals: Signals) -> Outputs:
        values = {name: getattr(signals, name) for name in self.distiller.reads - {"logits"}}
        if "logits" in self.distiller.reads:
            values["logits"] = signals.rows[0]
        return Outputs(**values, memory=signals.memory)


@cache
def as_proxy(distiller: Distiller) -> Proxy:
    """The proxy of a distiller; one object for equal ones."""
    return Proxy(
        name=PREFIX + distiller.name,
        function=Recast(distiller),
        reads=frozenset({*distiller.reads, "teacher", *(["labels"] if distiller.uses_labels else [])}),
        higher_is_better=True,
        uses_labels=distiller.uses_labels,
        version=distiller.version,
        source=distiller.source,
    )


def recast(name: str) -> Proxy:
    """The proxy of a distiller, by its name or specification; one object for equal specifications.

    Raises:
        UnknownNameError: no distiller has this name, or it has no such hyperparameter.
        HyperparameterError: the specification cannot be read, or a hyperparameter has a wrong value.

    Example:
        >>> from zcbench.proxies import example, score
        >>> round(score(*example(), [recast("kd(temperature=4)")], teacher=example(seed=1).network)["kd:kd"], 3)
        -0.068
    """
    return as_proxy(distill.get(name))


def _names() -> list[str]:
    return [item.name for item in distill.REGISTRY.usable()[0] if item.as_proxy]


def _origin(name: str) -> str:
    return distill.REGISTRY.origin(name.partition("(")[0])


REGISTRY.derive(Derived(PREFIX, _names, recast, _origin))
