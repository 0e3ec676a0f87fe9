"""The distiller, a distillation loss with its hyperparameters, and the registry of all distillers."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from zcbench.distill.adapters import FITS, build_adapter, channels
from zcbench.distill.checking import (
    check_channels,
    check_classes,
    check_images,
    check_labels,
    check_loss,
    check_stages,
)
from zcbench.distill.code_identity import function_sha256
from zcbench.distill.errors import HyperparameterError
from zcbench.distill.hyperparameters import ADAPTER_HYPERPARAMETERS, checked_hyperparameter, own_hyperparameters
from zcbench.distill.outputs import OUTPUTS, Outputs, Shapes
from zcbench.errors import unknown
from zcbench.registry import Registry, defined_at, import_package, is_own
from zcbench.specification import SpecificationError, read_specification, write_specification
from zcbench.streams import seeded

#: Shapes of student and teacher that a loss may need to agree.
ADAPTS: dict[str, str] = {
    "spatial": "maps of different sizes are pooled to the smaller inside the loss",
    "channels": "maps need equal channel counts, or an adapter",
    "width": "embeddings need equal widths, or an adapter",
    "projector": "the paper trains modules of its own with the student; without them the bare loss is computed",
}

_ADAPTED = {"channels": ("features", "stages"), "width": ("embedding",)}


@dataclass(frozen=True)
class Distiller:
    """A distillation loss of two networks' outputs, its hyperparameters and its requirements.

    Attributes:
        name: name in the registry and in tables; with hyperparameters, the whole specification.
        function: from student and teacher (`Outputs`), and the labels if it takes them, to a scalar tensor.
        reads: the outputs it may read.
        adapts: which shapes must agree, words of `ADAPTS`; empty if any two shapes are accepted.
        source: paper and equation.
        version: raised whenever its numbers change.
        as_proxy: whether it is a proxy for untrained networks.
        min_images: the smallest batch that it is defined for.
        min_stages: the fewest stages that it is defined for.
        projector: builds the paper's own modules for the shapes of student and teacher.
        settings: the hyperparameters that differ from their defaults.
    """

    name: str
    function: Callable[..., Tensor] = field(repr=False)
    reads: frozenset[str]
    adapts: frozenset[str] = frozenset()
    source: str = ""
    version: int = 1
    as_proxy: bool = True
    min_images: int = 1
    min_stages: int = 1
    projector: Callable[[Shapes, Shapes], nn.Module] | None = field(default=None, repr=False)
    settings: tuple[tuple[str, object], ...] = ()

    def __call__(
        self,
        student: Outputs,
        teacher: Outputs,
        labels: Tensor | None = None,
        *,
        adapter: nn.Module | str | None = None,
    ) -> Tensor:
        """The loss, with a gradient for the student and none for the teacher.

        It is computed outside autocast, in the wider precision of the two networks and at least in float32.

        Args:
            student: outputs of the student.
            teacher: outputs of the teacher for the same batch; they are detached here.
            labels: class indices ``(B,)``; needed only if `uses_labels`.
            adapter: a module from `projectors`, or a name: ``"conv1x1"``, ``"conv1x1_bn"``, ``"linear"`` or
                ``"projector"``, initialised with the seed ``adapter_seed``, a hyperparameter.

        Raises:
            MissingOutput: a network lacks an output that the loss reads.
            ShapeMismatch: batches, classes, stages, channels or widths differ, or labels are missing or wrong.
            TooFewImages: the batch is smaller than ``min_images``.
            BadLoss: the function returned no scalar, or one without gradient for a student that wants it.
        """
        student, teacher = at_one_precision(student, teacher)
        check_classes(student, teacher)
        given = {"labels": check_labels(self.name, labels, student)} if self.uses_labels else {}
        with torch.autocast(device_of(student, teacher).type, enabled=False):
            one, other = self._adapted(student, teacher, adapter)
            self._check(one, other)
            loss = self.function(one, other, **given, **self._function_hyperparameters())
        return check_loss(self.name, loss, student, self.reads)

    @property
    def code_sha256(self) -> str:
        """Fingerprint of the loss's code where it is not part of zcbench, whose version stands for it."""
        return function_sha256(self.function, self.projector)

    @property
    def uses_labels(self) -> bool:
        """Whether the function takes the labels."""
        return "labels" in inspect.signature(self.function).parameters

    @property
    def alone(self) -> bool:
        """Whether the student is its own teacher, so that it needs no other."""
        return False

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Every hyperparameter and its value: the keyword-only parameters of the function, and those of the adapter."""
        return self._defaults | dict(self.settings)

    @property
    def summary(self) -> str:
        """First line of the documentation."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def configured(self, **hyperparameters: object) -> "Distiller":
        """The same loss with other hyperparameters; `get` returns it by its name, the whole specification.

        Raises:
            UnknownNameError: it has no such hyperparameter; the message suggests similar ones.
            HyperparameterError: a value has the wrong type or is out of range.
        """
        defaults = self._defaults
        for name in hyperparameters:
            if name not in defaults:
                raise unknown(f"hyperparameter of the distiller {self.name!r}", name, defaults)
        values = self.hyperparameters | {
            name: checked_hyperparameter(self.function, name, value) for name, value in hyperparameters.items()
        }
        changed = {name: value for name, value in values.items() if value != defaults[name]}
        return replace(self, name=write_specification(self._plain, changed), settings=tuple(changed.items()))

    def projectors(self, student: Shapes, teacher: Shapes, seed: int = 0) -> nn.Module | None:
        """The modules to train with a student of these shapes, or None if the loss needs none.

        They are the paper's own where it has some, otherwise an adapter for the outputs whose channel counts differ.

        Args:
            student: ``outputs.shapes`` of the student.
            teacher: ``outputs.shapes`` of the teacher.
            seed: names the stream of the weights.

        Raises:
            ShapeMismatch: student and teacher have different numbers of stages.
        """
        if self.projector is not None and self.hyperparameters["adapter"] in (None, "projector"):
            return self._built("projector", student, teacher, seed)
        if all(channels(student, name) == channels(teacher, name) for name in self._adapted_outputs):
            return None
        return self._built(self.hyperparameters["adapter"], student, teacher, seed)

    @property
    def _plain(self) -> str:
        return self.name.partition("(")[0]

    @property
    def _defaults(self) -> dict[str, object]:
        return own_hyperparameters(self.function) | (ADAPTER_HYPERPARAMETERS if self._adapted_outputs else {})

    @property
    def _adapted_outputs(self) -> list[str]:
        return [name for word in sorted(self.adapts) for name in _ADAPTED.get(word, ()) if name in self.reads]

    def _function_hyperparameters(self) -> dict[str, object]:
        return {name: value for name, value in self.hyperparameters.items() if name not in ADAPTER_HYPERPARAMETERS}

    def _check(self, student: Outputs, teacher: Outputs) -> None:
        check_images(self.name, self.reads, student, teacher, self.min_images)
        if "stages" in self.reads:
            check_stages(self.name, student, teacher, self.min_stages)
        hint = f"give adapter={FITS[self._adapted_outputs[0]][0]!r}" if self._adapted_outputs else ""
        check_channels(self.name, self._adapted_outputs, student, teacher, hint)

    def _adapted(self, student: Outputs, teacher: Outputs, given: nn.Module | str | None) -> tuple[Outputs, Outputs]:
        adapter = self.hyperparameters.get("adapter") if given is None else given
        if isinstance(adapter, str):
            seed = self.hyperparameters.get("adapter_seed", 0)
            adapter = self._built(adapter, student.shapes, teacher.shapes, seed).to(next(student.tensors())[1])
        return (student, teacher) if adapter is None else adapter(student, teacher)

    def _built(self, adapter: str | None, student: Shapes, teacher: Shapes, seed: int) -> nn.Module:
        if not self._adapted_outputs:
            raise HyperparameterError(
                f"The distiller {self.name!r} takes no adapter: it compares outputs of any shape."
            )
        if adapter != "projector":
            return build_adapter(adapter, self._adapted_outputs, student, teacher, seed)
        if self.projector is None:
            raise HyperparameterError(f"The distiller {self.name!r} has no projector of its own. Name another adapter.")
        with seeded("projector", self._plain, seed):
            return self.projector(student, teacher)


