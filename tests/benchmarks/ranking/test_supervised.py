"""Regressions on scores: what a prediction may have seen, and that they stand apart."""

import numpy as np
import pandas as pd
import pytest

from zcbench.benchmarks.ranking import supervised
from zcbench.benchmarks.ranking.ensembles import ENSEMBLES
from zcbench.benchmarks.ranking.ranking import Ranking, rank
from zcbench.benchmarks.ranking.supervised import LEARNERS, out_of_fold
from zcbench.errors import RankingError, UnknownNameError
from zcbench.reports import detail_table, summary_table

N = 240
ARCHS = [f"arch {i:03d}" for i in range(N)]
CLASSES = pd.Series([f"class {i // 3}" for i in range(N)], ARCHS)


@pytest.fixture(scope="module")
def accuracy() -> pd.Series:
    return pd.Series(np.random.default_rng(0).uniform(50, 95, N), ARCHS)


@pytest.fixture(scope="module")
def features(accuracy: pd.Series) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(N, 4)) * 12
    table = pd.DataFrame(noise + accuracy.to_numpy()[:, None], ARCHS, ["p", "q", "r", "s"])
    return table.mask(rng.random((N, 4)) < 0.05)


@pytest.fixture(scope="module")
def ranking(features: pd.DataFrame, accuracy: pd.Series) -> Ranking:
    rng = np.random.default_rng(2)
    frames = [
        pd.DataFrame({"arch": ARCHS, "proxy": name, "version": 1, "seed": 0, "value": features[name].to_numpy()})
        for name in features
    ]
    scores = pd.concat(frames).assign(reason="", seconds=0.5)
    scores["status"] = np.where(scores["value"].isna(), "nan", "ok")
    scores.loc[scores["proxy"] == "s", "proxy"] = "jacov"
    sizes = pd.DataFrame(
        {"arch": ARCHS, **{n: rng.integers(1, 9, N) for n in ("params", "macs", "n_convs", "depth", "width")}}
    )
    other = accuracy.to_numpy() + rng.normal(size=N) * 9
    truths = {
        "a": pd.DataFrame({"arch": ARCHS, "accuracy": accuracy.to_numpy()}),
        "b": pd.DataFrame({"arch": ARCHS[:-10], "accuracy": other[:-10]}),
    }
    return rank(
        scores,
        truths,
        sizes,
        clusters=dict(CLASSES),
        draws=20,
        ensembles=[ENSEMBLES.get("log_rank(macs,jacov)")],
        supervised=["ridge"],
        supervised_train=60,
    )


@pytest.mark.parametrize("learner", LEARNERS)
def test_no_prediction_depends_on_the_accuracies_of_its_class(
    features: pd.DataFrame, accuracy: pd.Series, learner: str
):
    """Invariance: other accuracies for one class leave the predictions for that class as they are, to the bit."""
    before = out_of_fold(features, accuracy, CLASSES, learner)
    for members in ([f"arch {i:03d}" for i in range(3)], [f"arch {i:03d}" for i in range(120, 123)]):
        changed = accuracy.copy()
        changed[members] = [0.0, 100.0, 1.0]
        after = out_of_fold(features, changed, CLASSES, learner)
        pd.testing.assert_series_equal(after[members], before[members], check_exact=True)
        assert (after != before).any()


def test_a_model_never_sees_a_class_of_its_fold(
    features: pd.DataFrame, accuracy: pd.Series, monkeypatch: pytest.MonkeyPatch
):
    """By construction: a learner that writes down what it sees; every fold is disjoint from its training sample."""
    seen = []

    def spy(known, target, asked, seed):
        seen.append((known, asked))
        return np.zeros(len(asked))

    monkeypatch.setitem(LEARNERS, "spy", spy)
    marked = features.assign(mark=[int(name.split()[1]) for name in CLASSES], only=range(N))
    out_of_fold(marked, accuracy, CLASSES, "spy", train=50)
    assert len(seen) == supervised.FOLDS
    assert all(len(known) == 50 for known, _ in seen)
    assert all(set(known[:, -2]).isdisjoint(asked[:, -2]) for known, asked in seen)
    assert sorted(value for _, asked in seen for value in asked[:, -1] * N) == pytest.approx(range(1, N + 1))


