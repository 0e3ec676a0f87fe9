"""Why a score has no value."""

from zcbench.errors import ZcbenchError


class ScoreError(ZcbenchError):
    """A score that has no value; ``status`` is the name under which it is stored."""

    status = "error"


class SingularScore(ScoreError):
    """The score is undefined for this network and batch: a zero determinant, a constant row, an empty spectrum."""

    status = "singular"


class NotANumber(ScoreError):
    """What the score is made of is not a number: the network or its images have NaNs, or infinities that meet."""

    status = "nan"


class NotApplicable(ScoreError):
    """The network or the batch lacks what the proxy is about: no ReLU, no feature map, one image, no teacher."""

    status = "not_applicable"


class BadReturn(ScoreError):
    """What was returned is no number: a vector, a tensor, nothing."""

    status = "bad_return"


class UndeclaredSignal(ScoreError):
    """A proxy reads a signal that it does not declare."""
