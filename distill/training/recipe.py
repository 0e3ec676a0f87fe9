"""The training recipe: all settings of a training but network, teacher, data and losses."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from zcbench.distill.errors import RecipeError
from zcbench.errors import unknown

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("one_cycle", "cosine", "step", "constant")
AUGMENTATIONS = ("none", "crop_flip")
PRECISIONS = ("float32", "bfloat16", "float16")
LAYOUTS = ("contiguous", "channels_last")

#: Highest learning rate of each optimizer where none is given.
RATES = {"sgd": 0.1, "adamw": 1e-3}
#: Class weights that are computed from the training labels, and none.
BALANCED, NONE = "balanced", "none"
#: The weights of the last epoch are kept.
LAST = "last"


@dataclass(frozen=True)
class Recipe:
    """A training recipe; the defaults are a short one-cycle training.

    Attributes:
        epochs: how often each image is seen, but for those of the incomplete last batches, which are left out.
        batch_size: images in a batch.
        optimizer: optimizer: ``sgd`` (with momentum) or ``adamw``.
        lr: the highest learning rate; .1 for ``sgd`` and .001 for ``adamw``, if None.
        momentum: momentum of SGD; the first beta of AdamW. A one-cycle schedule moves it against the rate, see
            `momentum_span`: from .95 to .85 and back for .9.
        nesterov: whether the momentum of SGD is Nesterov's.
        weight_decay: weight decay of all parameters.
        schedule: schedule of the learning rate: ``one_cycle``, ``cosine``, ``step`` or ``constant``.
        warmup: epochs in which the rate rises linearly, or of the rising part of a one-cycle schedule; .3 of the epochs
            for ``one_cycle`` and none for the others, if None.
        milestones: shares of the epochs after which ``step`` multiplies the rate by ``gamma``.
        gamma: factor of the rate at each of the ``milestones``.
        label_smoothing: share of the label that is spread over all classes in the cross-entropy.
        augmentation: augmentation of the training images: ``none``, or ``crop_flip``, which are crops of the padded
            images and horizontal flips.
        padding: pixels on each side before a crop; an eighth of the side if None.
        seed: names the streams of the order of images, the augmentation, the adapters, and what is random in a network.
        precision: floating type: ``float32``; ``bfloat16`` or ``float16`` run the networks under autocast, the latter
            on a GPU only.
        layout: memory layout of images and weights, ``channels_last``, which is faster, or ``contiguous``.
        accumulation: batches in a step; their gradients are averaged.
        clip: largest norm of the gradient of a student, adapters included; a longer one is scaled to it.
        ema: decay of an exponential moving average of the weights, as .999; the averaged network is evaluated and kept.
        class_weights: weights of the classes in the cross-entropy: ``none``, ``balanced``, or a number for each class.
            A balanced weight is N / (K n) for a class with n of N training images of K classes.
        auxiliary: weight of the cross-entropy of each auxiliary head, relative to that of the logits, where a network
            returns such heads in training mode.
        validation: share of the training images of each class that is held out as validation images.
        select: epoch whose weights are kept: ``last``, or the best one on the validation images by ``accuracy``,
            ``loss`` or another metric.

    Raises:
        RecipeError: a value out of range.
        UnknownNameError: a word that is none of those above.
    """

    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float | None = None
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: str = "one_cycle"
    warmup: float | None = None
    milestones: tuple[float, ...] = (0.625, 0.75, 0.875)
    gamma: float = 0.1
    label_smoothing: float = 0.0
    augmentation: str = "none"
    padding: int | None = None
    seed: int = 0
    precision: str = "float32"
    layout: str = "channels_last"
    accumulation: int = 1
    clip: float | None = None
    ema: float | None = None
    class_weights: str | Sequence[float] = NONE
    auxiliary: float = 0.4
    validation: float = 0.0
    select: str = LAST

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        object.__setattr__(self, "class_weights", _class_weights(self.class_weights))
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise unknown(f"{name} of a recipe", str(getattr(self, name)), known)
        for name, (least, most, whole) in {**_RANGES, "warmup": (0, self.epochs, False)}.items():
            if getattr(self, name) is not None or name not in _OPTIONAL:
                _check(name, getattr(self, name), least, most, whole)
        for share in self.milestones:
            _check("milestones", share, 0.0, 1.0, False)
        if self.select != LAST and not self.validation:
            raise RecipeError(
                f"Given select={self.select!r} and no validation images. Expected select='last', or a share of the "
                f"training images as validation, such as 0.1: no epoch is selected by the test images."
            )
        if self.nesterov and self.optimizer == "sgd" and self.momentum == 0:
            raise RecipeError("Given nesterov=True and momentum=0. Expected a momentum above 0, or nesterov=False.")

    def lasting(self, epochs: int) -> "Recipe":
        """The same recipe over another number of epochs, with its warm-up in proportion.

        Example:
            >>> TRANSFORMER.lasting(30).warmup
            2.0
        """
        warmup = None if self.warmup is None else self.warmup * epochs / self.epochs
        return replace(self, epochs=epochs, warmup=warmup)

    @property
    def rate(self) -> float:
        """The highest learning rate: that of the optimizer where none is given."""
        return RATES[self.optimizer] if self.lr is None else self.lr

    def steps_per_epoch(self, images: int) -> int:
        """Steps that one epoch over so many images has.

        Raises:
            RecipeError: there are fewer images than one step has.
        """
        step = self.batch_size * self.accumulation
        if images < step:
            given = f"batch_size={self.batch_size}" + (
                f" and accumulation={self.accumulation}" * (step > self.batch_size)
            )
            raise RecipeError(
                f"Given {images:,} training images and {given}. Expected at least one whole batch for each step; "
                f"choose a smaller batch size or more images."
            )
        return images // step

    def to_dict(self) -> dict[str, object]:
        """All values, ready for JSON; fields that older files lack only where they differ from the default."""
        later = {item.name for item in fields(self) if item.name in _LATER and getattr(self, item.name) == item.default}
        own = {name: value for name, value in asdict(self).items() if name not in later}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()} | {
            "lr": self.rate
        }

    def used(self) -> dict[str, object]:
        """The values that have an effect, ready for JSON: those of another schedule or optimizer are left out."""
        without = {
            *(() if self.optimizer == "sgd" else ("nesterov",)),
            *(() if self.schedule == "step" else ("milestones", "gamma")),
            *(() if self.augmentation == "crop_flip" else ("padding",)),
        }
        own = {name: value for name, value in self.to_dict().items() if name not in without}
        default = 0.3 * self.epochs if self.schedule == "one_cycle" else 0.0
        span = {"momentum_span": list(self.momentum_span)} if self.schedule == "one_cycle" else {}
        return own | {"warmup": default if self.warmup is None else self.warmup} | span

    @property
    def momentum_span(self) -> tuple[float, float]:
        """Lowest and highest momentum of a one-cycle schedule: half the distance to 0 or 1, the nearer, on each side.

        Example:
            >>> Recipe(momentum=0.9).momentum_span, Recipe(momentum=0.2).momentum_span
            ((0.85, 0.95), (0.1, 0.3))
        """
        half = min(self.momentum, 1 - self.momentum) / 2
        return round(self.momentum - half, 12), round(self.momentum + half, 12)

    @property
    def summary(self) -> str:
        """The values that differ from the defaults, with epochs, optimizer, rate and schedule."""
        shown = {"epochs", "batch_size", "optimizer", "lr", "schedule"}
        values = {item.name: self.rate if item.name == "lr" else getattr(self, item.name) for item in fields(self)}
        return ", ".join(
            f"{item.name}={values[item.name]!r}"
            for item in fields(self)
            if item.name in shown or values[item.name] != item.default
        )


_WORDS = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augmentation": AUGMENTATIONS,
    "precision": PRECISIONS,
    "layout": LAYOUTS,
}
_TINY = 1e-12
_OPTIONAL = ("lr", "warmup", "padding", "clip", "ema")
_LATER = ("accumulation", "clip", "ema", "class_weights", "auxiliary", "validation", "select")
_RANGES: dict[str, tuple[float, float, bool]] = {
    "epochs": (1, math.inf, True),
    "batch_size": (2, math.inf, True),
    "lr": (_TINY, math.inf, False),
    "momentum": (0, 1 - _TINY, False),
    "weight_decay": (0, math.inf, False),
    "gamma": (_TINY, 1, False),
    "label_smoothing": (0, 1 - _TINY, False),
    "seed": (0, math.inf, True),
    "padding": (0, math.inf, True),
    "accumulation": (1, math.inf, True),
    "clip": (_TINY, math.inf, False),
    "ema": (0, 1 - _TINY, False),
    "auxiliary": (0, math.inf, False),
    "validation": (0, 1 - _TINY, False),
}


def _class_weights(given: str | Sequence[float]) -> str | tuple[float, ...]:
    """A word, or numbers; also from a text with commas, as the command line has it."""
    if given in (BALANCED, NONE):
        return str(given)
    try:
        numbers = tuple(map(float, given.split(",") if isinstance(given, str) else given))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(0 <= number < math.inf for number in numbers) or not any(numbers):
        raise RecipeError(
            f"Given class_weights={given!r}. Expected 'none', 'balanced', or a number of at least 0 for each class, "
            f"not all of them 0."
        )
    return numbers


def _check(name: str, value: object, least: float, most: float, whole: bool) -> None:
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        kind = "a whole number" if whole else "a number"
        span = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise RecipeError(f"Given {name}={value!r}. Expected {kind} {span}.")


#: AdamW with warm-up for vision transformers. Optimizer, rate, decay, batch, epochs and warm-up are those of Li et al.,
#: "Locality Guidance for Improving Vision Transformers on Tiny Datasets", ECCV 2022, arXiv:2207.10026, for CIFAR-100.
#: It differs from that training: images keep their size; crops and flips are in place of RandAugment and erasing; there
#: is no stochastic depth; the rate falls to 0, not 5e-6; norms, biases, positions and class tokens decay too.
TRANSFORMER = Recipe(
    epochs=300,
    optimizer="adamw",
    lr=5e-4,
    weight_decay=0.05,
    schedule="cosine",
    warmup=20,
    augmentation="crop_flip",
)
