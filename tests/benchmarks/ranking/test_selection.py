"""The choice of an ensemble: what it finds, and what it must not see."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import zcbench
from zcbench.benchmarks.ranking.selection import SelectionOptions, select_ensemble, split_classes
from zcbench.benchmarks.ranking.study import select_run
from zcbench.benchmarks.scoring import bundled
from zcbench.errors import RankingError


@pytest.fixture
def evidence():
    """Sixty architectures in thirty classes; accuracy is what b and d share, a and c are noise."""
    rng = np.random.default_rng(3)
    archs = [f"a{i:02}" for i in range(60)]
    truth = pd.DataFrame({"one": rng.normal(size=60), "two": rng.normal(size=60)}, index=archs)
    mean = truth.mean(axis=1)
    values = pd.DataFrame({"a": rng.normal(size=60), "c": rng.normal(size=60)}, index=archs)
    values["b"], values["d"] = mean + rng.normal(size=60) * 0.8, np.exp(mean + rng.normal(size=60) * 0.8)
    return values, truth, pd.Series([f"class{i // 2}" for i in range(60)], archs)


def test_finds_what_trying_everything_finds(evidence):
    """Slow reference: all ensembles of up to three members, with SciPy's tau on the training half."""
    values, truth, classes = evidence
    found = select_ensemble(values, truth, classes, SelectionOptions(max_members=3, beam=100))
    logs = np.log(values.rank() / len(values)).loc[list(found.training)]

    def tau(members):
        score = logs[list(members)].sum(axis=1)
        return np.mean([kendalltau(score, truth.loc[score.index, name]).statistic for name in truth])

    every = [m for size in (1, 2, 3) for m in itertools.combinations(sorted(values), size)]
    assert found.members == max(every, key=tau)
    assert found.trace["mean"].max() == pytest.approx(max(map(tau, every)))
    assert list(found.trace["size"]) == [1, 2, 3]


def test_a_size_may_be_held_fixed(evidence):
    """Slow reference: Kendall's partial tau from SciPy's tau; a proxy that is the size itself is never chosen."""
    values, truth, classes = evidence
    size = (truth["one"] + truth["two"]).rename("params")
    values = values.assign(size=size)
    found = select_ensemble(
        values, truth, classes, SelectionOptions(max_members=2, beam=100, given="params"), size.to_frame()
    )
    logs = np.log(values.rank() / len(values)).loc[list(found.training)]

    def left(members):
        score, fixed = logs[list(members)].sum(axis=1), size.loc[list(found.training)]
        parts = []
        for name in truth:
            known = truth.loc[score.index, name]
            xy, xz, yz = (kendalltau(*pair).statistic for pair in ((score, known), (score, fixed), (known, fixed)))
            parts.append((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)) if abs(xz) < 1 else -np.inf)
        return np.mean(parts)

    every = [m for size in (1, 2) for m in itertools.combinations(sorted(values), size)]
    assert found.members == max(every, key=left)
    assert found.trace["mean"].max() == pytest.approx(max(map(left, every)))
    assert found.members != ("size",)
    assert "partial tau-b given params" in str(found.to_json()["criterion"])


def test_a_search_wants_another_ensemble_than_a_ranking():
    """By construction: s orders all but the best twenty of 200, top only these; slow reference: random searches."""
    rng = np.random.default_rng(1)
    accuracy = pd.Series(np.arange(200.0), [f"a{i:03}" for i in range(200)])
    noise = pd.Series(rng.permutation(200) * 1.0, accuracy.index)
    values = pd.DataFrame(
        {"s": accuracy.where(accuracy < 180, 90 + noise / 10), "top": accuracy.where(accuracy >= 180, 0)}
    )
    truth, classes = accuracy.to_frame("one"), pd.Series(accuracy.index, accuracy.index)
    assert select_ensemble(values, truth, classes, SelectionOptions(max_members=1)).members == ("s",)
    found = select_ensemble(values, truth, classes, SelectionOptions(max_members=1, pick_from=40))
    assert found.members == ("top",)
    assert "accuracy of the best-scored of 40" in str(found.to_json()["criterion"])
    for half, table in ((found.training, found.trace), (found.judging, found.judged)):
        best = [max(rng.choice(half, 40, replace=False), key=values["top"].get) for _ in range(2000)]
        assert table["mean"].item() == pytest.approx(accuracy[best].mean(), abs=0.3)


