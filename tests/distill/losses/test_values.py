"""Values of the distillation losses against slow references, closed forms, invariances and finite differences."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zcbench
from zcbench import distill
from zcbench.distill import Outputs
from zcbench.streams import seeded

from ...oracles import losses as references
from ..conftest import Pair, make_outputs

NAMES = distill.names()

#: Losses that do not vanish where student and teacher are equal: cross-entropies, a contrast, class means.
NOT_ZERO = {"wsld", "ofa", "crd", "nd"}

#: Same loss with other hyperparameters than the defaults.
CONFIGURED = [
    "kd(temperature=2)",
    "dkd(alpha=0.5,beta=2,temperature=1)",
    "dist(beta=2,gamma=3,temperature=4)",
    "wsld(temperature=4)",
    "ofa(eps=1,temperature=2)",
    "rkd(distance=1,angle=2)",
    "cc(gamma=0.2,order=4)",
    "kdsvd(rank=2)",
    "crd(temperature=0.5)",
    "srrl(feature=2,regression=0.5)",
    "cwd(temperature=1)",
]


def arrays(outputs: Outputs) -> SimpleNamespace:
    found: dict[str, object] = {name: tensor.detach().numpy() for name, tensor in outputs.tensors()}
    return SimpleNamespace(**found | {"stages": [stage.detach().numpy() for stage in outputs.stages]})


@pytest.mark.parametrize("name", [*NAMES, *CONFIGURED])
def test_slow_reference(name: str, pair: Pair) -> None:
    """Slow reference: loops over images, channels and pairs in NumPy, straight from the formula."""
    loss = distill.get(name)
    reference = getattr(references, name.partition("(")[0])
    hyperparameters = dict(loss.settings)
    expected = reference(arrays(pair.student), arrays(pair.teacher), pair.labels.numpy(), **hyperparameters)
    assert loss(*pair).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if "channels" not in distill.get(name).adapts])
def test_slow_reference_with_another_shape(name: str, pair: Pair) -> None:
    """Slow reference: losses that compare any channels do so, and maps of other sizes are pooled by definition."""
    loss = distill.get(name)
    last = 6 if "width" in loss.adapts else 5
    teacher = make_outputs("wide", stages=((5, 8, 8), (7, 4, 4), (last, 5, 2)))
    expected = getattr(references, name)(arrays(pair.student), arrays(teacher), pair.labels.numpy())
    assert loss(pair.student, teacher, pair.labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if {"channels", "spatial"} <= distill.get(name).adapts])
def test_slow_reference_with_another_size(name: str, pair: Pair) -> None:
    """Slow reference: maps of one network are higher, of the other wider; both are pooled by definition."""
    teacher = make_outputs("size", stages=((3, 8, 8), (4, 2, 6), (6, 5, 2)))
    expected = getattr(references, name)(arrays(pair.student), arrays(teacher), pair.labels.numpy())
    assert distill.get(name)(pair.student, teacher, pair.labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_equal_networks(name: str, pair: Pair) -> None:
    """Closed form: zero when student and teacher are equal, but for the few that say otherwise."""
    value = distill.get(name)(pair.teacher, pair.teacher, pair.labels).item()
    assert (value > 1e-3) if name in NOT_ZERO else value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "wsld"])
def test_finite_differences(name: str, pair: Pair) -> None:
    """Finite differences in float64: the gradient for every output of the student that the loss reads."""
    loss = distill.get(name)
    fixed = pair.student.map(Tensor.detach)
    names = sorted(loss.reads)
    leaves = [tensor.clone().requires_grad_() for output in names for tensor in fixed.read(output)]

    def function(*tensors: Tensor) -> Tensor:
        given = iter(tensors)
        changed = {output: [next(given) for _ in fixed.read(output)] for output in names}
        return loss(fixed.replace(**changed), pair.teacher, pair.labels)

    assert torch.autograd.gradcheck(function, leaves, eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "cc_neighbours"])
def test_order_of_the_batch(name: str, pair: Pair) -> None:
    """Invariance: the images may come in any order."""
    order = torch.tensor([3, 0, 4, 2, 1])

    def shuffled(outputs: Outputs) -> Outputs:
        moved = outputs.map(lambda tensor: tensor[order] if len(tensor) == 5 else tensor)
        return moved.replace(classifier=outputs.classifier)

    value = distill.get(name)(shuffled(pair.student), shuffled(pair.teacher), pair.labels[order])
    torch.testing.assert_close(value, distill.get(name)(*pair), rtol=1e-9, atol=1e-12)


def test_neighbours_depend_on_the_order(pair: Pair) -> None:
    """Closed form: errors 1, 0, 1, 0 give 0, and 1, 1, 0, 0 give 1/3."""
    teacher = Outputs(embedding=torch.zeros(4, 1))
    loss = distill.get("cc_neighbours")
    assert loss(Outputs(embedding=torch.tensor([[1.0], [0.0], [1.0], [0.0]])), teacher) == 0
    assert loss(Outputs(embedding=torch.tensor([[1.0], [1.0], [0.0], [0.0]])), teacher).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["kd", "dkd", "dist", "wsld", "ofa"])
def test_shift_of_the_logits(name: str, pair: Pair) -> None:
    """Invariance: a softmax does not see a shift per image."""
    shift = torch.arange(5.0, dtype=torch.float64)[:, None] * 7
    moved = pair.student.replace(logits=pair.student.logits + shift)
    torch.testing.assert_close(distill.get(name)(moved, *pair[1:]), distill.get(name)(*pair))


@pytest.mark.parametrize("name", ["rkd", "cc", "pkt", "crd", "cka_gap"])
def test_rotation_of_the_embedding(name: str, pair: Pair) -> None:
    """Invariance: relations between images do not see a rotation; crd does, since it compares the networks directly."""
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    moved = pair.student.replace(embedding=pair.student.embedding @ rotation)
    change = abs(distill.get(name)(moved, pair.teacher) - distill.get(name)(pair.student, pair.teacher)).item()
    assert change > 0.1 if name == "crd" else change < 1e-9


@pytest.mark.parametrize("name", ["rkd", "cc", "pkt", "crd", "cka_gap", "sp", "ickd", "at", "nst", "pkd", "kdsvd"])
def test_scale_of_the_features(name: str, pair: Pair) -> None:
    """Invariance: the scale of a network's features does not count, be it a thousandth or a thousand."""
    student = pair.student
    for factor in (1e-3, 1e3):
        scaled = {output: [factor * x for x in student.read(output)] for output in ("embedding", "features", "stages")}
        moved = distill.get(name)(student.replace(**scaled), pair.teacher)
        torch.testing.assert_close(moved, distill.get(name)(student, pair.teacher), rtol=1e-5, atol=1e-9)


