"""After the search: accuracy, regret, baselines and fronts against an invented truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from zcbench.benchmarks.truths.table import TruthTable
from zcbench.search import (
    NSGA2,
    Costs,
    Evaluation,
    Objective,
    RandomSearch,
    RegularisedEvolution,
    SearchError,
    SearchTruth,
    Settings,
    TrainingRecords,
    Values,
    architectures,
    compare,
    conduct,
    judge,
    repeated,
)
from zcbench.search.algorithms.pareto import covered, covered_by_one, front, hypervolume
from zcbench.search.judging import by_seconds, trained_at_random, validation_name
from zcbench.search.study import at_random

SMALL = Settings(RegularisedEvolution(population=10, tournament=4), evaluations=40)


@pytest.fixture(scope="module")
def table(space):
    """Accuracy grows with the parameters up to a point, so that the largest is not the best."""
    params = space.costs(space)["params"].to_numpy(dtype=float)
    place = (params - params.min()) / np.ptp(params)
    wave = np.random.default_rng(0).normal(0, 0.01, len(params))
    return pd.DataFrame({"arch": list(space), "accuracy": 60 + 30 * (1 - (place - 0.6) ** 2) + wave})


@pytest.fixture(scope="module")
def study(space):
    domain = architectures(Costs(space))
    evaluation = Evaluation(Values(("params",), ()), domain.costs)
    goal = Objective(("params",))
    return domain, evaluation, goal, repeated(domain, evaluation, goal, SMALL, range(4))


def test_accuracy_and_regret_of_the_picks(study, table):
    """Slow reference: looked up one by one; the best is the highest of the table."""
    domain, _, _, found = study
    judged = judge(found, SearchTruth("toy", table, domain), domain).to_json()
    accuracy = table.set_index("arch")["accuracy"]
    for one, row in zip(found, judged["picks"]):
        assert row["accuracy"] == pytest.approx(accuracy[one.arch], abs=1e-6)
        assert row["regret"] == pytest.approx(accuracy.max() - accuracy[one.arch], abs=1e-6)
    expected = [accuracy[one.arch] for one in found]
    assert judged["accuracy"]["mean"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert judged["by_evaluations"][-1]["mean"] == judged["accuracy"]["mean"]


def test_regret_is_against_what_the_budget_allows(space, table):
    """Slow reference: the highest accuracy among those that fit."""
    params = space.costs(space).set_index("arch")["params"]
    limit = float(params.quantile(0.3))
    domain = architectures(Costs(space), {"params": limit})
    truth = SearchTruth("toy", table, domain)
    accuracy = table.set_index("arch")["accuracy"]
    assert truth.best == accuracy[params <= limit].max() < accuracy.max()
    assert len(truth.fitting) == (params <= limit).sum()


def test_the_search_is_the_same_whatever_the_truth_says(study, table):
    """Invariance: nothing that a truth says changes a pick; judging by other accuracies changes no history."""
    domain, evaluation, goal, found = study
    before = [one.candidate for one in found[0].trace.history]
    other = table.assign(accuracy=100 - table["accuracy"])
    for accuracies in (table, other):
        compare(found, {"toy": TrainingRecords(accuracies)}, domain)
        again = conduct(domain, evaluation, goal, SMALL, 0)
        assert [one.candidate for one in again.trace.history] == before


def test_baselines(study, table, space):
    """Closed form: the largest is the one with most parameters; all trained, the best by validation is the best."""
    domain, evaluation, goal, found = study
    random = repeated(domain, evaluation, goal, at_random(SMALL), range(4))
    validation = table.set_index("arch")["accuracy"]
    seconds = pd.Series(2.0, validation.index)
    (one,) = compare(found, {"toy": TrainingRecords(table, validation, seconds)}, domain, random=random)
    baselines = one.to_json()["baselines"]
    largest = space.costs(space).set_index("arch")["params"].idxmax()
    assert baselines["largest by params"]["arch"] == largest
    assert baselines["largest by params"]["accuracy"] == pytest.approx(validation[largest])
    rows = {row["trainings"]: row for row in baselines["random search that trains"]}
    assert rows[100]["training_seconds"] == 200.0
    assert rows[1]["mean"] < rows[10]["mean"] < rows[1000]["mean"] <= validation.max()
    assert 40 in rows and rows[40]["mean"] > rows[10]["mean"]  # as many trainings as the search had evaluations
    assert set(baselines["random search, same objective"]) == {"accuracy", "regret", "by_evaluations"}
    assert one.by_seconds == ()
    assert {label: mean for label, _, mean, _ in one.rows()} == {
        "selected": one.judgement.accuracy.mean,
        "largest by params": baselines["largest by params"]["accuracy"],
        "largest by macs": baselines["largest by macs"]["accuracy"],
        "random search, same objective": baselines["random search, same objective"]["accuracy"]["mean"],
        **{f"random search that trains, {k:,}": row["mean"] for k, row in rows.items()},
    }


def test_training_everything_finds_the_best(space, table):
    """Closed form: with as many trainings as architectures the accuracy is the highest, in every draw."""
    some = table.head(100)
    domain = architectures(Costs(space), within=list(some["arch"]))
    evaluation = Evaluation(Values(("params",), ()), domain.costs)
    found = repeated(domain, evaluation, Objective(("params",)), Settings(RandomSearch(), evaluations=7), range(3))
    truth, validation = SearchTruth("toy", some, domain), some.set_index("arch")["accuracy"]
    rows = [point.to_json() for point in trained_at_random(found, domain, truth, validation)]
    assert [row["trainings"] for row in rows] == [1, 7, 10, 100]
    assert rows[-1]["mean"] == pytest.approx(some["accuracy"].max(), abs=1e-6) and rows[-1]["sd"] == 0


def test_by_seconds(space, table):
    """Closed form: at one second a score, the accuracy after n seconds is that after n evaluations."""
    domain = architectures(Costs(space))
    frame = pd.DataFrame({"arch": list(space), "proxy": "jacov", "seed": 0, "status": "ok", "reason": ""})
    frame = (
        frame.assign(value=space.costs(space)["params"].astype(float), seconds=1.0)
        .set_index("arch", drop=False)
        .rename_axis(None)
    )
    evaluation = Evaluation(Values(("jacov",), ()), domain.costs, lambda archs: frame.loc[list(archs)])
    found = repeated(domain, evaluation, Objective(("jacov",)), SMALL, range(3))
    truth = SearchTruth("toy", table, domain)
    rows = [point.to_json() for point in by_seconds(found, truth)]
    assert rows[-1]["seconds"] == pytest.approx(40)
    for row in rows:
        expected = [truth.accuracy(one.arch_at(int(row["seconds"] + 1e-6))) for one in found]
        known = [value for value in expected if np.isfinite(value)]
        assert row["n"] == len(known) == 3
        assert row["mean"] == pytest.approx(np.mean(known), abs=1e-6)
        assert row["regret"]["mean"] == pytest.approx(truth.best - np.mean(known), abs=1e-6)
    late = by_seconds([replace(one, reference_seconds=7.0) for one in found], truth)
    assert late[-1].at["seconds"] == pytest.approx(47) and late[-1].spread.mean == rows[-1]["mean"]


def test_the_seconds_of_a_reference_sample_count(space):
    """Closed form: at one second a score, ten architectures of reference are ten seconds before the search."""
    domain, rows = architectures(Costs(space)), space.costs(space)
    frame = pd.DataFrame({"arch": list(space), "proxy": "jacov", "seed": 0, "status": "ok", "reason": ""})
    frame = frame.assign(value=rows["params"].astype(float), seconds=1.0).set_index("arch", drop=False)
    frame = frame.rename_axis(None)
    evaluation = Evaluation(Values(("jacov", "macs"), ()), domain.costs, lambda archs: frame.loc[list(archs)])
    settings = Settings(RandomSearch(), evaluations=20, reference=10)
    assert conduct(domain, evaluation, Objective(("jacov", "macs")), settings, 0).reference_seconds == 10.0


def test_what_a_reader_of_a_truth_must_know(study, table, space):
    """By construction: accuracies of other networks, and those that chose the names; nothing where there is nothing."""
    domain, _, _, found = study
    about = {"space": "nasbench201", "name": "nasbench201/cifar10", "dataset": "cifar10"}
    other = TruthTable.from_rows(table, about)
    same = TruthTable.from_rows(table, about | {"networks": space.spec})
    trained = {"nasbench201/cifar10/test": TrainingRecords(other), "mine": TrainingRecords(same)}
    first, mine = compare(found, trained, domain, chosen_by=["nasbench201/cifar10"])
    chosen, networks = first.remarks
    assert "were chosen by these accuracies" in chosen
    assert "accuracies of nasbench201(channels=16,cells=5); " in networks and networks.endswith(f"are {space.spec}.")
    assert mine.truth == "mine" and mine.remarks == ()


def test_a_front_of_which_nothing_can_be_said(space, table):
    """By construction: one known accuracy is no front; the judgement has no figure, and says so."""
    domain = architectures(Costs(space))
    evaluation = Evaluation(Values(("params",), ("macs",)), domain.costs)
    found = repeated(domain, evaluation, Objective(("params",)), Settings(NSGA2(population=10), evaluations=20), [0])
    (one,) = compare(found, {"one": TrainingRecords(table.head(1))}, domain, ["macs"])
    assert one.to_json()["front"]["hypervolume ratio"]["mean"] is None
    assert list(one.remarks) == [
        "How much of the true front was found, in accuracy and macs: too few accuracies are known."
    ]


def test_a_truth_of_other_architectures(study, table):
    """Closed form: none of the truth's architectures is of the space."""
    domain = study[0]
    with pytest.raises(SearchError, match="has 0 architectures"):
        SearchTruth("toy", table.assign(arch=[f"x{i}" for i in range(len(table))]), domain)


