"""The shared pass, what it leaves behind, and what becomes of a proxy that misbehaves."""

import copy
import math
import random
import time

import numpy as np
import pytest
import torch
from torch import nn

import zcbench
from zcbench import datasets
from zcbench.errors import BatchError, DuplicateNameError, ProtocolError, UnknownNameError
from zcbench.proxies import REGISTRY, Proxy, ScoreFailure, TeacherSignals, check, evaluate, needs_network, proxy

from ..conftest import make_network

ALL = REGISTRY.names()


def own(function, reads="logits", **options) -> Proxy:
    """A proxy that no registry knows."""
    settings = {"higher_is_better": True, "uses_labels": True, **options}
    return Proxy("own", function, frozenset([reads] if isinstance(reads, str) else reads), **settings)


def values(scores):
    return {score.proxy: (score.status, repr(score.value)) for score in scores}


def test_together_alone_and_in_any_order(network, teacher, batch):
    """Invariance: the same bits alone, together, reversed, and after another network was scored."""
    together = values(evaluate(network, batch, ALL, teacher=teacher))
    assert values(evaluate(network, batch, ALL[::-1], teacher=teacher)) == together
    evaluate(make_network(num_classes=5), batch, ALL, teacher=teacher)
    for name in ALL:
        assert values(evaluate(network, batch, [name], teacher=teacher)) == {name: together[name]}


