"""Image sizes that no memory holds are refused before anything is made."""

import pytest

from zcbench import datasets
from zcbench.errors import BatchError, UnknownNameError


@pytest.mark.parametrize("name", ["digits(side=100000)", "noise(side=100000)", "cifar10(side=1025)", "digits(side=0)"])
@pytest.mark.parametrize("function", [datasets.load, datasets.task])
def test_a_side_out_of_range(name, function, tmp_path):
    """By construction: 1,024 pixels are the most, for the images and for what networks are made for."""
    with pytest.raises(BatchError, match=r"side=\d+ was given\. Expected a whole number of at least 1, at most 1,024"):
        function(name, **({"data_dir": tmp_path} if function is datasets.load else {}))


@pytest.mark.parametrize("size", [0, -1, 100_000, True, 8.0])
def test_an_image_size_out_of_range(size):
    """The same limits for the argument."""
    for function in (datasets.load, datasets.task):
        with pytest.raises(BatchError, match="image_size="):
            function("digits", image_size=size)


def test_noise_is_all_in_memory():
    """By construction: 2,048 images of 513 pixels to a side are more than six gibibytes."""
    with pytest.raises(BatchError, match="at most 512"):
        datasets.load("noise(side=513)")


def test_task_makes_no_image():
    """Closed form: what networks are made for needs no image, however large; a wrong option is refused there too."""
    assert datasets.task("noise(side=512)") == (10, (3, 512, 512))
    assert datasets.task("cifar100(side=16)", image_size=64) == (100, (3, 64, 64))
    with pytest.raises(UnknownNameError, match="'sides'"):
        datasets.task("digits(sides=8)")
