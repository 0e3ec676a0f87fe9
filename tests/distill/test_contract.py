"""What holds for every distiller, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zcbench import distill
from zcbench.distill import BadLoss, Distiller, HyperparameterError, MissingOutput, Outputs, ShapeMismatch, TooFewImages
from zcbench.errors import DuplicateNameError, UnknownNameError

from .conftest import Pair, make_outputs, make_pair

NAMES = distill.names()
METHODS = {
    *("kd", "dkd", "dist", "wsld", "ofa", "sharpness_gap", "sharpness_gap_abs"),
    *("fitnet", "ickd", "cwd", "pkd", "sp", "srrl"),
    *("at", "nst", "kdsvd", "fsp", "fsp_mean", "review"),
    *("rkd", "cc", "pkt", "crd", "nd", "cka_gap"),
    *("diswot", "diswot_relation", "diswot_semantic", "diswot_semantic_cam"),
}


def grads(loss: Tensor, outputs: Outputs) -> list[Tensor]:
    tensors = [tensor for _, tensor in outputs.tensors() if tensor.requires_grad]
    found = torch.autograd.grad(loss, tensors, allow_unused=True, retain_graph=True)
    return [gradient for gradient in found if gradient is not None]


def test_all_the_methods_are_there() -> None:
    """Closed form: the losses of the plan, by name."""
    assert set(NAMES) >= METHODS


@pytest.mark.parametrize("name", NAMES)
def test_gradient_for_the_student_only(name: str, pair: Pair) -> None:
    """Contract: the student learns and the teacher does not, also when the caller forgot to detach it."""
    loss = distill.get(name)(*pair)
    assert loss.ndim == 0 and loss.requires_grad
    assert any(gradient.abs().max() > 1e-8 for gradient in grads(loss, pair.student))
    assert grads(loss, pair.teacher) == []


@pytest.mark.parametrize("name", NAMES)
def test_reads_only_what_it_declares(name: str, pair: Pair) -> None:
    """Contract: with nothing but the declared outputs the value is the same, to the bit."""
    loss = distill.get(name)

    def only(outputs: Outputs) -> Outputs:
        return Outputs(
            **{output: outputs.read(output) if output == "stages" else outputs.read(output)[0] for output in loss.reads}
        )

    assert torch.equal(loss(only(pair.student), only(pair.teacher), pair.labels), loss(*pair))


@pytest.mark.parametrize("name", NAMES)
def test_each_declared_output_is_needed(name: str, pair: Pair) -> None:
    """Contract: without one of the outputs it declares, it names the one that lacks."""
    loss = distill.get(name)
    for missing in loss.reads:
        there = {output: getattr(pair.teacher, output) for output in distill.OUTPUTS if output != missing}
        with pytest.raises(MissingOutput, match=missing):
            loss(pair.student, Outputs(**there), pair.labels)


@pytest.mark.parametrize("name", NAMES)
def test_labels(name: str, pair: Pair) -> None:
    """Contract: a loss that uses labels changes with them and needs them; another takes none."""
    loss = distill.get(name)
    if loss.uses_labels:
        assert not torch.equal(loss(pair.student, pair.teacher, pair.labels.flip(0) ^ 1), loss(*pair))
        with pytest.raises(ShapeMismatch, match="uses labels and was given none"):
            loss(pair.student, pair.teacher)
    else:
        assert torch.equal(loss(pair.student, pair.teacher), loss(*pair))


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_small_batches(name: str, size: int) -> None:
    """Contract: two images give a finite number; one gives it too, or an error that says how many are needed."""
    loss, small = distill.get(name), make_pair(size)
    if size < loss.min_images:
        with pytest.raises(TooFewImages, match="given 1, expected at least 2"):
            loss(*small)
    else:
        assert torch.isfinite(loss(*small))


@pytest.mark.parametrize("name", [name for name in NAMES if distill.get(name).uses_labels])
def test_a_batch_of_one_class(name: str, pair: Pair) -> None:
    """Bad input: all images of one class still give a finite loss with a gradient."""
    loss = distill.get(name)(pair.student, pair.teacher, torch.zeros_like(pair.labels))
    assert torch.isfinite(loss) and all(torch.isfinite(gradient).all() for gradient in grads(loss, pair.student))


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_and_autocast(name: str) -> None:
    """Same loss in float32, and under autocast from bfloat16 outputs, within what those types resolve."""
    exact, single = make_pair(), make_pair(dtype=torch.float32)
    loss = distill.get(name)
    expected = loss(*exact).float()
    torch.testing.assert_close(loss(*single), expected, rtol=1e-3, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = [outputs.map(Tensor.bfloat16) for outputs in single[:2]]
        value = loss(half[0], half[1], exact.labels)
    assert value.dtype == torch.float32
    again = loss(*(outputs.map(Tensor.float) for outputs in half), exact.labels)
    assert torch.equal(value, again)


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_twice(name: str) -> None:
    """Contract: the same outputs give the same bits, and nothing is written to them."""
    pair = make_pair(dtype=torch.float32)
    versions = [tensor._version for outputs in pair[:2] for _, tensor in outputs.tensors()]
    assert torch.equal(distill.get(name)(*pair), distill.get(name)(*pair))
    assert versions == [tensor._version for outputs in pair[:2] for _, tensor in outputs.tensors()]


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_is_needed_to_score(name: str, pair: Pair) -> None:
    """Contract: detached outputs, as at initialisation, give the same number."""
    with torch.no_grad():
        value = distill.get(name)(pair.student.map(Tensor.detach), pair.teacher, pair.labels)
    assert value.item() == pytest.approx(distill.get(name)(*pair).item(), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_described(name: str) -> None:
    """Contract: a sentence, a formula, sections in one order, a source."""
    loss = distill.get(name)
    text = loss.function.__doc__ or ""
    assert loss.summary.endswith((".", "`.")) and loss.source and ".. math::" in text
    places = [text.find(f"\n    {section}:") for section in ("Args", "Returns", "Raises", "Note") if section in text]
    assert places == sorted(places) and -1 not in places[:2]


@pytest.mark.parametrize("name", NAMES)
def test_other_batch_or_classes(name: str, pair: Pair) -> None:
    """Bad input: other class counts and other batch sizes are errors that name both numbers."""
    with pytest.raises(ShapeMismatch, match="student has 4 classes and the teacher 3"):
        distill.get(name)(pair.student, make_outputs("teacher", classes=3), pair.labels)
    with pytest.raises(ShapeMismatch, match="5 images and the teacher's 3 images"):
        distill.get(name)(pair.student, make_outputs("teacher", size=3), pair.labels)


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([0, 1]),
        torch.zeros(5),
        torch.tensor([0, 1, 2, 3, 4]),
        torch.tensor([0, 1, -1, 3, 0]),
        [0, 1, 2, 3, 0],
    ],
)
def test_bad_labels(labels: Tensor, pair: Pair) -> None:
    """Bad input: labels of another length, type or range."""
    with pytest.raises(ShapeMismatch, match="Given labels"):
        distill.get("dkd")(pair.student, pair.teacher, labels)


@pytest.mark.parametrize("name", ["fsp", "fsp_mean", "kdsvd", "at", "nst", "review"])
def test_other_numbers_of_stages(name: str, pair: Pair) -> None:
    """Bad input: three stages cannot be paired with two, and a flow needs two."""
    teacher = pair.teacher.replace(stages=pair.teacher.stages[:2])
    with pytest.raises(ShapeMismatch, match="3 stages and the teacher 2"):
        distill.get(name)(pair.student, teacher, pair.labels)
    if distill.get(name).min_stages > 1:
        single = pair.teacher.replace(stages=pair.teacher.stages[:1])
        with pytest.raises(ShapeMismatch, match="at least 2"):
            distill.get(name)(single, single, pair.labels)


@pytest.mark.parametrize("name", ["srrl", "diswot_semantic_cam", "diswot_distillation"])
def test_classifier_that_reads_something_else(name: str, pair: Pair) -> None:
    """Bad input: a classifier behind a hidden layer does not read the feature map's channels."""
    teacher = pair.teacher.replace(classifier=torch.ones(4, 9, dtype=torch.float64))
    with pytest.raises(ShapeMismatch, match="one linear layer after global pooling"):
        distill.get(name)(pair.student, teacher, pair.labels)


