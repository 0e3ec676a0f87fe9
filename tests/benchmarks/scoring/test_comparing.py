"""Two sets of scores held against each other."""

import numpy as np
import pandas as pd
import pytest

from zcbench.benchmarks.scoring import bundled
from zcbench.benchmarks.scoring.comparing import compare
from zcbench.errors import RankingError


@pytest.fixture
def truth(archs):
    return {"t": pd.DataFrame({"arch": archs, "accuracy": [60.0, 70.0, 80.0, 90.0]})}


def test_by_hand(run, truth, tmp_path):
    """Closed form: one value of eight raised by a tenth, all others equal; the order stays as it was."""
    run()
    one = bundled.load(tmp_path / "run")
    frame = one[1].copy()
    chosen = frame.index[frame["proxy"] == "naswot"][0]
    frame.loc[chosen, "value"] *= 1.1
    table = compare((one[0], frame, one[2]), one, truth).set_index("proxy")
    assert table.loc["naswot", "n"] == 8
    assert table.loc["naswot", "largest_difference"] == pytest.approx(0.1)
    assert table.loc["naswot", "median_difference"] == 0
    assert (table.loc["synflow", ["median_difference", "largest_difference"]] == 0).all()
    assert table.loc["synflow", "tau_between"] == pytest.approx(1)
    assert table.loc["synflow", "t: first"] == table.loc["synflow", "t: second"]
    assert np.isfinite(table.loc["params", "t: first"])


def test_layouts_differ_in_the_protocol_and_by_rounding(run, truth, tmp_path):
    """Invariance: channels-last moves no score by more than float32 rounding, and the field is named."""
    run()
    run(layout="channels_last", out=tmp_path / "other")
    one, other = bundled.load(tmp_path / "run"), bundled.load(tmp_path / "other")
    assert one[0].differences(other[0]) == ["layout: contiguous → channels_last"]
    assert compare(one, other, truth)["largest_difference"].max() < 1e-3


def test_nothing_in_common(run, archs, space, truth, tmp_path):
    """Other architectures: refused."""
    run(archs=archs[:2])
    run(archs=[space[0], space[1]], out=tmp_path / "other")
    with pytest.raises(RankingError, match="no architecture"):
        compare(bundled.load(tmp_path / "run"), bundled.load(tmp_path / "other"), truth)
