"""Scores on several batches: one mean over all draws, and how far tau moves with the seed and with the batch."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from zcbench import spaces
from zcbench.benchmarks import statistics
from zcbench.benchmarks.ranking.ranking import rank
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.scoring.bundled import load
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.resamples import Draw, pool, seeds_of, tau_spread
from zcbench.benchmarks.scoring.run import score_run
from zcbench.datasets import batch
from zcbench.datasets import load as load_images
from zcbench.errors import ProtocolError
from zcbench.runtime.execution import Execution

ARCHS = tuple("abcdefgh")


@pytest.fixture
def runs(tmp_path):
    """Two batches, two seeds, two proxies, six small networks."""
    space = spaces.get("nasbench201", channels=2, cells=1)
    archs = [space[place] for place in (0, 5000, 7777, 12000, 15000, 15624)]
    images = load_images("digits")
    for seed in (0, 1):
        conditions, out = Conditions(space, batch(images, 4, seed)), tmp_path / str(seed)
        score_run(conditions, archs, ["macs", "naswot"], [0, 1], out, execution=Execution(workers=0))
    return space, archs, tmp_path / "0", tmp_path / "1"


def test_spread_against_loops():
    """Slow reference: tau of the mean over one index for each value of the other, standard deviation with n - 1."""
    stream = np.random.default_rng(0)
    accuracy = stream.normal(size=12)
    scores = {Draw(b, s): accuracy + stream.normal(size=12) for b in range(3) for s in range(2)}
    spread = tau_spread(pd.DataFrame(scores), accuracy)
    by_seed = [statistics.kendall(sum(scores[Draw(b, s)] for b in range(3)), accuracy) for s in range(2)]
    by_batch = [statistics.kendall(sum(scores[Draw(b, s)] for s in range(2)), accuracy) for b in range(3)]
    assert spread == pytest.approx(
        {"tau_sd_seeds": np.std(by_seed, ddof=1), "tau_sd_batches": np.std(by_batch, ddof=1)}
    )
    assert min(spread.values()) > 0


def test_one_seed_or_batch_has_no_spread():
    """Closed form: no standard deviation of one number; two equal columns have none but zero."""
    one = tau_spread(pd.DataFrame({0: [1.0, 2.0, 3.0]}), np.array([1.0, 3.0, 2.0]))
    two = tau_spread(pd.DataFrame({0: [1.0, 2.0, 3.0], 1: [1.0, 2.0, 3.0]}), np.array([1.0, 3.0, 2.0]))
    assert np.isnan(list(one.values())).all()
    assert two["tau_sd_seeds"] == 0
    assert np.isnan(two["tau_sd_batches"])


def test_missing_scores_are_left_out_of_their_seed():
    """Closed form: the second seed lacks the architecture that disorders the first."""
    trials = pd.DataFrame({0: [1.0, 2.0, 3.0, 0.0], 1: [1.0, 2.0, 3.0, np.nan]})
    spread = tau_spread(trials, np.array([1.0, 2.0, 3.0, 4.0]))
    assert spread["tau_sd_seeds"] == pytest.approx(np.std([0.0, 1.0], ddof=1))


def test_pooled_value_is_the_mean_of_all_draws(runs):
    """Invariance: ranking two runs together is ranking the mean of their scores."""
    _, archs, first, second = runs
    truth = {"truth": pd.DataFrame({"arch": archs, "accuracy": [10.0, 60, 70, 50, 80, 90]})}
    ranking = rank_run(first, truth, batches=[second], draws=10, subsets=("all",))
    frames = [load(run)[1] for run in (first, second)]
    means = pd.concat(frames).query("proxy == 'naswot'").groupby("arch")["value"].mean()
    assert ranking.scores["naswot"].to_dict() == pytest.approx(means.to_dict())
    row = ranking.table.set_index("proxy").loc["naswot"]
    assert row["tau_sd_batches"] >= 0
    assert row["tau_sd_seeds"] >= 0
    assert row["coverage"] == 1
    assert ranking.protocol["scores"]["init seeds"] == [0, 1]
    assert ranking.protocol["scores"]["batch"].startswith("2 batches: ")


def test_a_single_run_is_left_as_it_is(runs):
    """Invariance: pooling one run changes nothing, and its seeds stay numbers."""
    scores = load(runs[2])
    assert pool({"only": scores}) is scores
    assert seeds_of(scores[1]) == [0, 1]


def test_what_differs_in_more_than_the_batch_is_refused(runs):
    """The message names the run and the field."""
    first, second = load(runs[2]), load(runs[3])
    other = replace(second[0], init="kaiming"), *second[1:]
    with pytest.raises(ProtocolError, match="'second' differs in more than its batch: init: default → kaiming"):
        pool({"first": first, "second": other})
    with pytest.raises(ProtocolError, match="2 runs with 1 different batches"):
        pool({"first": first, "again": first})


def test_the_table_has_no_spread_for_sizes():
    """Closed form: a size is one number, whatever was drawn."""
    rows = [(arch, "p", 1, seed, float(i + seed), "ok", "", 0.1) for i, arch in enumerate(ARCHS) for seed in (0, 1)]
    columns = ["arch", "proxy", "version", "seed", "value", "status", "reason", "seconds"]
    sizes = pd.DataFrame({"arch": ARCHS} | {name: range(8) for name in ("params", "macs", "n_convs", "depth", "width")})
    truth = {"t": pd.DataFrame({"arch": ARCHS, "accuracy": [float(i**2) for i in range(8)]})}
    table = rank(pd.DataFrame(rows, columns=columns), truth, sizes, draws=5).table.set_index("proxy")
    assert np.isnan(table.loc["params", "tau_sd_seeds"])
    assert table.loc["p", "tau_sd_seeds"] == 0
