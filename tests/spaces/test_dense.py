"""Networks for segmentation: published parameter counts, dilation in place of strides, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from zcbench import spaces
from zcbench.errors import UnknownNameError
from zcbench.spaces.dense import HEADS, Head, backbone_of, build_dense
from zcbench.spaces.listing import SpaceError

LARGE = spaces.get("resnet_large")
#: Parameters of the 17 blocks that stage 3 of a ResNet-101 has beyond those of a ResNet-50.
BLOCKS_OF_101 = 17 * (1024 * 256 + 9 * 256 * 256 + 256 * 1024 + 2 * (256 + 256 + 1024))
#: Parameters of the ResNet-18 of the distillation literature, with three 3x3 convolutions as its stem.
DEEP_STEM_18 = 11_324_992


def params(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("arch", "head", "count", "count_101"),
    [
        ("resnet50", Head("fcn", auxiliary=True), 35_322_218, 54_314_346),
        ("resnet50", Head("deeplabv3", width=256, auxiliary=True), 42_004_074, 60_996_202),
        ("resnet18", Head("fcn"), 11_769_301, None),
        ("resnet18", Head("pspnet"), 12_622_293, None),
        ("resnet18", Head("deeplabv3", width=256), 15_904_085, None),
    ],
)
def test_counts_of_torchvision(arch: str, head: Head, count: int, count_101: int | None) -> None:
    """Published counts of torchvision's networks for 21 classes; by formula for heads on a plain ResNet-18."""
    network = build_dense(LARGE, arch, head, num_classes=21, image_shape=(3, 64, 64))
    assert params(network) == count
    assert count_101 is None or count + BLOCKS_OF_101 == count_101


@pytest.mark.parametrize(
    ("head", "width", "count"),
    [("deeplabv3", 128, 13_459_155), ("pspnet", 128, 12_770_515), ("deeplabv3", 512, 22_614_099)],
)
def test_counts_of_the_distillation_literature(head: str, width: int, count: int) -> None:
    """Published counts of networks on a ResNet-18 with a deep stem, 19 classes (winycg/CIRKD, 2022 and 2025)."""
    made = HEADS[head](512, width, 19, (12, 24, 36))
    assert DEEP_STEM_18 + params(made) == count


def test_dilation_of_torchvision() -> None:
    """Published: stages 3 and 4 without stride, dilation 2 and 4, their first convolution at that of before."""
    backbone = backbone_of(LARGE.build("resnet50", image_shape=(3, 64, 64)), 8)
    dilations = {
        stage: [layer.dilation[0] for layer in getattr(backbone, stage).modules() if _is_spatial(layer)]
        for stage in ("stage1", "stage2", "stage3", "stage4")
    }
    assert dilations == {"stage1": [1] * 3, "stage2": [1] * 4, "stage3": [1, *[2] * 5], "stage4": [2, 4, 4]}
    late = (*backbone.stage3.modules(), *backbone.stage4.modules())
    assert {layer.stride for layer in late if isinstance(layer, nn.Conv2d)} == {(1, 1)}


def _is_spatial(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)


@pytest.mark.parametrize(
    ("space", "arch", "whole"),
    [("resnet", "resnet8", 4), ("mobilenetv2", "3-0.25", 16), ("shufflenet", "v1", 8), ("shufflenet", "v2-0.5", 8)],
)
@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
def test_output_stride(space: str, arch: str, whole: int, stride: int) -> None:
    """By construction: the last map is 1/stride of the image, at least that of the classifier; logits have its size."""
    network = build_dense(spaces.get(space), arch, Head(stride=stride), num_classes=5, image_shape=(3, 32, 48)).eval()
    found = network.maps(torch.randn(2, 3, 32, 48))
    reached = min(stride, whole)
    assert found.features.shape[2:] == (32 // reached, 48 // reached)
    assert found.logits.shape == (2, 5, 32, 48) and found.stages[-1] is found.features


@pytest.mark.parametrize(
    ("name", "arch"), [("resnet", "resnet14"), ("mobilenetv2", "6-0.5"), ("shufflenet", "v2-1"), ("wrn", "16-1")]
)
def test_dilation_keeps_the_maps_of_the_classifier(name: str, arch: str) -> None:
    """Invariance: a dilated backbone at every stride-th position has the maps of the backbone with strides."""
    space, images = spaces.get(name), torch.randn(2, 3, 32, 32)
    strided, dilated = (build_dense(space, arch, Head(stride=stride), seed=3).eval() for stride in (32, 1))
    with torch.no_grad():
        one, other = strided.maps(images).features, dilated.maps(images).features
    factor = 32 // one.shape[-1]
    other = other[:, :, ::factor, ::factor]
    torch.testing.assert_close(one, other)


def test_a_backbone_has_the_weights_of_the_classifier() -> None:
    """By construction: equal arguments give equal bits, and the backbone those of `Space.build`."""
    space = spaces.get("resnet")
    network, classifier = build_dense(space, "resnet8", num_classes=11, seed=4), space.build("resnet8", 11, 4)
    again, other = (build_dense(space, "resnet8", num_classes=11, seed=seed) for seed in (4, 5))
    own = network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in again.state_dict().items())
    assert not torch.equal(own["head.2.weight"], other.state_dict()["head.2.weight"])
    shared = {f"backbone.{name}": value for name, value in classifier.state_dict().items()}
    assert all(torch.equal(value, shared[name]) for name, value in own.items() if name in shared)
    assert sum(name in shared for name in own) == len(network.backbone.state_dict())


