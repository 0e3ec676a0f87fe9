"""Checks of the output of a network."""

from torch import Tensor

from zcbench.errors import BatchError
from zcbench.hooks.heads import Classifier
from zcbench.hooks.trace import trace_of
from zcbench.proxies.passes.values import missing
from zcbench.proxies.signals.errors import NotApplicable
from zcbench.proxies.signals.objective import IGNORED, Task
from zcbench.proxies.signals.signals import Failure, Minibatch

NO_CLASSIFIER = "The logits are not the output of one linear layer."


def check_logits(output: object, batch: Minibatch) -> Tensor:
    """The output ``(B, ...)`` of a network, if a loss takes it with the labels of the batch; ``(B,)`` as ``(B, 1)``.

    Raises:
        BatchError: it is no such tensor, or a label is none of its classes.
    """
    size = len(batch.images)
    if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != size or not output.is_floating_point():
        given = f"{output.dtype} {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise BatchError(
            f"The network returns {given} for {size} inputs. Expected one floating tensor with {size} entries on the "
            f"first axis, such as logits ({size}, classes); give output=, a function that takes it out of the return "
            f"value."
        )
    output = output[:, None] if output.ndim == 1 else output
    if batch.objective.task(output) in (Task.CLASSES, Task.POSITIONS) and not callable(batch.objective.loss.function):
        _check_range(batch.labels, output.shape[1])
    return output


def _check_range(labels: Tensor, classes: int) -> None:
    highest, lowest = int(labels.max()), int(labels.min())
    if lowest < 0 and (labels.ndim == 1 or bool(((labels < 0) & (labels != IGNORED)).any())):
        raise BatchError(f"Given a label {lowest}. Expected class indices from 0.")
    if highest >= classes:
        raise BatchError(
            f"Given the label {highest}, but the network has {classes} classes. Expected labels below the number of "
            f"classes; build the network for more classes."
        )


def class_signals(batch: Minibatch, output: Tensor, classifier: Classifier | None) -> dict[str, object]:
    """The signals of a classification; failures where there are no classes."""
    try:
        logits = batch.objective.class_logits(output)
    except NotApplicable as error:
        return dict.fromkeys(("logits", "labels", "num_classes", "classifier"), Failure(error))
    matrix = missing(NO_CLASSIFIER) if classifier is None else classifier.weight.matrix.detach()
    if output.shape[1] == 1:
        matrix = missing("The network has one logit for two classes, of which one has no weight.")
    labels = batch.labels.reshape(-1).long()
    return {"logits": logits, "labels": labels, "num_classes": logits.shape[1], "classifier": matrix}


def of_classes(batch: Minibatch, output: Tensor, gradient: Tensor) -> dict[str, object]:
    """The gradient of the classifier.

    Raises:
        NotApplicable: there are no classes.
    """
    batch.objective.class_logits(output)
    return {"classifier_gradient": gradient}


def single_logits(output: object, batch: Minibatch) -> Tensor:
    """The output ``(1, ...)`` for one image; a network may drop the axis of a single image.

    Raises:
        NotApplicable: the network gives no output for a single image.
        BatchError: it does not return one tensor.
    """
    if isinstance(output, Tensor) and output.ndim < 2:
        output = output.reshape(1, -1)
    if isinstance(output, Tensor) and len(output) != 1:
        raise NotApplicable(f"The network does not take a single image: it returns {tuple(output.shape)} for one.")
    return check_logits(output, batch)


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
