"""Bundled scores, and scores of one run merged with those of another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

import zcbench
from zcbench import datasets, spaces
from zcbench.benchmarks.ranking.ranking import Ranking
from zcbench.benchmarks.ranking.study import rank_run
from zcbench.benchmarks.scoring import bundled, packing
from zcbench.benchmarks.scoring.conditions import Conditions
from zcbench.benchmarks.scoring.merging import join
from zcbench.benchmarks.scoring.packing import Scores
from zcbench.benchmarks.scoring.protocol import Protocol
from zcbench.benchmarks.scoring.run import score_run
from zcbench.benchmarks.scoring.store import Row, Store
from zcbench.benchmarks.scoring.teachers import TeacherChoice
from zcbench.errors import ProtocolError, StoreError, UnknownNameError
from zcbench.proxies import REGISTRY
from zcbench.runtime.execution import Execution

SPACE = spaces.get("nasbench201", channels=4, cells=1)
ARCHS = SPACE.subset("unique")[:24]
PROTOCOL = Protocol(SPACE.spec, "noise", "8 images", 8, 0, "0" * 64, (3, 8, 8), 10, teacher=ARCHS[0], teacher_seed=0)


def made(
    proxies: dict[str, list[str]], *, version: int = 1, seeds: tuple[int, ...] = (0,), **protocol: object
) -> Scores:
    """Made-up scores: for each proxy the architectures that it has."""
    rng = np.random.default_rng(len(proxies))
    rows = [
        Row(arch, name, version, seed, float(rng.normal()), "ok", "", 0.5)
        for name, archs in proxies.items()
        for arch in archs
        for seed in seeds
    ]
    return replace(PROTOCOL, **protocol), pd.DataFrame(rows), {"requests": []}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of two proxies, on twelve and on all 24 architectures."""
    return written(made({"synflow": ARCHS, "zen": ARCHS[:12]}), tmp_path / "mine")


def written(scores: Scores, home: Path) -> Path:
    home.mkdir()
    with Store(home / "scores.sqlite", write=True) as store:
        store.adopt(scores[0])
        store.save(Row(*row) for row in scores[1].itertuples(index=False, name=None))
    return home


@pytest.fixture
def truth() -> dict[str, pd.DataFrame]:
    return {"t": pd.DataFrame({"arch": ARCHS, "accuracy": np.linspace(50, 90, len(ARCHS))})}


def row(ranking: Ranking, proxy: str, subset: str = "all") -> pd.Series:
    table = ranking.table
    return table[(table["proxy"] == proxy) & (table["subset"] == subset)].iloc[0]


@pytest.mark.parametrize("name", bundled.names())
def test_what_ships(name: str):
    """Its card and its rows agree, and each proxy is known here, at a version that is not newer than ours."""
    protocol, frame, description = bundled.scores(name)
    card = bundled.card(name)
    space = spaces.get(protocol.space)
    assert space.name == name.partition("-")[0]
    assert (len(frame), frame["arch"].nunique()) == (card["scores"], card["architectures"])
    for arch in set(frame["arch"]):
        space.parse(arch)  # raises, if it is none
    assert not frame.duplicated(["arch", "proxy", "seed"]).any()
    assert np.isfinite(frame.loc[frame["status"] == "ok", "value"]).all()
    for entry in card["proxies"]:
        assert REGISTRY.get(entry["proxy"]).version >= entry["version"]
    assert all(request["architectures"] and request["proxies"] for request in description["requests"])


def test_the_whole_space_ships():
    """Each proxy of the table has an attempt at every one of the 15,625 cells, and fails on fewer than one in forty."""
    _, frame, _ = bundled.scores("nasbench201")
    assert set(frame["arch"]) == set(spaces.get("nasbench201"))
    assert set(frame["seed"]) == {0}
    for _, rows in frame.groupby("proxy"):
        assert len(rows) == 15_625
        assert (rows["status"] == "ok").mean() > 0.97


