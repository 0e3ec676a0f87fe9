"""Checks of the logits that a network returns."""

from torch import Tensor

from zcbench.errors import BatchError
from zcbench.hooks.trace import trace_of
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.signals import Minibatch


def check_logits(logits: object, batch: Minibatch) -> Tensor:
    """The output of a network, if it is one tensor of logits ``(B, N)`` and all labels are among its N classes.

    Raises:
        BatchError: it is not.
    """
    size = len(batch.images)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != size:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BatchError(
            f"The network returns {given} for {size} images. Expected one tensor of logits ({size}, classes); "
            f"wrap the network so that it returns just that."
        )
    highest, classes = int(batch.labels.max()), logits.shape[1]
    if highest >= classes:
        has = f"{classes} classes" if classes > 1 else "one logit"
        raise BatchError(
            f"Given the label {highest}, but the network has {has}. Expected labels below the number of classes; build "
            f"the network for more classes."
        )
    return logits


def single_logits(logits: object, batch: Minibatch) -> Tensor:
    """Logits ``(1, N)`` of one image; a network may drop the axis of a single image.

    Raises:
        NotApplicable: the network gives no logits for a single image.
        BatchError: it does not return one tensor.
    """
    if isinstance(logits, Tensor) and logits.ndim == 1:
        logits = logits[None]
    if isinstance(logits, Tensor) and (logits.ndim != 2 or len(logits) != 1):
        raise NotApplicable(f"The network does not take a single image: it returns {tuple(logits.shape)} for one.")
    return check_logits(logits, batch)


def check_classes(logits: Tensor) -> None:
    """Refuse a loss that is always zero.

    Raises:
        NotApplicable: there is one logit, whose softmax is 1 whatever the network computes.
    """
    if logits.shape[1] < 2:
        raise NotApplicable("The network has one logit, so that its cross-entropy is 0. Expected two classes or more.")


def check_mixing(output: object) -> None:
    """Refuse a network that normalises over its images by functions of its own.

    Raises:
        NotApplicable: it adds images up, so that its batch normalisations are not known.
    """
    trace = trace_of(output)
    if trace is not None and trace.mixed:
        raise NotApplicable(
            "The network adds images up by functions of its own, where a batch normalisation would be removed or "
            "reset. Use torch.nn.functional.batch_norm or a module of PyTorch for it."
        )
