"""Networks on sequences: a convolution of one axis is one of two axes and height 1."""

import pytest

from zcbench.proxies import REGISTRY, evaluate

from .sequences import Resnet, Shufflenet, pair, signals

#: All proxies but two that are defined for tokens: linear maps with the channels last have them on sequences only.
ALL = [item.name for item in REGISTRY.usable()[0] if item.name not in ("w_pca", "v_pca")]


@pytest.mark.parametrize("make", [Resnet, Shufflenet])
def test_a_sequence_is_an_image_of_height_1(make):
    """Invariance: the same function on (B, C, T) and on (B, C, 1, T) has the same scores and the same refusals."""
    (images, labels), (student, tall), (teacher, high) = signals(), pair(make), pair(make, 1)
    one = evaluate(student, (images, labels), ALL, teacher=teacher)
    other = evaluate(tall, (images[:, :, None], labels), ALL, teacher=high)
    assert [(score.proxy, score.status) for score in one] == [(score.proxy, score.status) for score in other]
    values = {score.proxy: score.value for score in one if score.status == "ok"}
    assert values == pytest.approx({score.proxy: score.value for score in other if score.status == "ok"}, rel=1e-4)
    assert {"zen", "az_trainability", "meco", "dextr", "diswot_relation", "kd:at"} <= values.keys()
