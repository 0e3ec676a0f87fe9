"""Rank aggregations: closed forms, a slow reference, invariances, and how they are named and chosen."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcbench.benchmarks.ranking import ensembles
from zcbench.benchmarks.ranking.ensembles import ENSEMBLES, Ensemble, choose, ensemble, named
from zcbench.benchmarks.ranking.evidence import ProxyFacts
from zcbench.benchmarks.ranking.ranking import Ranking, rank
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.errors import DuplicateNameError, RankingError, UnknownNameError

N = 40
ARCHS = [f"arch {i:02d}" for i in range(N)]
FREE = "log_rank(macs,jacov)"


def frame(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=[f"a{i}" for i in range(len(next(iter(columns.values()))))], dtype=float)


def attempts(proxy: str, values: np.ndarray, seed: int = 0, archs: list[str] = ARCHS) -> pd.DataFrame:
    columns = {"arch": archs, "proxy": proxy, "version": 1, "seed": seed, "value": values, "status": "ok"}
    return pd.DataFrame(columns | {"reason": "", "seconds": 0.25})


@pytest.fixture(scope="module")
def truth() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    return {"a": pd.DataFrame({"arch": ARCHS, "accuracy": rng.uniform(50, 95, N)})}


@pytest.fixture(scope="module")
def sizes() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    columns = {name: rng.integers(1, 12, N) for name in SIZES}
    return pd.DataFrame({"arch": ARCHS, **columns})


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    base = rng.normal(size=N)
    jacov = [attempts("jacov", base + rng.normal(size=N), seed) for seed in range(3)]
    return pd.concat([*jacov, attempts("loss", rng.normal(size=N))], ignore_index=True)


@pytest.fixture(scope="module")
def ranking(scores: pd.DataFrame, truth: dict[str, pd.DataFrame], sizes: pd.DataFrame) -> Ranking:
    chosen = [ENSEMBLES.get(FREE), Ensemble("both", "rank_sum", ("jacov", "loss"))]
    return rank(scores, truth, sizes, facts={"loss": ProxyFacts(False)}, draws=20, ensembles=chosen)


@pytest.fixture
def registry() -> Iterator[None]:
    """Whatever a test registers is forgotten after it."""
    ENSEMBLES.names()
    known = dict(ENSEMBLES._items)
    yield
    ENSEMBLES._items.clear()
    ENSEMBLES._items.update(known)


def test_log_rank_by_hand():
    """Closed form: ranks 1, 2, 3.5, 3.5 by one member and 4, 3, 2, 1 by the other, of m = 4."""
    got = Ensemble("e", "log_rank", ("x", "y"))(frame(x=[0, 1, 9, 9], y=[8, 7, 6, 5]))
    expected = [math.log(r / 4) + math.log(s / 4) for r, s in zip((1, 2, 3.5, 3.5), (4, 3, 2, 1))]
    assert got.tolist() == pytest.approx(expected, abs=1e-11)


def test_rank_sum_by_hand():
    """Closed form: the same ranks, added and divided by m."""
    got = Ensemble("e", "rank_sum", ("x", "y"))(frame(x=[0, 1, 9, 9], y=[8, 7, 6, 5]))
    assert got.tolist() == pytest.approx([5 / 4, 5 / 4, 5.5 / 4, 4.5 / 4], abs=1e-11)


def test_without_a_member_there_is_no_value_and_no_place_in_the_population():
    """Closed form: of five architectures three have both members, so m = 3 and the ranks are those of the three."""
    got = Ensemble("e", "rank_sum", ("x", "y"))(frame(x=[1, np.nan, 2, 3, 0], y=[1, 5, np.nan, 3, 9]))
    assert got.isna().tolist() == [False, True, True, False, False]
    assert got.dropna().tolist() == pytest.approx([(2 + 1) / 3, (3 + 2) / 3, (1 + 3) / 3], abs=1e-11)


@given(
    st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=3, max_size=12), st.sampled_from(sorted(ensembles.RULES))
)
@settings(max_examples=60, deadline=None)
def test_slow_reference_and_invariances(rows: list[tuple[int, int, int]], rule: str):
    """Slow reference by counting; increasing transformations, order of members and order of rows change no bit."""
    table = frame(**{name: [row[i] for row in rows] for i, name in enumerate("xyz")})
    got = Ensemble("e", rule, ("x", "y", "z"))(table)
    for place, arch in enumerate(table.index):
        shares = []
        for name in "xyz":
            below = sum(value < table[name].iloc[place] for value in table[name])
            alike = sum(value == table[name].iloc[place] for value in table[name])
            shares.append((below + (alike + 1) / 2) / len(table))
        expected = sum(map(math.log, shares)) if rule == "log_rank" else sum(shares)
        assert got[arch] == pytest.approx(expected, abs=1e-11)
    for order in itertools.permutations("xyz"):
        pd.testing.assert_series_equal(Ensemble("e", rule, order)(table), got, check_exact=True)
    turned = Ensemble("e", rule, ("x", "y", "z"))(np.exp(table[::-1]))
    pd.testing.assert_series_equal(turned[table.index], got, check_exact=True)


def test_value_is_the_rule_on_oriented_means(ranking: Ranking, scores: pd.DataFrame):
    """Independent reference: means and signs by hand, then ranks by pandas."""
    jacov = scores[scores["proxy"] == "jacov"].groupby("arch")["value"].mean()
    loss = -scores[scores["proxy"] == "loss"].set_index("arch")["value"]
    expected = jacov.rank() / N + loss.rank() / N
    np.testing.assert_allclose(ranking.scores["both"], expected, atol=1e-11)


def test_row_says_what_it_is(ranking: Ranking):
    """Closed form: kind, cost, rule, members and population; the free one is marked."""
    rows = ranking.table.set_index("proxy")
    assert rows.loc[[FREE, "both"], "kind"].tolist() == ["ensemble", "ensemble"]
    assert rows.loc["both", "seconds"] == 0.5
    assert rows.loc[FREE, "seconds"] == 0.25
    assert rows.loc["both", "note"] == "rank_sum(jacov,loss) over 40 architectures"
    assert rows.loc[FREE, "note"].startswith("baseline of the ensembles; ")
    assert rows.loc["both", "higher_is_better"]
    card = ranking.protocol["ranking"]["ensembles"]
    assert card["both"] == {"rule": "rank_sum", "members": ["jacov", "loss"], "population": N, "baseline": False}
    assert card[FREE]["baseline"]


def test_reliability_is_of_the_rule_on_each_seed(ranking: Ranking, scores: pd.DataFrame, sizes: pd.DataFrame):
    """Independent reference: three columns by hand, mean Spearman, Spearman-Brown; macs is alike in all seeds."""
    macs = sizes["macs"].to_numpy()
    columns = []
    for seed in range(3):
        jacov = scores[(scores["proxy"] == "jacov") & (scores["seed"] == seed)]["value"].to_numpy()
        columns.append(sum(np.log(pd.Series(column).rank() / N) for column in (macs, jacov)).round(11))
    mean = np.mean([a.corr(b, method="spearman") for a, b in itertools.combinations(columns, 2)])
    row = ranking.table.set_index("proxy").loc[FREE]
    assert row["reliability"] == pytest.approx(3 * mean / (1 + 2 * mean))
    assert np.isnan(ranking.table.set_index("proxy").loc["both", "reliability"])  # they share seed 0 only


def test_other_rows_do_not_change(
    ranking: Ranking, scores: pd.DataFrame, truth: dict[str, pd.DataFrame], sizes: pd.DataFrame
):
    """Invariance: the same bits with and without ensembles."""
    alone = rank(scores, truth, sizes, facts={"loss": ProxyFacts(False)}, draws=20).table
    both = ranking.table[ranking.table["kind"] != "ensemble"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, alone, check_exact=True)


def test_a_member_scored_on_a_sample_makes_an_ensemble_of_the_sample(
    scores: pd.DataFrame, truth: dict[str, pd.DataFrame], sizes: pd.DataFrame
):
    """Closed form: 15 of 40 have the member, the others were never asked; one of the 15 has no value."""
    some = attempts("few", np.arange(15.0), archs=ARCHS[:15])
    some.loc[3, ["value", "status"]] = [np.nan, "singular"]
    item = Ensemble("e", "log_rank", ("macs", "few"))
    got = rank(pd.concat([scores, some]), truth, sizes, draws=20, ensembles=[item]).table.set_index("proxy").loc["e"]
    assert (got["n"], got["coverage"]) == (14, 14 / 15)
    assert "over 14 architectures" in got["note"]


def test_top_by_kind(ranking: Ranking):
    """Closed form: two ensembles were given."""
    assert set(ranking.top(9, kind="ensemble")) == {FREE, "both"}


def test_names_and_formulas():
    """By hand: a name, a formula with blanks, and a formula that has a registered name."""
    assert named(" az_nas ", []) is ENSEMBLES.get("az_nas")
    assert named("rank_sum( snip , jacov )", ["snip", "jacov"]) == Ensemble(
        "rank_sum(snip,jacov)", "rank_sum", ("snip", "jacov")
    )
    assert named("log_rank(macs, jacov)", ["jacov"]).baseline


def test_default_takes_what_was_scored():
    """Closed form: sizes are always there; an ensemble with a member that nobody scored is left out without a word."""
    assert choose("all", [], ["snip"]) == []
    assert [item.name for item in choose("all", [], ["jacov"])] == [FREE]
    scored = ["jacov", "te_nas_ntk", "te_nas_regions", "diswot_semantic", "diswot_relation"]
    assert {item.name for item in choose("all", [], scored)} == {FREE, "te_nas", "diswot_rank"}
    assert choose("none", [], scored) == []


def test_commas_inside_parentheses_do_not_split():
    """By hand: three ensembles in one text, one of them twice."""
    text = "diswot_rank, log_rank(macs,jacov) ,rank_sum(a,b,c),log_rank( macs,jacov )"
    known = ["jacov", "a", "b", "c", "diswot_semantic", "diswot_relation"]
    names = [item.name for item in choose(text, known, known)]
    assert names == ["diswot_rank", FREE, "rank_sum(a,b,c)"]


def test_a_member_may_have_hyperparameters():
    """By hand: commas and parentheses of a member are its own."""
    (item,) = choose("log_rank(macs,kd:kd(temperature=2.0))", ["kd:kd"], ["kd:kd(temperature=2.0)"])
    assert item.members == ("macs", "kd:kd(temperature=2.0)") and item.rule == "log_rank"
    with pytest.raises(UnknownNameError, match="'kd:kdd"):
        choose("log_rank(macs,kd:kdd(temperature=2))", ["kd:kd"], ["kd:kd"])


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("log_rnk(a,b)", UnknownNameError, "Did you mean 'log_rank'"),
        ("az_nsa", UnknownNameError, "Did you mean 'az_nas'"),
        ("rank_sum(snip,jacvo)", UnknownNameError, "'jacvo' is no known proxy. Did you mean 'jacov'"),
        ("rank_sum()", RankingError, "there is none"),
        ("rank_sum(snip,)", RankingError, "a name is empty"),
        ("rank_sum(snip,jacov,snip)", RankingError, "'snip' is there twice"),
        ("rank_sum(snip", RankingError, "Expected a rule with its members in parentheses"),
        ("rank_sum(snip)(jacov)", RankingError, "Expected a rule"),
        ("rank_sum(snip,zico)", RankingError, "needs zico, which nobody scored"),
        ("te_nas", RankingError, "needs te_nas_ntk, te_nas_regions, which nobody scored"),
        ("", UnknownNameError, "no known ensemble"),
    ],
)
def test_bad_ensembles_are_clear_errors(text: str, error: type[Exception], message: str):
    """Message: what was given, what was expected, what to do."""
    with pytest.raises(error, match=message):
        choose(text, ["snip", "jacov", "zico"], ["snip", "jacov"])


def test_rank_refuses_what_it_cannot_make(scores: pd.DataFrame, truth: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Message: a member that was not scored; a name that a proxy has."""
    for item, message in (
        (Ensemble("e", "rank_sum", ("snip",)), "needs snip, which nobody scored"),
        (Ensemble("jacov", "rank_sum", ("macs", "loss")), "Two columns are called 'jacov'"),
    ):
        with pytest.raises(RankingError, match=message):
            rank(scores, truth, sizes, draws=5, ensembles=[item])


