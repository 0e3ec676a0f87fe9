"""Distillation losses recast as proxies."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zcbench
from zcbench import distill, proxies
from zcbench.errors import BatchError, UnknownNameError
from zcbench.proxies import REGISTRY, Teacher, evaluate

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
    """By construction: one name for each; a loss that is registered later is a proxy at once, also with knobs."""
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


def test_knobs_change_the_score(batch, teacher):
    """Closed form: KD at temperature 2 by hand."""
    student = build(CELLS[0])
    one, other = (n.train()(batch[0]) for n in (copy.deepcopy(student), copy.deepcopy(teacher)))
    expected = -4 * F.kl_div((one / 2).log_softmax(1), (other / 2).softmax(1), reduction="batchmean").item()
    found = zcbench.score(student, batch, ["kd:kd(temperature=2)"], teacher=teacher)
    assert found == {"kd:kd(temperature=2.0)": pytest.approx(expected, rel=1e-4)}


def test_a_student_has_the_same_scores_whatever_was_scored_before(batch, teacher):
    """Invariance: bits alone, after other students, and with a teacher object that has served them."""
    students = [build(arch) for arch in CELLS]
    kept = Teacher(teacher)
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


@pytest.mark.parametrize("name", KD)
def test_every_recast_keeps_the_contract(name):
    """The checks of ``zcbench proxies check``."""
    failed = [finding for finding in proxies.check(proxies.get(name)) if not finding.passed]
    assert not failed
