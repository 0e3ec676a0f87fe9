"""Recipes, their schedules and the augmentation."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from zcbench.distill.errors import RecipeError
from zcbench.distill.training.data.augmentation import CropFlip
from zcbench.distill.training.optimisation import build_optimizer, build_schedule
from zcbench.distill.training.recipe import Recipe
from zcbench.errors import UnknownNameError


def rates(recipe: Recipe, per_epoch: int) -> list[float]:
    optimizer = build_optimizer([nn.Parameter(torch.zeros(1))], recipe)
    schedule = build_schedule(optimizer, recipe, per_epoch)
    found = []
    for _ in range(recipe.epochs * per_epoch):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(found) < recipe.epochs * per_epoch:
            schedule.step()
    return found


def test_cosine_with_warmup() -> None:
    """Closed form: four steps of warm-up, 1/5 to 4/5 of the rate, then half a cosine over the other 16 steps."""
    found = rates(Recipe(epochs=5, lr=2.0, schedule="cosine", warmup=1), per_epoch=4)
    expected = [2 * (step + 1) / 5 for step in range(4)] + [1 + math.cos(math.pi * step / 16) for step in range(16)]
    assert found == pytest.approx(expected)


def test_steps_of_the_reference_recipe() -> None:
    """Published recipe: 240 epochs, a tenth after 150, 180 and 210."""
    found = rates(Recipe(epochs=240, lr=0.05, schedule="step"), per_epoch=2)
    assert [found[2 * epoch] for epoch in (0, 149, 150, 180, 210)] == pytest.approx([0.05, 0.05, 5e-3, 5e-4, 5e-5])
    assert found[2 * 150 - 1] == pytest.approx(0.05)


@pytest.mark.parametrize(("epochs", "per_epoch", "warmup"), [(10, 10, None), (10, 10, 1), (1, 1, None), (1, 2, 0)])
def test_one_cycle_rises_and_falls(epochs: int, per_epoch: int, warmup: float | None) -> None:
    """By construction: from 1/25 to the highest rate in the warm-up, and down to 1/10,000 of the start at the end."""
    found = rates(Recipe(epochs=epochs, lr=1.0, warmup=warmup), per_epoch)
    peak = max(1, round((0.3 * epochs if warmup is None else max(warmup, 0.2)) * per_epoch) - 1)
    assert found[0] == pytest.approx(1 / 25)
    if epochs > 1:
        assert max(range(len(found)), key=found.__getitem__) == peak and found[peak] == pytest.approx(1)
        assert found[-1] == pytest.approx(1 / 25e4)


def test_constant() -> None:
    """Closed form."""
    assert rates(Recipe(epochs=2, lr=0.3, schedule="constant"), 3) == [0.3] * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0.*whole number of at least 1"),
        ({"epochs": 1.5}, r"epochs=1\.5"),
        ({"batch_size": 1}, "batch_size=1.*at least 2"),
        ({"lr": 0}, "lr=0"),
        ({"lr": math.nan}, "lr=nan"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"momentum": 0.0}, "nesterov"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"milestones": (0.5, 1.5)}, r"milestones=1\.5"),
        ({"warmup": 11}, "warmup=11.*from 0 to 10"),
        ({"padding": -1}, "padding=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": True}, "seed=True"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    """Bad input: each is an error that names the value and what is expected."""
    with pytest.raises(RecipeError, match=message):
        Recipe(**options)


@pytest.mark.parametrize("name", ["optimizer", "schedule", "augmentation", "precision", "layout"])
def test_unknown_words(name: str) -> None:
    """Bad input: an unknown word is an error that names the known ones."""
    with pytest.raises(UnknownNameError, match=f"'sgdd' is no known {name} of a recipe"):
        Recipe(**{name: "sgdd"})  # type: ignore[arg-type]


def test_too_few_images() -> None:
    """Bad input: less than one whole batch."""
    with pytest.raises(RecipeError, match=r"Given 5 training images and batch_size=8\. Expected at least one whole"):
        Recipe(batch_size=8).steps_per_epoch(5)


def reference_crop(image: torch.Tensor, padding: int, black: torch.Tensor, row: int, column: int, flip: bool):
    """One image at a time: a black frame, a window, a mirror."""
    height, width = image.shape[1:]
    framed = black.view(-1, 1, 1).expand(-1, height + 2 * padding, width + 2 * padding).clone()
    framed[:, padding : padding + height, padding : padding + width] = image
    window = framed[:, row : row + height, column : column + width]
    return window.flip(2) if flip else window


def test_crops_and_flips_of_a_batch() -> None:
    """Slow reference: every image of the batch is one of its own crops, and all offsets and both flips occur."""
    stream = torch.Generator().manual_seed(0)
    images, black = torch.randn(300, 3, 5, 6, generator=stream), torch.tensor([-1.0, 0.5, 2.0])
    crop = CropFlip(300, 1, black, seed=3)
    indices = torch.randperm(300, generator=stream)[:200]
    seen = set()
    for index, got in zip(indices, crop(images[indices], epoch=2, first=0)):
        matches = [
            (row, column, flip)
            for row in range(3)
            for column in range(3)
            for flip in (False, True)
            if torch.allclose(got, reference_crop(images[index], 1, black, row, column, flip), atol=1e-6)
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 18


def test_augmentation_is_a_function_of_seed_epoch_and_place() -> None:
    """Invariance: the second half of an epoch is the same, whatever was drawn before; other epochs and seeds differ."""
    images = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    one, other = CropFlip(40, 2, None, seed=0), CropFlip(40, 2, None, seed=0)
    one(images[:20], 0, 0)
    late = one(images[20:], 0, 20)
    assert torch.equal(late, other(images[20:], 0, 20))
    assert not torch.equal(late, other(images[20:], 1, 20))
    assert not torch.equal(late, CropFlip(40, 2, None, seed=1)(images[20:], 0, 20))


def test_no_padding_only_flips() -> None:
    """Closed form: without padding an image is itself or its mirror."""
    images = torch.randn(30, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = CropFlip(30, 0, None, seed=0)(images, 0, 0)
    flipped = [torch.equal(got, image.flip(2)) for got, image in zip(found, images)]
    assert all(torch.equal(got, image.flip(2) if flip else image) for got, image, flip in zip(found, images, flipped))
    assert 5 < sum(flipped) < 25
