"""Batches, resizing and the sets that need no file."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from zcbench import datasets
from zcbench.datasets.base import ImageSet, resized
from zcbench.errors import BatchError


def numbered(count: int = 50, size: int = 4) -> ImageSet:
    """Image i is constant i and has label i mod 5."""
    numbers = torch.arange(count)
    pixels = numbers.float().view(-1, 1, 1, 1).expand(-1, 3, size, size)
    return ImageSet("numbered", "train", pixels, numbers % 5, 5, (0.0,), (1.0,), "numbered images")


def test_batch_has_matching_labels_and_no_image_twice():
    """By construction: image i is constant i with label i mod 5."""
    drawn = datasets.batch(numbered(), 20, seed=3)

    numbers = drawn.images[:, 0, 0, 0].long()
    assert numbers.unique().numel() == 20
    assert torch.equal(drawn.labels, numbers % 5)
    assert "20 of 50 images, seed 3" in drawn.description


def test_batch_is_a_pure_function_of_its_key():
    """Invariance: global generators do not matter; seed, size and split do."""
    first = datasets.batch(numbered(), 10, seed=1)
    torch.manual_seed(99)
    again = datasets.batch(numbered(), 10, seed=1)
    others = [
        datasets.batch(numbered(), 10, seed=2),
        datasets.batch(numbered(), 11, seed=1),
        datasets.batch(replace(numbered(), split="test"), 10, seed=1),
    ]

    assert torch.equal(first.images, again.images)
    assert first.sha256 == again.sha256
    assert len({first.sha256, *(other.sha256 for other in others)}) == 4


def test_fingerprint_sees_labels_and_classes():
    """Invariance, broken on purpose: the same images with other labels, or for another task, are another batch."""
    first = datasets.batch(numbered(), 10)
    assert first.sha256 != replace(first, labels=first.labels.flip(0)).sha256
    assert first.sha256 != replace(first, num_classes=6).sha256


def test_batch_is_the_same_in_another_process():
    """Invariance: a fresh interpreter with another hash seed draws the same digits."""
    script = "from zcbench import datasets; print(datasets.batch(datasets.load('digits'), 16, seed=5).sha256)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.strip() == datasets.batch(datasets.load("digits"), 16, seed=5).sha256


@pytest.mark.parametrize("size", [-1, 0, 1, 51])
def test_impossible_batches(size):
    """By construction: one image is too few for batch normalisation, 51 are more than there are."""
    with pytest.raises(BatchError, match="Expected 2 to 50"):
        datasets.batch(numbered(), size)


def test_down_is_the_mean_of_blocks_and_constants_stay():
    """Closed form: halving averages 2x2 blocks; a constant image stays constant at every size."""
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(resized(image, 2), image.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)))
    for size in (1, 3, 4, 7, 8):
        assert torch.allclose(resized(torch.full((1, 3, 4, 4), 2.5), size), torch.tensor(2.5))


def test_up_is_bilinear():
    """Closed form: doubling [0, 1] bilinearly, samples at pixel centres, gives [0, .25, .75, 1]."""
    row = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    assert torch.allclose(resized(row, 4)[0, 0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_image_size_zero():
    """By construction: no image has no pixels."""
    with pytest.raises(BatchError, match="image_size=0"):
        datasets.load("digits", image_size=0)


def test_digits():
    """Published numbers: 1,797 images of 8x8 in ten classes; normalised to mean 0 and deviation 1 within 1 %."""
    train, test = datasets.load("digits"), datasets.load("digits", split="test", image_size=16)

    assert len(train) + len(test) == 1797
    assert train.images.shape == (1437, 3, 8, 8)
    assert test.images.shape == (360, 3, 16, 16)
    assert torch.equal(train.images[:, 0], train.images[:, 2])
    assert train.images.mean().abs() < 0.01
    assert (train.images.std() - 1).abs() < 0.01


def test_noise():
    """Closed form: independent N(0, 1) values; the splits share nothing, the same name gives the same bits."""
    noise = datasets.load("noise", image_size=8)

    assert noise.images.shape == (2048, 3, 8, 8)
    assert noise.images.mean().abs() < 4 / noise.images.numel() ** 0.5
    assert (noise.images.std() - 1).abs() < 0.01
    assert torch.equal(noise.images, datasets.load("noise", image_size=8).images)
    assert not torch.equal(noise.images, datasets.load("noise", image_size=8, split="test").images)
    assert set(noise.labels.tolist()) == set(range(10))
