"""Learned pairs of layers (L2T-ww): weights by hand, the gradient of the look-ahead, and what it must not touch."""

import copy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from zcbench import distill, spaces
from zcbench.benchmarks.training.student import Teaching
from zcbench.distill import Outputs, Recipe, Teacher, framed, train
from zcbench.distill.errors import HyperparameterError, RecipeError, ShapeMismatch, TrainingStopped, WeightError
from zcbench.distill.frames.learned import LearnedPairing, look_ahead
from zcbench.distill.reading import Reader
from zcbench.distill.training.loop import train_together
from zcbench.distill.training.objective import TrainingObjective
from zcbench.distill.training.training import Training
from zcbench.streams import torch_stream

from .conftest import make_outputs
from .tasks import test_detection as detection
from .tasks import test_segmentation as segmentation
from .training.conftest import RECIPE, make_data, same, weights
from .training.test_resuming import after

GENOME = "genome(formula='l2(norm_HW(mean_C(pow2(features))))')"
EAGER = "l2t(every=1,rate=0.2)"


def _pair() -> tuple[Outputs, Outputs]:
    student = make_outputs("one", stages=((3, 8, 8), (4, 4, 4), (5, 2, 2)))
    return student, make_outputs("other", stages=((6, 8, 8), (7, 4, 4), (9, 2, 2)))


def _modules(frame: str, loss: str, student: Outputs, teacher: Outputs, scale: float = 0.0) -> LearnedPairing:
    """Modules of the frame in double precision, with random numbers added to the meta-networks."""
    modules = framed(frame, loss).projectors(student.shapes, teacher.shapes, 3)
    assert isinstance(modules, LearnedPairing)
    stream = torch_stream("tests", "l2t")
    for parameter in modules.double().meta.parameters():
        parameter.add_(scale * torch.randn(parameter.shape, generator=stream, dtype=torch.float64))
    return modules


def _adapted(modules: LearnedPairing, number: int, maps: Tensor) -> Tensor:
    """A stage through the 1x1 convolution of a pair, as a matrix product."""
    return torch.einsum("oc,bchw->bohw", modules.adapters[number].parts["features"][0].weight.flatten(1), maps)


def test_what_and_where_by_hand() -> None:
    """Slow reference: pairs, images and channels in loops; λ = min(max(g(f), 0), 6), w = exp(h) / sum exp(h)."""
    student, teacher = (outputs.map(Tensor.detach) for outputs in _pair())
    modules = _modules("l2t", "fitnet", student, teacher, scale=2.0).requires_grad_(False)
    expected, clipped = 0.0, set()
    for number, (own, other) in enumerate(product(student.stages, teacher.stages)):
        where, what = (getattr(modules.meta[number], name) for name in ("where", "what"))
        own, size = _adapted(modules, number, own), min(own.shape[-1], other.shape[-1])
        one, two = F.adaptive_avg_pool2d(own, size), F.adaptive_avg_pool2d(other, size)
        for image in range(len(own)):
            pooled = other[image].sum((1, 2)) / other[image, 0].numel()
            scale = min(max(float(where.weight[0] @ pooled + where.bias[0]), 0.0), 6.0)
            shares = (what.weight @ pooled + what.bias).exp()
            squares = [float((one[image, c] - two[image, c]).square().sum()) / size**2 for c in range(len(shares))]
            expected += scale * sum(float(s / shares.sum()) * q for s, q in zip(shares, squares)) / len(own)
            clipped.add(scale in (0.0, 6.0))
    assert clipped == {True, False}
    found = framed("l2t", "fitnet")(student, teacher, adapter=modules)
    assert found.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("inner", ["pkd", GENOME])
def test_where_alone_by_hand(inner: str) -> None:
    """Slow reference: for another loss each pair has the mean of its weight over the images."""
    student, teacher = (outputs.map(Tensor.detach) for outputs in _pair())
    modules, expected = _modules("l2t", inner, student, teacher, scale=0.3).requires_grad_(False), 0.0
    for number, (own, other) in enumerate(product(student.stages, teacher.stages)):
        where, adapter = modules.meta[number].where, modules.adapters[number]
        one = _adapted(modules, number, own) if hasattr(adapter, "parts") else own
        scales = [min(max(float(where.weight[0] @ image.mean((1, 2)) + where.bias[0]), 0.0), 6.0) for image in other]
        value = distill.get(inner)(student.replace(features=one), teacher.replace(features=other))
        expected += sum(scales) / len(scales) * float(value)
    found = framed("l2t", inner)(student, teacher, adapter=modules)
    assert found.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("inner", ["fitnet", "pkd", "cwd", GENOME])
