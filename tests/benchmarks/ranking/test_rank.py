"""From scores and truths to a ranking: each test names its oracle."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.evidence import ProxyFacts
from zcbench.benchmarks.ranking.options import RankingOptions
from zcbench.benchmarks.ranking.ranking import COLUMNS, Ranking, rank
from zcbench.benchmarks.ranking.sizes import SIZES
from zcbench.benchmarks.statistics.bootstrap import bootstrap
from zcbench.benchmarks.statistics.columns import Column, Population
from zcbench.benchmarks.statistics.comparison import Comparison
from zcbench.errors import DataError, RankingError, UnknownNameError

N = 60
ARCHS = [f"arch {i:02d}" for i in range(N)]


def attempts(proxy: str, values: object, seed: int = 0, **columns: object) -> pd.DataFrame:
    """One ok row per architecture."""
    given = {"arch": ARCHS[: np.size(values)], "proxy": proxy, "version": 1, "seed": seed, "value": values}
    return pd.DataFrame(given | {"status": "ok", "reason": "", "seconds": 0.5} | columns)


@pytest.fixture(scope="module")
def accuracy() -> np.ndarray:
    return np.random.default_rng(0).uniform(50, 95, N)


@pytest.fixture(scope="module")
def truths(accuracy: np.ndarray) -> dict[str, pd.DataFrame]:
    noise = np.random.default_rng(1).normal(size=N)
    return {
        name: pd.DataFrame({"arch": ARCHS, "accuracy": a}) for name, a in (("a", accuracy), ("b", accuracy + noise))
    }


@pytest.fixture(scope="module")
def sizes(accuracy: np.ndarray) -> pd.DataFrame:
    macs = np.floor(accuracy / 3 + np.random.default_rng(2).normal(scale=4, size=N))
    return pd.DataFrame(
        {
            "arch": ARCHS,
            "params": 7 * macs + 1,
            "macs": macs,
            "n_convs": macs // 5,
            "depth": macs // 9,
            "width": macs // 7,
        }
    )


@pytest.fixture(scope="module")
def scores(accuracy: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    seeds = [attempts("noisy", accuracy + rng.normal(scale=9, size=N), seed) for seed in range(3)]
    return pd.concat([*seeds, attempts("loss", -accuracy), attempts("flat", np.ones(N))], ignore_index=True)


@pytest.fixture(scope="module")
def ranking(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame) -> Ranking:
    return rank(
        scores,
        truths,
        sizes,
        subsets={"all": ARCHS, "half": ARCHS[:30]},
        facts={"loss": ProxyFacts(False)},
        clusters={arch: arch[:6] for arch in ARCHS},
        draws=100,
        protocol={"batch": 64},
    )


def row(ranking: Ranking, proxy: str, truth: str = "a", subset: str = "all") -> pd.Series:
    table = ranking.table
    return table[(table["proxy"] == proxy) & (table["truth"] == truth) & (table["subset"] == subset)].iloc[0]


def test_one_row_per_truth_subset_and_proxy_with_the_baselines(ranking: Ranking):
    """Closed form: 2 truths x 2 subsets x (3 proxies + 4 sizes nobody scored)."""
    assert tuple(ranking.table.columns) == COLUMNS
    assert len(ranking.table) == 2 * 2 * 8
    assert not ranking.table.duplicated(["truth", "subset", "proxy"]).any()
    assert set(ranking.table.loc[ranking.table["kind"] == "baseline", "proxy"]) == set(SIZES)


def test_numbers_are_those_of_scipy_on_the_mean_over_seeds(
    ranking: Ranking, scores: pd.DataFrame, accuracy: np.ndarray
):
    """Independent reference: scipy on values averaged by hand."""
    noisy = scores[scores["proxy"] == "noisy"]
    mean = np.mean([noisy.loc[noisy["seed"] == seed, "value"] for seed in range(3)], axis=0)
    got = row(ranking, "noisy")
    assert got["tau"] == pytest.approx(scipy_stats.kendalltau(mean, accuracy).statistic)
    assert got["rho"] == pytest.approx(scipy_stats.spearmanr(mean, accuracy).statistic)
    assert got["pearson"] == pytest.approx(np.corrcoef(mean, accuracy)[0, 1])
    assert row(ranking, "noisy", subset="half")["tau"] == pytest.approx(
        scipy_stats.kendalltau(mean[:30], accuracy[:30]).statistic
    )
    assert got["tau_low"] < got["tau"] < got["tau_high"]
    assert got["rho_low"] < got["rho"] < got["rho_high"]
    assert (got["n"], got["coverage"], got["seconds"], got["note"]) == (N, 1.0, 0.5, "")
    assert 0 < got["reliability"] < 1
    np.testing.assert_allclose(ranking.scores["noisy"], mean)


def test_direction_turns_the_score_round(ranking: Ranking):
    """Closed form: the loss is minus the accuracy, and lower is better: a perfect ranking with no regret."""
    got = row(ranking, "loss")
    assert (got["tau"], got["rho"], got["regret"], got["precision_at_k"]) == pytest.approx((1, 1, 0, 1))
    assert not got["higher_is_better"]
    assert (ranking.scores["loss"] == ranking.accuracies["a"]).all()


def test_constant_proxy_is_a_row_of_nan_with_a_note(ranking: Ranking):
    """Closed form: no order, so no correlation, and not zero either."""
    got = row(ranking, "flat")
    assert got["note"] == "constant"
    assert got[["tau", "tau_low", "tau_high", "rho", "ndcg", "regret", "tau_given_macs"]].isna().all()
    assert (got["n"], got["coverage"]) == (N, 1.0)


def test_a_size_given_itself_is_undefined_and_says_so(ranking: Ranking):
    """Closed form: params orders exactly as macs here; neither has a part that survives the other."""
    got = row(ranking, "macs")
    assert np.isnan(got["tau_given_macs"])
    assert np.isnan(got["tau_given_params"])
    assert np.isfinite(got["tau_given_n_convs"])
    assert got["note"] == "not separable from params; not separable from macs"


def test_partial_correlation_by_hand(ranking: Ranking, accuracy: np.ndarray, sizes: pd.DataFrame):
    """Independent reference: the formula on scipy's three correlations."""
    x, z = ranking.scores["noisy"], sizes["macs"]
    xy, xz, yz = (scipy_stats.kendalltau(*pair).statistic for pair in ((x, accuracy), (x, z), (accuracy, z)))
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert row(ranking, "noisy")["tau_given_macs"] == pytest.approx(expected)


