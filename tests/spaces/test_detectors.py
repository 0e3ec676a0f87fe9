"""Detectors: published parameter counts, anchors, levels of the pyramid, and what is refused."""

import math

import pytest
import torch
from torch import nn

from zcbench import spaces
from zcbench.errors import UnknownNameError
from zcbench.spaces.dense import DetectionHead, FeaturePyramid, build_detector
from zcbench.spaces.dense.anchors import anchor_sides, anchors, level_sizes, locations
from zcbench.spaces.dense.detectors import Towers
from zcbench.spaces.listing import SpaceError

PAPER = (8, 16, 32, 64, 128)
#: Parameters of the normalisation of a ResNet-50, frozen in torchvision's detectors.
NORMALISATION = 53_120
#: Parameters of the 17 blocks that stage 3 of a ResNet-101 has beyond those of a ResNet-50.
BLOCKS_OF_101 = 17 * (1024 * 256 + 9 * 256 * 256 + 256 * 1024 + 2 * (256 + 256 + 1024))
#: Parameters of ResNets without their classifier.
BACKBONES = {"resnet18": 11_176_512, "resnet50": 23_508_032}


def params(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def head(name: str, beyond: str = "pyramid") -> DetectionHead:
    return DetectionHead(name, PAPER, 256, 4, 9 if name == "retinanet" else 1, beyond)


@pytest.mark.parametrize(
    ("arch", "name", "beyond", "classes", "count"),
    [
        ("resnet50", "retinanet", "pyramid", 91, 34_014_999 + NORMALISATION),
        ("resnet18", "retinanet", "pyramid", 91, 21_048_471),
        ("resnet18", "retinanet", "backbone", 80, 21_410_100),
        ("resnet50", "retinanet", "backbone", 80, 37_968_692),
        ("resnet50", "fcos", "pyramid", 91, 32_269_600 + NORMALISATION),
    ],
)
def test_published_counts(arch: str, name: str, beyond: str, classes: int, count: int) -> None:
    """Published counts of torchvision's RetinaNet and FCOS, and of those of the papers, without building a backbone."""
    inputs = (128, 256, 512) if arch == "resnet18" else (512, 1024, 2048)
    made = FeaturePyramid(inputs, 256, 2, beyond), Towers(head(name, beyond), classes)
    assert BACKBONES[arch] + sum(map(params, made)) == count
    if arch == "resnet50" and beyond == "backbone":
        assert count + BLOCKS_OF_101 == 56_960_820


def test_a_whole_network_of_the_paper() -> None:
    """Published: 34,068,119 weights with those of the normalisation; 9 anchors at each position of five levels."""
    network = build_detector(spaces.get("resnet_large"), "resnet18", head("retinanet"), 91, image_shape=(3, 64, 64))
    assert params(network) == 21_048_471 and network.read == ("stage2", "stage3", "stage4")
    with torch.no_grad():
        found = network.eval().maps(torch.zeros(1, 3, 64, 64))
    assert found.logits.shape == (1, 95, 9 * (64 + 16 + 4 + 1 + 1))
    assert [level.shape for level in found.stages] == [(1, 256, side, side) for side in (8, 4, 2, 1, 1)]


def test_anchors_of_the_paper() -> None:
    """Published: sides 32, 40, 50 to 512, 645, 812, areas kept over the ratios .5, 1 and 2, at the centre of a cell."""
    sides = [anchor_sides(level, 4, 3) for level in PAPER]
    assert sides == [[32, 40, 50], [64, 80, 101], [128, 161, 203], [256, 322, 406], [512, 645, 812]]
    found = anchors((16, 24), (8,), 4, 3, (0.5, 1.0, 2.0)).view(6, 3, 3, 4)
    width, height = found[..., 2] - found[..., 0], found[..., 3] - found[..., 1]
    assert torch.allclose(height / width, torch.tensor([0.5, 1.0, 2.0]).view(1, 3, 1).expand(6, 3, 3))
    assert torch.allclose((width * height)[:, 0].sqrt(), torch.tensor([32.0, 40, 50]).expand(6, 3))
    centres, strides = locations((16, 24), (8,))
    assert torch.allclose((found[..., :2] + found[..., 2:]) / 2, centres.view(6, 1, 1, 2).expand(6, 3, 3, 2))
    assert centres[4].tolist() == [12.0, 12.0] and strides.tolist() == [8.0] * 6  # second row, second column
    assert level_sizes((20, 36), (4, 8)) == [(5, 9), (3, 5)]


@pytest.mark.parametrize("name", ["retinanet", "fcos"])
@pytest.mark.parametrize(
    ("space", "arch", "stages"),
    [
        ("resnet", "resnet8", 1),
        ("mobilenetv2", "3-0.25", 3),
        ("shufflenet", "v1", 2),
        ("shufflenet", "v2-0.5", 2),
        ("wrn", "16-1", 1),
        ("vgg", "vgg8", 2),
        ("s0", "111", 1),
    ],
)
def test_levels_of_every_backbone(space: str, arch: str, stages: int, name: str) -> None:
    """By construction: stages with the strides of the first levels are read, the others made; a column an anchor."""
    own = DetectionHead(name, anchors=9 if name == "retinanet" else 1, width=8, depth=1)
    network = build_detector(spaces.get(space), arch, own, num_classes=5, image_shape=(3, 32, 48)).eval()
    found = network.maps(torch.randn(2, 3, 32, 48))
    assert [tuple(level.shape[1:]) for level in found.stages] == [(8, 8, 12), (8, 4, 6), (8, 2, 3)]
    assert found.features is found.stages[0] and len(network.read) == stages
    assert found.logits.shape == (2, 9, 9 * 126) if name == "retinanet" else (2, 10, 126)


def test_columns_are_in_the_order_of_the_anchors() -> None:
    """By construction: a tower whose last layer gives each anchor its number and reads the position."""
    own = DetectionHead("retinanet", levels=(4,), width=1, depth=1, anchors=2)
    towers = Towers(own, num_classes=3)
    nn.init.zeros_(towers.logits.weight)
    towers.logits.bias.data = torch.tensor([0.0, 1, 2, 10, 11, 12])  # anchor, then class
    found = towers(torch.zeros(1, 1, 2, 2))
    assert found[0, :3].tolist() == [[label + anchor for anchor in (0.0, 10.0)] * 4 for label in range(3)]
    towers.classes[0].weight.data.zero_()
    towers.classes[0].weight.data[0, 0, 1, 1] = 1.0
    towers.logits.weight.data[:, 0, 1, 1] = 1.0
    rows = towers(torch.tensor([[[[100.0, 200], [300, 400]]]]))[0, 0]
    assert rows.tolist() == [100.0, 110, 200, 210, 300, 310, 400, 410]


def test_weights() -> None:
    """By construction: equal arguments give equal bits; the backbone's are the classifier's; classes begin at .01."""
    space = spaces.get("resnet")
    one, again, other = (build_detector(space, "resnet8", None, 5, seed) for seed in (4, 4, 5))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in one.state_dict().items())
    assert not torch.equal(one.head.logits.weight, other.head.logits.weight)
    classifier = space.build("resnet8", 5, 4).state_dict()
    assert all(torch.equal(value, classifier[name]) for name, value in one.backbone.state_dict().items())
    for init in ("default", "kaiming"):
        network = build_detector(space, "resnet8", None, 5, init=init)
        assert network.head.logits.bias.data.unique().tolist() == pytest.approx([-math.log(99)])
    assert network.head.logits.weight.std() > 2 * one.head.logits.weight.std()


