"""The networks of ``zoo.py`` from packages that hold many: the side of the images, and what makes them small."""

from typing import Any

_HYBRID = {"img_size": 64, "embed_dim": (32, 32, 64, 64), "depths": (1, 1, 1, 1), "stem_width": 16}

#: Networks of timm: side of the images and options of ``timm.create_model``.
TIMM: dict[str, tuple[int, dict[str, Any]]] = {
    "vit_tiny_patch16_224": (32, {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}),
    "deit_tiny_distilled_patch16_224": (
        32,
        {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3},
    ),
    "swin_tiny_patch4_window7_224": (
        32,
        {"img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4)},
    ),
    "cait_xxs24_224": (32, {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 2}),
    "beit_base_patch16_224": (32, {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}),
    "xcit_nano_12_p16_224": (32, {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}),
    "gmlp_ti16_224": (32, {"img_size": 32}),
    "sequencer2d_s": (
        32,
        {
            **{"img_size": 32, "layers": (1, 1, 1, 1), "patch_sizes": (4, 2, 1, 1)},
            **{"embed_dims": (16, 32, 32, 32), "hidden_sizes": (8, 8, 8, 8)},
        },
    ),
    "coatnet_pico_rw_224": (64, _HYBRID),
    "maxvit_rmlp_pico_rw_256": (64, _HYBRID),
    "ghostnet_050": (64, {}),
    "repvgg_a0": (32, {}),
    "regnetx_002": (32, {}),
    "hrnet_w18_small": (32, {}),
    "dpn48b": (32, {}),
    "dla46_c": (32, {}),
    "res2net50_14w_8s": (32, {"layers": (1, 1, 1, 1)}),
    "skresnet18": (32, {}),
    "resnetv2_50": (32, {"layers": (1, 1, 1, 1)}),
    "nf_regnet_b0": (32, {}),
    "botnet26t_256": (64, {"img_size": 64}),
    "mobilevit_xxs": (64, {}),
    "edgenext_xx_small": (64, {}),
    "fastvit_t8": (64, {}),
    "mobilenetv4_conv_small": (64, {}),
    "rexnet_100": (32, {}),
    "tnt_s_legacy_patch16_224": (32, {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2}),
    "twins_svt_small": (32, {"img_size": 32, "embed_dims": (16, 32, 32, 64), "depths": (1, 1, 1, 1)}),
    "crossvit_tiny_240": (48, {"img_size": 48, "img_scale": (1.0, 1.0), "patch_size": (12, 16)}),
    "hiera_tiny_224": (64, {"img_size": (64, 64), "embed_dim": 16, "stages": (1, 1, 1, 1)}),
    "visformer_tiny": (64, {"img_size": 64}),
    "inception_next_atto": (32, {}),
    "ese_vovnet19b_slim": (32, {}),
}

#: Networks of pytorchcv, and the side of their images; those of 224 end in a pooling of 7x7.
PYTORCHCV = {
    **{"resnet20_cifar10": 32, "preresnet20_cifar10": 32, "seresnet20_cifar10": 32, "nin_cifar10": 32},
    **{"shakeshakeresnet20_2x16d_cifar10": 32, "msdnet22_cifar10": 32, "xdensenet40_2_k24_bc_cifar10": 32},
    **{"dicenet_wd5": 64, "resneta10": 64, "isqrtcovresnet18": 64},
    **{"shufflenet_g1_wd4": 224, "menet108_8x1_g3": 224, "fdmobilenet_wd4": 224},
}

_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_STAGES = {"hidden_sizes": [16, 32, 48, 64], "num_attention_heads": [1, 2, 3, 4], "depths": [1, 1, 1, 1]}
_PYRAMID = {"image_size": 64, **_STAGES}
_TOKENS = {"image_size": 32, "patch_size": 8, **_TINY}

#: Image classifiers of transformers: side of the images and options of their configuration.
TRANSFORMERS: dict[str, tuple[int, dict[str, Any]]] = {
    "ViT": (32, _TOKENS),
    "DeiT": (32, _TOKENS),
    "ViTMSN": (32, _TOKENS),
    "Beit": (32, {**_TOKENS, "use_relative_position_bias": True}),
    "Data2VecVision": (32, _TOKENS),
    "Dinov2": (32, {**_TOKENS, "mlp_ratio": 2}),
    "Dinov2WithRegisters": (32, {**_TOKENS, "mlp_ratio": 2}),
    "ConvNext": (32, {"hidden_sizes": [16, 32], "depths": [2, 2], "num_stages": 2}),
    "ConvNextV2": (32, {"hidden_sizes": [16, 32], "depths": [2, 2], "num_stages": 2}),
    "ResNet": (32, {"embedding_size": 16, "hidden_sizes": [16, 32, 64], "depths": [1, 1, 1], "layer_type": "basic"}),
    "RegNet": (32, {"embedding_size": 16, "hidden_sizes": [16, 32, 64], "depths": [1, 1, 1], "groups_width": 16}),
    "Bit": (32, {"embedding_size": 16, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 8}),
    "Swin": (
        32,
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4},
    ),
    "Swinv2": (
        32,
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4},
    ),
    "FocalNet": (32, {"image_size": 32, "patch_size": 2, "embed_dim": 16, "hidden_sizes": [16, 32], "depths": [1, 1]}),
    "PoolFormer": (32, {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}),
    "Levit": (
        64,
        {"image_size": 64, "hidden_sizes": [32, 48, 64], "num_attention_heads": [2, 3, 4], "depths": [1, 1, 1]}
        | {"key_dim": [8, 8, 8]},
    ),
    "MobileViT": (
        64,
        {"image_size": 64, "hidden_sizes": [32, 48, 64], "neck_hidden_sizes": [8, 16, 24, 32, 48, 64, 128]},
    ),
    "MobileViTV2": (64, {"image_size": 64, "width_multiplier": 0.5}),
    "MobileNetV1": (64, {"depth_multiplier": 0.25, "classifier_dropout_prob": 0.0}),
    "MobileNetV2": (64, {"depth_multiplier": 0.35, "classifier_dropout_prob": 0.0}),
    "EfficientNet": (64, {"image_size": 64, "width_coefficient": 0.5, "depth_coefficient": 0.5, "hidden_dim": 640}),
    "Cvt": (32, {"embed_dim": [16, 32, 48], "num_heads": [1, 2, 3], "depth": [1, 2, 3], "drop_path_rate": [0.0] * 3}),
    "Pvt": (64, _PYRAMID),
    "PvtV2": (64, _PYRAMID),
    "SwiftFormer": (64, {"image_size": 64, "embed_dims": [16, 32, 48, 64], "depths": [1, 1, 1, 1]}),
    "Segformer": (64, _STAGES),
    "Hiera": (
        64,
        {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 2], "num_heads": [1, 2, 4], "num_query_pool": 2}
        | {"masked_unit_size": [4, 4], "masked_unit_attention": [True, True, False]},
    ),
}