def test_the_judging_half_is_judged_when_all_is_chosen(evidence):
    """Slow reference: SciPy's tau over the judging half of each ensemble of the trace."""
    values, truth, classes = evidence
    found = select_ensemble(values, truth, classes, SelectionOptions(max_members=2))
    logs = np.log(values.rank() / len(values)).loc[list(found.judging)]
    assert list(found.judged["members"]) == list(found.trace["members"])
    for row in found.judged.itertuples():
        taus = [
            kendalltau(logs[list(row.members)].sum(axis=1), truth.loc[logs.index, name]).statistic for name in truth
        ]
        assert [row.one, row.two] == pytest.approx(taus)
        assert row.mean == pytest.approx(np.mean(taus))


def test_the_judging_half_is_never_looked_at(evidence):
    """Invariance: other accuracies in the judging half change neither the choice nor its figures."""
    values, truth, classes = evidence
    found = select_ensemble(values, truth, classes)
    other = truth.copy()
    other.loc[list(found.judging)] = 100 - other.loc[list(found.judging)]
    again = select_ensemble(values, other, classes)
    assert again.members == found.members
    pd.testing.assert_frame_equal(again.trace, found.trace)


def test_what_is_written_of_a_selection(evidence, tmp_path):
    """Round trip: the choice, both halves and the figures of each size, as JSON and as text."""
    found = select_ensemble(*evidence, SelectionOptions(max_members=2, seed=5))
    found.save(tmp_path)
    kept = json.loads((tmp_path / "selection.json").read_text())
    assert kept["chosen"] == list(found.members) and kept["candidates"] == ["a", "b", "c", "d"]
    assert kept["split"] == "halves of the classes, seed 5"
    assert [row["mean"] for row in kept["best of each size"]] == found.trace["mean"].tolist()
    assert [row["one"] for row in kept["on the judging half"]] == found.judged["one"].tolist()
    for half in ("training", "judging"):
        assert (tmp_path / f"{half}.txt").read_text().split() == list(getattr(found, half))


def test_classes_are_not_divided(evidence):
    """By construction: halves of the classes, none on both sides, another seed another split."""
    _, _, classes = evidence
    one, other = split_classes(classes, 0)
    assert {classes[arch] for arch in one}.isdisjoint(classes[arch] for arch in other)
    assert (len(one), len(other)) == (30, 30)
    assert split_classes(classes, 1)[0] != one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": ("b", "zz")}, "No scores of zz"),
        ({"candidates": ()}, "No candidates"),
        ({"max_members": 0}, "max_members=0"),
        ({"beam": 0}, "beam=0"),
        ({"pick_from": 0}, "pick_from=0"),
        ({"pick_from": 31}, "at most the 30 architectures"),
        ({"pick_from": 5, "given": "params"}, "one of them or none"),
    ],
)
def test_impossible_requests(evidence, options, message):
    """The error says what was given and what was expected."""
    with pytest.raises(RankingError, match=message):
        select_ensemble(*evidence, SelectionOptions(**options))


def test_too_few_complete_architectures(evidence):
    """A candidate that nearly always fails leaves nothing to choose on."""
    values, truth, classes = evidence
    values.loc[values.index[5:], "a"] = np.nan
    with pytest.raises(RankingError, match="5 architectures have a value"):
        select_ensemble(values, truth, classes)