def test_ridge_is_the_closed_form(monkeypatch: pytest.MonkeyPatch):
    """Closed form: centred normal equations at the penalty that leave-one-out chooses by brute force."""
    rng = np.random.default_rng(3)
    x, z = rng.random((30, 3)), rng.random((5, 3))
    x[4, 1] = np.nan
    y = np.nan_to_num(x, nan=0.5) @ [1.0, -2.0, 0.3] + 0.2 * rng.normal(size=30)

    def solve(known, target, asked, alpha):
        centre, mean = known.mean(0), target.mean()
        weights = np.linalg.solve(
            (known - centre).T @ (known - centre) + alpha * np.eye(3), (known - centre).T @ target
        )
        return (asked - centre) @ weights + mean

    filled = np.nan_to_num(x, nan=0.5)
    keep = ~np.eye(30, dtype=bool)
    penalties = np.logspace(-3, 3, 13)
    errors = [
        sum((solve(filled[k], y[k], filled[i : i + 1], alpha)[0] - y[i]) ** 2 for i, k in enumerate(keep))
        for alpha in penalties
    ]
    best = penalties[int(np.argmin(errors))]
    np.testing.assert_allclose(LEARNERS["ridge"](x, y, z, 0), solve(filled, y, z, best), rtol=1e-6)


@pytest.mark.parametrize("learner", LEARNERS)
def test_noise_is_not_learned_and_a_signal_is(features: pd.DataFrame, accuracy: pd.Series, learner: str):
    """By construction: shuffled accuracies give a correlation near zero, the true ones more than any single feature."""
    shuffled = pd.Series(np.random.default_rng(4).permutation(accuracy), ARCHS)
    own = pd.Series(range(N), ARCHS).astype(str)
    noise = out_of_fold(features, shuffled, own, learner).corr(shuffled, method="spearman")
    signal = out_of_fold(features, accuracy, own, learner).corr(accuracy, method="spearman")
    assert abs(noise) < 0.25
    assert signal > max(features[name].corr(accuracy, method="spearman") for name in features)


def test_scale_of_a_feature_does_not_matter(features: pd.DataFrame, accuracy: pd.Series):
    """Invariance: an increasing transformation of scores and of accuracies changes no bit."""
    before = out_of_fold(features, accuracy, CLASSES, "ridge")
    after = out_of_fold(np.exp(features / 5), accuracy**3, CLASSES, "ridge")
    pd.testing.assert_series_equal(after, before, check_exact=True)


def test_one_row_under_the_truth_it_learned(ranking: Ranking):
    """Closed form: one column per truth, each with one row; the ensemble has a row under both."""
    rows = ranking.table[ranking.table["kind"] == "supervised"]
    assert rows[["truth", "proxy"]].to_numpy().tolist() == [["a", "ridge(a)"], ["b", "ridge(b)"]]
    assert rows["n"].tolist() == [N, N - 10]
    assert (rows["coverage"] == 1).all()
    assert rows["note"].str.startswith("each of 5 models trained on at most 60 accuracies of this truth").all()
    assert rows["seconds"].tolist() == [2.0, 2.0]
    assert (ranking.table["kind"] == "ensemble").sum() == 2


def test_it_never_mixes_with_what_needs_no_training(ranking: Ranking):
    """By hand: last in every table, not among the best unless asked for, not in the matrix of proxies."""
    assert not any("ridge" in name for name in ranking.top(99))
    assert ranking.top(9, truth="a", kind="supervised") == ["ridge(a)"]
    assert not any("ridge" in name for name in ranking.correlations["all"])
    assert detail_table(ranking, "a")["proxy"].iloc[-1] == "ridge(a)"
    summary = summary_table(ranking)
    assert summary["kind"].tolist()[-2:] == ["supervised", "supervised"]
    assert summary.set_index("proxy").loc["ridge(a)", "b"] == "–"


def test_protocol_says_what_was_learned(ranking: Ranking):
    """By hand: training size, folds, features without ensembles."""
    card = ranking.protocol["ranking"]["supervised"]
    assert (card["regressions"], card["training accuracies"]) == (["ridge"], 60)
    assert card["features"] == ["params", "macs", "n_convs", "depth", "width", "jacov", "p", "q", "r"]
    assert card["folds"].startswith("5, of whole classes")


def test_bad_requests_are_clear_errors(features: pd.DataFrame, accuracy: pd.Series):
    """Message: what was given, what was expected."""
    with pytest.raises(UnknownNameError, match="Did you mean 'ridge'"):
        supervised.Supervision(("rigde",))
    with pytest.raises(RankingError, match="supervised_train=3"):
        supervised.Supervision(("ridge",), 3)
    for classes in (pd.Series("one", ARCHS), pd.Series(["few"] * 9 + ["many"] * (N - 9), ARCHS)):
        with pytest.raises(RankingError, match="of 240 accuracies to learn from"):
            out_of_fold(features, accuracy, classes, "ridge")


def test_names_from_a_text():
    """By hand."""
    assert supervised.names(" ridge, boosting ,ridge") == ("ridge", "boosting")
    assert supervised.names("none") == supervised.names(None) == ()