def test_front_against_pairwise_comparison():
    """Slow reference: a point stays if no other is nowhere smaller and somewhere larger; equal points count once."""
    points = np.random.default_rng(0).integers(0, 6, size=(60, 3)).astype(float)
    points[5] = np.nan
    kept = {
        tuple(row)
        for row in points
        if np.isfinite(row).all() and not any((other >= row).all() and (other > row).any() for other in points)
    }
    found = [tuple(points[place]) for place in front(points)]
    assert set(found) == kept and len(found) == len(kept)
    assert front(np.full((2, 2), np.nan)) == []


def test_hypervolumes():
    """Closed form: rectangles above a corner; a front covers itself in full, and a part of it less."""
    points = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [0.5, 0.5]])
    assert hypervolume(points, np.zeros(2)) == pytest.approx(6)
    assert hypervolume(points[:1], np.zeros(2)) == pytest.approx(3)
    assert hypervolume(np.full((1, 2), np.nan), np.zeros(2)) == 0
    assert covered(points, points) == pytest.approx(1)


def test_shares_of_a_front():
    """Closed form: a staircase above the worst of the better half, and a tenth of its span; the rest is nothing."""
    points = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [0.5, 0.0], [0.0, 0.0], [0.0, 9.0]])
    whole = 0.2 * 2.2 + 1 * 1.2 + 1 * 0.2
    assert covered(points[:1], points) == pytest.approx(0.2 * 2.2 / whole)
    assert covered(points[:1], np.vstack([points, [-1000.0, -1000.0]])) == pytest.approx(0.2 * 2.2 / whole)
    assert covered(points[3:], points) == 0
    assert covered_by_one(points) == pytest.approx(1.2 * 1.2 / whole)
    shared = np.column_stack([points, np.full(len(points), 5.0)])
    assert covered(shared[:1], shared) == pytest.approx(0.2 * 2.2 / whole)
    for found, true in ((points, points[:1]), (np.full((2, 2), np.nan), points), (points, np.full((1, 2), np.nan))):
        assert np.isnan(covered(found, true))