@pytest.mark.data
def test_coverage_is_of_what_the_truth_knows(data_dir):
    """By construction: a truth that knows half of the scored architectures leaves all proxies to choose from."""
    truth = zcbench.truth("nasbench201/cifar10", data_dir)
    scored = set(bundled.scores("nasbench201-1000")[1]["arch"])
    half = truth[truth["arch"].isin(sorted(scored)[::2])]
    found, _ = select_run("nasbench201-1000", {"half": half}, options=SelectionOptions(max_members=1), draws=1)
    assert {"snip", "macs", "fisher"} <= set(found.options.candidates or ())


@pytest.mark.data
def test_a_run_is_judged_on_the_other_half(data_dir):
    """By construction: no architecture on both sides, and the chosen ensemble stands beside the free one."""
    truths = {name: zcbench.truth(f"nasbench201/{name}", data_dir) for name in ("cifar10", "cifar100")}
    names = ("macs", "jacov", "synflow")
    found, ranking = select_run(
        "nasbench201-1000", truths, options=SelectionOptions(candidates=names, max_members=2), draws=1
    )
    assert set(found.training).isdisjoint(found.judging)
    assert set(ranking.subsets) == {"training", "judging"}
    rows = ranking.table[ranking.table["subset"] == "judging"]
    assert {f"log_rank({','.join(found.members)})", "log_rank(macs,jacov)"} <= set(rows["proxy"])
    assert rows["n"].max() <= len(found.judging)


def test_libra_is_the_three_choices_by_hand() -> None:
    """Slow reference: the definition, candidate by candidate, with scipy's rho."""
    from scipy.stats import spearmanr

    from zcbench.benchmarks.ranking.libra import libra
    from zcbench.benchmarks.statistics import information_gain

    rng = np.random.default_rng(3)
    size, own = rng.normal(size=(2, 400))
    accuracy = size + own
    weights = {"a": (1, 0.9), "b": (1, 0.7), "c": (0.7, 1), "d": (1, 0), "e": (-1, 0)}
    columns = {name: x * size + y * own + 0.2 * rng.normal(size=400) for name, (x, y) in weights.items()}
    rho = {name: spearmanr(score, accuracy)[0] for name, score in columns.items()}
    first = max(rho, key=lambda name: rho[name])
    near = [name for name in rho if name != first and rho[name] >= rho[first] - 0.1]
    assert 1 < len(near) < 4
    second = min(near, key=lambda name: information_gain(columns[name], accuracy, columns[first]))
    bias = {name: abs(spearmanr(columns[name], size)[0] - spearmanr(accuracy, size)[0]) for name in near}
    third = min((name for name in near if name != second), key=lambda name: bias[name])
    assert libra(columns, [accuracy], size) == (first, second, third)
    assert libra({"a": columns["a"], "e": columns["e"]}, [accuracy], size) == ("a", "e")
    assert libra({"constant": np.zeros(400)}, [accuracy], size) == ()


def test_libra_sees_the_training_half_only() -> None:
    """Invariance: other accuracies on the judging half leave the choice as it is; its rule is the sum of ranks."""
    rng = np.random.default_rng(5)
    archs = [f"a{i:03}" for i in range(200)]
    size, own = rng.normal(size=(2, 200))
    noise = {name: size * x + own + rng.normal(size=200) for name, x in (("p", 1), ("q", 0.8), ("r", 1.2), ("s", 0.9))}
    values, classes = pd.DataFrame(noise, archs), pd.Series(archs, archs)
    accuracies = pd.DataFrame({"t": size + own}, archs)
    sizes = pd.DataFrame({"params": size}, archs)
    options = SelectionOptions(method="libra")
    found = select_ensemble(values, accuracies, classes, options, sizes)
    other = accuracies.copy()
    other.loc[list(found.judging), "t"] *= -1
    again = select_ensemble(values, other, classes, options, sizes)
    assert found.members == again.members
    assert len(found.members) == 3
    assert found.to_json()["rule"] == "rank_sum"
    ranks = values[list(found.members)].rank().sum(axis=1)[list(found.judging)]
    assert found.judged["t"].iloc[-1] == pytest.approx(
        ranks.corr(accuracies["t"][list(found.judging)], method="kendall")
    )