def test_further_levels() -> None:
    """Invariance: beyond the backbone, the pyramid's last level or the backbone's last map is what is read."""
    maps = [torch.randn(1, 3, 8, 8), torch.randn(1, 6, 4, 4)]
    pyramid, backbone = (FeaturePyramid((3, 6), 5, 2, beyond) for beyond in ("pyramid", "backbone"))
    levels = pyramid(maps)
    assert torch.equal(levels[2], pyramid.further[0](levels[1]))
    assert torch.equal(levels[3], pyramid.further[1](levels[2].relu()))
    assert torch.equal(backbone(maps)[2], backbone.further[0](maps[1]))
    inner = pyramid.lateral[0](maps[0]) + pyramid.lateral[1](maps[1]).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(levels[0], pyramid.output[0](inner), atol=1e-6)


def test_refusals() -> None:
    """By construction: strides that do not double or that no stage has, unknown names, images of an odd size."""
    resnet = spaces.get("resnet")
    for levels in ((4, 8, 32), (), (4.0, 8.0)):
        with pytest.raises(SpaceError, match="strides that double"):
            DetectionHead(levels=levels)
    with pytest.raises(UnknownNameError, match="fcos"):
        DetectionHead("fcs")
    with pytest.raises(UnknownNameError, match="pyramid"):
        DetectionHead(beyond="pyramids")
    with pytest.raises(SpaceError, match="depth=0"):
        DetectionHead(depth=0)
    with pytest.raises(SpaceError, match=r"stages at the strides \[1, 2, 4\]"):
        build_detector(resnet, "resnet8", DetectionHead(levels=(8, 16)))
    with pytest.raises(SpaceError, match="as a backbone"):
        build_detector(spaces.get("deit"), spaces.get("deit")[0])
