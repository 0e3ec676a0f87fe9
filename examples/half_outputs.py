"""Stored teacher outputs in half precision beside exact ones: accuracy of a student, largest error of an output.

    python examples/half_outputs.py [SEEDS]

ResNet-8 is trained on digits under ResNet-20, once with each. The table of docs/training.md is of six seeds.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from zcbench import datasets, spaces
from zcbench.distill import Recipe, Teacher, TeacherOutputs, TrainingData, train
from zcbench.distill.training.teaching import chosen

DIGITS = TrainingData.of(datasets.load("digits"), datasets.load("digits", split="test"))


def build(arch: str, seed: int) -> nn.Module:
    """A ResNet for the digits."""
    return spaces.get("resnet").build(arch, DIGITS.num_classes, seed, DIGITS.image_shape)


def main(seeds: int = 6) -> None:
    """Print a line for each set of losses, and one for each output."""
    torch.set_num_threads(1)
    teacher = train(build("resnet20", 1000), None, DIGITS, Recipe(epochs=6, batch_size=64)).network
    half = TeacherOutputs("float16", Path(tempfile.mkdtemp()))
    for losses in (["kd"], ["kd", "at"]):
        found: dict[str, list[float]] = {"exact": [], "float16": []}
        for seed in range(seeds):
            recipe = Recipe(epochs=5, batch_size=32, seed=seed)
            for name, outputs in (("exact", None), ("float16", half)):
                under = Teacher(teacher, outputs=outputs)
                found[name].append(train(build("resnet8", seed), under, DIGITS, recipe, distillers=losses).accuracy)
        shown = [f"{name} {statistics.mean(own):.2f} ± {statistics.stdev(own):.2f}" for name, own in found.items()]
        difference = statistics.mean(found["float16"]) - statistics.mean(found["exact"])
        print(f"{','.join(losses)}: {', '.join(shown)}, difference {difference:+.2f}")
    reads, images = frozenset({"logits", "stages"}), DIGITS.to("cpu", "channels_last")
    under = Teacher(teacher, outputs=half)
    exact, everything = under.remembered(images, reads, "float32"), torch.arange(len(images))
    assert exact is not None
    rounded = under.stored(images, reads, "float32").chosen(everything)
    for name in sorted(reads):
        for one, other in zip(chosen(exact, everything).read(name), rounded.read(name)):
            error = ((one - other).abs() / one.abs().clamp_min(1e-3)).max()
            print(f"{name} {tuple(one.shape[1:])}: largest relative error of values above .001: {float(error):.2e}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
