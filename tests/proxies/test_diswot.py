"""DisWOT's scores: the formulas by definition, one home with the losses, and the bundled scores."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import zcbench
from zcbench import datasets, distill, proxies, spaces
from zcbench.benchmarks.scoring import bundled
from zcbench.proxies import TeacherSignals, evaluate

NAMES = ["diswot_relation", "diswot_semantic", "diswot", "diswot_semantic_cam"]
SPACE = spaces.get("nasbench201", channels=4, cells=1)


@pytest.fixture
def setting():
    stream = torch.Generator().manual_seed(3)
    batch = torch.randn(6, 3, 16, 16, generator=stream), torch.randint(5, (6,), generator=stream)
    student, teacher = (SPACE.build(SPACE[i], 5, i, (3, 16, 16)).double() for i in (6111, 1462))
    return student, teacher, (batch[0].double(), batch[1])


def read(network, batch):
    """Features, classifier and its gradient, by plain PyTorch."""
    kept = {}
    handle = network.get_submodule("last").register_forward_hook(lambda m, i, o: kept.update(features=o.detach()))
    network.train()
    cross_entropy(network(batch[0]), batch[1]).backward()
    handle.remove()
    weight = network.classifier.weight
    gradient, weight.grad = weight.grad, None
    return kept["features"], weight.detach(), gradient


def class_similarities(features, weight):
    """Class maps formed one by one, as the paper prints them."""
    maps = [sum(weight[n, c] * features[:, c] for c in range(features.shape[1])).flatten() for n in range(len(weight))]
    matrix = torch.tensor([[float(one @ other) for other in maps] for one in maps])
    return matrix / matrix.square().sum().sqrt()


def rows_at_length_one(matrix):
    return torch.stack([row / row.norm() if row.norm() > 0 else row for row in matrix])


def test_each_part_by_its_formula(setting):
    """Slow reference: every C x C and N x N matrix is formed, on outputs that a plain backward pass gave."""
    student, teacher, batch = setting
    scores = zcbench.score(student, batch, NAMES, teacher=teacher)
    (f_s, w_s, g_s), (f_t, w_t, g_t) = read(student, batch), read(teacher, batch)
    grams = [rows_at_length_one(f.flatten(1) @ f.flatten(1).T) for f in (f_s, f_t)]
    relation = (grams[0] - grams[1]).square().sum() / 36
    classes = [[rows_at_length_one(torch.outer(row, row)) for row in g] for g in (g_s, g_t)]
    semantic = sum((one - other).square().sum() for one, other in zip(*classes)) / g_s.numel()
    cam = (class_similarities(f_s, w_s) - class_similarities(f_t, w_t)).square().sum().sqrt()
    expected = {"diswot_relation": relation, "diswot_semantic": semantic, "diswot": relation + semantic}
    expected |= {"diswot_semantic_cam": cam}
    assert scores == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-6)


def test_proxies_and_losses_have_one_home(setting):
    """By construction: the recast losses are the same numbers, negative, and with the factors of the training loss."""
    student, teacher, batch = setting
    scores = zcbench.score(student, batch, [*NAMES, *(f"kd:{name}" for name in NAMES)], teacher=teacher)
    for name in ("diswot_relation", "diswot_semantic", "diswot"):
        assert scores[name] == pytest.approx(-scores[f"kd:{name}"], rel=1e-9)
    assert scores["diswot_semantic_cam"] == pytest.approx(-25 * scores["kd:diswot_semantic_cam"], rel=1e-9)
    assert scores["diswot"] == scores["diswot_semantic"] + scores["diswot_relation"]


def test_equal_networks_are_at_distance_zero_and_less_is_better(setting):
    """Closed form: a student that is its teacher has no distance; all four rank the smaller one first."""
    student, _, batch = setting
    scores = zcbench.score(student, batch, NAMES, teacher=student)
    assert list(scores.values()) == pytest.approx([0] * 4, abs=1e-12)
    assert not any(proxies.get(name).higher_is_better for name in NAMES)


def test_what_does_not_fit_is_not_applicable_and_says_why(setting):
    """Bad input: other widths, a classifier that does not read the map, one image."""
    student, _, batch = setting
    wide = spaces.get("nasbench201", channels=8, cells=1).build(SPACE[0], 5, 0, (3, 16, 16)).double()
    found = {s.proxy: s for s in evaluate(student, batch, NAMES, teacher=wide)}
    assert [found[name].status for name in NAMES] == ["ok", "not_applicable", "not_applicable", "ok"]
    assert "(5, 16) in the student, (5, 32) in the teacher" in found["diswot_semantic"].reason
    deep = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7), nn.Linear(7, 5))
    found = {s.proxy: s for s in evaluate(deep.double(), batch, NAMES, teacher=student)}
    assert "reads 7 values and the last feature map has 4 channels" in found["diswot_semantic_cam"].reason
    one = evaluate(student, (batch[0][:1], batch[1][:1]), NAMES, teacher=student)
    assert [s.status for s in one] == ["not_applicable", "ok", "not_applicable", "ok"]


def test_no_version_was_raised():
    """By construction: the proxies of before are the numbers of before."""
    assert [proxies.get(name).version for name in NAMES] == [1] * 4
    assert distill.get("diswot_relation").version == 1


@pytest.mark.data
def test_the_numbers_that_ship(data_dir):
    """Shipped scores: two cells of the table of 1,000, scored again under its protocol, are the same but for rounding.

    Bits are promised on one machine and build; the table does not say which processor it was made on.
    """
    protocol, frame, _ = bundled.load("nasbench201-1000")
    batch = datasets.batch(datasets.load("cifar10(files=2)", data_dir), protocol.batch_size, protocol.batch_seed)
    assert batch.sha256 == protocol.batch_sha256
    space = spaces.get(protocol.space)
    teacher = TeacherSignals(space.build(protocol.teacher, 10, protocol.teacher_seed), protocol.teacher_seed)
    table = frame.set_index(["arch", "seed", "proxy"])["value"]
    small = sorted(dict.fromkeys(frame["arch"]), key=lambda arch: (arch.count("conv"), arch))[20:22]
    for arch in small:
        found = evaluate(space.build(arch), (batch.images, batch.labels), NAMES[:2], teacher=teacher)
        expected = {name: table[arch, 0, name] for name in NAMES[:2]}
        assert {s.proxy: s.value for s in found} == pytest.approx(expected, rel=1e-4)
