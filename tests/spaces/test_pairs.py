"""Pairs of a teacher and a student: published sizes, weights that do not depend on the pair, refusals."""

import pytest
import torch

import zcbench
from zcbench.errors import ArchitectureError
from zcbench.spaces.pairs import NETWORKS, STUDENTS, TEACHERS

SPACE = zcbench.spaces.get("pairs")


def test_all_pairs() -> None:
    """Closed form: six teachers times nine students, each with the sizes of the student's own space."""
    assert len(SPACE) == len(TEACHERS) * len(STUDENTS) == 54
    for student in STUDENTS:
        home, arch = NETWORKS[student]
        assert SPACE.params(f"vgg13:{student}", 100) == zcbench.spaces.get(home).params(arch, 100)


def test_the_teacher_resnet50_has_its_published_size() -> None:
    """Published count: 23,705,252 parameters of ResNet-50 with a stem of stride 1 and 100 classes."""
    network = SPACE.teacher("resnet50:vgg8", 100)
    assert sum(weight.numel() for weight in network.parameters()) == 23_705_252
    assert network.stage4(
        network.stage3(network.stage2(network.stage1(network.stem(torch.zeros(2, 3, 32, 32)))))
    ).shape[1:] == (2048, 4, 4)


def test_weights_do_not_depend_on_the_other_side() -> None:
    """Invariance: a student is the same network under two teachers, and a teacher over two students."""
    students = [SPACE.build(f"{teacher}:resnet20", 100, seed=3) for teacher in ("resnet56", "vgg13")]
    own = zcbench.spaces.get("resnet").build("resnet20", 100, seed=3)
    teachers = [SPACE.teacher(f"resnet56:{student}", 100, seed=5) for student in ("resnet20", "vgg8")]
    for one, other in ((students[0], students[1]), (students[0], own), (teachers[0], teachers[1])):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("arch", ["resnet110", "resnet20:resnet110", "resnet110:resnet21", "resnet110:resnet20:vgg8"])
def test_refusals(arch: str) -> None:
    """Closed form: a missing side, sides exchanged, an unknown one, one too many."""
    with pytest.raises(ArchitectureError, match="is no pair of a teacher and a student"):
        SPACE.parse(arch)
