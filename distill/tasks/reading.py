"""Tasks by name, and the task of labels."""

import inspect

from torch import Tensor

from zcbench.distill.tasks.base import TASKS, Task
from zcbench.errors import BatchError, unknown
from zcbench.registry import import_package
from zcbench.specification import read_specification


def read_task(text: str) -> Task:
    """The task of a name with options, such as ``segmentation(head='deeplabv3',rates=(2,4,6))``.

    Raises:
        UnknownNameError: no task or option has the name.
        ZcbenchError: an option is out of range.

    Example:
        >>> read_task("segmentation(head='pspnet',stride=4)").spec
        "segmentation(head='pspnet',stride=4)"
    """
    import_package("zcbench.distill.tasks")
    name, options = read_specification(text, example="segmentation(head='pspnet')")
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    known = inspect.signature(TASKS[name]).parameters
    for option in options:
        if option not in known:
            raise unknown(f"option of the task {name!r}", option, known)
    return TASKS[name](**options)


def task_of(labels: Tensor) -> Task:
    """The first task with labels of this form: classes ``(N,)``, masks ``(N, H, W)``, floating boxes ``(N, K, 5)``.

    Raises:
        BatchError: no task has such labels.
    """
    kinds = [kind for kind in TASKS.values() if kind.labels.axes == labels.ndim]
    if not kinds:
        raise BatchError(
            f"Given labels {tuple(labels.shape)}. Expected a class for each image, a mask (N, H, W), or boxes (N, K, "
            f"5)."
        )
    return next((kind for kind in kinds if kind.labels.fits(labels)), kinds[0])()


def recorded(task: Task) -> dict[str, str]:
    """Entry ``task`` of a record; nothing for classification, which older records do not name.

    Example:
        >>> recorded(read_task("classification")), recorded(read_task("segmentation"))
        ({}, {'task': 'segmentation'})
    """
    return {} if task == TASKS["classification"]() else {"task": task.spec}