@pytest.mark.usefixtures("registry")
def test_a_user_adds_one_in_a_line():
    """By hand: registered, found, taken by default when its members were scored; a second definition is refused."""
    made = ensemble("mine", "log_rank(depth, naswot)", summary="Depth and activation codes.", source="me")
    assert made == Ensemble("mine", "log_rank", ("depth", "naswot"), "Depth and activation codes.", "me")
    assert choose("all", [], ["naswot"]) == [made]
    assert ENSEMBLES.origin("mine").startswith(__file__)
    with pytest.raises(DuplicateNameError, match="mine"):
        ensemble("mine", "rank_sum(macs,depth)")


def test_built_in_ensembles_are_those_of_the_papers():
    """Published: AZ-NAS, four parts; VKDNW, five parts V, J, E, T, F; TE-NAS, kernel and regions."""
    assert ENSEMBLES.get("az_nas").members == (
        "az_expressivity",
        "az_progressivity",
        "az_trainability",
        "az_complexity",
    )
    assert set(ENSEMBLES.get("vkdnw_agg").members) == {
        "vkdnw_single",
        "jacov",
        "az_expressivity",
        "az_trainability",
        "macs",
    }
    assert ENSEMBLES.get("te_nas").formula == "rank_sum(te_nas_ntk,te_nas_regions)"
    assert [name for name in ENSEMBLES if ENSEMBLES.get(name).baseline] == [FREE]


