"""Labelled images: CIFAR-10, CIFAR-100, digits and noise."""

from zcbench.datasets.base import Batch, ImageSet, batch
from zcbench.datasets.folder import data_folder
from zcbench.datasets.loading import load, names

__all__ = ["Batch", "ImageSet", "batch", "data_folder", "load", "names"]
