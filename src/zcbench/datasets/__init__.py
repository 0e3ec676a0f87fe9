"""Labelled images (CIFAR-10, CIFAR-100, digits, noise), and batches of any inputs and labels."""

from zcbench.datasets.base import ImageSet, LabelledImages, batch
from zcbench.datasets.batches import Batch
from zcbench.datasets.inputs import Inputs
from zcbench.datasets.loading import load, names, task
from zcbench.storage.files import data_folder

__all__ = ["Batch", "ImageSet", "Inputs", "LabelledImages", "batch", "data_folder", "load", "names", "task"]
