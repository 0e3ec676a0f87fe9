"""Pairs scored and ranked: each under its own teacher, and comparisons with one side fixed."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zcbench
from zcbench import datasets
from zcbench.benchmarks.ranking.pairs import tau_within
from zcbench.errors import RankingError, TeacherError

ARCHS = ("resnet56:resnet20", "vgg13:vgg8", "vgg13:resnet20", "resnet56:vgg8", "resnet56:shufflenetv1")


def test_tau_within_is_the_slow_sum() -> None:
    """Slow reference: a loop over all comparisons; equal scores count 0, a missing one not at all."""
    rng = np.random.default_rng(0)
    index = [f"a{i}" for i in range(30)]
    scores = pd.Series(rng.integers(0, 6, 30).astype(float), index).mask(rng.random(30) < 0.1)
    accuracies = pd.Series(rng.integers(0, 9, 30).astype(float), index)
    groups = pd.Series(rng.choice(list("abcd"), 30), index)
    signs = [
        np.sign(scores[one] - scores[other]) * np.sign(accuracies[one] - accuracies[other])
        for one, other in combinations(scores.dropna().index, 2)
        if groups[one] == groups[other] and accuracies[one] != accuracies[other]
    ]
    assert tau_within(scores, accuracies, groups) == (pytest.approx(np.mean(signs)), len(signs))
    assert np.isnan(tau_within(scores[:1], accuracies, groups)[0])


@pytest.fixture(scope="module")
def setup() -> zcbench.Setup:
    return zcbench.Setup(space="pairs", dataset=datasets.batch(datasets.load("noise", image_size=16), 6))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, setup: zcbench.Setup) -> tuple[Path, Path]:
    """A run of five pairs, and accuracies of them."""
    home = tmp_path_factory.mktemp("pairs")
    (home / "archs.txt").write_text("\n".join(ARCHS))
    accuracies = home / "accuracies.csv"
    pd.DataFrame({"arch": ARCHS, "accuracy": [70.0, 72, 69, 73, 75]}).to_csv(accuracies, index=False)
    zcbench.bench(
        home / "run",
        truth=accuracies,
        proxies="kd:kd,diswot_relation,params",
        sample=zcbench.Sample(home / "archs.txt"),
        setup=setup,
        seeds=1,
        execution=zcbench.Execution(workers=0),
    )
    return home / "run", accuracies


def test_each_student_is_scored_under_its_own_teacher(files: tuple[Path, Path], setup: zcbench.Setup) -> None:
    """Invariance: the score of a pair is that of its two networks, given by hand."""
    space, batch = zcbench.spaces.get("pairs"), setup.dataset
    from zcbench.benchmarks.scoring import bundled
    from zcbench.proxies import TeacherSignals, evaluate

    _, scores, _ = bundled.load(files[0])
    for arch in ARCHS[:3]:
        student = space.build(arch, 10, 0, batch.image_shape)
        teacher = TeacherSignals(space.teacher(arch, 10, 1000, batch.image_shape), 1000)
        (expected,) = evaluate(student, batch, ["kd:kd"], teacher=teacher, seed=0)
        (found,) = scores.loc[(scores["arch"] == arch) & (scores["proxy"] == "kd:kd"), "value"]
        assert found == expected.value


def test_the_table_of_pairs(files: tuple[Path, Path]) -> None:
    """Closed form: parameters order the students of one teacher as the accuracies do or not, counted by hand."""
    table = zcbench.rank_pairs(*files).set_index("proxy")
    # resnet56: resnet20 70 < vgg8 73 < shufflenetv1 75, with .28, 3.92 and .86 M parameters; vgg13: 69 < 72.
    assert table.loc["params", ["one_teacher", "one_teacher_comparisons"]].tolist() == [pytest.approx(2 / 4), 4]
    # Students of two teachers: resnet20 70 (resnet56), 69 (vgg13); vgg8 73 (resnet56), 72 (vgg13).
    assert table.loc["teacher_params", ["one_student", "one_student_comparisons"]].tolist() == [-1, 2]
    assert table.loc["params", "one_student"] == 0
    assert table.loc["teacher_params", "kind"] == "size of the teacher"


def test_refusals(tmp_path: Path, setup: zcbench.Setup) -> None:
    """Closed form: another teacher for pairs, and a ranking of another space."""
    truth = tmp_path / "accuracies.csv"
    pd.DataFrame({"arch": ARCHS, "accuracy": 70.0}).to_csv(truth, index=False)
    with pytest.raises(TeacherError, match="Expected 'own'"):
        zcbench.bench(
            tmp_path / "run",
            truth=truth,
            setup=zcbench.Setup(space="pairs", dataset=setup.dataset, teacher="vgg13:vgg8"),
            proxies="kd:kd",
            sample=zcbench.Sample("all"),
        )
    with pytest.raises(RankingError, match="bench --space pairs"):
        zcbench.rank_pairs("nasbench201-1000", "nasbench201/cifar10-16")
