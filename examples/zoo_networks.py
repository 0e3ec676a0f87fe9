"""The networks of ``zoo.py``: how each is made, from packages that are not part of zcbench."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from zoo_settings import PYTORCHCV, TIMM, TRANSFORMERS, VIT_PYTORCH

CLASSES = 10
IMAGES = 8


class Entry(NamedTuple):
    """A network of a package: its name, the side of its images, and the function that makes it."""

    package: str
    name: str
    side: int
    make: Callable[[], nn.Module]


class Logits(nn.Module):
    """The logits alone, where a network returns more: ``pick`` takes them from its output."""

    def __init__(self, network: nn.Module, pick: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.network, self.pick = network, pick

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, N)``."""
        return self.pick(self.network(images))


def declare_torchvision() -> torch.library.Library:
    """Declare the operators that ``import torchvision`` expects; none of them is used here.

    torchvision's wheel on PyPI is compiled for a CUDA build of torch. Beside a CPU build its library of box operators
    does not load, and its import fails for want of their names.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"):
        for full in (name, f"_{name}_backward"):
            library.define(f"{full}(Tensor x) -> Tensor")
    return library


def attribute(path: str) -> Any:
    """Object at ``module:name``, imported now."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


def call(path: str, *args: Any, **options: Any) -> Callable[[], nn.Module]:
    """A function that calls the object at ``path``."""
    return lambda: attribute(path)(*args, **options)


def torchvision_networks() -> Iterator[Entry]:
    """Classifiers of torchvision."""
    models = "torchvision.models"
    plain: dict[str, tuple[int, dict[str, Any]]] = {
        "resnet18": (32, {}),
        "squeezenet1_1": (64, {}),
        "shufflenet_v2_x0_5": (64, {}),
        "mobilenet_v2": (32, {"width_mult": 0.5}),
        "mobilenet_v3_small": (64, {}),
        "mnasnet0_5": (64, {}),
        "efficientnet_b0": (32, {}),
        "regnet_y_400mf": (32, {}),
        "googlenet": (64, {"aux_logits": False, "init_weights": True}),
        "inception_v3": (80, {"aux_logits": False, "init_weights": True}),
    }
    for name, (side, options) in plain.items():
        yield Entry("torchvision", name, side, call(f"{models}:{name}", num_classes=CLASSES, **options))
    tiny: dict[str, tuple[int, str, dict[str, Any]]] = {
        "DenseNet": (32, "densenet", {"growth_rate": 8, "block_config": (2, 2, 2, 2), "num_init_features": 16}),
        "VisionTransformer": (
            *(32, "vision_transformer"),
            {"image_size": 32, "patch_size": 8, "num_layers": 3, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64},
        ),
        "SwinTransformer": (
            *(32, "swin_transformer"),
            {"patch_size": [2, 2], "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": [4, 4]},
        ),
        "MaxVit": (
            *(64, "maxvit"),
            {"input_size": (64, 64), "stem_channels": 8, "partition_size": 4, "block_channels": [8, 16]}
            | {"block_layers": [1, 1], "head_dim": 8, "stochastic_depth_prob": 0.0},
        ),
    }
    for name, (side, module, options) in tiny.items():
        yield Entry("torchvision", name, side, call(f"{models}.{module}:{name}", num_classes=CLASSES, **options))
    yield Entry("torchvision", "ConvNeXt", 32, _convnext)
    yield Entry("torchvision", "ResNeXt", 32, _resnext)


def _convnext() -> nn.Module:
    setting = attribute("torchvision.models.convnext:CNBlockConfig")
    blocks = [setting(16, 32, 2), setting(32, None, 2)]
    return attribute("torchvision.models:ConvNeXt")(blocks, stochastic_depth_prob=0.0, num_classes=CLASSES)


def _resnext() -> nn.Module:
    block = attribute("torchvision.models.resnet:Bottleneck")
    resnet = attribute("torchvision.models:ResNet")
    return resnet(block, [1, 1, 1, 1], num_classes=CLASSES, groups=8, width_per_group=4)


def timm_networks() -> Iterator[Entry]:
    """Classifiers of timm, some of them narrower and shallower than their name says."""
    for name, (side, options) in TIMM.items():
        yield Entry("timm", name, side, call("timm:create_model", name, num_classes=CLASSES, **options))
    mixer = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "num_blocks": 2}
    yield Entry("timm", "MlpMixer", 32, call("timm.models.mlp_mixer:MlpMixer", num_classes=CLASSES, **mixer))
    yield Entry("timm", "MlpMixer, ResMLP blocks", 32, lambda: _resmlp(mixer))
    convnext = {"depths": (1, 1, 2, 1), "dims": (16, 32, 48, 64)}
    yield Entry("timm", "ConvNeXt", 32, call("timm.models.convnext:ConvNeXt", num_classes=CLASSES, **convnext))
    convmixer = {"dim": 32, "depth": 3, "kernel_size": 5, "patch_size": 4}
    yield Entry("timm", "ConvMixer", 32, call("timm.models.convmixer:ConvMixer", num_classes=CLASSES, **convmixer))


def _resmlp(options: dict[str, Any]) -> nn.Module:
    home = "timm.models.mlp_mixer"
    block = attribute(f"{home}:ResBlock")
    return attribute(f"{home}:MlpMixer")(num_classes=CLASSES, block_layer=block, mlp_ratio=4, **options)


def pytorchcv_networks() -> Iterator[Entry]:
    """Classifiers of pytorchcv."""
    path = "pytorchcv.model_provider:get_model"
    for name, side in PYTORCHCV.items():
        yield Entry("pytorchcv", name, side, call(path, name, num_classes=CLASSES, in_size=(side, side)))