_VIT = {"image_size": 32, "patch_size": 8, "dim": 32, "depth": 2, "heads": 2, "mlp_dim": 64, "dim_head": 16}

#: Networks of vit-pytorch: module and class, side of the images, options.
VIT_PYTORCH: dict[str, tuple[int, dict[str, Any]]] = {
    "vit:ViT": (32, _VIT),
    "simple_vit:SimpleViT": (32, _VIT),
    "deepvit:DeepViT": (32, _VIT),
    "cait:CaiT": (32, {**_VIT, "cls_depth": 1}),
    "xcit:XCiT": (32, {**_VIT, "cls_depth": 1}),
    "rvt:RvT": (32, _VIT),
    "parallel_vit:ViT": (32, _VIT),
    "vit_for_small_dataset:ViT": (32, _VIT),
    "vit_with_patch_merger:ViT": (32, {**_VIT, "patch_merge_num_tokens": 4}),
    "simple_vit_with_register_tokens:SimpleViT": (32, _VIT),
    "pit:PiT": (32, {**_VIT, "depth": (1, 1)}),
    "cct:CCT": (
        *(32,),
        {"img_size": 32, "embedding_dim": 32, "num_layers": 2, "num_heads": 2, "mlp_ratio": 2.0}
        | {"attention_dropout": 0.0, "stochastic_depth_rate": 0.0},
    ),
    "t2t:T2TViT": (
        32,
        {"image_size": 32, "dim": 32, "depth": 2, "heads": 2, "mlp_dim": 64, "t2t_layers": ((3, 2), (3, 2))},
    ),
    "levit:LeViT": (64, {"image_size": 64, "dim": (16, 32, 48), "depth": 1, "heads": (1, 2, 3), "mlp_mult": 2}),
    "mobile_vit:MobileViT": (
        64,
        {"image_size": (64, 64), "dims": [16, 24, 32], "channels": [8, 8, 16, 16, 24, 24, 32, 32, 48, 48, 64]},
    ),
    "max_vit:MaxViT": (
        64,
        {"dim": 16, "depth": (1, 1), "dim_head": 8, "dim_conv_stem": 16, "window_size": 4, "dropout": 0.0},
    ),
    "cvt:CvT": (
        64,
        {
            "s1_emb_dim": 16,
            "s2_emb_dim": 32,
            "s3_emb_dim": 48,
            "s2_heads": 2,
            "s2_depth": 1,
            "s3_heads": 3,
            "s3_depth": 1,
        },
    ),
    "cross_vit:CrossViT": (
        48,
        {"image_size": 48, "sm_dim": 16, "lg_dim": 32, "sm_enc_mlp_dim": 32, "lg_enc_mlp_dim": 64, "lg_enc_depth": 1}
        | {"cross_attn_depth": 1, "depth": 1, "dropout": 0.0, "emb_dropout": 0.0},
    ),
    "crossformer:CrossFormer": (
        64,
        {
            "dim": (32, 32, 64, 64),
            "depth": (1, 1, 1, 1),
            "global_window_size": (4, 2, 1, 1),
            "local_window_size": (4, 2, 2, 2),
        },
    ),
    "nest:NesT": (
        32,
        {"image_size": 32, "patch_size": 4, "dim": 16, "heads": 2, "num_hierarchies": 2, "block_repeats": (1, 1)},
    ),
    "regionvit:RegionViT": (64, {"dim": (16, 16, 32, 32), "depth": (1, 1, 1, 1), "window_size": 2}),
    "scalable_vit:ScalableViT": (
        64,
        {
            "dim": 16,
            "heads": (2, 4),
            "depth": (1, 1),
            "ssa_dim_key": (8, 8),
            "reduction_factor": (4, 2),
            "window_size": (8, None),
        },
    ),
    "sep_vit:SepViT": (56, {"dim": 16, "dim_head": 8, "heads": (1, 2), "depth": (1, 1), "window_size": 7}),
    "twins_svt:TwinsSVT": (
        64,
        {"s1_emb_dim": 8, "s2_emb_dim": 16, "s3_emb_dim": 16, "s4_emb_dim": 32, "s3_depth": 1, "s4_depth": 1}
        | {
            f"s{i}_{key}": min(size, 4)
            for i, size in ((1, 4), (2, 4), (3, 4), (4, 2))
            for key in ("local_patch_size", "global_k")
        },
    ),
}
