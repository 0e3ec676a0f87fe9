"""A small network and batch for the examples of the documentation."""

from typing import NamedTuple

from torch import Tensor, nn

from zcbench import datasets, spaces
from zcbench.datasets.inputs import tensors_of

_ARCHS = {
    "nasbench201": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    "pit": "16/2/1-4-2/2-2-2",
}


class Example(NamedTuple):
    """A network, and a batch ``(images, labels)`` for it."""

    network: nn.Module
    batch: tuple[Tensor, Tensor]


def example(space: str = "nasbench201", *, seed: int = 0) -> Example:
    """An untrained network and 8 images of noise, 16 x 16, with 10 classes.

    Args:
        space: ``nasbench201`` for a small convolutional network, ``pit`` for a small vision transformer.
        seed: of the weights; another seed makes a teacher.

    Example:
        >>> network, (images, labels) = example()
        >>> tuple(images.shape), tuple(network(images).shape)
        ((8, 3, 16, 16), (8, 10))
    """
    home = spaces.get(space, channels=8, cells=1) if space == "nasbench201" else spaces.get(space)
    network = home.build(_ARCHS[space], num_classes=10, image_shape=(3, 16, 16), seed=seed)
    batch = datasets.batch(datasets.load("noise(side=16)"), 8)
    (images,) = tensors_of(batch.images)
    return Example(network, (images, batch.labels))
