"""A backbone with a head: images in, logits for each pixel out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from zcbench.errors import unknown
from zcbench.hooks.modes import evaluating
from zcbench.spaces.base import ImageShape, Space
from zcbench.spaces.dense.backbones import backbone_of, is_stage
from zcbench.spaces.dense.heads import HEADS, RATES, fcn
from zcbench.spaces.initialisation import initialise
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.options import positive
from zcbench.streams import seeded


@dataclass(frozen=True)
class Head:
    """A head and how its backbone is cut.

    Attributes:
        name: ``fcn``, ``pspnet`` or ``deeplabv3``.
        stride: largest output stride of the backbone; strides beyond it become dilations.
        width: channels inside the head; a quarter of those that it reads, if None.
        rates: dilation of the 3x3 convolutions of ``deeplabv3``.
        auxiliary: whether an FCN head reads the last stage but one in training.

    Raises:
        UnknownNameError: no head has the name.
        SpaceError: a number is out of range.
    """

    name: str = "fcn"
    stride: int = 8
    width: int | None = None
    rates: Sequence[int] = RATES
    auxiliary: bool = False

    def __post_init__(self) -> None:
        if self.name not in HEADS:
            raise unknown("head", self.name, HEADS)
        positive("stride", self.stride)
        if self.width is not None:
            positive("width", self.width)
        rates = tuple(self.rates) if isinstance(self.rates, list | tuple) else ()
        if not rates:
            raise SpaceError(
                f"Given: rates={self.rates!r}. Expected: whole numbers of at least 1, such as (12, 24, 36)."
            )
        object.__setattr__(self, "rates", tuple(positive("rates", rate) for rate in rates))


class DenseMaps(NamedTuple):
    """Outputs of a network for a dense task.

    Attributes:
        logits: ``(B, N, H, W)`` at the size of the images.
        features: last map of the backbone, ``(B, C, H', W')``.
        stages: last map of each stage of the backbone.
        auxiliary: logits of the auxiliary head, in training mode.
    """

    logits: Tensor
    features: Tensor
    stages: tuple[Tensor, ...]
    auxiliary: tuple[Tensor, ...] = ()


class DenseNetwork(nn.Module):
    """A backbone and a head; the logits are brought to the size of the images (bilinear).

    Args:
        backbone: of `backbone_of`.
        head: maps to logits.
        auxiliary: a head on the last stage but one, used in training mode only.
    """

    def __init__(self, backbone: nn.Sequential, head: nn.Module, auxiliary: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone, self.head, self.auxiliary = backbone, head, auxiliary

    def maps(self, images: Tensor) -> DenseMaps:
        """Logits, features, stages, and in training mode the auxiliary logits."""
        stages, found = [], images
        for name, layer in self.backbone.named_children():
            found = layer(found)
            stages += [found] if is_stage(name) else []
        stages[-1] = found  # behind a final normalisation, where there is one
        size = images.shape[-2:]
        logits = [self.head(found)]
        if self.auxiliary is not None and self.training:
            logits.append(self.auxiliary(stages[-2]))
        own, *others = (interpolate(part, size=size, mode="bilinear", align_corners=False) for part in logits)
        return DenseMaps(own, found, tuple(stages), tuple(others))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, N, H, W)`` of images ``(B, 3, H, W)``."""
        return self.maps(images).logits


def assembled(network: nn.Module, head: Head, num_classes: int, image_shape: ImageShape, name: str) -> DenseNetwork:
    """The network of a classifier's stages and a head, whose weights are drawn from the global generator.

    Raises:
        SpaceError: as `backbone_of`.
    """
    backbone = backbone_of(network, head.stride, name)
    with torch.no_grad(), evaluating(backbone):
        found = DenseNetwork(backbone, nn.Identity()).maps(torch.zeros(1, *image_shape))
    channels = [stage.shape[1] for stage in found.stages]
    width = head.width or max(1, channels[-1] // 4)
    made = HEADS[head.name](channels[-1], width, num_classes, head.rates)
    beside = fcn(channels[-2], max(1, channels[-2] // 4), num_classes) if head.auxiliary else None
    return DenseNetwork(backbone, made, beside)


def build_dense(
    space: Space,
    arch: str,
    head: Head | None = None,
    num_classes: int = 21,
    seed: int = 0,
    image_shape: ImageShape = (3, 32, 32),
    init: str = "default",
) -> DenseNetwork:
    """Untrained network for semantic segmentation; equal arguments give equal weights, bit for bit.

    The backbone has the weights of the classifier that `Space.build` gives for the same architecture and seed.

    Args:
        space: of the backbone.
        arch: the backbone.
        head: an FCN head at output stride 8 if omitted.
        num_classes: N of the logits ``(B, N, H, W)``.
        seed: which draw of the weights.
        image_shape: ``(channels, height, width)``.
        init: initialisation scheme.

    Raises:
        ArchitectureError, SpaceError, UnknownNameError: as `Space.build`; or the space has no backbones.

    Example:
        >>> from zcbench import spaces
        >>> network = build_dense(spaces.get("resnet"), "resnet20", Head("pspnet"), num_classes=11)
        >>> network.eval()(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 11, 32, 32])
    """
    head = head or Head()
    network = space.build(arch, num_classes, seed, image_shape, init)
    with seeded("head", space.spec, space.canonical(arch), head, init, num_classes, seed):
        made = assembled(network, head, num_classes, image_shape, space.name)
        initialise(made.head, init)
        if made.auxiliary is not None:
            initialise(made.auxiliary, init)
    return made
