"""Distillation losses recast as proxies."""

import copy
import math
import re
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zcbench
from zcbench import datasets, distill, proxies
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.teachers import read_teacher
from zcbench.errors import BatchError, UnknownNameError
from zcbench.proxies import REGISTRY, TeacherSignals, evaluate
from zcbench.proxies.kd import as_proxy
from zcbench.runtime.execution import Execution

from .conftest import make_network

SPACE = zcbench.spaces.get("nasbench201", channels=4, cells=1)
KD = [name for name in REGISTRY.names() if name.startswith("kd:")]
CELLS = [SPACE[6111], SPACE[1462], SPACE[857]]


def build(arch, seed=0, classes=10):
    return SPACE.build(arch, num_classes=classes, seed=seed, image_shape=(3, 16, 16))


@pytest.fixture
def batch():
    stream = torch.Generator().manual_seed(3)
    return torch.randn(8, 3, 16, 16, generator=stream), torch.randint(10, (8,), generator=stream)


@pytest.fixture
def teacher():
    return build(CELLS[2], seed=1000)


def outputs(network, batch):
    """Independent path: module hooks on the published network's own stages."""
    kept, twin = {}, copy.deepcopy(network).train()
    for name in ("stage1", "stage2", "stage3", "last", "flatten"):
        twin.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: kept.update({name: o.detach()}))
    logits = twin(batch[0]).detach()
    return distill.Outputs(
        logits=logits,
        embedding=kept["flatten"],
        features=kept["last"],
        stages=[kept[f"stage{i}"] for i in (1, 2, 3)],
        classifier=twin.classifier.weight.detach(),
    )


@pytest.mark.parametrize("name", KD)
def test_the_score_is_minus_the_loss(name, batch, teacher):
    """Independent path: the loss itself on outputs that module hooks collected."""
    student = build(CELLS[0])
    item = distill.get(name.removeprefix("kd:"))
    labels = batch[1] if item.uses_labels else None
    expected = -item(outputs(student, batch), outputs(teacher, batch), labels).item()
    assert zcbench.score(student, batch, [name], teacher=teacher)[name] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_every_distiller_is_a_proxy_and_follows_its_registry(monkeypatch):
    """By construction: one name for each; a loss registered later is a proxy at once, also with hyperparameters."""
    monkeypatch.setattr(distill.REGISTRY, "_items", dict(distill.REGISTRY._items))
    assert [f"kd:{name}" for name in distill.names() if distill.get(name).as_proxy] == KD

    @distill.distiller("logit_gap", reads="logits")
    def logit_gap(student, teacher, *, weight: float = 1.0):
        return weight * (student.logits - teacher.logits).abs().mean()

    assert "kd:logit_gap" in REGISTRY.names()
    item = proxies.get("kd:logit_gap(weight=2.0)")
    assert item is proxies.get("kd:logit_gap(weight=2)")
    assert "kd:logit_gap(weight=3)" in REGISTRY
    assert item.name == "kd:logit_gap(weight=2.0)" and item.higher_is_better and not item.uses_labels
    with pytest.raises(UnknownNameError, match="wait"):
        proxies.get("kd:logit_gap(wait=2)")
    with pytest.raises(UnknownNameError, match="logit_gap"):
        proxies.get("kd:logit_gap2")


def test_hyperparameters_change_the_score(batch, teacher):
    """Closed form: KD at temperature 2 by hand."""
    student = build(CELLS[0])
    one, other = (n.train()(batch[0]) for n in (copy.deepcopy(student), copy.deepcopy(teacher)))
    expected = -4 * F.kl_div((one / 2).log_softmax(1), (other / 2).softmax(1), reduction="batchmean").item()
    found = zcbench.score(student, batch, ["kd:kd(temperature=2)"], teacher=teacher)
    assert found == {"kd:kd(temperature=2.0)": pytest.approx(expected, rel=1e-4)}


def test_a_student_has_the_same_scores_whatever_was_scored_before(batch, teacher):
    """Invariance: bits alone, after other students, and with a teacher object that has served them."""
    students = [build(arch) for arch in CELLS]
    kept = TeacherSignals(teacher)
    first = [evaluate(student, batch, KD, teacher=kept) for student in students]
    again = [evaluate(student, batch, KD, teacher=kept) for student in reversed(students)][::-1]
    alone = [evaluate(student, batch, KD, teacher=copy.deepcopy(teacher)) for student in students]
    pick = lambda runs: [[(s.proxy, s.status, repr(s.value)) for s in scores] for scores in runs]  # noqa: E731
    assert pick(first) == pick(again) == pick(alone)
    assert all(parameter.grad is None for network in (*students, teacher) for parameter in network.parameters())