def test_outputs_are_checked_when_they_are_made() -> None:
    """Bad input: an output with the wrong number of axes, whole numbers, or no tensor."""
    for wrong in (torch.zeros(3), torch.zeros(3, 4, dtype=torch.long), [[1.0]]):
        with pytest.raises(ShapeMismatch, match="Given logits"):
            Outputs(logits=wrong)  # type: ignore[arg-type]
    with pytest.raises(MissingOutput, match="gave nothing, but no 'stages'"):
        _ = Outputs().stages


def make(function: Callable[..., object], **declared: object) -> Distiller:
    return Distiller("mine", function, frozenset({"logits"}), **declared)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s, t: (s.logits - t.logits).square().mean(1), r"float64 \(5,\)"),
        (lambda s, t: 1.0, "returned float"),
        (lambda s, t: s.logits.detach().mean(), "without gradient"),
        (lambda s, t: t.logits.mean(), "without gradient"),
        (lambda s, t: s.logits.argmax(), "int64"),
    ],
)
def test_bad_losses(function: Callable[..., object], message: str, pair: Pair) -> None:
    """Bad input: a vector, a float, a loss that leads nowhere, a whole number."""
    with pytest.raises(BadLoss, match=message):
        make(function)(*pair)


def test_a_loss_may_be_nan(pair: Pair) -> None:
    """Contract: a number that is not finite is let through; what to do about it is the caller's."""
    assert make(lambda s, t: (s.logits - s.logits).mean() / 0)(*pair).isnan()


