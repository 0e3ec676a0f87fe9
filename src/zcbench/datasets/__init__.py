"""Labelled images by name or from files, data sets of plug-ins, and batches of any inputs and labels."""

from typing import TYPE_CHECKING

from zcbench.lazy import lazy

if TYPE_CHECKING:
    from zcbench.datasets.base import ImageSet as ImageSet
    from zcbench.datasets.base import LabelledImages as LabelledImages
    from zcbench.datasets.base import batch as batch
    from zcbench.datasets.batches import Batch as Batch
    from zcbench.datasets.inputs import Inputs as Inputs
    from zcbench.datasets.loading import load as load
    from zcbench.datasets.loading import names as names
    from zcbench.datasets.loading import task as task
    from zcbench.datasets.own import dataset as dataset
    from zcbench.storage.files import data_folder as data_folder

#: Where each public name is imported from, when it is first read.
_HOMES = {
    "Batch": "zcbench.datasets.batches",
    "ImageSet": "zcbench.datasets.base",
    "Inputs": "zcbench.datasets.inputs",
    "LabelledImages": "zcbench.datasets.base",
    "batch": "zcbench.datasets.base",
    "data_folder": "zcbench.storage.files",
    "dataset": "zcbench.datasets.own",
    "load": "zcbench.datasets.loading",
    "names": "zcbench.datasets.loading",
    "task": "zcbench.datasets.loading",
}
__all__, __getattr__, __dir__ = lazy(__name__, _HOMES)
