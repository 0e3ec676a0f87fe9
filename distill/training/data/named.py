"""Training data from the name of a data set."""

from dataclasses import replace
from pathlib import Path

from zcbench import datasets
from zcbench.datasets import ImageSet, dense
from zcbench.datasets.folder import folder_splits
from zcbench.datasets.loading import FOLDER, function_of, outside, read_outside
from zcbench.datasets.own import given_by, image_set, is_arrays
from zcbench.distill.tasks import CLASSIFICATION, Task
from zcbench.distill.training.data.images import TrainingData
from zcbench.distill.training.data.source import TrainingSource
from zcbench.distill.training.data.streaming import StreamedData
from zcbench.errors import BatchError
from zcbench.storage.files import data_folder


def named_data(name: str, data_dir: str | Path | None = None, labels: str | None = None) -> TrainingSource:
    """Training and test images of a data set by name.

    Args:
        name: as `zcbench.datasets.load` takes it: ``cifar10(files=1,side=16)``, a folder of image files, a data set of
            a plug-in; a data set with masks or boxes, as `zcbench.datasets.dense.load` takes it; or
            ``FILE.py:FUNCTION``, a function that returns anything that `TrainingData.taken` takes.
        data_dir: data folder.
        labels: name of the form of the labels, where a data set has several: ``mask`` or ``boxes``.

    Raises:
        ZcbenchError: the name is not known, or its images cannot be read.

    Example:
        >>> len(named_data("digits(images=64)")), named_data("digits").test_count
        (64, 360)
    """
    if dense.is_dense(name):
        form = labels if labels in dense.forms(name) else None
        return TrainingData.of(*(dense.load(name, split, form) for split in ("train", "test")))
    if not outside(name):
        return TrainingData.of(*(datasets.load(name, data_dir, split=split) for split in ("train", "test")))
    known, options = read_outside(name)
    if known == FOLDER:
        train, test = folder_splits(**options)
        return TrainingData.from_dataset(train, test, len(train.classes))
    images = {split: options.pop(split, None) for split in ("images", "test_images", "side")}
    if unused := [option for option, value in images.items() if value is not None]:
        raise BatchError(f"Given {name!r}. Expected no option {unused[0]!r}: the function decides about its images.")
    return _of(known, *given_by(function_of(known), known, options, data_folder(data_dir)))


def kept_data(name: str, data_dir: str | Path | None = None, task: Task = CLASSIFICATION) -> TrainingData:
    """The same with all images in memory.

    Args:
        name: as of `named_data`.
        data_dir: data folder.
        task: of the labels.

    Raises:
        BatchError: the labels are of another task.
        ZcbenchError: the name is not known, or its images cannot be read.
    """
    found = named_data(name, data_dir, task.labels.name).with_task(task)
    if isinstance(found, TrainingData):
        return found
    assert isinstance(found, StreamedData)
    return found.read()


def _of(name: str, train: object, test: object) -> TrainingSource:
    if is_arrays(train) and is_arrays(test):
        train, test = image_set(train, name, "train"), image_set(test, name, "test")
        most = max(train.num_classes, test.num_classes)
        train, test = replace(train, num_classes=most), replace(test, num_classes=most)
    if isinstance(train, ImageSet) and isinstance(test, ImageSet):
        return TrainingData.of(train, test)
    if test is None and isinstance(train, TrainingSource):
        return train
    return TrainingData.from_dataset(train, test)