def test_the_auxiliary_head_works_in_training_alone() -> None:
    """By construction: its logits have the shape of the others, and are not there in evaluation mode."""
    network = build_dense(spaces.get("resnet"), "resnet8", Head("pspnet", auxiliary=True), num_classes=4)
    images = torch.randn(2, 3, 32, 32)
    assert [head.shape for head in network.maps(images).auxiliary] == [(2, 4, 32, 32)]
    assert network.eval().maps(images).auxiliary == ()


def test_refusals() -> None:
    """By construction: a space without stages, an unknown head, numbers out of range."""
    with pytest.raises(SpaceError, match="Given: a network of autoformer as a backbone"):
        build_dense(spaces.get("autoformer"), spaces.get("autoformer")[5])
    with pytest.raises(UnknownNameError, match="fcn"):
        Head("fnc")
    with pytest.raises(SpaceError, match="stride=0"):
        Head(stride=0)
    with pytest.raises(SpaceError, match="rates"):
        Head("deeplabv3", rates=())


def test_a_space_of_dense_networks() -> None:
    """By construction: strings, order and draws of the backbones; weights of `build_dense`; sizes of the built."""
    space, own = spaces.get("dense(backbone='s0',head='pspnet',stride=4)"), spaces.get("s0")
    assert spaces.get(space.spec) == space and space.spec == "dense(backbone='s0',head='pspnet',stride=4)"
    assert list(space) == list(own) and len(space) == 64 and space.index("313") == own.index("313")
    rng = (np.random.default_rng(2) for _ in range(2))
    assert space.sample(next(rng), 5) == own.sample(next(rng), 5)
    assert sorted(space.neighbours("111")) == sorted(own.neighbours("111"))
    built = space.build("131", 5, 3, (3, 16, 16))
    same = build_dense(own, "131", Head("pspnet", stride=4), 5, 3, (3, 16, 16))
    assert all(torch.equal(a, b) for a, b in zip(built.parameters(), same.parameters(), strict=True))
    assert {layer.p for layer in built.modules() if isinstance(layer, nn.Dropout)} == {0.0}
    assert space.params("131", 5, (3, 16, 16)) == params(same)
    assert space.like(spaces.get("resnet")).spec == "dense(backbone='resnet',head='pspnet',stride=4)"


def test_multiply_accumulates_of_a_dense_network() -> None:
    """By hand: those of the backbone without its classifier, and of the two convolutions of an FCN head."""
    space, own = spaces.get("dense(backbone='s0')"), spaces.get("s0")
    backbone = own.macs("111", 10, (3, 16, 16)) - 64 * 10
    head = 4 * 4 * (9 * 64 * 16 + 16 * 7)
    assert space.macs("111", 7, (3, 16, 16)) == backbone + head


@pytest.mark.parametrize(
    "text", ["dense(backbone='dense')", "dense(backbone='s0',stride=0)", "dense(backbone='s0',head='u')"]
)
def test_spaces_that_are_none(text: str) -> None:
    """By definition: no backbones of dense networks, and the options of a head."""
    with pytest.raises((SpaceError, UnknownNameError)):
        spaces.get(text)
