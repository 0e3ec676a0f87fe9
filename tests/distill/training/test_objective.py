"""What a training minimises, by hand."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from zcbench import distill
from zcbench.distill import Outputs
from zcbench.distill.errors import WeightError
from zcbench.distill.training.objective import TrainingObjective, default_weights
from zcbench.errors import UnknownNameError


def logits(seed: int) -> Outputs:
    return Outputs(logits=torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)))


LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def test_weighted_sum() -> None:
    """Closed form: .5 of the cross-entropy, 2 of kd and .25 of dist, each computed apart."""
    student, teacher = logits(0), logits(1)
    objective = TrainingObjective(["kd", "dist"], {"ce": 0.5, "kd": 2, "dist": 0.25})
    objective.adapt(student.shapes, [teacher.shapes], seed=0)
    ce = cross_entropy(student.logits, LABELS)
    kd, dist = (distill.get(name)(student, teacher) for name in ("kd", "dist"))
    expected = torch.stack([0.5 * ce + 2 * kd + 0.25 * dist, ce, kd, dist])
    torch.testing.assert_close(objective(student, [teacher], LABELS), expected)
    assert objective.terms == ("loss", "ce", "kd", "dist")


def test_a_weight_of_zero_leaves_a_loss_out() -> None:
    """By construction: it is not read, not computed, and no term."""
    objective = TrainingObjective(["kd", "at"], {"at": 0})
    assert objective.terms == ("loss", "ce", "kd") and objective.reads == {"logits"}


def test_default_weights() -> None:
    """Published: .1 and .9 for kd alone (arXiv:1910.10699); 1 each otherwise."""
    assert default_weights(["kd"]) == {"ce": 0.1, "kd": 0.9}
    assert default_weights(["kd(temperature=2.0)"]) == {"ce": 0.1, "kd(temperature=2.0)": 0.9}
    assert default_weights(["kd", "at"]) == {"ce": 1.0, "kd": 1.0, "at": 1.0}


def test_weights_by_any_writing_of_a_name() -> None:
    """Invariance: a specification means the same with 2 and with 2.0."""
    objective = TrainingObjective(["kd(temperature=2)"], {"kd(temperature=2)": 0.7})
    assert objective.weights == {"ce": 0.1, "kd(temperature=2.0)": 0.7}


def test_average_of_teachers() -> None:
    """Closed form: the mean of the losses under each."""
    student, teachers = logits(0), [logits(1), logits(2), logits(3)]
    objective = TrainingObjective(["kd"])
    objective.adapt(student.shapes, [teacher.shapes for teacher in teachers], seed=0)
    mean = sum(distill.get("kd")(student, teacher) for teacher in teachers) / 3
    torch.testing.assert_close(objective(student, teachers, LABELS)[2], mean)


def test_adaptive_teachers() -> None:
    """Closed form for two teachers: the share of one is the softmax of the errors at the other."""
    student, teachers = logits(0), [logits(1), logits(2)]
    errors = [cross_entropy(teacher.logits, LABELS).item() for teacher in teachers]
    share = math.exp(errors[1]) / (math.exp(errors[0]) + math.exp(errors[1]))
    kd = [distill.get("kd")(student, teacher) for teacher in teachers]
    objective = TrainingObjective(["kd"], mixture="adaptive")
    objective.adapt(student.shapes, [teacher.shapes for teacher in teachers], seed=0)
    torch.testing.assert_close(objective(student, teachers, LABELS)[2], share * kd[0] + (1 - share) * kd[1])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"kd": -1}, r"kd=-1\. Expected a finite number of at least 0"),
        ({"ce": math.inf}, "ce=inf"),
        ({"ce": math.nan}, "ce=nan"),
        ({"ce": 0, "kd": 0}, "All weights are zero: ce, kd"),
        ({"dk": 1}, "'dk' was given, which is no term. Known: ce, kd"),
    ],
)
def test_wrong_weights(weights: dict[str, float], message: str) -> None:
    """Bad input: negative, infinite, all zero, or of nothing."""
    with pytest.raises(WeightError, match=message):
        TrainingObjective(["kd"], weights)


def test_wrong_names() -> None:
    """Bad input: an unknown loss or mixture names the nearest."""
    with pytest.raises(UnknownNameError, match="'fitnet'"):
        TrainingObjective(["fitnets"])
    with pytest.raises(UnknownNameError, match="'average'"):
        TrainingObjective(["kd"], mixture="averaged")
