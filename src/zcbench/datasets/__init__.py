"""Labelled images: CIFAR-10, CIFAR-100, digits and noise."""

from zcbench.datasets.base import Batch, ImageSet, batch
from zcbench.datasets.loading import load, names
from zcbench.datasets.task import task
from zcbench.storage.files import data_folder

__all__ = ["Batch", "ImageSet", "batch", "data_folder", "load", "names", "task"]