def test_the_true_front_is_covered_by_a_search_of_everything(space, table):
    """Closed form: NSGA-II that evaluates all 200 listed architectures has the whole hypervolume."""
    some = table.head(200)
    domain = architectures(Costs(space), needed=["macs"], within=list(some["arch"]))
    frame = some.rename(columns={"accuracy": "value"}).assign(
        proxy="jacov", seed=0, status="ok", reason="", seconds=0.0
    )
    frame = frame.set_index("arch", drop=False).rename_axis(None)
    evaluation = Evaluation(Values(("jacov",), ("macs",)), domain.costs, lambda archs: frame.loc[list(archs)])
    settings = Settings(NSGA2(population=20), evaluations=200)
    found = repeated(domain, evaluation, Objective(("jacov",)), settings, [0])
    judged = judge(found, SearchTruth("toy", some, domain), domain, ["macs"]).to_json()
    assert len(found[0].trace.history) > 150
    assert judged["front"]["hypervolume ratio"]["mean"] > 0.97


def test_the_pick_of_a_front_is_on_it(space):
    """By construction: all have the same objective, so that the front is the smallest network, and the pick is that."""
    archs = space.subset("live")[:40]
    domain = architectures(Costs(space), needed=["macs"], within=archs)
    frame = pd.DataFrame(
        {"arch": archs, "proxy": "swap", "seed": 0, "status": "ok", "reason": "", "value": 7.0, "seconds": 0.0}
    )
    frame = frame.set_index("arch", drop=False).rename_axis(None)
    evaluation = Evaluation(Values(("swap",), ("macs",)), domain.costs, lambda archs: frame.loc[list(archs)])
    (found,) = repeated(domain, evaluation, Objective(("swap",)), Settings(NSGA2(population=8), evaluations=40), [0])
    seen = [one.candidate for one in found.trace.history]
    macs = dict(zip(seen, space.costs(seen)["macs"]))
    assert found.best in found.front and macs[found.arch] == min(macs.values())
    for done, position in found.points:
        assert macs[seen[position]] == min(macs[arch] for arch in seen[:done])


def test_names_of_validation():
    """Closed form."""
    assert validation_name("nasbench201/cifar100") == "nasbench201/cifar100/valid@200"
    assert validation_name("s0/cifar100/kd") == "s0/cifar100/valid/kd"
    for judged in ("nasbench201/cifar100/valid", "nasbench201/cifar100/valid+test", "nasbench201/cifar10/valid@12"):
        assert validation_name(judged) is None  # the choice would see what judges it
