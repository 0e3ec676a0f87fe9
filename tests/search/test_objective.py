"""Objectives: ranks within a group and against a reference, and what an evaluation gives."""

import math

import numpy as np
import pandas as pd
import pytest

from zcbench.benchmarks.ranking.ensembles import Ensemble
from zcbench.errors import UnknownNameError
from zcbench.search import Costs, Evaluated, Evaluation, Objective, SearchError, Values, stored
from zcbench.search.evaluation import columns

INNER = Ensemble("log_rank(b,c)", "log_rank", ("b", "c"))


def group(n: int, members: int = 3, seed: int = 0) -> list[Evaluated[str]]:
    """Values with ties."""
    table = np.random.default_rng(seed).integers(0, max(n // 2, 2), size=(n, members)).astype(float)
    return [Evaluated(f"a{place}", tuple(row)) for place, row in enumerate(table.tolist())]


def frame(some: list[Evaluated[str]]) -> pd.DataFrame:
    return pd.DataFrame([one.values for one in some], columns=list("abc"))


def test_one_score_is_taken_as_it_is():
    """Closed form: no rank, no group."""
    goal = Objective(("a",))
    assert not goal.needs_group and goal.formula == "a"
    assert goal.within([Evaluated("x", (3.0,)), Evaluated("y", (-1.0,))]).tolist() == [3.0, -1.0]


@pytest.mark.parametrize("rule", ["log_rank", "rank_sum"])
def test_ranks_in_a_group_are_those_of_the_ranking(rule):
    """Independent reference: the ensemble of the ranking benchmark, on the same population."""
    some = group(40)
    for goal, ensemble in (
        (Objective(("a", "b", "c"), rule), Ensemble("x", rule, ("a", "b", "c"))),
        (Objective((Ensemble("x", rule, ("a", "c")),), "rank_sum"), Ensemble("x", rule, ("a", "c"))),
    ):
        table = pd.DataFrame([one.values[: len(goal.members)] for one in some], columns=list(goal.members))
        expected = ensemble(table)
        assert np.allclose(goal.within(some), expected)


def test_an_ensemble_may_be_a_member():
    """Slow reference: the ensemble's values are ranked again beside the other member."""
    goal, some = Objective(("a", INNER)), group(30)
    assert goal.members == ("a", "b", "c")
    table = frame(some)
    outer = pd.DataFrame({"a": table["a"], "inner": INNER(table)}).rank() / 30
    assert np.allclose(goal.within(some), np.log(outer).sum(axis=1))
    assert goal.formula == "log_rank(a,log_rank(b,c))"


def test_shares_of_a_reference():
    """Slow reference: the rank of one value among the sample and itself, counted one by one."""
    sample, some = group(25, seed=1), group(12, seed=2)
    values = Objective(("a", "b", "c")).against(sample)(some)
    for one, value in zip(some, values):
        logs = 0.0
        for place in range(3):
            own = [other.values[place] for other in sample]
            less, equal = sum(v < one.values[place] for v in own), sum(v == one.values[place] for v in own)
            logs += math.log((less + equal / 2 + 1) / 26)
        assert value == pytest.approx(logs)


def test_a_value_against_a_reference_depends_on_nothing_else():
    """Invariance: alone or in company, an architecture has the same value; better by every member is never lower."""
    reference = Objective(("a", INNER)).against(group(25, seed=1))
    some = group(20, seed=3)
    together = reference(some)
    assert np.allclose(together, [reference([one])[0] for one in some])
    better = [Evaluated(one.candidate, tuple(value + 1 for value in one.values)) for one in some]
    assert (reference(better) >= together).all()


def test_a_missing_member_is_the_worst():
    """Closed form: minus infinity, and the ranks of the others are as if it were not there."""
    some = group(10)
    broken = Evaluated("broken", (1.0, math.nan, 2.0), "nan")
    goal = Objective(("a", "b", "c"))
    values = goal.within([*some, broken])
    assert values[-1] == -math.inf and np.allclose(values[:-1], goal.within(some))
    assert goal.against([*some, broken]).size == 10
    assert goal.against(some)([broken])[0] == -math.inf
    with pytest.raises(SearchError, match="None of the 1 architectures of the reference sample"):
        goal.against([broken])


@pytest.mark.parametrize("terms", [(), ("a", "a"), (INNER, INNER)])
def test_objectives_of_nothing_or_of_twice_the_same(terms):
    """Closed form."""
    with pytest.raises(SearchError, match="The objective is made of"):
        Objective(terms)


def test_an_unknown_rule():
    """Closed form: the nearest rule is named."""
    with pytest.raises(UnknownNameError, match="'log_rank'"):
        Objective(("a", "b"), "logrank")


def attempts() -> pd.DataFrame:
    rows = [
        ("x", "jacov", 0, 2.0, "ok", ""),
        ("x", "jacov", 1, 4.0, "ok", ""),
        ("x", "te_nas_ntk", 0, 7.0, "ok", ""),
        ("y", "jacov", 0, np.nan, "singular", "a dead cell"),
        ("y", "te_nas_ntk", 0, 5.0, "ok", ""),
        ("z", "jacov", 0, 1.0, "ok", ""),
    ]
    return pd.DataFrame(rows, columns=["arch", "proxy", "seed", "value", "status", "reason"]).assign(seconds=0.5)


def test_stored_scores_are_oriented_means(space):
    """Closed form: mean over seeds, lower-is-better turned round, a failure with its status, seconds added up."""
    look_up, archs = stored(attempts(), ["jacov", "te_nas_ntk"])
    assert archs == ("x", "y")
    evaluation = Evaluation(Values(("jacov", "te_nas_ntk"), ()), Costs(space), look_up)
    one, other, unknown = evaluation(["x", "y", "w"])
    assert (one.values, one.status, one.seconds) == ((3.0, -7.0), "ok", 1.5)
    assert (other.status, other.reason, other.ok) == ("singular", "jacov: a dead cell", False)
    assert unknown.status == "not_scored"
    with pytest.raises(SearchError, match="none of zen"):
        stored(attempts(), ["jacov", "zen"])


def test_stored_scores_are_looked_up_by_key(space):
    """Slow reference: the rows of the frame whose architecture was asked for, in the frame's order for each."""
    rng = np.random.default_rng(0)
    archs = np.array(space.subset("unique")[:60])
    frame = pd.DataFrame({"arch": rng.choice(archs, 400), "proxy": rng.choice(["jacov", "zen", "snip"], 400)})
    frame = frame.assign(seed=range(400), value=rng.normal(size=400), status="ok", reason="", seconds=0.1)
    frame.loc[rng.choice(400, 150, replace=False), ["value", "status", "reason"]] = [np.nan, "nan", "why"]
    look_up, known = stored(frame, ["jacov", "snip"])
    for asked in (list(known[:7]), [known[3]], ["elsewhere"], [], [known[2], "elsewhere", known[2], known[0]]):
        expected = frame[frame["arch"].isin(asked) & frame["proxy"].isin(["jacov", "snip"])]
        found = look_up(asked)
        for arch, rows in expected.groupby("arch"):
            pd.testing.assert_frame_equal(found[found["arch"] == arch], rows)
        assert len(found) == len(expected)
    evaluation = Evaluation(Values(("jacov", "snip"), ()), Costs(space), look_up)
    for one in evaluation(known):
        mine = frame[(frame["arch"] == one.candidate)]
        lacking = [name for name in ("jacov", "snip") if not (mine[mine["proxy"] == name]["status"] == "ok").any()]
        assert (one.status, one.reason) == (("nan", f"{lacking[0]}: why") if lacking else ("ok", ""))


def test_sizes_and_costs_stand_beside_scores(space):
    """Closed form: the size as it is, the cost that is to be small turned round, and back again in the table."""
    arch = space[5]
    evaluation = Evaluation(Values(("params",), ("macs",)), Costs(space))
    history = evaluation([arch])
    assert history[0].values == (float(space.params(arch)), -float(space.macs(arch)))
    assert columns(history, evaluation.values).loc[arch].tolist() == [space.params(arch), space.macs(arch)]
    with pytest.raises(SearchError, match="nothing to score with"):
        Evaluation(Values(("jacov",), ()), Costs(space))
