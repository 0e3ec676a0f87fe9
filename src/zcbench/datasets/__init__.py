"""Labelled images by name or from files, data sets of plug-ins, and batches of any inputs and labels."""

from zcbench.datasets.base import ImageSet, LabelledImages, batch
from zcbench.datasets.batches import Batch
from zcbench.datasets.inputs import Inputs
from zcbench.datasets.loading import load, names, task
from zcbench.datasets.own import dataset
from zcbench.storage.files import data_folder

__all__ = ["Batch", "ImageSet", "Inputs", "LabelledImages", "batch", "data_folder", "dataset", "load", "names", "task"]