def transformers_networks() -> Iterator[Entry]:
    """Image classifiers of transformers with small configurations."""
    for name, (side, options) in TRANSFORMERS.items():
        yield Entry("transformers", name, side, lambda name=name, options=options: _transformer(name, options))


def _transformer(name: str, options: dict[str, Any]) -> nn.Module:
    settings = attribute(f"transformers:{name}Config")(num_labels=CLASSES, **options)
    network = attribute(f"transformers:{name}ForImageClassification")(settings)
    return Logits(network, lambda output: output.logits)


def vit_pytorch_networks() -> Iterator[Entry]:
    """Classifiers of vit-pytorch."""
    for name, (side, options) in VIT_PYTORCH.items():
        yield Entry("vit-pytorch", name, side, call(f"vit_pytorch.{name}", num_classes=CLASSES, **options))


def monai_networks() -> Iterator[Entry]:
    """Classifiers of monai."""
    nets, plain = "monai.networks.nets", {"spatial_dims": 2, "in_channels": 3}
    small = {"init_features": 16, "growth_rate": 8, "block_config": (2, 2, 2)}
    squeeze = {"layers": (1, 1, 1, 1), "pretrained": False}
    tokens = {
        "img_size": (32, 32),
        "patch_size": (8, 8),
        "hidden_size": 32,
        "mlp_dim": 64,
        "num_layers": 2,
        "num_heads": 2,
    }
    yield Entry("monai", "DenseNet121", 32, call(f"{nets}:DenseNet121", out_channels=CLASSES, **small, **plain))
    yield Entry("monai", "SEResNet50", 32, call(f"{nets}:SEResNet50", num_classes=CLASSES, **squeeze, **plain))
    yield Entry("monai", "SEResNext50", 32, call(f"{nets}:SEResNext50", num_classes=CLASSES, **squeeze, **plain))
    efficient = call(f"{nets}:EfficientNetBN", "efficientnet-b0", pretrained=False, num_classes=CLASSES, **plain)
    yield Entry("monai", "EfficientNetBN", 32, efficient)
    resnet = call(f"{nets}:resnet10", spatial_dims=2, n_input_channels=3, num_classes=CLASSES)
    yield Entry("monai", "resnet10", 32, resnet)
    settings = {"channels": (8, 16, 32), "strides": (2, 2, 2), "classes": CLASSES, "in_shape": (3, 32, 32)}
    yield Entry("monai", "Classifier", 32, call(f"{nets}:Classifier", **settings))
    vit = call(f"{nets}:ViT", classification=True, num_classes=CLASSES, post_activation="", **tokens, **plain)
    yield Entry("monai", "ViT", 32, lambda: Logits(vit(), lambda output: output[0]))


def ofa_networks() -> Iterator[Entry]:
    """Super-networks of once-for-all with their smallest sub-network chosen, and that sub-network by itself."""
    home = "ofa.imagenet_classification.elastic_nn.networks"
    kernels = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "OFAMobileNetV3": ({"width_mult": 0.5, **kernels}, {"ks": 3, "e": 3, "d": 2}),
        "OFAProxylessNASNets": ({"width_mult": 0.5, **kernels}, {"ks": 5, "e": 3, "d": 2}),
        "OFAResNets": ({"depth_list": [0, 1], "expand_ratio_list": [0.2, 0.25]}, {"d": 0, "e": 0.2, "w": 0}),
    }
    for name, (options, chosen) in kinds.items():
        path = f"{home}:{name}"
        for kind in ("slice", "alone"):
            yield Entry("ofa", f"{name}, {kind}", 64, lambda p=path, o=options, c=chosen, k=kind: _ofa(p, o, c, k))


def _ofa(path: str, options: dict[str, Any], chosen: dict[str, Any], kind: str) -> nn.Module:
    network = attribute(path)(n_classes=CLASSES, dropout_rate=0, **options)
    network.set_active_subnet(**chosen)
    return network.get_active_subnet(preserve_weight=True) if kind == "alone" else network


def other_networks() -> Iterator[Entry]:
    """Classifiers of packages that have one each."""
    for swish in (True, False):
        kind = "memory-efficient swish" if swish else "swish"
        yield Entry("efficientnet_pytorch", f"b0, {kind}", 32, lambda swish=swish: _efficientnet(swish))
    yield Entry("x-transformers", "ViTransformerWrapper", 32, lambda: _x_transformer())
    yield Entry(
        "x-transformers",
        "ViTransformerWrapper, rotary",
        32,
        lambda: _x_transformer(rotary_pos_emb=True, attn_qk_norm=True),
    )


def _efficientnet(memory_efficient: bool) -> nn.Module:
    network = attribute("efficientnet_pytorch:EfficientNet").from_name("efficientnet-b0", num_classes=CLASSES)
    network.set_swish(memory_efficient)
    return network


def _x_transformer(**options: Any) -> nn.Module:
    encoder = attribute("x_transformers:Encoder")(dim=32, depth=2, heads=2, attn_dim_head=16, **options)
    wrapper = attribute("x_transformers:ViTransformerWrapper")
    return wrapper(image_size=32, patch_size=8, num_classes=CLASSES, attn_layers=encoder)


def entries() -> list[Entry]:
    """All networks, package by package."""
    kinds = (
        *(torchvision_networks, timm_networks, pytorchcv_networks, transformers_networks),
        *(vit_pytorch_networks, monai_networks, ofa_networks, other_networks),
    )
    return [entry for kind in kinds for entry in kind()]