def test_every_column_is_its_own_statistic(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], accuracy: np.ndarray):
    """Slow reference: each column by the function of its name, of sizes that differ, with another k and confidence."""
    rng = np.random.default_rng(7)
    names = ("params", "macs", "n_convs", "depth", "width")
    given = {name: np.floor(accuracy * (i + 1) / 9 + rng.normal(scale=5, size=N)) for i, name in enumerate(names)}
    sizes, classes = pd.DataFrame({"arch": ARCHS} | given), {arch: f"class {int(arch[-2:]) // 3}" for arch in ARCHS}
    got = rank(scores, truths, sizes, clusters=classes, draws=60, confidence=0.8, k=7, seed=5)
    x, found = got.scores["noisy"].to_numpy(), row(got, "noisy")

    def tau(one: np.ndarray, other: np.ndarray) -> float:
        return float(scipy_stats.kendalltau(one, other).statistic)

    def rho(one: np.ndarray, other: np.ndarray) -> float:
        return float(scipy_stats.spearmanr(one, other).statistic)

    for correlation, label in ((tau, "tau"), (rho, "rho")):
        for name in ("params", "macs", "n_convs"):
            xy, xz, yz = correlation(x, accuracy), correlation(x, given[name]), correlation(accuracy, given[name])
            assert found[f"{label}_given_{name}"] == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))
    best, worst = statistics.ranks_at_k(x, accuracy, 7)
    assert best < worst
    macs = given["macs"]
    expected = {
        "k": 7,
        "weighted_tau": pytest.approx(statistics.weighted_kendall(x, accuracy)),
        "ndcg": pytest.approx(statistics.ndcg(x, accuracy)),
        "precision_at_k": pytest.approx(len({*np.argsort(-x)[:7]} & {*np.argsort(-accuracy)[:7]}) / 7),
        "best_rank_at_k": pytest.approx(best),
        "worst_rank_at_k": pytest.approx(worst),
        "regret": pytest.approx(accuracy.max() - accuracy[x.argmax()]),
        "tau_top10": pytest.approx(tau(x[np.argsort(-accuracy)[:6]], np.sort(accuracy)[::-1][:6])),
        "tau_within_macs_bins": pytest.approx(statistics.kendall_within_bins(x, accuracy, macs)),
        "information_gain": pytest.approx(statistics.information_gain(x, accuracy, macs)),
        "rho_given_sizes": pytest.approx(statistics.partial_spearman(x, accuracy, given["params"], macs)),
    }
    assert {name: found[name] for name in expected} == expected
    whole = rank(scores, truths, sizes, clusters=classes, draws=60, confidence=0.8, k=7, seed=5, unit="classes")
    for ranking, units in ((got, ARCHS), (whole, list(classes.values()))):
        replicates = bootstrap(x[:, None], accuracy[:, None], np.array(units), 60, 5)
        for statistic, label in zip(replicates, ("tau", "rho")):
            ends = row(ranking, "noisy")[[f"{label}_low", f"{label}_high"]].astype(float)
            np.testing.assert_allclose(ends, np.quantile(statistic[:, 0, 0], [0.1, 0.9]))
    for unit, units in (("architectures", np.arange(N)), ("classes", np.arange(N) // 3)):
        plain = rank(scores, truths, sizes, clusters=classes, confidence=0.8, unit=unit)
        ends = row(plain, "noisy")[["tau_low", "tau_high", "rho_low", "rho_high"]].astype(float)
        alone = Comparison(Column(x), Column(accuracy), Population({}, units)).intervals(0.8)
        np.testing.assert_allclose(ends, list(alone.values()))
        assert plain.protocol["ranking"]["interval"] == "delta method"


def test_scored_sizes_are_one_row(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Invariance: macs scored as a proxy is the baseline macs, with the seconds it took."""
    scored = pd.concat([scores, attempts("macs", sizes["macs"].to_numpy())])
    got = rank(scored, truths, sizes, draws=20)
    assert (got.table["proxy"] == "macs").sum() == 2
    assert row(got, "macs")["tau"] == row(rank(scores, truths, sizes, draws=20), "macs")["tau"]
    assert row(got, "macs")["seconds"] == 0.5


def test_failures_stay_in_the_denominator(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Closed form: 6 of 180 attempts fail, three of them on one architecture, which then has no value."""
    scores, noisy = scores.copy(), scores["proxy"] == "noisy"
    bad = noisy & (scores["arch"].eq("arch 07") | (scores["seed"].eq(1) & scores["arch"].isin(ARCHS[:3])))
    scores.loc[bad, ["value", "status", "reason"]] = [np.nan, "singular", "two images alike"]
    got = rank(scores, truths, sizes, draws=20)
    assert row(got, "noisy")["coverage"] == pytest.approx(1 - 6 / 180)
    assert (row(got, "noisy")["n"], row(got, "noisy")["note"]) == (N - 1, "")
    assert got.failures.to_dict("records") == [
        {"proxy": "noisy", "status": "singular", "count": 6, "example_arch": "arch 00", "reason": "two images alike"}
    ]


def test_rows_over_different_architectures_can_be_compared(
    scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame, accuracy: np.ndarray
):
    """Independent reference: scipy over the 55 architectures that all have; one that half lack does not shrink them."""
    gaps = attempts("gaps", np.where(np.arange(N) < 5, np.nan, accuracy), status="ok")
    gaps.loc[:4, "status"] = "singular"
    few = attempts("few", np.arange(30.0))
    got = rank(pd.concat([scores, gaps, few]), truths, sizes, draws=20)
    assert (got.table["n_common"] == N - 5).all()
    for name in ("noisy", "macs", "gaps"):
        expected = scipy_stats.kendalltau(got.scores[name].iloc[5:], accuracy[5:]).statistic
        assert row(got, name)["tau_common"] == pytest.approx(expected)
    assert row(got, "noisy")["tau_common"] != row(got, "noisy")["tau"]
    assert np.isnan(row(got, "few")["tau_common"])
    assert np.isnan(row(got, "flat")["tau_common"])


@pytest.mark.parametrize("higher", [True, False])
def test_failures_ranked_last(
    scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame, accuracy: np.ndarray, higher: bool
):
    """Closed form: as scipy with the failures tied below all others, whatever the direction; never asked is no failure.

    Coverage still counts them as failures, a seed that failed beside one that did not is none, and a proxy that always
    fails stays undefined.
    """
    values = np.random.default_rng(5).normal(size=N) + accuracy / 20
    gaps = attempts("gaps", values if higher else -values)[:50]
    gaps.loc[:4, ["value", "status"]] = [np.nan, "singular"]
    more = attempts("gaps", values if higher else -values, seed=1)[:50]
    more.loc[:3, ["value", "status"]] = [np.nan, "error"]
    never = attempts("never", np.full(N, np.nan), status="error")
    given = pd.concat([scores, gaps, more, never])
    got = rank(given, truths, sizes, draws=20, facts={"gaps": ProxyFacts(higher)}, failures_last=True)
    worst = np.where(np.arange(50) < 4, values.min() - 99, values[:50])
    found = row(got, "gaps")
    assert (found["n"], found["coverage"]) == (50, 0.91)
    assert found["note"] == "4 failures ranked last; scored on 50 of 60"
    assert found["tau"] == pytest.approx(scipy_stats.kendalltau(worst, accuracy[:50]).statistic)
    assert np.isfinite(got.scores["gaps"][:50]).all()
    assert np.isnan(row(got, "never")["tau"])
    assert row(got, "noisy")["tau"] == row(rank(given, truths, sizes, draws=20), "noisy")["tau"]
    assert got.protocol["ranking"]["failures"] == "ranked last"


def test_what_was_never_asked_for_is_said_and_no_failure(
    scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame
):
    """Closed form: of 20 architectures asked for, 2 fail; of those of the first seed, 50 were asked for a second."""
    sampled = attempts("sampled", np.arange(20.0))
    sampled.loc[:1, ["value", "status"]] = [np.nan, "singular"]
    seeds = [attempts("seeds", np.arange(float(N))), attempts("seeds", np.arange(50.0), seed=1)]
    got = rank(
        pd.concat([scores, sampled, *seeds]), truths, sizes, draws=20, subsets={"all": ARCHS, "rest": ARCHS[20:]}
    )
    assert list(row(got, "sampled")[["n", "coverage", "note"]]) == [18, 0.9, "scored on 20 of 60"]
    assert list(row(got, "seeds")[["n", "coverage", "note"]]) == [N, 1.0, "with all 2 seeds on 50"]
    nothing = row(got, "sampled", subset="rest")
    assert (nothing["n"], nothing["note"]) == (0, "scored on 0 of 40; fewer than 3 values")
    assert np.isnan(nothing["coverage"])


def test_remarks_stand_in_the_rows(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Closed form: the remark is the note of its proxy and of no other."""
    got = rank(scores, truths, sizes, draws=20, facts={"loss": ProxyFacts(note="from elsewhere")})
    assert [row(got, name)["note"] for name in ("loss", "noisy")] == ["from elsewhere", ""]


def test_a_proxy_that_always_fails_is_a_row(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Closed form: coverage 0, n 0, no numbers, and a note."""
    failed = attempts("broken", np.full(N, np.nan), status="error", reason="ValueError: no")
    got = row(rank(pd.concat([scores, failed]), truths, sizes, draws=20), "broken")
    assert (got["coverage"], got["n"], got["note"]) == (0.0, 0, "fewer than 3 values")
    assert np.isnan(got["tau"])
    assert np.isnan(got["tau_low"])


def test_only_the_newest_version_counts(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Invariance: rows of an older version change no number, and the row says that they are there."""
    old = attempts("loss", np.arange(float(N)), version=0)
    now, before = (rank(frame, truths, sizes, draws=20) for frame in (pd.concat([old, scores]), scores))
    assert row(now, "loss")["tau"] == row(before, "loss")["tau"]
    assert row(now, "loss")["note"] == "older versions left out"
    assert now.protocol["ranking"]["versions"]["loss"] == 1


def test_order_of_rows_changes_no_bit(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Invariance: scores, truths and sizes shuffled."""
    mixed = [frame.sample(frac=1, random_state=0) for frame in (scores, truths["a"], truths["b"], sizes)]
    one = rank(scores, truths, sizes, draws=50)
    other = rank(mixed[0], {"a": mixed[1], "b": mixed[2]}, mixed[3], draws=50)
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    pd.testing.assert_frame_equal(one.correlations["all"], other.correlations["all"], check_exact=True)


def test_a_row_does_not_depend_on_the_other_proxies(
    scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame
):
    """Invariance: the same bits, intervals included, whoever else was scored."""
    alone = rank(scores[scores["proxy"] == "noisy"], truths, sizes, draws=50)
    pd.testing.assert_series_equal(
        row(alone, "noisy"), row(rank(scores, truths, sizes, draws=50), "noisy"), check_names=False
    )


def test_matrix_of_proxies(ranking: Ranking):
    """Independent reference: scipy for every pair; a constant proxy is undefined, also with itself."""
    matrix = ranking.correlations["half"]
    half = ranking.scores.loc[ARCHS[:30]]
    assert matrix.loc["noisy", "macs"] == pytest.approx(scipy_stats.kendalltau(half["noisy"], half["macs"]).statistic)
    assert matrix.loc["loss", "loss"] == 1
    assert matrix["flat"].isna().all()
    pd.testing.assert_frame_equal(matrix, matrix.T)


def test_partly_known_truth_is_said(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Closed form: 50 of 60 accuracies known; n and coverage are of those 50."""
    got = row(rank(scores, {"a": truths["a"][:50]}, sizes, draws=20), "noisy")
    assert (got["n"], got["coverage"], got["note"]) == (50, 1.0, "accuracy known for 50 of 60")


def test_distinct_names(ranking: Ranking):
    """By construction: a copy, its mirror image and a name without correlations; the first of equal ones stays."""
    between = pd.DataFrame(np.eye(4), list("abcd"), list("abcd"))
    between.loc["a", "b"] = between.loc["b", "a"] = 1.0
    between.loc["c", "d"] = between.loc["d", "c"] = -1.0
    made = dataclasses.replace(ranking, correlations=dict.fromkeys(ranking.correlations, between))
    assert made.distinct(["b", "d", "a", "c", "elsewhere"]) == ["b", "d", "elsewhere"]
    between.loc["a", "b"] = between.loc["b", "a"] = 0.99
    assert made.distinct(["b", "a"]) == ["b", "a"]


def test_top_names_the_best(ranking: Ranking):
    """Closed form: the loss ranks perfectly; a constant proxy is never among the best; regret counts downwards."""
    assert ranking.top(2) == ["loss", "noisy"]
    assert ranking.top(1, truth="b", by="regret", kind="proxy") == ["loss"]
    assert "flat" not in ranking.top(99)
    assert set(ranking.top(99, kind="baseline")) == set(SIZES)
    with pytest.raises(UnknownNameError, match="Did you mean 'tau'"):
        ranking.top(1, by="tua")
    with pytest.raises(UnknownNameError, match="truth"):
        ranking.top(1, truth="c")


def test_the_best_rest_on_nine_in_ten(ranking: Ranking):
    """By construction: a perfect figure on a few architectures, or under one truth only, is not among the best."""
    table, n = ranking.table.copy(), len(ranking.subsets["all"])
    lucky = table["proxy"] == "noisy"
    table.loc[lucky, ["tau", "n"]] = [1.0, int(0.9 * n) - 1]
    assert "noisy" not in replace(ranking, table=table).top(99)
    table.loc[lucky, "n"] = int(0.9 * n)
    assert "noisy" in replace(ranking, table=table).top(2)
    table.loc[lucky & (table["truth"] == "a"), "tau"] = np.nan
    assert "noisy" not in replace(ranking, table=table).top(99)


def test_saved_and_loaded_is_the_same(ranking: Ranking, tmp_path: Path):
    """Invariance: a round trip through files keeps every bit, name and type."""
    ranking.save(tmp_path / "new" / "folder")
    back = Ranking.load(tmp_path / "new" / "folder")
    for name in ("table", "scores", "accuracies", "sizes", "failures"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(ranking, name), check_exact=True)
    assert list(back.correlations) == list(ranking.correlations)
    for subset, matrix in ranking.correlations.items():
        pd.testing.assert_frame_equal(back.correlations[subset], matrix, check_exact=True)
    assert back.protocol == ranking.protocol == json.loads(json.dumps(ranking.protocol))
    assert back.subsets == ranking.subsets == {"all": tuple(ARCHS), "half": tuple(ARCHS[:30])}


def test_protocol_says_how(ranking: Ranking):
    """Closed form: what was given, and ten architectures to a class."""
    assert ranking.protocol["batch"] == 64
    how = ranking.protocol["ranking"]
    assert (how["confidence"], how["draws"], how["k"], how["classes"]["all"]) == (0.95, 100, 10, 6)


def test_unwritable_and_damaged_folders_are_clear_errors(ranking: Ranking, tmp_path: Path):
    """Message: what was given and what to do."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        ranking.save(file / "below")
    with pytest.raises(DataError, match="rank the run again"):
        Ranking.load(tmp_path)
    ranking.save(tmp_path / "good")
    (tmp_path / "good" / "table.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match="No ranking can be read"):
        Ranking.load(tmp_path / "good")


def test_bad_input_is_a_clear_error(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Message: what was given, what was expected, what to do."""
    other = {"other": truths["a"].assign(arch=lambda t: "x" + t["arch"])}
    hole = {"a": truths["a"].assign(accuracy=lambda t: t["accuracy"].where(t.index != 3))}
    twice = {"a": pd.concat([truths["a"], truths["a"][:1]])}
    cases = [
        (scores, other, sizes, {}, "lacks 60 of the 60 scored .* 'arch 00'.* at least 3 in common"),
        (scores, hole, sizes, {}, "'arch 03' no finite number"),
        (scores, twice, sizes, {}, "'arch 00' more than one row"),
        (scores, {}, sizes, {}, "No truth was given"),
        (scores, {"a": truths["a"].rename(columns={"accuracy": "acuracy"})}, sizes, {}, "Did you mean 'acuracy'"),
        (scores.rename(columns={"value": "score"}), truths, sizes, {}, "'value' is missing"),
        (scores[scores["arch"].isin(ARCHS[:2])], truths, sizes, {}, "has 2 scored architectures"),
        (scores, truths, sizes, {"subsets": {"live": ["elsewhere"]}}, "'live' has 0 scored"),
        (scores, truths, sizes[:50], {}, "10 of 60 scored architectures have no size, for example 'arch 50'"),
        (scores, truths, sizes, {"clusters": {"arch 00": "c"}}, "59 of 60 scored architectures have no class"),
        (pd.concat([scores, scores[:1]]), truths, sizes, {}, "'noisy' for 'arch 00' with seed 0 is there twice"),
        (scores.assign(value=np.inf), truths, sizes, {}, "'ok' without a finite value"),
        (scores, truths, sizes, {"confidence": 95}, "confidence=95"),
        (scores, truths, sizes, {"draws": -1}, "draws=-1"),
        (scores, truths, sizes, {"k": 0}, "k=0"),
        (scores, truths, sizes, {"unit": "cells"}, "unit='cells' was given. Expected 'architectures' or 'classes'"),
        (scores[:0], truths, sizes, {}, "has 0 scored architectures"),
    ]
    for *frames, options, message in cases:
        with pytest.raises(RankingError, match=message):
            rank(*frames, **options)


def test_options_as_a_record_and_by_name(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Invariance: a field by name is that of the record; a name without a field is refused."""
    options = RankingOptions(draws=5, k=7, confidence=0.8)
    one = rank(scores, truths, sizes, options=options)
    other = rank(scores, truths, sizes, options=RankingOptions(k=7, confidence=0.8), draws=5)
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    assert one.protocol == other.protocol and (one.table["k"] == 7).any()
    with pytest.raises(TypeError, match="drws"):
        rank(scores, truths, sizes, drws=5)


def test_nothing_given_is_changed(scores: pd.DataFrame, truths: dict[str, pd.DataFrame], sizes: pd.DataFrame):
    """Invariance: the frames that were handed in are as before."""
    before = [frame.copy() for frame in (scores, truths["a"], sizes)]
    rank(scores, truths, sizes, draws=10)
    for frame, kept in zip((scores, truths["a"], sizes), before):
        pd.testing.assert_frame_equal(frame, kept)


NASBENCH = "nats-bench-landscape/nats_bench.csv"


def nasbench(data_dir: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """All 15,625 cells with their accuracies and classes, and their MACs in millions."""
    table = pd.read_csv(data_dir / "sources" / NASBENCH)
    cell = table["ArchitectureString"]
    macs = 7.783 + 35.389 * cell.str.count("nor_conv_3x3") + 3.932 * cell.str.count("nor_conv_1x1")
    return table, macs.to_numpy()


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "tau", "rho"), [("CIFAR10", 0.576, 0.751), ("CIFAR100", 0.552, 0.727), ("ImageNet", 0.519, 0.690)]
)
def test_macs_rank_nasbench201_as_published(data_dir: Path, dataset: str, tau: float, rho: float):
    """Published numbers: MACs against test accuracy after 200 epochs, all cells; the third digit differs by release."""
    table, macs = nasbench(data_dir)
    accuracy = table[f"{dataset}TestAccuracy200Epochs"].to_numpy()
    got = statistics.kendall(macs, accuracy), statistics.spearman(macs, accuracy)
    assert got == pytest.approx((tau, rho), abs=2.5e-3)


@pytest.mark.data
def test_bootstrap_knows_the_sampling_error_of_nasbench201(data_dir: Path):
    """Independent reference: tau of 200 fresh samples of 1,000 cells spreads by sd .013; drawing classes is wider."""
    table, macs = nasbench(data_dir)
    accuracy, classes = table["CIFAR10TestAccuracy200Epochs"].to_numpy(), table["UniqueString"].to_numpy(str)
    rng = np.random.default_rng(0)
    samples = [rng.choice(len(macs), 1000, replace=False) for _ in range(200)]
    spread = np.std([statistics.kendall(macs[some], accuracy[some]) for some in samples])
    single, whole = (
        np.mean([bootstrap(macs[s, None], accuracy[s, None], names[s], draws=200)[0].std() for s in samples[:5]])
        for names in (np.arange(len(macs)), classes)
    )
    assert spread == pytest.approx(0.013, abs=0.001)
    assert single == pytest.approx(spread, rel=0.2)
    assert single < whole < 1.5 * single
