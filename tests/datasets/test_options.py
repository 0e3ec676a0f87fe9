"""Options of a data set's name: how many images, and their side."""

from pathlib import Path

import pytest
import torch

from zcbench import datasets
from zcbench.errors import BatchError, UnknownNameError

from .test_cifar import write_cifar10


def test_the_first_images_at_another_size(tmp_path: Path) -> None:
    """Independent computation: the first images, each 2x2 square averaged."""
    write_cifar10(tmp_path, ["data_batch_1", "data_batch_2", "test_batch"])
    whole = datasets.load("cifar10", tmp_path)
    some = datasets.load("cifar10(files=2,side=16,images=7)", tmp_path)
    averaged = whole.images[:7].reshape(7, 3, 16, 2, 16, 2).mean((3, 5))
    torch.testing.assert_close(some.images, averaged)
    assert torch.equal(some.labels, whole.labels[:7]) and some.image_shape == (3, 16, 16)
    assert some.description == "the first 7 of CIFAR-10 train (data_batch_1, data_batch_2 of 5; 10 images)"


def test_splits_are_cut_apart() -> None:
    """By construction: images= is about the training split, test_images= about the other."""
    name = "digits(images=300,test_images=50,side=12)"
    train, test = (datasets.load(name, split=split) for split in ("train", "test"))
    assert (len(train), len(test), train.image_shape) == (300, 50, (3, 12, 12))
    assert datasets.load("digits(side=12)", image_size=16).image_shape == (3, 16, 16)
    whole = datasets.load("digits(images=1437)")
    assert whole.description == datasets.load("digits").description


@pytest.mark.parametrize("option", ["images=0", "images=-3", "images=1.5", "images=True", "side=0", "side='16'"])
def test_values_out_of_range(option: str) -> None:
    """Bad input: no whole number of at least 1."""
    with pytest.raises(BatchError, match=r"was given\. Expected a whole number of at least 1"):
        datasets.load(f"digits({option})")


def test_more_images_than_there_are() -> None:
    """Bad input: the message has what there is."""
    with pytest.raises(BatchError, match=r"3,000 images were asked of scikit-learn digits train.*at most 1,437"):
        datasets.load("digits(images=3000)")


def test_unknown_options() -> None:
    """Bad input: the nearest option is named."""
    with pytest.raises(UnknownNameError, match="'images'"):
        datasets.load("noise(image=3)")