def test_pearson_losses_ignore_scale_and_shift(pair: Pair) -> None:
    """Invariance: dist sees an affine map of the probabilities as equal, pkd one of each channel."""
    factors = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[:, None, None].double()
    student = Outputs(features=factors * pair.teacher.features + 1)
    assert distill.get("pkd")(student, pair.teacher).item() == pytest.approx(0, abs=1e-9)
    opposite = Outputs(features=-pair.teacher.features)
    assert distill.get("pkd")(opposite, pair.teacher).item() == pytest.approx(2)


def test_kd_by_hand() -> None:
    """Closed form: KL((e/(1+e), 1/(1+e)) ‖ (½, ½)) at temperature 2 for logits (2, 0) against (0, 0), times 4."""
    p = math.e / (1 + math.e)
    expected = 4 * (p * math.log(2 * p) + (1 - p) * math.log(2 - 2 * p))
    student, teacher = Outputs(logits=torch.zeros(1, 2)), Outputs(logits=torch.tensor([[2.0, 0.0]]))
    assert distill.get("kd(temperature=2)")(student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_dkd_holds_kd(pair: Pair) -> None:
    """Closed form of the paper: KD = TCKD + (1 − p_y) NCKD, image by image."""
    for i in range(5):
        student, teacher = (Outputs(logits=x.logits[i : i + 1]) for x in pair[:2])
        label = pair.labels[i : i + 1]
        rest = 1 - (teacher.logits / 4).softmax(1)[0, label].item()
        dkd = distill.get("dkd", beta=rest)(student, teacher, label)
        torch.testing.assert_close(dkd, distill.get("kd")(student, teacher))


def test_wsld_and_ofa_at_their_minimum(pair: Pair) -> None:
    """Closed form: for equal logits the gradient is zero, and the value an entropy (times 4 (1 − 1/e) for wsld)."""
    logits = pair.teacher.logits.detach().requires_grad_()
    for name, temperature, factor in (("wsld", 2, 4 * (1 - 1 / math.e)), ("ofa(eps=1)", 1, 1)):
        value = distill.get(name)(Outputs(logits=logits), pair.teacher, pair.labels)
        entropy = torch.distributions.Categorical(logits=logits / temperature).entropy().mean()
        assert value.item() == pytest.approx(factor * entropy.item(), rel=1e-5)
        assert torch.autograd.grad(value, logits)[0].abs().max() < 1e-6


def test_wsld_has_no_gradient_through_its_weight(pair: Pair) -> None:
    """Closed form: the gradient for image i is w_i T (p_S − p_T) / B, the weight taken as given."""
    logits, target = pair.student.logits.detach().requires_grad_(), pair.teacher.logits.detach()
    hard = [torch.nn.functional.cross_entropy(z.detach(), pair.labels, reduction="none") for z in (logits, target)]
    weight = (1 - (-hard[0] / (hard[1] + 1e-7)).exp())[:, None]
    loss = distill.get("wsld")(Outputs(logits=logits), pair.teacher, pair.labels)
    expected = weight * 2 * ((logits / 2).softmax(1) - (target / 2).softmax(1)) / 5
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], expected.detach())