@pytest.mark.data
@pytest.mark.parametrize("name", bundled.names())
def test_what_ships_is_what_this_code_gives(name: str, data_dir: Path, tmp_path: Path):
    """A light network scored again under the protocol of the table, by each of its proxies: equal but for rounding."""
    protocol, frame, _ = bundled.scores(name)
    images = datasets.load("cifar10(files=2)", data_dir, image_size=protocol.image_shape[-1])
    batch = datasets.batch(images, protocol.batch_size, protocol.batch_seed)
    assert batch.sha256 == protocol.batch_sha256
    space = spaces.get(protocol.space)
    failed = set(frame.loc[~frame["status"].isin(["ok", "not_applicable"]), "arch"])
    costs = space.costs(sorted(set(frame["arch"]) - failed)[::7], image_shape=protocol.image_shape)
    arch = str(costs.sort_values(["macs", "arch"])["arch"].iloc[5])
    teacher = TeacherChoice(protocol.teacher, protocol.teacher_seed)
    conditions = Conditions(space, batch, teacher, layout=protocol.layout)
    names = sorted(set(frame.loc[(frame["arch"] == arch) & (frame["status"] == "ok"), "proxy"]))
    score_run(conditions, [arch], names, [0], tmp_path / "again", execution=Execution(workers=0))
    again = bundled.load(tmp_path / "again")[1].set_index("proxy")["value"]
    own = frame[(frame["arch"] == arch) & (frame["seed"] == 0) & (frame["status"] == "ok")]
    there = own.set_index("proxy")["value"]
    assert again.to_dict() == pytest.approx(there.to_dict(), rel=1e-2)


def test_shipped_sizes_are_those_of_the_space():
    """Closed form: params, macs and n_convs as the space counts them."""
    _, frame, _ = bundled.scores("nasbench201")
    archs = list(dict.fromkeys(frame["arch"]))[::50]
    costs = spaces.get("nasbench201").costs(archs).set_index("arch")
    for name in ("params", "macs", "n_convs"):
        found = frame[frame["proxy"] == name].set_index("arch").loc[archs, "value"]
        np.testing.assert_array_equal(found, costs[name])


@pytest.mark.data
def test_shipped_sizes_rank_as_the_analytic_ones(data_dir: Path):
    """Independent reference: scipy's tau of the analytic MACs on the bundled architectures."""
    truths = {"c": zcbench.truth("nasbench201/cifar10", data_dir)}
    ranking = rank_run("nasbench201", truths, draws=2, subsets=["all"], ensembles="none")
    archs = ranking.scores.index
    macs = spaces.get("nasbench201").costs(archs)["macs"].to_numpy()
    accuracy = truths["c"].set_index("arch").loc[archs, "accuracy"]
    assert row(ranking, "macs")["tau"] == pytest.approx(kendalltau(macs, accuracy).statistic)


@pytest.mark.data
def test_disconnected_cells_of_nasbench201(data_dir: Path):
    """Independent reference: scipy with the 341 cells left out for all, and put below all others."""
    truths = {"c": zcbench.truth("nasbench201/cifar10", data_dir)}
    options = {"draws": 1, "subsets": ["all"], "ensembles": "none"}
    left_out, last = (rank_run("nasbench201", truths, failures_last=given, **options) for given in (False, True))
    accuracy = truths["c"].set_index("arch")["accuracy"].loc[left_out.scores.index]
    joined = left_out.scores["synflow"].notna()
    assert (~joined).sum() == 341
    assert row(left_out, "synflow")["n_common"] == joined.sum()
    for name in ("macs", "snip", "zico"):
        expected = kendalltau(left_out.scores.loc[joined, name], accuracy[joined]).statistic
        assert row(left_out, name)["tau_common"] == pytest.approx(expected)
    for name, figure in (("synflow", 0.583), ("zico", 0.590), ("jacov", 0.539)):
        worst = left_out.scores[name].fillna(left_out.scores[name].min() - 1)
        assert row(last, name)["tau"] == pytest.approx(kendalltau(worst, accuracy).statistic)
        assert row(last, name)["tau"] == pytest.approx(figure, abs=5e-4)


