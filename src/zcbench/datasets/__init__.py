"""Labelled images: CIFAR-10, CIFAR-100, digits and noise."""

from zcbench.datasets.base import Batch, ImageSet, LabelledImages, batch
from zcbench.datasets.loading import load, names, task
from zcbench.storage.files import data_folder

__all__ = ["Batch", "ImageSet", "LabelledImages", "batch", "data_folder", "load", "names", "task"]
