"""The example that draws the matrices of DisWOT: each matrix, the distances, and the figure."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zcbench
from zcbench import datasets, spaces
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.errors import ArchitectureError

EXAMPLE = Path(__file__).parents[2] / "examples" / "similarity_matrices.py"
_SPEC = importlib.util.spec_from_file_location("similarity_matrices", EXAMPLE)
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["similarity_matrices"] = _MODULE
_SPEC.loader.exec_module(_MODULE)
similarities, similarity_matrices = _MODULE.similarities, _MODULE.similarity_matrices


@pytest.fixture(scope="module")
def setting():
    """A small space, a teacher, two students, sixteen digits."""
    space = zcbench.spaces.get("nasbench201", channels=4, cells=1)
    batch = datasets.batch(datasets.load("digits", image_size=16), 16)
    return space, [space[15624], space[7777]], TeacherChoice(space[12000], 5), batch


@pytest.fixture(scope="module")
def found(setting):
    return similarities(*setting, seed=3)


def test_matrices_against_the_maps(setting, found):
    """Slow reference: feature maps from a hook, class maps formed one by one, products with NumPy."""
    space, students, _, batch = setting
    network = space.build(students[0], batch.num_classes, 3, batch.image_shape)
    kept = []
    pool = next(module for module in network.modules() if isinstance(module, torch.nn.AdaptiveAvgPool2d))
    pool.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0].detach().double().numpy()))
    order = np.argsort(batch.labels.numpy(), kind="stable")
    network(batch.images[order])
    rows = kept[0].reshape(len(order), -1)
    weight = next(m for m in network.modules() if isinstance(m, torch.nn.Linear)).weight.detach().double().numpy()
    maps = np.stack([np.concatenate([np.tensordot(w, image, 1).ravel() for image in kept[0]]) for w in weight])
    for matrix, vectors in ((found[1].images, rows), (found[1].classes, maps)):
        expected = np.array([[one @ other for other in vectors] for one in vectors])
        assert matrix == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


def test_distances_are_those_of_the_proxies(setting, found):
    """Same number by another way: the losses at initialisation, without the factors that the paper trains with."""
    space, students, teacher, batch = setting
    network = space.build(teacher.arch, batch.num_classes, teacher.seed, batch.image_shape)
    names = ["kd:diswot_relation_paper", "kd:diswot_semantic_cam"]
    for arch, one in zip(students, found[1:]):
        student = space.build(arch, batch.num_classes, 3, batch.image_shape)
        scores = zcbench.score(student, (batch.images, batch.labels), proxies=names, teacher=network)
        assert one.relation == pytest.approx(-scores[names[0]] * len(batch) ** 2, rel=1e-4)
        assert one.semantic == pytest.approx(-scores[names[1]] * batch.num_classes**2, rel=1e-4)


def test_figure_shows_every_network(found):
    """Three pictures per network, and under each student's name its distance."""
    figure = similarity_matrices(found, "sixteen digits")
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 3 * len(found)
    assert np.array_equal(np.asarray(shown[1].images[0].get_array()), found[1].images)
    assert f".{round(found[1].relation * 1000):03d}" in shown[1].get_title()


def test_logit_correlations_against_numpy(setting, found):
    """Slow reference: ``np.corrcoef`` of logits, and the mean of what lies off the diagonal."""
    space, students, teacher, batch = setting
    networks = [space.build(teacher.arch, batch.num_classes, teacher.seed, batch.image_shape)]
    networks.append(space.build(students[0], batch.num_classes, 3, batch.image_shape))
    expected = [np.corrcoef(network(batch.images).detach().double().numpy().T) for network in networks]
    assert found[1].logits == pytest.approx(expected[1], abs=1e-5)
    away = [abs(expected[1] - expected[0])[a, b] for a in range(10) for b in range(10) if a != b]
    assert found[1].logit == pytest.approx(np.mean(away), abs=1e-5)


def test_a_trained_student(setting, tmp_path):
    """Closed form: the teacher's own weights, read from a file, are at no distance from it, in evaluation mode."""
    space, students, _, batch = setting
    teacher = TeacherChoice(students[0], 5)
    network = space.build(students[0], batch.num_classes, 5, batch.image_shape)
    torch.save(network.state_dict(), tmp_path / "student.pt")
    file = f"{students[0]}@{tmp_path}/student.pt"
    source, own, other, named = similarities(space, [file, students[0], f"trained={file}"], teacher, batch)
    assert [own.name, other.name, named.name] == [file, students[0], "trained"]
    assert np.array_equal(named.images, own.images)
    assert (own.relation, own.semantic, own.logit) == (0, 0, 0)
    assert min(other.relation, other.semantic, other.logit) > 0
    expected = np.corrcoef(network.eval()(batch.images).detach().double().numpy().T)
    assert source.logits == pytest.approx(expected, abs=1e-5)


def test_an_architecture_with_a_sign_of_its_own(setting, tmp_path):
    """The @ of 1-1-1@8-8-16-32 is not taken for a file; what follows a second one is, and may have more."""
    batch = setting[3]
    space, arch = spaces.get("resnet"), "1-1-1@8-8-16-32"
    torch.save(space.build(arch, batch.num_classes, 5, batch.image_shape).state_dict(), tmp_path / "a=b@c.pt")
    teacher = TeacherChoice(arch, 5)
    assert similarities(space, [arch], teacher, batch, 5)[1].relation == 0
    own = similarities(space, [f"mine={arch}@{tmp_path}/a=b@c.pt"], teacher, batch)[1]
    assert (own.name, own.relation) == ("mine", 0)
    with pytest.raises(ArchitectureError, match="nonsense"):
        similarities(space, ["mine=nonsense"], teacher, batch)


def test_the_script(setting, tmp_path, monkeypatch, capsys):
    """End to end: a line for each student, and a picture."""
    given = [
        *setting[1],
        "--space",
        setting[0].spec,
        "--dataset",
        "digits",
        "--batch-size",
        "16",
        "--out",
        tmp_path / "f.png",
    ]
    monkeypatch.setattr(sys, "argv", ["similarity_matrices.py", *map(str, given)])
    _MODULE.main()
    assert capsys.readouterr().out.count(": relation ") == 2
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