def test_a_student_that_is_its_teacher_has_no_distance(batch):
    """Closed form: equal networks have equal outputs, so every distance is zero."""
    student = build(CELLS[0])
    names = ["kd:kd", "kd:at", "kd:sp", "kd:pkt", "kd:rkd", "kd:nst", "kd:cka_gap", "kd:dist", "kd:pkd"]
    scores = zcbench.score(student, batch, names, teacher=copy.deepcopy(student))
    assert list(scores.values()) == pytest.approx([0] * len(names), abs=1e-5)


def test_what_does_not_fit_is_refused_by_name(batch, teacher):
    """Other classes are an error; other widths are not applicable, and say which adapter to give."""
    with pytest.raises(BatchError, match="10 classes and the teacher 7"):
        evaluate(build(CELLS[0]), (batch[0], batch[1] % 7), ["kd:kd"], teacher=build(CELLS[1], classes=7))
    wide = zcbench.spaces.get("nasbench201", channels=8, cells=1).build(CELLS[1], image_shape=(3, 16, 16))
    plain, adapted = evaluate(build(CELLS[0]), batch, ["kd:fitnet", "kd:fitnet(adapter='conv1x1')"], teacher=wide)
    assert plain.status == "not_applicable" and "conv1x1" in plain.reason
    assert adapted.status == "ok"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    assert evaluate(flat, batch, ["kd:at"], teacher=teacher)[0].status == "not_applicable"


def test_stages_are_the_last_maps_of_each_size(batch):
    """By construction: three stages of the published network; two of a residual one that halves once."""
    spy = proxies.Proxy("spy", lambda s: float(len(s.stages)), frozenset({"stages"}), True, False)
    assert evaluate(build(CELLS[0]), batch, [spy])[0].value == 3
    assert evaluate(make_network(), (batch[0], batch[1] % 5), [spy])[0].value == 2


FAMILIES = [("resnet", "resnet8"), ("s0", "311"), ("wrn", "10-1"), ("vgg", "vgg8"), ("mobilenetv2", "1-0.25")]
FAMILIES += [("shufflenet", "v1"), ("shufflenet", "v2-0.5"), ("resnet_large", "32/b3x16x1/b3x32x2/b3x64x1/b3x128x1")]


@pytest.mark.parametrize(("name", "arch"), FAMILIES)
def test_stages_of_each_family(name, arch):
    """Slow reference: hooks on the parts that have convolutions; of those with maps of one size the last."""
    network = zcbench.spaces.get(name).build(arch, num_classes=10, image_shape=(3, 64, 64)).train()
    stream = torch.Generator().manual_seed(0)
    images, labels = torch.randn(2, 3, 64, 64, generator=stream), torch.tensor([0, 1])
    heard, found = {}, []
    twin = copy.deepcopy(network)
    for module in twin.children():
        if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
            module.register_forward_hook(lambda m, i, o: heard.update({o.shape[2:]: o.detach().clone()}))
    twin(images)
    spy = proxies.Proxy("spy", lambda s: found.extend(s.stages) or 0.0, frozenset({"stages"}), True, False)
    evaluate(network, (images, labels), [spy])
    assert len(found) == len(heard)
    for one, expected in zip(found, heard.values()):
        torch.testing.assert_close(one, expected)


def test_what_only_the_teacher_needs_is_computed_once(batch, teacher, monkeypatch):
    """Count: the decompositions of three students and, once, of their teacher: three stages each."""
    module, calls = sys.modules["zcbench.distill.losses.kdsvd"], []
    plain = module._decomposed
    monkeypatch.setattr(module, "_decomposed", lambda maps, rank: calls.append(rank) or plain(maps, rank))
    kept = TeacherSignals(teacher)
    for arch in CELLS:
        evaluate(build(arch), batch, KD, teacher=kept)
    assert calls.count(4) == 9 and calls.count(1) == 3


def test_what_losses_share_is_not_kept_where_a_gradient_leads(batch, teacher):
    """Invariance: two losses with one Gram matrix are differentiated one after the other, each as if alone."""
    names = ["sp", "diswot_relation_paper", "nst", "at"]
    given = [outputs(network, batch) for network in (build(CELLS[0]), teacher)]
    student, other = given[0].map(lambda tensor: tensor.clone().requires_grad_()), given[1]
    for name in names:
        tensors = [tensor for output, tensor in student.tensors() if output in distill.get(name).reads]
        together = torch.autograd.grad(distill.get(name)(student, other), tensors, allow_unused=True)
        fresh = given[0].map(lambda tensor: tensor.clone().requires_grad_())
        own = [tensor for output, tensor in fresh.tensors() if output in distill.get(name).reads]
        alone = torch.autograd.grad(distill.get(name)(fresh, outputs(teacher, batch)), own, allow_unused=True)
        assert all(map(torch.equal, together, alone))


def statuses(student, batch, teacher, names=KD):
    return {score.proxy: score for score in evaluate(student, batch, names, teacher=teacher)}


