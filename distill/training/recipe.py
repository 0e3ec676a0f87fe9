"""The training recipe: all settings of a training but network, teacher, data and losses."""

import math
from dataclasses import asdict, dataclass, fields

from zcbench.distill.errors import RecipeError
from zcbench.errors import unknown

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("one_cycle", "cosine", "step", "constant")
AUGMENTATIONS = ("none", "crop_flip")
PRECISIONS = ("float32", "bfloat16", "float16")
LAYOUTS = ("contiguous", "channels_last")


@dataclass(frozen=True)
class Recipe:
    """A training recipe; the defaults are a short one-cycle training.

    Attributes:
        epochs: how often each image is seen, but for those of the incomplete last batches, which are left out.
        batch_size: images in a step.
        optimizer: ``sgd`` (with momentum) or ``adamw``.
        lr: the highest learning rate.
        momentum: momentum of SGD; the first beta of AdamW. A one-cycle schedule moves it against the rate, see
            `momentum_span`: from .95 to .85 and back for .9.
        nesterov: whether the momentum of SGD is Nesterov's.
        weight_decay: weight decay of all parameters.
        schedule: ``one_cycle``, ``cosine``, ``step`` or ``constant``.
        warmup: epochs in which the rate rises linearly, or of the rising part of a one-cycle schedule; .3 of the epochs
            for ``one_cycle`` and none for the others, if None.
        milestones: shares of the epochs after which ``step`` multiplies the rate by ``gamma``.
        gamma: factor of the rate at each of the ``milestones``.
        label_smoothing: share of the label that is spread over all classes in the cross-entropy.
        augmentation: ``none``, or ``crop_flip``: crops of the padded images and horizontal flips.
        padding: pixels on each side before a crop; an eighth of the side if None.
        seed: names the streams of the order of images, the augmentation, the adapters, and what is random in a network.
        precision: ``float32``; ``bfloat16`` or ``float16`` run the networks under autocast, the latter on a GPU only.
        layout: memory layout of images and weights, ``channels_last``, which is faster, or ``contiguous``.

    Raises:
        RecipeError: a value out of range.
        UnknownNameError: a word that is none of those above.
    """

    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise unknown(f"{name} of a recipe", str(getattr(self, name)), known)
        for name, (least, most, whole) in _RANGES.items():
            _check(name, getattr(self, name), least, most, whole)
        for share in self.milestones:
            _check("milestones", share, 0.0, 1.0, False)
        if self.warmup is not None:
            _check("warmup", self.warmup, 0, self.epochs, False)
        if self.padding is not None:
            _check("padding", self.padding, 0, math.inf, True)
        if self.nesterov and self.optimizer == "sgd" and self.momentum == 0:
            raise RecipeError("Given nesterov=True and momentum=0. Expected a momentum above 0, or nesterov=False.")

    def steps_per_epoch(self, images: int) -> int:
        """Steps that one epoch over so many images has.

        Raises:
            RecipeError: there are fewer images than one batch has.
        """
        if images < self.batch_size:
            raise RecipeError(
                f"Given {images:,} training images and batch_size={self.batch_size}. Expected at least one whole "
                f"batch; choose a smaller batch size or more images."
            )
        return images // self.batch_size

    def to_dict(self) -> dict[str, object]:
        """All values, ready for JSON."""
        return {**asdict(self), "milestones": list(self.milestones)}

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
        parts = [
            f"{item.name}={getattr(self, item.name)!r}"
            for item in fields(self)
            if item.name in shown or getattr(self, item.name) != item.default
        ]
        return ", ".join(parts)


_WORDS = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augmentation": AUGMENTATIONS,
    "precision": PRECISIONS,
    "layout": LAYOUTS,
}
_TINY = 1e-12
_RANGES: dict[str, tuple[float, float, bool]] = {
    "epochs": (1, math.inf, True),
    "batch_size": (2, math.inf, True),
    "lr": (_TINY, math.inf, False),
    "momentum": (0, 1 - _TINY, False),
    "weight_decay": (0, math.inf, False),
    "gamma": (_TINY, 1, False),
    "label_smoothing": (0, 1 - _TINY, False),
    "seed": (0, math.inf, True),
}


def _check(name: str, value: object, least: float, most: float, whole: bool) -> None:
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:  # type: ignore[arg-type, operator]
        kind = "a whole number" if whole else "a number"
        span = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise RecipeError(f"Given {name}={value!r}. Expected {kind} {span}.")