def test_on_a_published_cell_too():
    """Invariance: the same bits alone and together on a NAS-Bench-201 network, whose graph has branches."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=2)
    network = space.build(space[6111], image_shape=(3, 16, 16))
    batch = torch.randn(8, 3, 16, 16), torch.arange(8)
    teacher = TeacherSignals(space.build(space[1462], image_shape=(3, 16, 16)))
    together = values(evaluate(network, batch, ALL, teacher=teacher))
    assert all(values(evaluate(network, batch, [name], teacher=teacher)) == {name: together[name]} for name in ALL)


def raises(signals):
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("proxies", [ALL, [own(raises)], [own(raises, "network")]])
def test_nothing_is_left_on_the_network(proxies, network, teacher, batch):
    """Invariance: parameters, buffers, gradients, flags, modes, hooks, images and random states are as before."""
    network.eval()
    network[0].weight.requires_grad_(False)
    network[2].train()
    network[9].weight.grad = torch.ones_like(network[9].weight)
    state, images = copy.deepcopy(network.state_dict()), batch[0].clone()
    modes, flags = [m.training for m in network.modules()], [p.requires_grad for p in network.parameters()]
    randoms = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()

    evaluate(network, batch, proxies, teacher=teacher)

    assert all(torch.equal(t, state[name]) for name, t in network.state_dict().items())
    assert [m.training for m in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == flags
    assert [p.grad is not None for p in network.parameters()].count(True) == 1
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in network.modules())
    assert torch.equal(batch[0], images)
    assert not batch[0].requires_grad
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(after[0], randoms[0]) and after[1:] == randoms[1:]


def change_weights(signals):
    signals.network[0].weight.data.mul_(2)
    return 1.0


def overwrite(signals):
    for gradient in signals.gradients.values():
        gradient.zero_()
    return 1.0


def train_a_step(signals):
    signals.network(signals.images).sum().backward()
    return signals.network[0].weight.grad.norm().item()


@pytest.mark.parametrize(
    ("function", "reads", "status", "reason"),
    [
        (raises, "logits", "error", "RuntimeError: broken on purpose"),
        (lambda s: s.logits.sum(), "logits", "bad_return", "Returned a Tensor. Expected a Python float; use .item()."),
        (lambda s: "high", "logits", "bad_return", "Returned a str. Expected a Python float."),
        (lambda s: None, "logits", "bad_return", "Returned a NoneType. Expected a Python float."),
        (lambda s: math.nan, "logits", "nan", "not a number"),
        (lambda s: -math.inf, "logits", "infinite", "-inf"),
        (lambda s: s.gradients, "logits", "error", "Reads the signal 'gradients' but declares logits."),
        (overwrite, "gradients", "changed_network", "It wrote to the signals that all proxies share"),
        (change_weights, "network", "changed_network", "It changed 0.weight; this was undone."),
        (lambda s: np.float32(2.5), "logits", "ok", ""),
        (train_a_step, "network", "ok", ""),
    ],
)
def test_a_misbehaving_proxy_is_a_status(function, reads, status, reason, network, batch):
    """The status and reason are named; the proxy beside it is as if alone."""
    alone = evaluate(network, batch, ["snip"])[0].value
    mine, snip = evaluate(network, batch, [own(function, reads), "snip"])
    assert (mine.status, reason in mine.reason) == (status, True), mine.reason
    assert snip.value == alone
    assert math.isnan(mine.value) == (status != "ok")


def scale_images(signals):
    signals.images.mul_(3)
    return 1.0


def clear_labels(signals):
    signals.labels.zero_()
    return 1.0


def clip_the_teacher(signals):
    signals.teacher.features.zero_()
    return 1.0


@pytest.mark.parametrize(
    ("function", "reads"), [(scale_images, ()), (clear_labels, "labels"), (clip_the_teacher, ("teacher", "features"))]
)
def test_what_is_shared_outlives_a_proxy_that_writes_to_it(function, reads, network, teacher, batch):
    """Invariance: the proxies after it, and the next student under the same teacher and batch, are as if without it."""
    names, kept = ["snip", "naswot", "diswot_relation"], [tensor.clone() for tensor in batch]
    alone = values(evaluate(network, batch, names, teacher=teacher))
    shared = TeacherSignals(teacher)
    mine, *others = evaluate(network, batch, [own(function, reads), *names], teacher=shared)
    assert (mine.status, "It wrote to the signals" in mine.reason) == ("changed_network", True)
    assert values(others) == alone
    assert values(evaluate(network, batch, names, teacher=shared)) == alone
    assert all(map(torch.equal, batch, kept))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_changes_nothing(mode, network, teacher, make_batch):
    """Invariance: the same bits where recording is switched off, also for a batch that was made there."""
    names = REGISTRY.names()
    usual = values(evaluate(network, make_batch(), names, teacher=teacher))
    with mode():
        batch = make_batch()
        assert values(evaluate(network, batch, names, teacher=teacher)) == usual
        assert not torch.is_grad_enabled()


def test_all_that_apply(network, batch, teacher):
    """By construction: every proxy with a value, none that is for transformers, teachers only where there is one."""
    alone, taught = zcbench.score(network, batch), zcbench.score(network, batch, teacher=teacher)
    assert {"snip", "synflow", "zen", "vkdnw"} <= set(alone) < set(taught)
    assert "dss" not in taught and "diswot_relation" in set(taught) - set(alone)
    with pytest.raises(ScoreFailure, match="dss"):
        zcbench.score(network, batch, ["dss"])


def test_exit_and_exhaustion_are_statuses(network, batch):
    """SystemExit does not end the process, and lack of memory has its own name."""

    def exits(signals):
        raise SystemExit(3)

    def exhausts(signals):
        raise MemoryError("no more")

    assert evaluate(network, batch, [own(exits)])[0].status == "error"
    assert evaluate(network, batch, [own(exhausts)])[0].status == "out_of_memory"


def test_a_slow_proxy_times_out_alone(network, batch):
    """The limit counts for each proxy by itself."""
    slow = own(lambda s: time.sleep(20) or 1.0)
    scores = evaluate(network, batch, [slow, "snip"], timeout=2)
    assert [score.status for score in scores] == ["timeout", "ok"]


def test_score_raises_and_keeps_what_is_finished(network, batch):
    """The error names the failed proxy and carries the finished score."""
    with pytest.raises(ScoreFailure, match="own \\(nan\\)") as failure:
        zcbench.score(network, batch, proxies=["l2_norm", own(lambda s: math.nan)])
    assert failure.value.scores[0].status == "ok"


def test_labels_change_only_what_uses_them(network, teacher, batch):
    """Invariance: shuffled labels leave every proxy that is declared label-free at the same bits."""
    other = batch[0], batch[1].roll(1)
    one, two = (values(evaluate(network, b, ALL, teacher=teacher)) for b in (batch, other))
    assert {name for name in ALL if one[name] != two[name]} <= {n for n in ALL if REGISTRY.get(n).uses_labels}
    assert one["snip"] != two["snip"]


@pytest.mark.parametrize("name", ALL)
def test_every_proxy_keeps_the_contract(name):
    """The contract of ``zcbench proxies check``."""
    assert [finding for finding in check(REGISTRY.get(name)) if not finding.passed] == []


def test_the_check_finds_what_is_wrong():
    """Counter-examples: constant, random, in love with labels, order-dependent."""
    seen = []
    bad = {
        "not constant": own(lambda s: 1.0),
        "label-free": own(lambda s: float(s._batch.labels[0]), uses_labels=False),
        "same seed": own(lambda s: seen.append(0) or float(len(seen))),
        "dead cell": own(raises),
    }
    for expected, culprit in bad.items():
        assert any(expected in f.check and not f.passed for f in check(culprit)), expected


def test_a_proxy_is_handed_the_network_as_it_came(network, batch):
    """Invariance: the passes of other proxies leave no running statistics behind for one that reads the network."""
    mean = own(lambda s: s.network[4].running_mean.abs().sum().item(), "network")
    assert evaluate(network, batch, ["snip", "zen", "grasp", mean])[-1].value == 0


class Counting(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, x):
        self.calls += 1
        return self.network(x)


def test_one_forward_pass_serves_all(network, teacher, batch):
    """Count: first-order proxies share one forward; a teacher is seen once for many students."""
    student, prepared = Counting(network), TeacherSignals(Counting(teacher))
    names = ["snip", "fisher", "jacov", "naswot", "grasp", "diswot_relation", "diswot_semantic"]
    evaluate(student, batch, names, teacher=prepared)
    evaluate(make_network(), batch, names, teacher=prepared)
    assert (student.calls, prepared.network.calls) == (1, 1)


def test_a_teacher_sees_another_batch_anew(network, teacher, make_batch):
    """Invariance: a prepared teacher gives what a fresh one gives, also after the batch changed."""
    prepared = TeacherSignals(teacher)
    for size in (8, 12, 8):
        fresh = evaluate(network, make_batch(size), ["diswot_relation"], teacher=teacher)
        assert values(evaluate(network, make_batch(size), ["diswot_relation"], teacher=prepared)) == values(fresh)
    images, labels = make_batch(8)
    assert values(evaluate(network, (images, labels), ["diswot_relation"], teacher=prepared)) == values(fresh)
    images.mul_(torch.arange(8.0)[:, None, None, None])  # the caller's own buffer, filled with other images
    fresh = evaluate(network, (images, labels), ["diswot_relation"], teacher=teacher)
    assert values(evaluate(network, (images, labels), ["diswot_relation"], teacher=prepared)) == values(fresh)


def test_a_teacher_that_was_interrupted_has_forgotten_nothing_and_kept_nothing(network, teacher, make_batch):
    """Invariance: stopped while it sees a second batch, it sees that batch anew."""
    calls = []

    class Stopped(nn.Module):
        def forward(self, x):
            calls.append(len(x))
            if calls.count(12) == 1 and calls[-1] == 12:
                raise KeyboardInterrupt
            return teacher(x)

    prepared, names = TeacherSignals(Stopped()), ["kd:kd"]
    evaluate(network, make_batch(8), names, teacher=prepared)
    with pytest.raises(KeyboardInterrupt):
        evaluate(network, make_batch(12), names, teacher=prepared)
    fresh = evaluate(network, make_batch(12), names, teacher=teacher)
    assert values(evaluate(network, make_batch(12), names, teacher=prepared)) == values(fresh)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(4, 3, 8, 8).byte(), torch.zeros(4).long(), "uint8.*Expected floating images"),
        (torch.zeros(0, 3, 8, 8), torch.zeros(0).long(), "at least one input"),
        (torch.zeros(4, 3, 8, 8), torch.zeros(5).long(), "labels of int64 .5,. for 4 inputs. Expected"),
        (torch.zeros(4, 3, 8, 8), torch.rand(4), r"labels of numbers \(B,\) for an output \(B, 5\), which fit no loss"),
        (torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 5]), "label 5, but the network has 5 classes"),
        (torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, -1]), "label -1"),
        ([[1.0]], torch.zeros(1).long(), "inputs of list"),
        ((torch.zeros(4, 3), torch.zeros(5, 3)), torch.zeros(4).long(), "first axes differ in length"),
    ],
)
def test_a_batch_that_does_not_fit(images, labels, message, network):
    """The error says what was given and what was expected."""
    with pytest.raises(BatchError, match=message):
        evaluate(network, (images, labels), ["snip"])


@pytest.mark.parametrize(("given", "message"), [(torch.zeros(4, 3, 8, 8), "Tensor"), ((1, 2, 3), "3 values")])
def test_what_is_no_batch_is_refused(given, message, network):
    """Images alone, or more than a pair: said so, with what is expected."""
    with pytest.raises(BatchError, match=rf"Given {message} as the batch. Expected the pair \(inputs, labels\)"):
        evaluate(network, given, ["snip"])


def test_a_batch_of_the_data_sets_is_a_pair():
    """`zcbench.datasets.batch` gives what `score` takes: the same bits as its images and labels."""
    batch = datasets.batch(datasets.load("noise", image_size=8), 8)
    network = make_network(num_classes=batch.num_classes)
    assert zcbench.score(network, batch, ["snip"]) == zcbench.score(network, (batch.images, batch.labels), ["snip"])


def test_networks_that_do_not_classify(batch):
    """Outputs that are no logits, weights that are no numbers: refused by name."""

    class Text(nn.Module):
        def forward(self, x):
            return {"text": "x"}

    with pytest.raises(BatchError, match="returns a dict with the keys text, which holds no tensor"):
        evaluate(Text(), batch, ["naswot"])
    with pytest.raises(BatchError, match=r"for an output \(B, 192, 1\), which fit no loss"):
        evaluate(nn.Sequential(nn.Flatten(), Unsqueeze()), batch, ["naswot"])
    with pytest.raises(BatchError, match="meta device"):
        evaluate(make_network().to("meta"), batch, ["snip"])


class Unsqueeze(nn.Module):
    def forward(self, x):
        return x[..., None]


def test_one_image_is_refused_where_images_are_compared(network, teacher, make_batch):
    """One image has gradients but no correlations."""
    names = ["snip", "synflow", "jacov", "epe_nas", "naswot", "diswot_relation"]
    scores = evaluate(network, make_batch(1), names, teacher=teacher)
    assert [s.status for s in scores] == ["ok", "ok", *["not_applicable"] * 4]


def test_what_a_network_lacks_is_not_applicable(teacher, batch):
    """No ReLU, no feature map, another width than the teacher: named, not failed."""
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    scores = evaluate(plain, batch, ["naswot", "zen", "diswot_semantic", "snip"], teacher=teacher)
    assert [s.status for s in scores] == ["not_applicable", "not_applicable", "not_applicable", "ok"]
    no_layer = evaluate(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (batch[0], batch[1] % 3), ["snip"])
    assert no_layer[0].value == 0


def test_teachers_must_fit(network, batch):
    """A missing teacher and other classes are errors before anything is scored."""
    with pytest.raises(ProtocolError, match="diswot_relation compare with a teacher"):
        evaluate(network, batch, ["diswot_relation"])
    with pytest.raises(BatchError, match="5 classes and the teacher 7"):
        evaluate(network, batch, ["diswot_relation"], teacher=make_network(num_classes=7))


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 5)

    def forward(self, x):
        raise RuntimeError("no way forward")


def test_a_pass_that_fails_beside_a_teacher_is_a_status(network, teacher, batch):
    """A student or a teacher that cannot run costs what rests on its forward pass, and nothing else."""
    names = ["diswot_relation", "snip", "params"]
    scores = evaluate(Broken(), batch, names, teacher=teacher)
    assert [s.status for s in scores] == ["error", "error", "ok"]
    assert "no way forward" in scores[0].reason
    assert [s.status for s in evaluate(network, batch, names, teacher=Broken())] == ["error", "ok", "ok"]


def test_a_teacher_is_compared_without_a_forward_pass(network, teacher, batch):
    """A proxy may hold the weights of two networks against each other."""
    gap = own(lambda s: float(len(s.parameters) - len(s.teacher.parameters)), ("parameters", "teacher"))
    assert evaluate(network, batch, [gap], teacher=teacher)[0].value == 3


def test_counts_need_no_network(batch):
    """Analytic costs are enough for the size baselines, and only for them."""
    costs = zcbench.proxies.NetworkCosts(10, 20, 3)
    assert [s.value for s in evaluate(None, batch, ["params", "macs", "n_convs"], costs=costs)] == [10, 20, 3]
    assert evaluate(None, batch, ["depth"], costs=costs)[0].status == "not_applicable"
    assert evaluate(None, batch, ["depth"], costs=costs._replace(depth=7))[0].value == 7
    assert evaluate(None, batch, ["width"], costs=costs)[0].status == "not_applicable"
    assert evaluate(None, batch, ["width"], costs=costs._replace(width=9))[0].value == 9
    assert not needs_network([REGISTRY.get("params")])
    with pytest.raises(ProtocolError, match="No network is given"):
        evaluate(None, batch, ["snip"], costs=costs)


def test_declarations_are_checked():
    """A signal nobody knows, a label-free proxy that reads gradients, a name that is taken."""
    with pytest.raises(UnknownNameError, match="Did you mean 'gradients'"):
        proxy("a", reads="gradient", higher_is_better=True)
    with pytest.raises(ProtocolError, match="uses_labels=False but reads gradients"):
        proxy("a", reads="gradients", higher_is_better=True, uses_labels=False)
    with pytest.raises(DuplicateNameError, match=r"snip\.py.*test_evaluation\.py"):

        @proxy("snip", reads="logits", higher_is_better=True)
        def mine(signals):
            return 0.0

    with pytest.raises(UnknownNameError, match="Did you mean 'synflow'"):
        zcbench.proxies.get("sinflow")


def test_dropout_and_random_proxies_follow_the_seed(batch):
    """Same seed, same bits; another seed, another mask."""
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.ReLU(), nn.Linear(192, 5))
    noise = own(lambda s: torch.rand(1).item())
    runs = [values(evaluate(network, batch, ["snip", noise], seed=seed)) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0]["snip"] != runs[2]["snip"] and runs[0]["own"] != runs[2]["own"]