def test_other_widths_are_refused_by_name_or_do_not_matter(batch):
    """Bad input: a loss that compares channels one by one names both counts and an adapter; the others give a value."""
    wide = zcbench.spaces.get("resnet").build("resnet8x4", image_shape=(3, 16, 16))
    for name, score in statuses(build(CELLS[0]), batch, wide).items():
        needs = distill.get(name.removeprefix("kd:")).adapts & {"channels", "width"}
        assert score.status == ("not_applicable" if needs else "ok"), score
        if needs:
            assert re.search(
                r"student's \w+ has [\d /]+ channels and the teacher's [\d /]+\. .* adapter='", score.reason
            )


def test_other_numbers_of_stages_are_refused_by_name_or_do_not_matter(batch):
    """Bad input: a teacher of two stages; only losses on stages are not applicable, and name both numbers."""
    teacher = make_network(num_classes=10)
    for name, score in statuses(build(CELLS[0]), batch, teacher).items():
        item = distill.get(name.removeprefix("kd:"))
        if "stages" in item.reads:
            assert score.status == "not_applicable" and "has 3 stages and the teacher 2" in score.reason
        elif not item.adapts & {"channels", "width"}:
            assert score.status == "ok", score


def test_a_run_keeps_the_same_statuses_and_reasons(batch, tmp_path):
    """Independent path: the rows of a scoring run under the same teachers as `evaluate`."""
    images = datasets.batch(datasets.load("noise", image_size=16), 8)
    for teacher in ("resnet:resnet8x4", "vgg:vgg8"):
        space, arch = teacher.split(":")
        network = zcbench.spaces.get(space).build(arch, image_shape=(3, 16, 16))
        direct = statuses(build(CELLS[0]), (images.images, images.labels), TeacherSignals(network))
        conditions = Conditions(SPACE, images, read_teacher(teacher, SPACE))
        result = score_run(conditions, CELLS[:1], KD, [0], tmp_path / space, execution=Execution(workers=0))
        rows = result.scores().set_index("proxy")
        assert {name: (s.status, s.reason) for name, s in direct.items()} == {
            name: (rows.status[name], rows.reason[name]) for name in KD
        }


@pytest.mark.parametrize("size", [1, 2])
def test_the_smallest_batches(size, batch, teacher):
    """Bad input: one image gives a value, or says how many the loss needs; two always give one."""
    small = (batch[0][:size], batch[1][:size])
    for name, score in statuses(build(CELLS[0]), small, teacher).items():
        fewest = distill.get(name.removeprefix("kd:")).min_images
        assert score.status == ("ok" if size >= fewest else "not_applicable"), score
        assert size >= fewest or "given 1, expected at least 2" in score.reason


def test_a_batch_of_one_class(batch, teacher):
    """Bad input: finite for every loss."""
    one_class = (batch[0], torch.zeros_like(batch[1]))
    assert {score.status for score in statuses(build(CELLS[0]), one_class, teacher).values()} == {"ok"}


BAD = {
    "vector": (lambda s, t: s.logits - t.logits, "bad_return", "summed or averaged|sum or average it"),
    "number": (lambda s, t: 3.0, "bad_return", "returned float"),
    "nan": (lambda s, t: (s.logits - t.logits).sum() * math.nan, "nan", "not a number"),
    "infinite": (lambda s, t: (s.logits - t.logits).square().sum() / 0, "infinite", "-inf"),
    "raises": (lambda s, t: s.logits @ t.logits, "error", "RuntimeError"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_loss_that_is_no_loss_is_a_status(kind, batch, teacher):
    """Bad input: a vector, a plain number, NaN, infinity, an exception; the other losses keep their values."""
    function, status, reason = BAD[kind]
    item = distill.Distiller("bad", function, frozenset({"logits"}))
    found = evaluate(build(CELLS[0]), batch, [as_proxy(item), "kd:kd"], teacher=teacher)
    assert (found[0].status, found[1].status) == (status, "ok")
    assert re.search(reason, found[0].reason)
    with pytest.raises(proxies.ScoreFailure, match=status):
        zcbench.score(build(CELLS[0]), batch, [as_proxy(item)], teacher=teacher)


def test_a_loss_without_gradient_is_a_score_and_no_training_loss(batch, teacher):
    """Bad input: at initialisation nothing is differentiated, so it is a number; training refuses it by name."""
    item = distill.Distiller("bad", lambda s, t: (s.logits - t.logits).detach().square().mean(), frozenset({"logits"}))
    assert evaluate(build(CELLS[0]), batch, [as_proxy(item)], teacher=teacher)[0].status == "ok"
    student, other = (distill.Outputs(logits=network(batch[0])) for network in (build(CELLS[0]), teacher))
    with pytest.raises(distill.BadLoss, match="without gradient"):
        item(student, other)
