"""One-stage detectors: a backbone, a feature pyramid, and towers shared by all levels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from zcbench.errors import unknown
from zcbench.hooks.modes import evaluating
from zcbench.spaces.base import ImageShape, Space
from zcbench.spaces.dense.backbones import backbone_of, is_stage, strides_of
from zcbench.spaces.dense.network import DenseMaps, DenseNetwork
from zcbench.spaces.dense.pyramid import BACKBONE, PYRAMID, FeaturePyramid
from zcbench.spaces.initialisation import initialise
from zcbench.spaces.listing import SpaceError
from zcbench.spaces.options import positive
from zcbench.streams import seeded

#: Outputs of an anchor beside its class logits: four offsets, and for ``fcos`` the centre-ness.
EXTRA = {"fcos": 5, "retinanet": 4}
_PRIOR = 0.01  # probability of each class before training


@dataclass(frozen=True)
class DetectionHead:
    """A feature pyramid and the towers on it.

    Attributes:
        name: ``fcos`` (one location at each position) or ``retinanet`` (anchors).
        levels: strides of the pyramid's levels, each twice the one before. Those that the backbone does not have are
            made by convolutions of stride 2.
        width: channels of the levels and towers; 256 in the papers.
        depth: convolutions of a tower; 4 in the papers.
        anchors: at each position; 1 for ``fcos``, 9 in the paper of ``retinanet``.
        beyond: what the first level beyond the backbone is made of: ``pyramid``, its last level, or ``backbone``, the
            last map of the backbone.

    Raises:
        UnknownNameError: no head, or nothing to be beyond, has the name.
        SpaceError: a number is out of range.
    """

    name: str = "fcos"
    levels: Sequence[int] = (4, 8, 16)
    width: int = 32
    depth: int = 2
    anchors: int = 1
    beyond: str = PYRAMID

    def __post_init__(self) -> None:
        if self.name not in EXTRA:
            raise unknown("head of detection", self.name, EXTRA)
        if self.beyond not in (PYRAMID, BACKBONE):
            raise unknown("place beyond which levels are made", self.beyond, (PYRAMID, BACKBONE))
        levels = tuple(self.levels) if isinstance(self.levels, list | tuple) else ()
        doubled = bool(levels) and all(isinstance(level, int) for level in levels)
        if not doubled or levels[0] < 1 or any(high != 2 * low for low, high in pairwise(levels)):
            raise SpaceError(f"Given: levels={self.levels!r}. Expected: strides that double, such as (4, 8, 16).")
        object.__setattr__(self, "levels", levels)
        for name in ("width", "depth", "anchors"):
            positive(name, getattr(self, name))


class Towers(nn.Module):
    """Two towers of 3x3 convolutions, one for classes and one for boxes, applied to each level.

    Those of ``fcos`` have group normalisation (Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection",
    ICCV 2019, arXiv:1904.01355, with the centre-ness on the tower of the boxes); those of ``retinanet`` (Lin et al.,
    arXiv:1708.02002) have none. The weights of the last layers are normal with standard deviation .01, and the biases
    of the class logits begin at -log(99), a probability of .01. The weights of the others are normal with variance
    2 / fan-in (arXiv:1502.01852): the .01 of the papers is for 256 channels, and narrower towers would vanish.
    """

    def __init__(self, head: DetectionHead, num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.extra = num_classes, EXTRA[head.name]
        self.classes, self.boxes = (self._tower(head) for _ in range(2))
        self.logits = nn.Conv2d(head.width, head.anchors * num_classes, 3, padding=1)
        self.offsets = nn.Conv2d(head.width, head.anchors * self.extra, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                last = layer in (self.logits, self.offsets)
                nn.init.normal_(layer.weight, std=0.01 if last else (2 / (9 * head.width)) ** 0.5)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.begin()

    def begin(self) -> None:
        """Set the biases of the class logits to those of rare classes."""
        nn.init.constant_(self.logits.bias, -math.log((1 - _PRIOR) / _PRIOR))  # type: ignore[arg-type]

    def forward(self, level: Tensor) -> Tensor:
        """Class logits, then offsets, ``(B, N + 4 or 5, H·W·anchors)``, of a level ``(B, width, H, W)``."""
        parts = (self.logits(self.classes(level)), self.num_classes), (self.offsets(self.boxes(level)), self.extra)
        return torch.cat([_by_anchor(found, columns) for found, columns in parts], 1)

    def _tower(self, head: DetectionHead) -> nn.Sequential:
        tower = nn.Sequential()
        for _ in range(head.depth):
            tower.append(nn.Conv2d(head.width, head.width, 3, padding=1))
            if head.name == "fcos":
                tower.append(nn.GroupNorm(math.gcd(32, head.width), head.width))
            tower.append(nn.ReLU())
        return tower


def _by_anchor(found: Tensor, columns: int) -> Tensor:
    """``(B, anchors·columns, H, W)`` as ``(B, columns, H·W·anchors)``: rows, columns, then anchors of a position."""
    return found.unflatten(1, (-1, columns)).permute(0, 2, 3, 4, 1).flatten(2)


class Detector(DenseNetwork):
    """A backbone, a pyramid and towers; one column of outputs for each anchor.

    Args:
        backbone: of `backbone_of`.
        stages: names of its stages that the pyramid reads, fine to coarse.
        pyramid: maps to levels.
        towers: a level to its outputs.
    """

    def __init__(self, backbone: nn.Sequential, stages: Sequence[str], pyramid: FeaturePyramid, towers: Towers) -> None:
        super().__init__(backbone, towers)
        self.pyramid, self.read = pyramid, tuple(stages)

    def maps(self, images: Tensor) -> DenseMaps:
        """Outputs ``(B, N + 4 or 5, A)``, the finest level as ``features``, and all levels as ``stages``."""
        levels = self.pyramid(_stage_maps(self.backbone, images, self.read))
        outputs = torch.cat([self.head(level) for level in levels], 2)
        return DenseMaps(outputs, levels[0], tuple(levels))


def _stage_maps(backbone: nn.Sequential, images: Tensor, names: Sequence[str]) -> list[Tensor]:
    """Maps of stages, the last one behind a final normalisation, where there is one."""
    found, maps, last = images, dict[str, Tensor](), ""
    for name, layer in backbone.named_children():
        found = layer(found)
        if is_stage(name):
            maps[name], last = found, name
    maps[last] = found
    return [maps[name] for name in names]


def build_detector(
    space: Space,
    arch: str,
    head: DetectionHead | None = None,
    num_classes: int = 80,
    seed: int = 0,
    image_shape: ImageShape = (3, 32, 32),
    init: str = "default",
) -> Detector:
    """Untrained detector; equal arguments give equal weights, bit for bit.

    The backbone has the weights of the classifier that `Space.build` gives for the same architecture and seed. Where
    ``init`` is not ``default``, it also draws the weights of pyramid and towers; the class biases begin at -log(99).

    Args:
        space: of the backbone.
        arch: the backbone.
        head: an FCOS for small images if omitted.
        num_classes: N of the outputs ``(B, N + 4 or 5, A)``, one column for each anchor.
        seed: which draw of the weights.
        image_shape: ``(channels, height, width)``.
        init: initialisation scheme.

    Raises:
        ArchitectureError, SpaceError, UnknownNameError: as `Space.build`; or the backbone has no stage at the stride of
            the first level.

    Example:
        >>> from zcbench import spaces
        >>> network = build_detector(spaces.get("resnet"), "resnet20", DetectionHead(), num_classes=10)
        >>> network.eval()(torch.zeros(1, 3, 32, 32)).shape  # 8·8 + 4·4 + 2·2 locations
        torch.Size([1, 15, 84])
    """
    head = head or DetectionHead()
    network = space.build(arch, num_classes, seed, image_shape, init)
    backbone = backbone_of(network, max(head.levels), space.name)
    names = _names(backbone, head, space.name)
    with torch.no_grad(), evaluating(backbone):
        maps = _stage_maps(backbone, torch.zeros(1, *image_shape), names)
    with seeded("detector", space.spec, space.canonical(arch), head, init, num_classes, seed):
        channels = [found.shape[1] for found in maps]
        pyramid = FeaturePyramid(channels, head.width, len(head.levels) - len(names), head.beyond)
        towers = Towers(head, num_classes)
        made = Detector(backbone, names, pyramid, towers)
        initialise(pyramid, init)
        if init != "default":
            initialise(towers, init)
            towers.begin()
    return made


def _names(backbone: nn.Sequential, head: DetectionHead, space: str) -> list[str]:
    """The stages that the pyramid reads: the last one of each stride."""
    strides = strides_of(backbone)
    by_stride = {stride: name for name, stride in strides.items()}
    names = [by_stride[level] for level in head.levels if level in by_stride]
    if head.levels[0] not in by_stride or not names:
        raise SpaceError(
            f"Given: levels={tuple(head.levels)} and a backbone of {space} with stages at the strides "
            f"{sorted(by_stride)}. Expected: a first level at one of these."
        )
    return names
