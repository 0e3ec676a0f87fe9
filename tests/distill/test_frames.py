"""Frames around distillation losses: the sums they are, by hand, and trainings with hand-made and evolved losses."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcbench import distill, spaces
from zcbench.benchmarks.training.student import Teaching
from zcbench.distill import Outputs, Recipe, Teacher, framed, train
from zcbench.distill.errors import HyperparameterError, RecipeError, ShapeMismatch
from zcbench.distill.frames import FRAMES, FramedDistiller, read_frame
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.training import Training
from zcbench.errors import UnknownNameError

from .conftest import make_outputs
from .training.conftest import make_data

GENOME = "genome(formula='l2(norm_HW(mean_C(pow2(features))))')"
EXPECTED_MODULES = {"ensemble": "parts.0", "n_to_one": "expand", "review": "review.fusions.0", "self": "heads.0"}
LOGITS = "genome(formula='kl(no(no(no(logits))))')"


def _pair() -> tuple[Outputs, Outputs]:
    student = make_outputs("one", stages=((3, 8, 8), (4, 4, 4), (5, 2, 2)))
    return student, make_outputs("other", stages=((6, 8, 8), (7, 4, 4), (9, 2, 2)))


def _modules(loss: FramedDistiller, student: Outputs, teacher: Outputs) -> nn.Module:
    modules = loss.projectors(student.shapes, teacher.shapes, 3)
    assert modules is not None
    return modules.double()


def test_ensemble_is_the_mean_of_rectified_projectors() -> None:
    """Slow reference: three 1x1 convolutions as matrix products, rectified, averaged, squared distance; by hand."""
    student, teacher = _pair()
    loss = framed("ensemble", "fitnet")
    modules = _modules(loss, student, teacher)
    weights = [part.parts["features"][0].weight.flatten(1) for part in modules.parts]
    assert len(weights) == 3
    assert not torch.equal(weights[0], weights[1])
    projected = [torch.einsum("oc,bchw->bohw", weight, student.features).clamp(min=0) for weight in weights]
    expected = (sum(projected) / 3 - teacher.features).square().mean()
    torch.testing.assert_close(loss(student, teacher, adapter=modules), expected)


def test_n_to_one_is_the_mean_over_segments() -> None:
    """Slow reference: the segments of one wide product, one after the other."""
    student, teacher = _pair()
    loss = framed("n_to_one(segments=2)", "fitnet")
    modules = _modules(loss, student, teacher)
    wide = torch.einsum("oc,bchw->bohw", modules.expand.weight.flatten(1), student.features)
    parts = [wide[:, : wide.shape[1] // 2], wide[:, wide.shape[1] // 2 :]]
    expected = sum((part - teacher.features).square().mean() for part in parts) / 2
    torch.testing.assert_close(loss(student, teacher, adapter=modules), expected)


def test_review_frame_is_the_loss_of_every_fused_stage() -> None:
    """Independent reference: the projector of the distiller ``review``, then the loss stage by stage."""
    student, teacher = _pair()
    loss = framed("review", "fitnet")
    modules = _modules(loss, student, teacher).eval()
    fused, _ = modules.review(student, teacher)
    expected = sum(F.mse_loss(one, other) for one, other in zip(fused.stages, teacher.stages, strict=True))
    torch.testing.assert_close(loss(student, teacher, adapter=modules), expected)
    assert loss.reads == {"stages"}


def test_self_is_cross_entropy_and_the_loss_of_each_head() -> None:
    """Slow reference: heads written out; the deepest outputs get no gradient, the shallow stages do."""
    student, _ = _pair()
    student = student.map(lambda tensor: tensor.detach().requires_grad_())
    labels = torch.arange(len(student.logits)) % student.logits.shape[1]
    loss = framed("self", "kd(temperature=2)")
    modules = _modules(loss, student, student).eval()
    expected: Tensor | float = 0.0
    for head, stage in zip(modules.heads, student.stages[:-1], strict=True):
        maps = torch.einsum("oc,bchw->bohw", head.layers[0].weight.flatten(1), stage) / (1 + 1e-5) ** 0.5
        embedding = maps.clamp(min=0).mean((2, 3))
        logits = embedding @ head.classifier.weight.T + head.classifier.bias
        kd = distill.get("kd(temperature=2)")(Outputs(logits=logits), Outputs(logits=student.logits.detach()))
        expected = expected + F.cross_entropy(logits, labels) + kd
    found = loss(student, student, labels, adapter=modules)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert student.logits.grad is None
    assert all(stage.grad is not None and stage.grad.any() for stage in student.stages[:-1])


def test_online_is_a_gated_ensemble_of_branches() -> None:
    """Slow reference: branches, gate and sums written out; the ensemble learns from the labels alone."""
    student, _ = _pair()
    student = student.map(lambda tensor: tensor.detach().requires_grad_())
    labels = torch.arange(len(student.logits)) % student.logits.shape[1]
    loss, kd = framed("online", "kd(temperature=3)"), distill.get("kd(temperature=3)")
    modules = _modules(loss, student, student).eval()
    own = [student.logits]
    for branch in modules.branches:
        maps = F.conv2d(student.features, branch[0].weight, padding=1) / (1 + 1e-5) ** 0.5
        own.append(maps.clamp(min=0).mean((2, 3)) @ branch[5].weight.T + branch[5].bias)
    gates = (student.features.mean((2, 3)) @ modules.gate.weight.T + modules.gate.bias).softmax(1)
    ensemble = sum(gates[:, number, None] * logits for number, logits in enumerate(own))
    expected = sum(F.cross_entropy(logits, labels) for logits in (ensemble, *own[1:]))
    expected = expected + sum(kd(Outputs(logits=logits), Outputs(logits=ensemble.detach())) for logits in own)
    found = loss(student, student, labels, adapter=modules)
    torch.testing.assert_close(found, expected)
    weights = [modules.gate.weight, *(part.weight for branch in modules.branches for part in (branch[0], branch[5]))]
    for one, other in zip(*(torch.autograd.grad(each, weights, retain_graph=True) for each in (found, expected))):
        torch.testing.assert_close(one, other)


def _networks() -> Iterator[nn.Module]:
    yield spaces.get("deit(patch=4)").build("16/2/4/2", 3, image_shape=(3, 16, 16))
    yield spaces.get("resnet").build("1-1-1@8-8-16-24", 3, image_shape=(3, 16, 16), seed=1)


@pytest.mark.parametrize(
    ("frame", "inner"),
    [(frame, loss) for frame in EXPECTED_MODULES for loss in ("fitnet", "cwd", "pkd", GENOME)]
    + [("online", loss) for loss in ("kd", "dist", LOGITS)],
)
def test_frames_train_with_any_loss(frame: str, inner: str) -> None:
    """Contract: a transformer under a convolutional teacher; student and modules of the frame move, none is kept."""
    network, above = _networks()
    loss, data = framed(frame, inner), make_data(train=16, test=8, side=16)
    objective = TrainingObjective([loss], {"ce": 0.0, loss.name: 1.0})
    names = set(network.state_dict())
    training = Training([network], [objective], [Teacher(above)], data, Recipe(epochs=1, batch_size=8))
    before = {key: tensor.clone() for key, tensor in [*network.state_dict().items(), *objective.state_dict().items()]}
    assert training.terms().isfinite().all()
    training.step()
    training.step()
    after = {**network.state_dict(), **objective.state_dict()}
    assert not torch.equal(after["patches.weight"], before["patches.weight"])
    own = [key for key in before if f".{EXPECTED_MODULES.get(frame, 'gate')}." in key and key.endswith("weight")]
    assert own
    assert any(not torch.equal(after[key], before[key]) for key in own)
    assert set(network.state_dict()) == names


def test_a_student_may_be_its_own_teacher_without_another() -> None:
    """Invariance: with the frame ``self`` a teacher changes nothing; another loss without a teacher is refused."""
    data, recipe = make_data(train=16, test=8, side=16), Recipe(epochs=1, batch_size=8)
    results = []
    for teacher in (None, next(reversed([*_networks()]))):
        student = next(_networks())
        results.append(train(student, teacher, data, recipe, distillers=[framed("self", "kd")]).history[-1]["loss"])
    assert results[0] == results[1]
    with pytest.raises(RecipeError, match="kd need a teacher"):
        train(next(_networks()), None, data, recipe, distillers=[framed("self", "kd"), "kd"])


@pytest.mark.parametrize(
    ("frame", "loss", "error", "message"),
    [
        ("ensembl", "kd", UnknownNameError, "Did you mean 'ensemble'"),
        ("ensemble(projector=2)", "kd", UnknownNameError, "Did you mean 'projectors'"),
        ("ensemble(projectors=0)", "kd", HyperparameterError, "a whole number from 1"),
        ("n_to_one(segments=", "kd", HyperparameterError, "n_to_one"),
        ("review", "kdd", UnknownNameError, "Did you mean 'kd'"),
    ],
)
def test_frames_that_are_none(frame: str, loss: str, error: type[Exception], message: str) -> None:
    """Bad input: names and hyperparameters, with what was expected."""
    with pytest.raises(error, match=message):
        framed(frame, loss)


@pytest.mark.parametrize(
    ("frame", "loss", "message"),
    [
        ("ensemble", "kd", "needs no projector"),
        ("n_to_one", "kd", "reads the logits alone"),
        ("n_to_one", "at", "reads stages"),
        ("review", "srrl", "expected a loss of the features"),
        ("self", "at", "expected a loss of these"),
        ("online", "fitnet", "expected a loss of the logits"),
    ],
)
def test_losses_that_do_not_fit_a_frame(frame: str, loss: str, message: str) -> None:
    """Bad input: the message names what the loss reads and what the frame expects."""
    student, teacher = _pair()
    with pytest.raises(HyperparameterError, match=message):
        framed(frame, loss).projectors(student.shapes, teacher.shapes)


def test_frames_need_their_outputs_and_modules() -> None:
    """Bad input: one stage, no features, and a call without the modules."""
    student, teacher = _pair()
    flat = Outputs(logits=student.logits).shapes
    with pytest.raises(ShapeMismatch, match="0 and 3 stages"):
        framed("review", "fitnet").projectors(flat, teacher.shapes)
    with pytest.raises(ShapeMismatch, match="0 stages"):
        framed("self", "kd").projectors(flat, flat)
    with pytest.raises(ShapeMismatch, match="no features"):
        framed("n_to_one", "fitnet").projectors(flat, teacher.shapes)
    with pytest.raises(HyperparameterError, match="no modules of its frame"):
        framed("review", "fitnet")(student, teacher)


def test_specifications() -> None:
    """Round trip: a frame is found again by its specification; a teaching frames every loss."""
    for name in FRAMES:
        assert read_frame(read_frame(name).spec) == read_frame(name)
    teaching = Teaching(teachers=["resnet:resnet8"], losses=["fitnet", "cwd"], frame="review")
    assert [loss.name for loss in teaching.distillers] == ["review/fitnet", "review/cwd"]
    assert teaching.used_weights({}) == {"ce": 1.0, "review/fitnet": 1.0, "review/cwd": 1.0}
