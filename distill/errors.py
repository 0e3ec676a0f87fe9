"""What can be wrong with a distillation loss or with what it is given."""

from zcbench.errors import ZcbenchError


class DistillError(ZcbenchError):
    """Base of the errors of distillation."""


class MissingOutput(DistillError, LookupError):
    """A loss reads an output that a network did not give."""


class ShapeMismatch(DistillError, ValueError):
    """Outputs of student and teacher, or labels, that do not belong together."""


class TooFewImages(DistillError, ValueError):
    """A batch with fewer images than the loss is defined for."""


class BadLoss(DistillError, TypeError):
    """A loss that is no scalar tensor, or that no gradient leads from to the student."""


class KnobError(DistillError, ValueError):
    """A knob of the wrong type or out of range, or an adapter that does not fit the loss."""