def at_one_precision(student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
    """Both outputs in the wider of their types, at least float32; the teacher's without gradient."""
    dtypes = [tensor.dtype for outputs in (student, teacher) for _, tensor in outputs.tensors()]
    dtype = reduce(torch.promote_types, dtypes, torch.float32)
    return student.map(lambda tensor: tensor.to(dtype)), teacher.map(lambda tensor: _fixed(tensor).to(dtype))


def _fixed(tensor: Tensor) -> Tensor:
    return tensor.detach() if tensor.requires_grad else tensor


def device_of(*networks: Outputs) -> torch.device:
    """The device of some outputs."""
    return next((tensor.device for outputs in networks for _, tensor in outputs.tensors()), torch.device("cpu"))


#: All distillers by name: built in, defined by the user, or from installed packages.
REGISTRY: Registry[Distiller] = Registry(
    "distiller", group="zcbench.distillers", builtins=partial(import_package, "zcbench.distill.losses")
)


def distiller(
    name: str,
    *,
    reads: str | Iterable[str],
    adapts: str | Iterable[str] = (),
    source: str = "",
    version: int = 1,
    as_proxy: bool = True,
    min_images: int = 1,
    min_stages: int = 1,
    projector: Callable[[Shapes, Shapes], nn.Module] | None = None,
) -> Callable[[Callable[..., Tensor]], Distiller]:
    """Turn a function of student and teacher into a registered `Distiller`.

    The function takes the two `Outputs`, then ``labels`` if it uses them; its keyword-only parameters are its
    hyperparameters.

    Args:
        name: a name that no other distiller has.
        reads: the outputs it reads, one name or several.
        adapts: which shapes must agree, one word of `ADAPTS` or several.
        source: paper and equation.
        version: raise it when its numbers change.
        as_proxy: whether it is a proxy for untrained networks.
        min_images: the smallest batch that it is defined for.
        min_stages: the fewest stages that it is defined for.
        projector: builds the paper's own modules.

    Raises:
        UnknownNameError: ``reads`` or ``adapts`` has a word that is not known.
        HyperparameterError: a hyperparameter has no default.
        RegistrationError: the name has other characters than letters, digits, ``_``, ``-`` and ``.``, or is reserved.
        DuplicateNameError: the name is taken by a definition from elsewhere.

    Example:
        >>> from zcbench.distill import distiller
        >>> @distiller("logit_mse", reads="logits")
        ... def logit_mse(student, teacher, *, weight: float = 1.0):
        ...     return weight * (student.logits - teacher.logits).square().mean()
    """
    outputs, words = _words("output", reads, OUTPUTS), _words("word of adapts", adapts, ADAPTS)

    REGISTRY.check_name(name)

    def register(function: Callable[..., Tensor]) -> Distiller:
        own_hyperparameters(function)
        made = Distiller(name, function, outputs, words, source, version, as_proxy, min_images, min_stages, projector)
        REGISTRY.add(name, made, defined_at(function), own=is_own(function))
        function.__globals__.setdefault("__test__", {})[function.__name__] = function  # doctest runs its example
        return made

    return register


def _words(kind: str, given: str | Iterable[str], known: Iterable[str]) -> frozenset[str]:
    words = frozenset([given] if isinstance(given, str) else given)
    for word in words - set(known):
        raise unknown(kind, word, known)
    return words


def get(name: str, **hyperparameters: object) -> Distiller:
    """The distiller of a name or a whole specification, such as ``"kd(temperature=2)"``.

    Args:
        name: a registered name, with hyperparameters in parentheses or not.
        hyperparameters: take precedence over those of the specification.

    Raises:
        UnknownNameError: no distiller has this name, or it has no such hyperparameter; the message suggests similar
            ones.
        HyperparameterError: the specification cannot be read, or a hyperparameter has a wrong value.

    Example:
        >>> get("kd(temperature=2)").name, get("kd(temperature=4)").name
        ('kd(temperature=2.0)', 'kd')
    """
    try:
        plain, written = read_specification(name, example="kd(temperature=2)")
    except SpecificationError as error:
        raise HyperparameterError(str(error)) from None
    found = REGISTRY.get(plain)
    return found.configured(**written | hyperparameters) if written or hyperparameters else found


def names() -> list[str]:
    """Names of all known distillers, those of installed plug-ins included."""
    return REGISTRY.names()
