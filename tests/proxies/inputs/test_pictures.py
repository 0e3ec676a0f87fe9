"""Networks written as those of pytorchcv and transformers are, on images of 16 x 16."""

import pytest
import torch
import torch.nn.functional as F

from ...oracles.tasks import Task
from .comparing import assert_references
from .pictures import NETWORKS, pictures

NO_RELU = "No ReLU is called"
#: Refusals, with a part of the reason.
REFUSED = {
    "convnext": {"naswot": NO_RELU, "swap": NO_RELU},
    "vit": {"naswot": NO_RELU, "swap": NO_RELU, "synflow": "has no logarithm"},
}


def made(name):
    torch.manual_seed(0)
    return NETWORKS[name]().double()


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_slow_references(name):
    """Slow references: plain autograd, hooks of modules and loops over images."""
    images, labels = pictures()
    task = Task(made(name), images, labels, F.cross_entropy)
    assert_references(task, (images, labels), REFUSED.get(name, {}))