def test_crd_of_orthogonal_embeddings() -> None:
    """Closed form: for orthonormal equal embeddings both directions are log(1 + (B − 1) exp(−1/t))."""
    eye = Outputs(embedding=torch.eye(4, dtype=torch.float64))
    expected = 2 * math.log(1 + 3 * math.exp(-2))
    assert distill.get("crd(temperature=0.5)")(eye, eye).item() == pytest.approx(expected)


def test_nd_of_one_direction() -> None:
    """Closed form: half as long along the class gives ½, twice as long 0."""
    teacher = Outputs(embedding=torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    labels = torch.tensor([0, 1])
    assert distill.get("nd")(teacher.map(lambda x: x / 2), teacher, labels).item() == pytest.approx(0.5)
    assert distill.get("nd")(teacher.map(lambda x: x * 2), teacher, labels).item() == pytest.approx(0)


def test_rkd_of_a_triangle() -> None:
    """Closed form: against an equilateral triangle, a 3-4-5 triangle differs by known distances and angles."""
    height = math.sqrt(3) / 2
    student = Outputs(embedding=torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], dtype=torch.float64))
    teacher = Outputs(embedding=torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, height]], dtype=torch.float64))
    distances = (0.25**2 + 0 + 0.25**2) / 2 * 2 / 9
    angles = ((0 - 0.5) ** 2 + (3 / 5 - 0.5) ** 2 + (4 / 5 - 0.5) ** 2) / 2 * 2 / 27
    assert distill.get("rkd(angle=0)")(student, teacher).item() == pytest.approx(25 * distances)
    assert distill.get("rkd(distance=0)")(student, teacher).item() == pytest.approx(50 * angles)