def test_stochastic_order_counts_pairs_of_draws() -> None:
    """Slow reference: for each architecture the share of pairs (own draw, draw of another) in which it is higher."""
    rng = np.random.default_rng(4)
    draws = pd.DataFrame(rng.integers(0, 20, (12, 3)).astype(float), [f"a{i}" for i in range(12)])
    item = Ensemble("one", ensembles.DRAWN, ("jacov",))
    value = item(draws.mean(axis=1).to_frame("jacov"), {"jacov": draws})
    wins = {
        one: sum(
            (a > b) + 0.5 * (a == b)
            for other in draws.index
            if other != one
            for a in draws.loc[one]
            for b in draws.loc[other]
        )
        for one in draws.index
    }
    assert value.rank().tolist() == pd.Series(wins).rank().tolist()


def test_stochastic_order_of_single_draws_is_the_rank_sum(scores, truth, sizes) -> None:
    """Invariance: with one draw each the rule is the sum of ranks; with several it reads the seeds, not the mean."""
    columns = frame(jacov=[3, 1, 2, 2], loss=[1, 2, 3, 4])
    assert Ensemble("a", ensembles.DRAWN, ("jacov", "loss"))(columns).equals(
        Ensemble("a", "rank_sum", ("jacov", "loss"))(columns)
    )
    chosen = [named(f"{ensembles.DRAWN}(jacov)", ("jacov",))]
    found = rank(scores, truth, sizes, facts={"loss": ProxyFacts(False)}, ensembles=chosen).scores
    drawn = scores[scores["proxy"] == "jacov"].pivot(index="arch", columns="seed", values="value")
    expected = pd.Series(
        np.argsort(np.argsort(drawn.to_numpy().ravel())).reshape(drawn.shape).mean(axis=1), drawn.index
    )
    assert found[chosen[0].name].corr(expected, method="spearman") == pytest.approx(1)
