"""Why a score has no value."""

from zcbench.errors import ZcbenchError


class ScoreError(ZcbenchError):
    """A score that has no value; ``status`` is the name under which it is stored."""

    status = "error"


class SingularScore(ScoreError):
    """The score is undefined for this network and batch: a zero determinant, a constant row, an empty spectrum."""

    status = "singular"


class NotANumber(ScoreError):
    """A term of the score is not a number: the network or its images have NaNs, or infinities that cancel."""

    status = "nan"


class NotApplicable(ScoreError):
    """The network or the batch lacks something that the proxy needs: a ReLU, a feature map, two images, a teacher."""

    status = "not_applicable"


class BadReturn(ScoreError):
    """The return value is no number but a vector, a tensor or None."""

    status = "bad_return"


class UndeclaredSignal(ScoreError):
    """A proxy reads a signal that it does not declare."""
