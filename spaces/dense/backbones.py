"""Networks of a space as backbones: without their classifier, and with dilation in place of strides."""

import re
from collections.abc import Iterator

from torch import nn

from zcbench.spaces.listing import SpaceError

_END = ("pool", "flatten", "classifier")
_STAGE = re.compile(r"stage\d+")


def backbone_of(network: nn.Module, stride: int, name: str = "network") -> nn.Sequential:
    """The layers of a classifier up to its last stage, at an output stride of at most ``stride``.

    Where a block would shrink the image beyond ``stride``, its stride is 1, and the spatial convolutions behind are
    dilated by the stride that was taken away (Chen et al., arXiv:1706.05587, section 3.1), so that the maps at every
    stride-th position are those of the classifier. A convolution ``last`` that widens the maps for the classifier is
    left out.

    Args:
        network: as the spaces ``resnet``, ``resnet_large``, ``s0``, ``mobilenetv2``, ``shufflenet``, ``wrn`` and
            ``vgg`` build it; it is changed.
        stride: largest number of pixels to a position of the last map.
        name: of the space, for the message.

    Raises:
        SpaceError: the network has no stages with names.
    """
    parts = dict(network.named_children()) if isinstance(network, nn.Sequential) else {}
    if tuple(parts)[-3:] != _END or not any(_STAGE.fullmatch(part) for part in parts):
        raise SpaceError(
            f"Given: a network of {name} as a backbone. Expected: one with stages that a head can read. Take one of "
            f"resnet, resnet_large, s0, mobilenetv2, shufflenet, wrn or vgg."
        )
    kept = {part: layer for part, layer in parts.items() if part not in _END}
    if "last" in kept and any(isinstance(module, nn.Conv2d) for module in kept["last"].modules()):
        del kept["last"]
    backbone = nn.Sequential()
    for part, layer in kept.items():
        backbone.add_module(part, layer)
    _dilate(backbone, stride)
    return backbone


def is_stage(name: str) -> bool:
    """Whether a layer of a backbone is a stage."""
    return bool(_STAGE.fullmatch(name))


def strides_of(backbone: nn.Sequential) -> dict[str, int]:
    """Output stride of each stage of a backbone, by its name."""
    found, reached = {}, 1
    for name, layer in backbone.named_children():
        for block in layer if isinstance(layer, nn.Sequential) else (layer,):
            reached *= max([1, *(_stride(part) for part in block.modules())])
        if is_stage(name):
            found[name] = reached
    return found


def _dilate(backbone: nn.Sequential, stride: int) -> None:
    reached = dilation = 1
    for block in _blocks(backbone):
        own = max([1, *(_stride(layer) for layer in block.modules())])
        shrinks = reached * own <= stride
        before = dilation
        reached, dilation = (reached * own, dilation) if shrinks else (reached, dilation * own)
        behind = False  # the convolution with the stride
        for layer in block.modules():
            strided = _stride(layer) > 1
            _change(layer, dilation if behind and not strided else before, shrinks=shrinks)
            behind = behind or strided


def _blocks(backbone: nn.Sequential) -> Iterator[nn.Module]:
    for layer in backbone:
        yield from layer if isinstance(layer, nn.Sequential) else (layer,)


def _stride(layer: nn.Module) -> int:
    if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return 1
    return layer.stride[0] if isinstance(layer.stride, tuple) else layer.stride


def _change(layer: nn.Module, dilation: int, *, shrinks: bool) -> None:
    if isinstance(layer, nn.Conv2d):
        layer.stride = layer.stride if shrinks else (1, 1)
        if layer.kernel_size != (1, 1) and dilation > 1:
            layer.dilation = (dilation, dilation)
            layer.padding = tuple(dilation * (side // 2) for side in layer.kernel_size)
    elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and not shrinks:
        layer.kernel_size = 1 if layer.kernel_size == layer.stride else layer.kernel_size
        layer.stride = 1