def test_sharpness_gap_keeps_its_sign() -> None:
    """Closed form: logits (log 3, 0) have LSE log 4, logits (0, 0) log 2."""
    sharp, flat = Outputs(logits=torch.tensor([[math.log(3), 0.0]])), Outputs(logits=torch.zeros(1, 2))
    assert distill.get("sharpness_gap")(sharp, flat).item() == pytest.approx(math.log(2))
    assert distill.get("sharpness_gap")(flat, sharp).item() == pytest.approx(-math.log(2))
    assert distill.get("sharpness_gap_abs")(flat, sharp).item() == pytest.approx(math.log(2))


def test_diswot_gradient_is_that_of_autograd(pair: Pair) -> None:
    """Independent computation: the classifier's gradient by autograd gives the same semantic distance."""

    def gradient(outputs: Outputs) -> np.ndarray:
        weight = outputs.classifier.detach().requires_grad_()
        logits = outputs.logits.detach() + outputs.embedding.detach() @ (weight - weight.detach()).T
        return torch.autograd.grad(torch.nn.functional.cross_entropy(logits, pair.labels), weight)[0].numpy()

    def rows(g: np.ndarray) -> np.ndarray:
        return np.array([references.unit(row) for row in np.outer(g, g)])

    both = zip(gradient(pair.student), gradient(pair.teacher))
    expected = sum(np.sum((rows(one) - rows(other)) ** 2) for one, other in both) / pair.student.classifier.numel()
    assert distill.get("diswot_semantic")(*pair).item() == pytest.approx(expected)


def test_kdsvd_does_not_see_signs(pair: Pair) -> None:
    """Invariance: minus a student's stage has minus the singular vectors, which the alignment takes back."""
    signs = (1, -1, -1)
    moved = pair.student.replace(stages=[sign * stage for sign, stage in zip(signs, pair.student.stages)])
    loss = distill.get("kdsvd")
    torch.testing.assert_close(loss(moved, pair.teacher), loss(pair.student, pair.teacher))


def test_review_of_a_constant_difference() -> None:
    """Closed form: maps that differ by d everywhere have a squared distance d² at every level, so d² per stage."""
    teacher = Outputs(stages=[torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 3, 3)])
    student = teacher.map(lambda stage: stage + 0.5)
    assert distill.get("review")(student, teacher).item() == pytest.approx(0.5)


@pytest.mark.parametrize("name", NAMES)
def test_dead_student(name: str, pair: Pair) -> None:
    """Bad input: all outputs of the student zero; the loss and its gradient are finite."""
    dead = pair.student.map(lambda tensor: torch.zeros_like(tensor).requires_grad_())
    leaves = [tensor for output, tensor in dead.tensors() if output in distill.get(name).reads]
    loss = distill.get(name)(dead, pair.teacher, pair.labels)
    assert torch.isfinite(loss)
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


@pytest.mark.parametrize("name", NAMES)
def test_diverged_student(name: str, pair: Pair) -> None:
    """Bad input: a student that gives NaN has a loss that is NaN, and no other error."""
    student = pair.student.map(lambda tensor: tensor * math.nan)
    assert distill.get(name)(student, pair.teacher, pair.labels).isnan()


def test_diswot_is_the_proxy_of_that_name() -> None:
    """Independent computation: on real networks the proxies' own passes and autograd give the same two distances."""
    images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 4
    networks = []
    for seed in (0, 1):
        with seeded("tests", "diswot", seed):
            body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
            networks.append(nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)))
    names = ["diswot_relation", "diswot_semantic"]
    scores = zcbench.score(networks[0], (images, labels), proxies=names, teacher=networks[1])

    def outputs(network: nn.Sequential) -> Outputs:
        features = network[0](images)
        return Outputs(network(images), features.mean((2, 3)), features)

    losses = {name: distill.get(name)(*map(outputs, networks), labels).item() for name in names}
    assert losses == pytest.approx(scores, rel=1e-4)