def test_begins_as_the_plain_sum_over_pairs(inner: str) -> None:
    """Closed form: with all λ = 1 and equal w it is the sum of the loss over all pairs of stages."""
    student, teacher = _pair()
    modules, loss = _modules("l2t", inner, student, teacher), distill.get(inner)
    values = [
        loss(student.replace(features=own), teacher.replace(features=other), adapter=adapter)
        for (own, other), adapter in zip(product(student.stages, teacher.stages), modules.adapters, strict=True)
    ]
    assert len(values) == 9
    torch.testing.assert_close(framed("l2t", inner)(student, teacher, adapter=modules), torch.stack(values).sum())


class Tiny(nn.Module):
    """Two stages with batch normalisation, smooth so that finite differences hold."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.Softplus())
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), nn.BatchNorm2d(width), nn.Softplus())
        self.last = nn.Linear(width, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.second(self.first(images)).mean((2, 3)))


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("inner", ["fitnet", "pkd", GENOME])
def test_gradient_of_the_look_ahead(inner: str, steps: int) -> None:
    """Finite differences in double precision: the steps are really taken, by `torch.optim.SGD` on copies."""
    torch.manual_seed(0)
    student, teacher = Tiny(2).double(), Tiny(3).double().eval()
    images, labels, reads = torch.randn(6, 3, 4, 4).double(), torch.arange(6) % 3, frozenset({"stages"})
    given = Reader(teacher, reads, "float32", images[:1]).without_gradient(images)
    reader = Reader(student, reads, "float32", images[:1])
    modules = _modules("l2t", inner, reader.without_gradient(images), given, scale=0.1)
    before = weights(student)

    def losses(network: Reader, parts: nn.Module) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
        loss = framed("l2t", inner)
        return lambda: loss(network(images), given, adapter=parts), lambda: F.cross_entropy(
            network(images).logits, labels
        )

    found = look_ahead([student, modules], modules.meta, *losses(reader, modules), steps, 0.3)
    assert same(before, weights(student))
    assert all(parameter.grad is None for parameter in (*student.parameters(), *modules.parameters()))

    def after_the_steps(place: int, entry: int, change: float) -> float:
        network, parts = copy.deepcopy(student), copy.deepcopy(modules)
        list(parts.meta.parameters())[place].data.view(-1)[entry] += change
        transfer, label = losses(Reader(network, reads, "float32", images[:1]), parts)
        trained = [item for item in (*network.parameters(), *parts.parameters()) if item.requires_grad]
        optimizer = torch.optim.SGD(trained, lr=0.3)
        for loss in [transfer] * steps + [label]:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        return label().item()

    for place, gradient in enumerate(found):
        entry = int(gradient.abs().argmax())
        slope = (after_the_steps(place, entry, 1e-4) - after_the_steps(place, entry, -1e-4)) / 2e-4
        assert gradient.view(-1)[entry].item() == pytest.approx(slope, rel=1e-4, abs=1e-9)
    assert max(float(gradient.abs().max()) for gradient in found) > 1e-5


def _networks(dropout: float = 0.0) -> tuple[nn.Module, nn.Module]:
    space = spaces.get("resnet")
    student = space.build("1-1-1@8-8-8-8", 3, image_shape=(3, 8, 8))
    student.classifier = nn.Sequential(nn.Dropout(dropout), student.classifier) if dropout else student.classifier
    return student, space.build("1-1-1@8-8-16-24", 3, image_shape=(3, 8, 8), seed=1)


def _train(frame: str, inner: str = "pkd", **options: Any) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    loss, (student, teacher) = framed(frame, inner), _networks(dropout=0.3)
    given = {"recipe": RECIPE, "distillers": [loss, "kd"], "weights": {loss.name: 0.5}, **options}
    result = train(student, teacher, make_data(), **given)
    return weights(student), [
        {key.replace(loss.name, "framed"): value for key, value in {**row, "seconds": None}.items()}
        for row in result.history
    ]


@pytest.mark.parametrize("inner", ["fitnet", "pkd"])
def test_a_look_ahead_that_learns_nothing_changes_nothing(inner: str) -> None:
    """Invariance: at rate 0 all weights, batch statistics and dropout masks are the bits of no look-ahead at all."""
    never = _train("l2t(every=1000)", inner)
    idle = _train("l2t(every=1,steps=2,rate=0)", inner)
    assert same(never[0], idle[0]) and never[1] == idle[1]
    learned = _train(EAGER, inner)
    assert not same(never[0], learned[0])


def test_number_of_forward_passes() -> None:
    """By construction: one pass of the student for each step, and T + 2 more for each look-ahead."""
    (student, teacher), loss = _networks(), framed("l2t(every=2,steps=3)", "pkd")
    training = Training([student], [TrainingObjective([loss])], [Teacher(teacher)], make_data(), RECIPE)
    passes = []
    handle = student.register_forward_hook(lambda *_: passes.append(1))
    for _ in range(5):
        training.step()
    handle.remove()
    assert len(passes) == 5 + 2 * (3 + 2)


def test_a_training_takes_the_gradient_after_its_step() -> None:
    """Independent reference: the frame's term, its weight, the batch and the student after the step, put together."""
    (student, teacher), loss, data = _networks(), framed("l2t(every=2,steps=2)", "fitnet"), make_data()
    objective = TrainingObjective([loss, "kd"], {"ce": 0.3, loss.name: 0.7})
    recipe = replace(RECIPE, schedule="constant", lr=0.05)
    training = Training([student], [objective], [Teacher(teacher)], data, recipe)
    (modules,) = [part for part in objective.adapters if isinstance(part, LearnedPairing)]
    caught: list[Tensor] = []
    modules.learn = caught.extend  # type: ignore[method-assign]
    training.step()
    assert not caught
    training.step()
    batch = training._batches.at(1)
    taught = Reader(teacher, loss.reads, "float32", batch.images[:1]).without_gradient(batch.images)
    reader = Reader(student, loss.reads, "float32", batch.images[:1])
    expected = look_ahead(
        [student, modules],
        modules.meta,
        lambda: 0.7 * loss(reader(batch.images), taught, adapter=modules),
        lambda: F.cross_entropy(reader(batch.images).logits, batch.labels),
        steps=2,
        rate=0.05,
    )
    for one, other in zip(caught, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(("inner", "steps"), [("fitnet", 1), ("fitnet", 7), (GENOME, 4)])
def test_resumed_to_the_same_bits(tmp_path: Path, inner: str, steps: int) -> None:
    """Invariance: a stop and a start again, with what the meta-networks and their optimizer have learned."""
    whole = _train("l2t(every=2,rate=0.2)", inner)
    with pytest.raises(TrainingStopped):
        _train("l2t(every=2,rate=0.2)", inner, checkpoint=tmp_path / "state", stop=after(steps))
    state = torch.load(tmp_path / "state", weights_only=True)["state"]["objectives"][0]
    optimizer = next(value for key, value in state.items() if key.endswith("_extra_state"))
    assert bool(optimizer["state"]) == (steps > 1)
    rest = _train("l2t(every=2,rate=0.2)", inner, checkpoint=tmp_path / "state")
    assert same(whole[0], rest[0]) and whole[1] == rest[1]


KILLED = """
import os, sys
from pathlib import Path
from tests.distill.test_l2t import _train

class Kill:
    def start(self, steps, done, history): self.left = 7
    def step(self):
        self.left -= 1
        if not self.left: os.kill(os.getpid(), 9)
    def epoch(self, row): pass
    def finish(self): pass

_train("l2t(every=2,rate=0.2)", "fitnet", checkpoint=Path(sys.argv[1]), checkpoint_every=3, observers=[Kill()])
"""


def test_killed_and_resumed_to_the_same_bits(tmp_path: Path) -> None:
    """Invariance: as above after SIGKILL in step 7, with a checkpoint of step 6."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n{KILLED}"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")])
    assert ended.returncode == -signal.SIGKILL
    rest = _train("l2t(every=2,rate=0.2)", "fitnet", checkpoint=tmp_path / "state", checkpoint_every=3)
    whole = _train("l2t(every=2,rate=0.2)", "fitnet")
    assert same(whole[0], rest[0]) and whole[1] == rest[1]


def _students() -> Iterator[nn.Module]:
    yield spaces.get("deit(patch=4)").build("16/2/4/2", 3, image_shape=(3, 16, 16))
    yield spaces.get("resnet").build("1-1-1@8-8-8-8", 3, image_shape=(3, 16, 16))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("inner", ["fitnet", "cwd", GENOME])
def test_transformers_and_convolutions_learn(inner: str, precision: Any) -> None:
    """Contract: student, adapters and meta-networks move; the student's state has no further names."""
    teacher = spaces.get("resnet").build("1-1-1@8-8-16-24", 3, image_shape=(3, 16, 16), seed=1)
    for student in _students():
        loss, names = framed(EAGER, inner), set(student.state_dict())
        objective, before = TrainingObjective([loss], {"ce": 0.0}), weights(student)
        recipe = Recipe(epochs=1, batch_size=8, precision=precision)
        training = Training([student], [objective], [Teacher(teacher)], make_data(train=24, test=8, side=16), recipe)
        own = {name: parameter.clone() for name, parameter in objective.named_parameters()}
        training.step()
        training.step()
        assert training.terms().isfinite().all()
        moved = {name for name, item in objective.named_parameters() if not torch.equal(item, own[name])}
        assert any(".where.weight" in name for name in moved)
        assert any(".what.weight" in name for name in moved) == (inner == "fitnet")
        assert any(".adapters." in name for name in moved) == any(".adapters." in name for name in own)
        assert set(student.state_dict()) == names and not same(before, weights(student))


def test_several_teachers_students_and_losses() -> None:
    """Contract: each pair of networks and each loss has its own pairs; accumulated batches; mutual learning."""
    (student, teacher), losses = _networks(), [framed(EAGER, "pkd"), framed(EAGER, "fitnet")]
    recipe = replace(RECIPE, accumulation=2, batch_size=4, epochs=1)
    result = train(student, [teacher, copy.deepcopy(teacher)], make_data(), recipe, distillers=losses)
    assert result.loss > 0
    first, second = _networks()
    results = train_together([first, second], make_data(), recipe, distillers=losses)
    assert all(each.loss > 0 for each in results)


@pytest.mark.parametrize("task", [segmentation, detection], ids=["segmentation", "detection"])
def test_dense_tasks(task: Any) -> None:
    """Contract: the maps of the backbones of two dense networks, and the loss of their task."""
    loss = framed(EAGER, "fitnet")
    result = train(task.network(0), task.network(1), task.data(), replace(task.RECIPE, epochs=1), distillers=[loss])
    assert result.history[-1][loss.name] > 0


def test_a_gradient_that_is_not_finite_is_left_out() -> None:
    """Bad input: the weights stay where they are."""
    student, teacher = _pair()
    modules = _modules("l2t", "pkd", student, teacher)
    before = [parameter.clone() for parameter in modules.meta.parameters()]
    modules.learn([torch.full_like(parameter, torch.nan) for parameter in before])
    assert all(map(torch.equal, before, modules.meta.parameters()))
    modules.learn([torch.ones_like(parameter) for parameter in before])  # the first step of Adam: rate times the sign
    for one, other in zip(before, modules.meta.parameters(), strict=True):
        torch.testing.assert_close(one - other, torch.full_like(one, 1e-3))


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        return maps * 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * 2


def test_a_loss_without_second_derivative() -> None:
    """Bad input: a sentence that says what the look-ahead needs."""

    def once(student: Outputs, teacher: Outputs) -> Tensor:
        return _Once.apply(student.features).mean()  # type: ignore[no-untyped-call, no-any-return]

    student, teacher = _networks()
    with pytest.raises(RecipeError, match=r"no second derivative.*take another frame"):
        train(student, teacher, make_data(), RECIPE, distillers=[framed(EAGER, once)])


@pytest.mark.parametrize(
    ("frame", "loss", "message"),
    [
        ("l2t(steps=0)", "pkd", "Given steps=0 of the frame 'l2t'. Expected a whole number from 1"),
        ("l2t(every=1.5)", "pkd", "Given every=1.5 of the frame 'l2t'. Expected a whole number from 1"),
        ("l2t(rate=-1)", "pkd", "Given rate=-1 of the frame 'l2t'. Expected a finite number from 0"),
        ("l2t(rate=True)", "pkd", "Expected a finite number from 0"),
        ("l2t", "kd", "reads logits"),
        ("l2t", "at", "reads stages"),
        ("l2t", "srrl", "expected a loss of the features"),
    ],
)
def test_what_is_refused(frame: str, loss: str, message: str) -> None:
    """Bad input: hyperparameters out of range, and losses of other outputs."""
    student, teacher = _pair()
    with pytest.raises(HyperparameterError, match=message):
        framed(frame, loss).projectors(student.shapes, teacher.shapes)


def test_networks_without_stages() -> None:
    """Bad input: no stages on one side, and a call without the modules."""
    student, teacher = _pair()
    with pytest.raises(ShapeMismatch, match="Given 0 and 3 stages"):
        framed("l2t", "pkd").projectors(Outputs(logits=student.logits).shapes, teacher.shapes)
    with pytest.raises(HyperparameterError, match="no modules of its frame"):
        framed("l2t", "pkd")(student, teacher)


def test_name() -> None:
    """Round trip: the specification names every hyperparameter; a teaching frames every loss."""
    assert framed("l2t(rate=0)", "pkd").name == "l2t(steps=1,every=10,rate=0.0)/pkd"
    teaching = Teaching(teachers=["resnet:resnet8"], losses=["pkd"], frame="l2t")
    name = "l2t(steps=1,every=10,rate=0.001)/pkd"
    assert teaching.used_weights({}) == {"ce": 1.0, name: 1.0}
    assert teaching.used_weights({"l2t/pkd": 0.1}) == teaching.used_weights({name: 0.1}) == {"ce": 1.0, name: 0.1}
    with pytest.raises(WeightError, match="which is no term"):
        teaching.used_weights({"l2t/pk": 0.1})
