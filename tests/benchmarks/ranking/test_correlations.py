"""Correlations between proxies: lazily computed, the values those of SciPy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from zcbench.benchmarks.ranking import correlations
from zcbench.benchmarks.ranking.correlations import Correlations


def test_a_matrix_is_computed_when_it_is_read_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent reference: SciPy's tau over the rows that both have; a count of the matrices computed."""
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(20, 2)), [f"a{i}" for i in range(20)], ["one", "other"])
    values.iloc[3, 0] = np.nan
    made: list[int] = []
    real = correlations._matrix
    monkeypatch.setattr(correlations, "_matrix", lambda part: made.append(len(part)) or real(part))
    found = Correlations(values, {"all": tuple(values.index), "few": tuple(values.index[:9])})

    assert (list(found), len(found), "few" in found, "none" in found, made) == (["all", "few"], 2, True, False, [])
    both = values.iloc[:9].dropna()
    assert found["few"].loc["one", "other"] == pytest.approx(kendalltau(both["one"], both["other"]).statistic)
    assert found["few"] is found["few"]
    assert made == [9]
    with pytest.raises(KeyError):
        found["none"]