def test_a_place_is_a_folder_a_file_or_a_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Equal scores from the run and from its file; a folder of that name comes before a bundled name; else an error."""
    packing.pack([folder], tmp_path / "mine.parquet")
    assert bundled.load(tmp_path / "mine.parquet")[1].equals(bundled.load(folder)[1])
    assert bundled.card(folder)["proxies"] == bundled.card(tmp_path / "mine.parquet")["proxies"]
    with pytest.raises(StoreError, match="Did you mean 'nasbench201'"):
        bundled.load("nasbench202")
    with pytest.raises(UnknownNameError):
        bundled.scores("nasbench202")
    folder.rename(tmp_path / "nasbench201")
    monkeypatch.chdir(tmp_path)
    assert bundled.load("nasbench201")[0] == PROTOCOL


def test_the_sample_is_where_every_proxy_was_scored(folder: Path, truth: dict[str, pd.DataFrame]):
    """Closed form: zen has 12 of 24 architectures: n and note in ``all``, nothing to remark in ``sample``."""
    ranking = rank_run(folder, truth, draws=5, ensembles="none")
    assert set(ranking.subsets["sample"]) == set(ARCHS[:12])
    assert list(row(ranking, "zen")[["n", "coverage", "note"]]) == [12, 1.0, "scored on 12 of 24"]
    for name in ("synflow", "zen"):
        assert list(row(ranking, name, "sample")[["n", "coverage", "note"]]) == [12, 1.0, ""]
    alone = rank_run(folder, truth, draws=5, ensembles="none", subsets=["sample"])
    assert list(alone.subsets) == ["sample"]
    with pytest.raises(UnknownNameError, match="Did you mean 'sample'"):
        rank_run(folder, truth, subsets=["samples"])


def test_beside_adds_what_the_run_lacks(folder: Path, truth: dict[str, pd.DataFrame], tmp_path: Path):
    """Invariance: the run's own rows keep every number; the other's proxies stand on the run's architectures."""
    theirs = made({"synflow": ARCHS, "naswot": [*ARCHS, SPACE[0]], "snip": ARCHS[:6]}, seeds=(0, 1), batch="renamed")
    other = written(theirs, tmp_path / "other")
    alone, both = (rank_run(folder, truth, draws=5, ensembles="none", beside=b) for b in ((), (other,)))
    for name in ("synflow", "zen"):
        pd.testing.assert_series_equal(row(alone, name), row(both, name), check_names=False)
    assert len(both.scores) == 24
    assert row(both, "naswot")["note"] == f"from {other}"
    assert row(both, "snip")["note"] == f"from {other}; scored on 6 of 24"
    told = both.protocol["beside"][str(other)]
    assert told["proxies"] == {"naswot": 1, "snip": 1}
    assert told["seeds"] == [0, 1]
    assert told["left out"] == {"synflow": "here at version 1 already, theirs is 1"}
    assert told["differences"] == []
    assert both.protocol["scores"]["init seeds"] == [0]
    with pytest.raises(StoreError):
        rank_run(folder, truth, beside=["nowhere"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("space", "nasbench201(channels=8,cells=1)"),
        ("dataset", "digits"),
        ("batch_sha256", "1" * 64),
        ("image_shape", (3, 16, 16)),
        ("num_classes", 100),
        ("init", "kaiming"),
        ("dtype", "float64"),
        ("schema", 2),
    ],
)
def test_another_protocol_is_not_put_beside(field: str, value: object):
    """Each field that changes scores is named with both values; several are all listed."""
    mine = made({"zen": ARCHS})
    with pytest.raises(ProtocolError, match=f"{field}: .* → "):
        join(mine, {"other": made({"snip": ARCHS}, **{field: value})})
    with pytest.raises(ProtocolError, match=r"init: default → kaiming; dtype: float32 → float64"):
        join(mine, {"other": made({"snip": ARCHS}, init="kaiming", dtype="float64")})


def test_what_cannot_matter_is_said():
    """Another build, device or layout; another teacher costs only the proxies that compare with one."""
    mine = made({"zen": ARCHS})
    other = made({"snip": ARCHS, "diswot_relation": ARCHS}, torch="1.0", device="cuda", teacher_seed=5)
    joined = join(mine, {"other": other})
    assert joined.sources["other"].proxies == {"snip": 1}
    assert joined.sources["other"].left_out == {"diswot_relation": "another teacher"}
    differences = joined.sources["other"].differences
    assert [line.partition(":")[0] for line in differences] == ["torch", "device", "teacher_seed"]
    same = join(mine, {"other": made({"diswot_relation": ARCHS})})
    assert same.sources["other"].proxies == {"diswot_relation": 1}


def test_of_two_others_the_first_has_a_proxy():
    """Closed form: the second one's snip is left out, by name."""
    first, second = made({"snip": ARCHS}), made({"snip": ARCHS, "naswot": ARCHS})
    joined = join(made({"zen": ARCHS}), {"a": first, "b": second})
    assert joined.notes == {"snip": "from a", "naswot": "from b"}
    assert joined.sources["b"].left_out == {"snip": "here at version 1 already, theirs is 1"}
