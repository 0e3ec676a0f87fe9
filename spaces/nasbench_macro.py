"""NAS-Bench-Macro as a space: 6,561 networks of eight layers, which are 3,969 different ones.

Su et al., "Prioritized Architecture Sampling with Monte-Carlo Tree Search", CVPR 2021, arXiv:2103.11922; the network is
that of xiusu/NAS-Bench-Macro.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from torch import nn

from zcbench.spaces.base import ImageShape
from zcbench.spaces.classifying import classifying
from zcbench.spaces.cost import Cost
from zcbench.spaces.mobilenetv2 import InvertedResidual, conv_bn
from zcbench.spaces.product import ProductSpace, Site
from zcbench.spaces.registry import space

STEM, LAST = 32, 1280
#: Layers and channels of the three stages; the first layer of a stage halves the image.
STAGES = ((2, 64), (3, 128), (3, 256))
#: Kernel and expansion of the operations 1 and 2.
OPERATIONS = {"1": (3, 3), "2": (5, 6)}


class Layer(NamedTuple):
    """One layer: its operation, its channels before and behind, and its stride."""

    operation: str
    inputs: int
    outputs: int
    stride: int


def layers(values: Sequence[str]) -> Iterator[Layer]:
    """The eight layers of an architecture, in order."""
    inputs, operations = STEM, iter(values)
    for count, outputs in STAGES:
        for place in range(count):
            yield Layer(next(operations), inputs, outputs, 2 if place == 0 else 1)
            inputs = outputs


def _module(layer: Layer) -> nn.Module:
    if layer.operation != "0":
        kernel, expansion = OPERATIONS[layer.operation]
        return InvertedResidual(layer.inputs, layer.outputs, layer.stride, expansion, kernel)
    if layer.stride == 1:
        return nn.Identity()
    return nn.Sequential(*conv_bn(layer.inputs, layer.outputs, 1, layer.stride))


@space
class NASBenchMacro(ProductSpace):
    """Eight layers, each an identity (0) or an inverted residual: kernel 3 and expansion 3 (1), or 5 and 6 (2).

    A string is eight digits: two layers of the first stage, three of the second, three of the third. An identity that
    changes the shape is a 1x1 convolution. Identities behind the first layer of a stage may stand anywhere: the
    canonical form has them last, and 2,592 strings are the network of another one.

    Example:
        >>> space = NASBenchMacro()
        >>> space.canonical("22212220"), len(space.subset("unique")), space.params("00000000")
        ('22212220', 3969, 387882)
    """

    name = spec = "nasbench_macro"
    label = "network of NAS-Bench-Macro"
    example = "22212220"
    sites = tuple(Site(f"layer {number}", ("0", *OPERATIONS)) for number in range(1, 9))
    separators = ("",) * 7
    subsets = ("all", "unique")
    analytic = True
    multiple = 8

    def network(self, values: Sequence[str], image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Network of these layers."""
        parts: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_bn(image_shape[0], STEM, 3), nn.ReLU())}
        every = list(layers(values))
        for number, (count, _) in enumerate(STAGES, 1):
            parts[f"stage{number}"] = nn.Sequential(*map(_module, every[:count]))
            every = every[count:]
        parts["last"] = nn.Sequential(*conv_bn(STAGES[-1][1], LAST, 1), nn.ReLU())
        return classifying(parts, LAST, num_classes)

    def canonical(self, arch: str) -> str:
        """The same network with the identities at the end of each stage, its first layer apart.

        Raises:
            ArchitectureError: ``arch`` is not of this space.
        """
        values, written = self.parse(arch), []
        for count, _ in STAGES:
            first, *rest = values[:count]
            written += [first, *(v for v in rest if v != "0"), *(v for v in rest if v == "0")]
            values = values[count:]
        return self.write(written)

    def subset(self, name: str = "all") -> tuple[str, ...]:
        """Architectures in index order: ``"all"`` 6,561, or ``"unique"``, the 3,969 that are their canonical form.

        Raises:
            UnknownNameError: no subset has this name.
        """
        self._require_subset(name)
        return _members(self, name)

    def _size(self, values: tuple[str, ...], num_classes: int, image_shape: ImageShape) -> Cost:
        return _cost(values, num_classes, image_shape)

    def _split(self, text: str) -> list[str]:
        return [*text[:7], text[7:]] if len(text) > 7 else list(text) or [""]


def _cost(values: Sequence[str], num_classes: int, image_shape: ImageShape) -> Cost:
    r"""Sizes of one network; an inverted residual from a to b channels with t a inner ones and kernel k has

    .. math::  P = t a^2 + k^2 t a + t a b + 4 t a + 2 b, \qquad
               M = p\, t a^2 + p' (k^2 t a + t a b)

    with p pixels before and p' behind it.
    """
    pixels = image_shape[1] * image_shape[2]
    params, macs, depth, width = (
        9 * image_shape[0] * STEM + 2 * STEM,
        9 * image_shape[0] * STEM * pixels,
        1,
        STEM + LAST,
    )
    for operation, inputs, outputs, stride in layers(values):
        before, pixels = pixels, pixels // stride**2
        if operation != "0":
            kernel, expansion = OPERATIONS[operation]
            inner = expansion * inputs
            filters = kernel**2 * inner + inner * outputs
            params += inputs * inner + filters + 4 * inner + 2 * outputs
            macs += before * inputs * inner + pixels * filters
            depth += 3
            width += 2 * inner + outputs
        elif stride > 1:
            params += inputs * outputs + 2 * outputs
            macs += pixels * inputs * outputs
            depth += 1
            width += outputs
    channels = STAGES[-1][1]
    params += channels * LAST + 2 * LAST + (LAST + 1) * num_classes
    macs += pixels * channels * LAST + LAST * num_classes
    return Cost(params, macs, depth + 1, depth + 1, width)


@cache
def _members(space: NASBenchMacro, subset: str) -> tuple[str, ...]:
    every = tuple(space[index] for index in range(len(space)))
    return every if subset == "all" else tuple(arch for arch in every if space.canonical(arch) == arch)
