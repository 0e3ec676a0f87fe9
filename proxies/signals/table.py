"""Which signals there are, what each is, and what it rests on."""

from collections.abc import Iterable

from zcbench.errors import unknown

#: Every signal and what it is, in the order of the documentation.
SIGNALS: dict[str, str] = {
    "costs": "parameters, MACs and convolutions; analytic where the space knows them",
    "parameters": "weights of the convolutions and linear layers, by name",
    "labels": "class indices of the batch",
    "logits": "output of the network, (B, N)",
    "features": "feature map before global pooling, or a transformer's last tokens as a map, (B, C, H, W)",
    "stages": "last feature map of each spatial size, from block to block, (B, C, H, W) each",
    "embedding": "input of the last linear layer, (B, C)",
    "classifier": "weight of the last linear layer, (N, C)",
    "relu_codes": "for each ReLU call the units that are active, boolean (B, D)",
    "gradients": "gradient of the mean cross-entropy for each entry of parameters",
    "classifier_gradient": "gradient of the mean cross-entropy for the last linear layer's weight, (N, C)",
    "channel_saliency": "for each layer the sum over positions of output times its gradient, (B, C)",
    "hessian_gradient": "Hessian of the mean cross-entropy times its gradient, for each entry of parameters",
    "input_jacobian": "gradient of the summed logits for each image, (B, C*H*W)",
    "linearised_gradients": "absolute weights and gradients of the linearised network on ones, float64",
    "attention": "names of the weights of attention layers: queries, keys, values and projections",
    "gaussian_response": "change of the features under Gaussian weights and noise, with the batch-norm variances",
    "channel_maps": "output of every module for one Gaussian image, (C, H*W) each",
    "image_maps": "output of every module for the first image of the batch, (C, H*W) each",
    "circle": "velocity and acceleration of the logits as one random image moves on a circle, (N,) each",
    "activation_matrices": "C positions of what each layer and activation function puts out, (C, C) each",
    "blocks": "feature maps between blocks for Gaussian images, and random signs pulled back through each block",
    "half_gradients": "gradients of the mean cross-entropy of each half of the batch, two mappings like gradients",
    "image_gradients": "gradient of each image's own cross-entropy for each entry of parameters, (b, ...)",
    "tangent_kernel": "inner products of the weight gradients of every two images' summed logits, (b, b)",
    "logit_jacobians": "for Gaussian weights and images, derivatives of the logits for a weight of every layer",
    "thin_codes": "ReLU codes of the architecture built with one channel, for small crops of the batch, boolean (n, D)",
    "teacher": "the teacher's signals, the same that the proxy reads of the student",
    "network": "the network itself, in training mode; a proxy must leave it as it was",
}

_FORWARD, _LOSS = ("forward",), ("forward", "loss backward")

#: The parts of the passes on which a signal rests; a signal that is not here costs nothing.
RESTS_ON: dict[str, tuple[str, ...]] = {
    "costs": ("count",),
    "logits": _FORWARD,
    "features": _FORWARD,
    "stages": _FORWARD,
    "classifier": _FORWARD,
    "embedding": _FORWARD,
    "relu_codes": _FORWARD,
    "gradients": _LOSS,
    "classifier_gradient": _LOSS,
    "channel_saliency": _LOSS,
    "hessian_gradient": (*_LOSS, "Hessian product"),
    "input_jacobian": ("forward", "input backward"),
    "linearised_gradients": ("linearised",),
    "attention": ("linearised",),
    "gaussian_response": ("Gaussian",),
    "channel_maps": ("one image",),
    "image_maps": ("first image",),
    "circle": ("circle",),
    "activation_matrices": _FORWARD,
    "blocks": ("blocks",),
    "half_gradients": ("halves",),
    "image_gradients": ("per image",),
    "tangent_kernel": ("tangent kernel",),
    "logit_jacobians": ("logit Jacobians",),
    "thin_codes": ("thin network",),
}

#: Signals whose value depends on the labels.
LABELLED = frozenset(
    {"labels", "gradients", "classifier_gradient", "channel_saliency", "hessian_gradient"}
    | {"half_gradients", "image_gradients"}
)


def signal_names(reads: str | Iterable[str]) -> frozenset[str]:
    """Set of signal names from one name or several.

    Raises:
        UnknownNameError: a name that is no signal.
    """
    names = frozenset([reads] if isinstance(reads, str) else reads)
    for name in names:
        if name not in SIGNALS:
            raise unknown("signal", name, SIGNALS)
    return names
