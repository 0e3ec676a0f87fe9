"""Terms and fitness of the distiller search against closed forms."""

import math

import numpy as np
import pytest
import torch

from zcbench.distill.outputs import Outputs
from zcbench.distill.training.data.images import TrainingData
from zcbench.errors import UnknownNameError
from zcbench.kdzero.evolution import Fitness, held_out, measure
from zcbench.kdzero.evolution.terms import oriented, second_order_gap
from zcbench.search.algorithms.loop import Evaluated, SearchError


def outputs(logits, embedding) -> Outputs:
    return Outputs(logits=torch.tensor(logits), embedding=torch.tensor(embedding))


def evaluated(*rows: tuple[float, ...]) -> list[Evaluated[str]]:
    return [Evaluated(str(place), row) for place, row in enumerate(rows)]


def test_terms_of_two_images():
    """Closed form: uniform logits have cross-entropy log 2 and log-sum-exp log 2; the teacher's are log(1 + e^2)."""
    student = outputs([[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]])
    teacher = outputs([[2.0, 0.0], [0.0, 2.0]], [[0.0, 3.0, 0.0], [0.0, -3.0, 0.0]])
    found = measure(student, teacher, torch.tensor([0, 1]))
    gap = math.log(2) - math.log(1 + math.e**2)
    assert found.ce == pytest.approx(math.log(2))
    assert found.sharpness == pytest.approx(gap)
    assert found.sharpness_absolute == pytest.approx(-gap)
    assert found.sharpness_second_order == pytest.approx(-math.log(1.5))  # the teacher's logits have variance 1
    assert found.cka == pytest.approx(1)  # equal up to rotation and scale
    assert found.accuracy == 50 and found.agreement == 50


def test_cka_of_unlike_embeddings():
    """Closed form: two centred kernels of rank one, whose directions have the cosine c, have CKA c squared."""
    one, other = [1.0, -1.0, 0.0], [1.0, 0.0, -1.0]
    flat = [[0.0, 0.0]] * 3
    found = measure(
        outputs(flat, [[x] for x in one]), outputs(flat, [[x] for x in other]), torch.zeros(3, dtype=torch.long)
    )
    assert found.cka == pytest.approx(0.25)


def test_the_second_order_gap_approximates_the_exact_one():
    """Invariance: for small logits of mean zero both forms agree, in sign too; a shift moves only one."""
    stream = torch.Generator().manual_seed(0)
    draws = [0.1 * torch.randn(50, 10, generator=stream) for _ in range(2)]
    student, teacher = (draw - draw.mean(1, keepdim=True) for draw in (2 * draws[0], draws[1]))
    exact = (student.logsumexp(1) - teacher.logsumexp(1)).mean()
    assert exact > 0.01
    assert second_order_gap(student, teacher).item() == pytest.approx(exact.item(), rel=0.05)
    assert second_order_gap(student + 7, teacher).item() == pytest.approx(second_order_gap(student, teacher).item())


def test_orientation_chooses_and_turns():
    """Closed form: cross-entropy and gap turn their sign, CKA does not; the gap has the form that was asked for."""
    student = outputs([[0.0, 0.0], [0.0, 1.0]], [[1.0], [2.0]])
    found = measure(student, student, torch.tensor([0, 1]))._replace(sharpness=0.5, sharpness_absolute=0.6, cka=0.9)
    assert oriented(found, ("cka", "sharpness"), "absolute") == (0.9, -0.6)
    assert oriented(found, ("ce",), "exact") == (-found.ce,)


def test_fitness_is_the_sum_of_robust_terms():
    """Closed form: median 3 and interquartile range 2 of 1 … 5, once more beside a term that is all alike."""
    fitness = Fitness(("ce", "cka"), first=5)
    group = evaluated((1.0, 7.0), (2.0, 7.0), (3.0, 7.0), (4.0, 7.0), (5.0, 7.0))
    assert fitness(group).tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_later_candidates_do_not_move_the_scale():
    """Invariance: the unit is that of the first population, 2; what is far worse counts as three units."""
    fitness = Fitness(("ce",), first=5)
    group = evaluated((1.0,), (2.0,), (3.0,), (4.0,), (5.0,))
    more = fitness([*group, *evaluated((1003.0,), (-1000.0,))])
    assert more.tolist() == [*fitness(group), 500.0, -3.0]


@pytest.mark.parametrize(("form", "most"), [("exact", 3.0), ("second_order", 3.0), ("absolute", 500.0)])
def test_only_a_gap_without_end_is_bounded(form, most):
    """Contract: no best candidates are alike but those whose signed gap has run away."""
    group = evaluated((1.0,), (2.0,), (3.0,), (4.0,), (5.0,), (1003.0,))
    assert Fitness(("sharpness",), sharpness=form, first=5)(group)[-1] == most


def test_rank_and_plain_sum():
    """Closed form: shares of the group that is as good; and the sum that the paper prints."""
    group = evaluated((1.0, 0.0), (2.0, 0.5), (4.0, 0.25))
    third = np.array([3 + 3, 2 + 1, 1 + 2]) / 3
    assert Fitness(("ce", "cka"), normalisation="rank")(group) == pytest.approx(-third)
    assert Fitness(("ce", "cka"), normalisation="none")(group).tolist() == [1.0, 2.5, 4.25]


def test_what_failed_is_never_fittest():
    """Contract: minus infinity without terms, and the others are scaled among themselves."""
    group = evaluated((1.0,), (math.nan,), (2.0,), (3.0,))
    assert Fitness(("ce",), normalisation="none")(group).tolist() == [1.0, -math.inf, 2.0, 3.0]
    assert Fitness(("ce",))(group)[1] == -math.inf


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"terms": ("ce", "cke")}, UnknownNameError, "'cka'"),
        ({"terms": ()}, SearchError, "at least one"),
        ({"terms": ("ce", "ce")}, SearchError, "each once"),
        ({"sharpness": "exactly"}, UnknownNameError, "'exact'"),
        ({"normalisation": "ranks"}, UnknownNameError, "'rank'"),
        ({"first": 0}, SearchError, "at least 1"),
    ],
)
def test_a_fitness_that_makes_no_sense(given, error, message):
    """Contract: refused with the names that are known."""
    with pytest.raises(error, match=message):
        Fitness(**given)


def numbered(counts: list[int]) -> TrainingData:
    """Images that carry their own number; ``counts`` of each class."""
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    images = torch.arange(len(labels), dtype=torch.float).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return TrainingData(images, labels, -torch.ones(3, 3, 2, 2), torch.tensor([0, 1, 0]), len(counts))


def test_the_split_is_stratified_disjoint_and_blind_to_test_images():
    """Invariance: of each class the share, every training image in one part, no test image in either."""
    whole = numbered([40, 10])
    parts = held_out(whole, 0.2, seed=3)
    assert parts.test_labels.bincount().tolist() == [8, 2] and parts.labels.bincount().tolist() == [32, 8]
    numbers = torch.cat([parts.images, parts.test_images])[:, 0, 0, 0]
    assert sorted(numbers.tolist()) == list(range(50))
    assert torch.equal(parts.test_images, held_out(whole, 0.2, seed=3).test_images)
    assert not torch.equal(parts.test_images, held_out(whole, 0.2, seed=4).test_images)


@pytest.mark.parametrize(("share", "message"), [(0.1, "1 validation and 9 training images of class 1"), (1.0, "1.0")])
def test_a_split_that_is_too_small(share, message):
    """Contract: refused with the class and the numbers."""
    with pytest.raises(SearchError, match=message):
        held_out(numbered([40, 10]), share)
