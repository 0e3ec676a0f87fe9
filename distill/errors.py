"""Errors of distillation losses and of trainings."""

from zcbench.errors import Interrupted, ZcbenchError


class DistillError(ZcbenchError):
    """Base of the errors of distillation."""


class MissingOutput(DistillError, LookupError):
    """A loss reads an output that a network does not have."""


class ShapeMismatch(DistillError, ValueError):
    """Outputs of student and teacher, or labels, that do not belong together."""


class TooFewImages(DistillError, ValueError):
    """A batch with fewer images than the loss is defined for."""


class BadLoss(DistillError, TypeError):
    """A loss that is no scalar tensor, or that has no gradient for the student."""


class HyperparameterError(DistillError, ValueError):
    """A hyperparameter of the wrong type or out of range, or an adapter that does not fit the loss."""


class RecipeError(DistillError, ValueError):
    """A recipe that cannot be carried out: a value out of range, or data that it does not fit."""


class WeightError(DistillError, ValueError):
    """Weights of loss terms that are negative, all zero, or of unknown terms."""


class DivergedLoss(DistillError, ArithmeticError):
    """A loss that is NaN or infinite; the message names the step and the term.

    Args:
        what: what happened, a sentence.
        advice: what to do, likewise.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what} {advice}".rstrip())
        self.what = what


class CheckpointError(DistillError):
    """A checkpoint that cannot be written or read, or that is of another training."""


class TrainingStopped(DistillError, Interrupted):
    """A training that was stopped; its state is in its checkpoint, if it has one."""