def test_own_distiller_in_one_place(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: a decorated function is registered, called, and configured by its keyword-only parameters."""
    monkeypatch.setattr(distill.REGISTRY, "_items", dict(distill.REGISTRY._items))

    @distill.distiller("test_logit_mse", reads="logits")
    def mine(student: Outputs, teacher: Outputs, *, weight: float = 1.0) -> Tensor:
        """Mean squared distance of the logits."""
        return weight * (student.logits - teacher.logits).square().mean()

    expected = (pair.student.logits - pair.teacher.logits).square().mean()
    torch.testing.assert_close(distill.get("test_logit_mse(weight=3)")(*pair), 3 * expected)
    assert not mine.uses_labels and mine.summary == "Mean squared distance of the logits."
    with pytest.raises(DuplicateNameError, match="test_logit_mse"):
        distill.distiller("test_logit_mse", reads="logits")(lambda student, teacher: student.logits.mean())
    with pytest.raises(UnknownNameError, match="'logits'"):
        distill.distiller("test_other", reads="logit")
    with pytest.raises(UnknownNameError, match="'channels'"):
        distill.distiller("test_other", reads="logits", adapts="channel")


def test_hyperparameters_in_a_name() -> None:
    """Round trip: a name gives the loss that gives the name; defaults are left out, numbers take its type."""
    loss = distill.get("dkd(temperature=1,beta=2)")
    assert loss.name == "dkd(beta=2.0,temperature=1.0)"
    assert distill.get(loss.name) == loss and distill.get("dkd", beta=2, temperature=1) == loss
    assert distill.get("kd(temperature=4)") == distill.get("kd")
    assert distill.get("kd(temperature=2)", temperature=3).name == "kd(temperature=3.0)"
    assert loss.configured(beta=8).name == "dkd(temperature=1.0)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kd(temperature=0)", "above 0"),
        ("kd(temperature=-1)", "above 0"),
        ("kd(temperature=1e999)", "finite"),
        ("kd(temperature='4')", "finite"),
        ("kd(temperature=True)", "finite"),
        ("cc(order=0)", "at least 1"),
        ("cc(order=1.5)", "whole number"),
        ("kd(4)", "cannot be read"),
        ("kd(temperature=", "cannot be read"),
        ("fitnet(adapter=3)", "a name"),
        ("fitnet(adapter_seed=-1)", "at least 0"),
    ],
)
def test_bad_hyperparameters(name: str, message: str) -> None:
    """Bad input: values out of range or of another type, and text that cannot be read."""
    with pytest.raises(HyperparameterError, match=message):
        distill.get(name)


@pytest.mark.parametrize(
    ("name", "near"), [("kdd", "'kd'"), ("kd(temprature=2)", "'temperature'"), ("kd(adapter='x')", "temperature")]
)
def test_unknown_names(name: str, near: str) -> None:
    """Bad input: names that are nearly right are answered with the right one."""
    with pytest.raises(UnknownNameError, match=near):
        distill.get(name)


def test_a_training_step_lowers_every_loss() -> None:
    """Invariance: a small enough step against the gradient lowers any loss that is smooth there."""
    for name in NAMES:
        pair, loss = make_pair(), distill.get(name)
        leaves = [tensor for _, tensor in pair.student.tensors()]
        value = loss(*pair)
        found = torch.autograd.grad(value, leaves, allow_unused=True)
        length = torch.stack([gradient.norm() for gradient in found if gradient is not None]).norm()
        steps = iter([tensor if g is None else tensor - 1e-5 / length * g for tensor, g in zip(leaves, found)])
        moved = pair.student.map(lambda _, steps=steps: next(steps))  # type: ignore[misc]
        assert loss(moved, *pair[1:]) < value, name


def test_student_is_trained_through_a_network() -> None:
    """Contract: gradients reach the weights of the student's network and leave the teacher's alone."""
    student, teacher = nn.Linear(6, 4), nn.Linear(6, 4)
    images = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    distill.get("kd")(Outputs(logits=student(images)), Outputs(logits=teacher(images))).backward()  # type: ignore[no-untyped-call]
    assert student.weight.grad is not None and teacher.weight.grad is None
