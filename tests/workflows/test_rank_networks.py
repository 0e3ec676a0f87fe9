"""Networks of one's own through the front door: the same numbers as by way of a space, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zcbench
from zcbench.benchmarks import Conditions, Execution, score_run
from zcbench.datasets import Batch
from zcbench.errors import BatchError, DataError, ProtocolError, RankingError, TeacherError, ZcbenchError
from zcbench.proxies import Proxy, Signals
from zcbench.spaces import Networks, SpaceError
from zcbench.streams import numpy_stream, torch_stream

from ..command import fails, zcbench_command

SPACE = "nasbench201(channels=4,cells=1)"
SIDE = 8


def make(width: int, classes: int = 10) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )


NETWORKS = {f"width {width}": make(width) for width in (4, 6, 8, 10)}
ACCURACIES = {"width 4": 60.0, "width 6": 62.5, "width 8": 61.0, "width 10": 66.0}


@pytest.fixture(scope="module")
def batch() -> Batch:
    return zcbench.datasets.batch(zcbench.datasets.load("noise", image_size=SIDE), 8)


@pytest.fixture(scope="module")
def pair(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return batch.images, batch.labels


def test_values_equal_those_of_a_space(batch, tmp_path) -> None:
    """Invariance, bit for bit: networks built by a space, given as modules and by functions, with every proxy."""
    space = zcbench.spaces.get(SPACE)
    archs = space.sample(numpy_stream("front"), 3, subset="unique")
    built = {arch: space.build(arch, seed=0, image_shape=batch.image_shape) for arch in archs}
    accuracies = {arch: float(place) for place, arch in enumerate(archs)}
    ranking = zcbench.rank_networks(built, accuracies, batch)
    made = {arch: (lambda arch=arch: space.build(arch, seed=0, image_shape=batch.image_shape)) for arch in archs}
    again = zcbench.rank_networks(made, accuracies, batch)
    pd.testing.assert_frame_equal(ranking.scores, again.scores, check_exact=True)
    proxies = [name for name in ranking.scores if name in zcbench.proxies.REGISTRY]
    run = score_run(Conditions(space, batch), archs, proxies, [0], tmp_path, execution=Execution(workers=0))
    table = run.scores().pivot(index="arch", columns="proxy", values="value")
    signs = [1.0 if zcbench.proxies.get(name).higher_is_better else -1.0 for name in proxies]
    expected = (table[proxies] * signs).loc[ranking.scores.index]
    pd.testing.assert_frame_equal(ranking.scores[proxies], expected, check_exact=True, check_names=False)
    assert len(proxies) > 25
    alone = zcbench.score(built[archs[0]], batch, ["synflow", "naswot", "grasp"])
    signed = {name: value * (-1.0 if name == "grasp" else 1.0) for name, value in alone.items()}
    sign = {name: 1.0 if zcbench.proxies.get(name).higher_is_better else -1.0 for name in alone}
    assert {name: ranking.scores.loc[archs[0], name] * sign[name] for name in alone} == alone, signed


def test_a_lower_is_better_proxy_is_the_right_way_up(pair) -> None:
    """By construction: minus the number of parameters, declared lower is better, ranks as the number does."""

    def negative(signals: Signals) -> float:
        return -float(signals.costs.params)

    lower = Proxy("negative_size", negative, frozenset({"costs"}), higher_is_better=False, uses_labels=False)
    accuracies = {name: float(name.split()[1]) for name in NETWORKS}
    ranking = zcbench.rank_networks(NETWORKS, accuracies, pair, [lower, "te_nas_ntk"])
    rows = ranking.to_frame(wide=True)
    assert (
        rows.loc["negative_size", "tau"] == rows.loc["params", "tau"] == 1 and not rows.loc["te_nas_ntk"].isna().all()
    )
    assert not rows.loc["negative_size", "higher_is_better"] and not rows.loc["te_nas_ntk", "higher_is_better"]


@pytest.mark.parametrize("form", ["dict", "series", "frame", "index", "csv"])
def test_accuracies_of_every_form(form: str, pair, tmp_path) -> None:
    """Invariance: the same accuracies give the same table; the truth is called after the file."""
    frame = pd.DataFrame({"arch": list(ACCURACIES), "accuracy": list(ACCURACIES.values())})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    forms = {
        "dict": ACCURACIES,
        "series": pd.Series(ACCURACIES),
        "frame": frame[::-1],
        "index": frame.set_index("arch"),
        "csv": str(tmp_path / "mine.csv"),
    }
    ranking = zcbench.rank_networks(NETWORKS, forms[form], pair, "naswot")
    expected = zcbench.rank_networks(NETWORKS, ACCURACIES, pair, "naswot")
    label = "mine.csv" if form == "csv" else "accuracy"
    tables = (ranking.table, expected.table.assign(truth=label))
    pd.testing.assert_frame_equal(*(table.drop(columns="seconds") for table in tables))
    assert list(ranking.accuracies[label]) == [ACCURACIES[name] for name in ranking.accuracies.index]


def test_batches_of_every_form(batch, pair) -> None:
    """Invariance: a pair, a loader that begins with it, and a batch of it; a loader that shuffles gives one batch."""
    loader = DataLoader(TensorDataset(*pair), batch_size=len(pair[1]))
    scores = [
        zcbench.rank_networks(NETWORKS, ACCURACIES, given, "naswot,snip").scores for given in (batch, pair, loader)
    ]
    pd.testing.assert_frame_equal(scores[0], scores[1])
    pd.testing.assert_frame_equal(scores[0], scores[2])
    shuffled = DataLoader(TensorDataset(*pair), batch_size=4, shuffle=True)
    first, second = (zcbench.rank_networks(NETWORKS, ACCURACIES, shuffled, "snip") for _ in range(2))
    assert first.protocol["scores"]["batch_sha256"] == second.protocol["scores"]["batch_sha256"]


def test_modules_have_one_seed_and_functions_all(pair, tmp_path) -> None:
    """By construction: three scores of each function, one of each module, and the protocol says so."""
    networks = {name: source if name.endswith("4") else source() for name, source in NETWORKS.items()}
    zcbench.rank_networks(networks, ACCURACIES, pair, "naswot", seeds=3, out=tmp_path)
    ranking = zcbench.rank(tmp_path, {"accuracy": pd.DataFrame(ACCURACIES.items(), columns=["arch", "accuracy"])})
    scores = pd.read_parquet(tmp_path / "ranking" / "scores.parquet")
    assert len(scores) == 4 and "with all 3 seeds on 1" in ranking.to_frame(wide=True).loc["naswot", "note"]
    said = ranking.protocol["scores"]["networks"]
    assert said == "1 made by functions, anew for each seed, 3 as they were given, with one seed"
    assert ranking.to_frame(wide=True).loc["naswot", "coverage"] == 1


def test_the_given_modules_stay_as_they_are(pair) -> None:
    """Invariance: state, mode, gradients and layout of a module after every proxy in half precision."""
    network = make(4)().eval().to(memory_format=torch.channels_last)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    zcbench.rank_networks({**NETWORKS, "width 4": network}, ACCURACIES, pair, "all,-te_nas*,-gradsign")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not network.training and all(weight.grad is None for weight in network.parameters())
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_run_goes_on_and_never_mixes_networks(pair, tmp_path) -> None:
    """By construction: a further network and a further proxy are added; another network of a known name is refused."""
    first = {name: NETWORKS[name] for name in list(NETWORKS)[:3]}
    zcbench.rank_networks(first, {name: ACCURACIES[name] for name in first}, pair, "naswot", out=tmp_path)
    ranking = zcbench.rank_networks(NETWORKS, ACCURACIES, pair, "naswot,snip", out=tmp_path)
    assert ranking.to_frame(wide=True).loc["snip", "n"] == 4
    with pytest.raises(ProtocolError, match=r"'width 10' is another one.*rename it"):
        zcbench.rank_networks({**NETWORKS, "width 10": make(12)}, ACCURACIES, pair, "naswot", out=tmp_path)
    smaller = zcbench.rank_networks(first, {name: ACCURACIES[name] for name in first}, pair, "snip", out=tmp_path)
    assert list(smaller.scores.index) == sorted(first)


def test_nothing_is_kept_without_a_folder(pair, tmp_path, monkeypatch) -> None:
    """By construction: no file in the working folder or among the temporary ones; the page can be written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    ranking = zcbench.rank_networks(NETWORKS, ACCURACIES, pair, "naswot")
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
    assert ranking.report(tmp_path / "page", formats=["svg"]).read_text().startswith("<!doctype html>")


def test_a_teacher_is_a_network(pair) -> None:
    """Invariance: the value of `zcbench.score` with the same student and teacher; without one they are left out."""
    modules = {name: source() for name, source in NETWORKS.items()}
    teacher = make(12)()
    ranking = zcbench.rank_networks(modules, ACCURACIES, pair, "kd:kd", teacher=teacher)
    expected = zcbench.score(modules["width 6"], pair, ["kd:kd"], teacher=teacher)
    assert ranking.scores.loc["width 6", "kd:kd"] == expected["kd:kd"]
    assert ranking.protocol["scores"]["teacher"] == "teacher"
    assert "kd:kd" not in zcbench.rank_networks(modules, ACCURACIES, pair, "kd:*,naswot").scores
    with pytest.raises(ProtocolError, match="none is given"):
        zcbench.rank_networks(modules, ACCURACIES, pair, "kd:kd")
    with pytest.raises((TeacherError, ZcbenchError)):
        zcbench.rank_networks(modules, ACCURACIES, pair, "kd:kd", teacher="resnt:resnet20")


def test_another_teacher_is_another_protocol(pair, tmp_path) -> None:
    """By construction: the fingerprint of the teacher's weights is part of the protocol."""
    modules, one, other = {name: source() for name, source in NETWORKS.items()}, make(12)(), make(12)()
    zcbench.rank_networks(modules, ACCURACIES, pair, "kd:kd", teacher=one, out=tmp_path)
    zcbench.rank_networks(modules, ACCURACIES, pair, "kd:kd", teacher=one, out=tmp_path)
    with pytest.raises(ProtocolError, match="teacher"):
        zcbench.rank_networks(modules, ACCURACIES, pair, "kd:kd", teacher=other, out=tmp_path)


def test_workers_give_the_same(pair) -> None:
    """Invariance: functions that no other process can import, and modules, in two processes."""
    networks = {**NETWORKS, "width 4": make(4)()}
    here, there = (zcbench.rank_networks(networks, ACCURACIES, pair, "snip", workers=n) for n in (0, 2))
    pd.testing.assert_frame_equal(here.scores, there.scores)


IMAGES, LABELS = torch.randn(4, 3, SIDE, SIDE, generator=torch_stream("front")), torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"accuracies": {**ACCURACIES, "width 9": 1.0}}, RankingError, "accuracies of 'width 9', and no network"),
        ({"accuracies": {"width 4": 60.0}}, RankingError, "no accuracy of 'width 6', 'width 8', 'width 10'"),
        ({"accuracies": {**ACCURACIES, "width 4": "high"}}, DataError, "accuracy of 'width 4' is 'high'"),
        ({"accuracies": {**ACCURACIES, "width 4": np.nan}}, DataError, "accuracy of 'width 4' is nan"),
        ({"accuracies": [1, 2, 3, 4]}, DataError, "of the type list"),
        ({"accuracies": pd.DataFrame({"name": ["a"]})}, DataError, "have the columns name. Expected arch and accuracy"),
        ({"accuracies": "absent.csv"}, DataError, "Cannot read 'absent.csv'"),
        ({"networks": {**NETWORKS, "width 4": make(4, 5)}}, SpaceError, "'width 4' has 5 and 'width 6' has 10"),
        ({"batch": DataLoader(TensorDataset(IMAGES[:0], LABELS[:0]))}, BatchError, "DataLoader is empty"),
        ({"batch": DataLoader(TensorDataset(IMAGES))}, BatchError, "Given 1 values as the batch"),
        ({"batch": 3}, BatchError, "Given int as the batch"),
        ({"batch": (IMAGES, LABELS + 9)}, BatchError, "has the label 12, and the networks have 10 classes"),
        ({"batch": (IMAGES, LABELS.float())}, BatchError, "fit no loss"),
        ({"output": lambda output: None}, SpaceError, "holds no tensor of logits"),
        ({"output": lambda output: output.argmax(1)}, SpaceError, "tensor .1,. of torch.int64.*a floating tensor"),
        ({"batch": (IMAGES[:, :1], LABELS)}, SpaceError, "does not take an input of shape"),
        ({"proxies": "synflw"}, ZcbenchError, "Did you mean 'synflow'"),
        ({"seeds": 0}, ProtocolError, "seeds"),
        ({"workers": -1}, ProtocolError, "workers=-1"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changes, kind, message, tmp_path) -> None:
    """By construction: an error that names what was given; the folder is not made."""
    given = {"networks": NETWORKS, "accuracies": ACCURACIES, "batch": (IMAGES, LABELS), "proxies": "naswot", **changes}
    with pytest.raises(kind, match=message) as error:
        zcbench.rank_networks(**given, out=tmp_path / "run")
    assert len(str(error.value)) < 500 and not (tmp_path / "run").exists()


def test_accuracies_of_any_scale(pair) -> None:
    """Invariance: fractions and negative errors rank as percent do."""
    expected = zcbench.rank_networks(NETWORKS, ACCURACIES, pair, "naswot").to_frame(wide=True)["tau"]
    for scale in (0.01, -1.0, 1000.0):
        scaled = {name: scale * value for name, value in ACCURACIES.items()}
        rows = zcbench.rank_networks(NETWORKS, scaled, pair, "naswot").to_frame(wide=True)
        pd.testing.assert_series_equal(rows["tau"], np.sign(scale) * expected)


def test_other_inputs_outputs_and_losses() -> None:
    """Invariance: scores of `zcbench.score` on the same networks, for tables, signals, tokens and positions."""
    stream = torch_stream("front inputs")
    table = torch.randn(8, 10, generator=stream), torch.randn(8, generator=stream)
    signal = torch.randn(8, 3, 16, generator=stream), torch.randint(2, (8,), generator=stream).float()
    tokens = {"ids": torch.randint(20, (8, 5), generator=stream), "labels": torch.randint(3, (8,), generator=stream)}
    maps = torch.randn(4, 3, 8, 8, generator=stream), torch.randint(3, (4, 8, 8), generator=stream)

    def regression(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 1))

    def binary(width: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv1d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, 1)
        )

    class Tokens(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(20, width), nn.Sequential(nn.ReLU(), nn.Linear(width, 3))

        def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"scores": self.head(self.embed(ids).mean(1))}

    def positions(width: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 1))

    for make, batch, output in (
        (regression, table, None),
        (binary, signal, None),
        (Tokens, tokens, lambda returned: returned["scores"]),
        (positions, maps, None),
    ):
        made = {f"width {width}": make(width) for width in (4, 6, 8, 10)}
        ranking = zcbench.rank_networks(made, ACCURACIES, batch, "synflow,snip,grad_norm", output=output)
        expected = zcbench.score(made["width 6"], batch, "synflow,snip,grad_norm", output=output)
        assert ranking.scores.loc["width 6", list(expected)].to_dict() == expected
    own = zcbench.rank_networks(
        {f"width {width}": regression(width) for width in (4, 6, 8, 10)}, ACCURACIES, table, "snip", loss="mse"
    )
    assert own.protocol["scores"]["loss"] == "mse"


FILE = """
from torch import nn

def make(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))

MINE = {f"width {width}": (lambda width=width: make(width)) for width in (4, 6, 8, 10)}
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """A folder with networks in a file, and their accuracies."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "nets.py").write_text(FILE)
    pd.DataFrame(ACCURACIES.items(), columns=["arch", "accuracy"]).to_csv(folder / "accuracies.csv", index=False)
    return folder


def test_the_command_gives_the_same(mine, tmp_path) -> None:
    """Invariance: by options and in Python; the run is ranked and reported again without the file."""
    options = ["--networks", f"{mine / 'nets.py'}:MINE", "--truth", mine / "accuracies.csv", "--out", tmp_path / "run"]
    options += ["--dataset", "noise", "--image-size", SIDE, "--batch-size", 8, "--proxies", "naswot,snip"]
    options += ["--draws", 20, "--formats", "svg", "--workers", 0]
    result = zcbench_command("bench", *options)
    assert result.returncode == 0, result.stderr
    images = zcbench.datasets.batch(zcbench.datasets.load("noise", image_size=SIDE), 8)
    ranking = zcbench.rank_networks(f"{mine / 'nets.py'}:MINE", mine / "accuracies.csv", images, "naswot,snip")
    stored = pd.read_parquet(tmp_path / "run" / "ranking" / "scores.parquet")
    pd.testing.assert_frame_equal(ranking.scores, stored)
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    printed = zcbench_command("rank", tmp_path / "run", "--truth", mine / "accuracies.csv", "--draws", 20).stdout
    assert "4 made by functions" in printed and "naswot" in printed
    packed = tmp_path / "packed.parquet"
    assert zcbench_command("scores", "pack", tmp_path / "run", "--out", packed).returncode == 0
    again = zcbench.rank(packed, mine / "accuracies.csv", options=zcbench.RankingOptions(draws=20))
    pd.testing.assert_frame_equal(again.scores, stored)
    assert zcbench_command("scores", "unpack", packed, "--out", tmp_path / "moved").returncode == 0
    result = zcbench_command("bench", *options[:4], "--out", tmp_path / "moved", *options[6:])
    assert "0 of them new" in result.stderr


def test_the_command_refuses_what_does_not_fit(mine, tmp_path) -> None:
    """By construction: one message each, exit code 1, or 2 for wrong usage."""
    networks, truth = f"{mine / 'nets.py'}:MINE", mine / "accuracies.csv"
    assert "name it by --truth" in fails("bench", "--networks", networks, "--out", tmp_path / "run")
    assert "no space" in fails("bench", "--networks", networks, "--space", "pit", "--truth", truth, code=2)
    told = fails("bench", "--networks", f"{mine / 'nets.py'}:YOURS", "--truth", truth, "--out", tmp_path / "run")
    assert "no known name" in told
    (tmp_path / "few.csv").write_text("arch,accuracy\nwidth 4,60\n")
    told = fails("bench", "--networks", networks, "--truth", tmp_path / "few.csv", "--out", tmp_path / "run")
    assert "'few.csv' has no accuracy of 'width 6'" in told and not os.path.exists(tmp_path / "run")


def test_a_search_over_networks_is_a_choice_among_them(mine) -> None:
    """By construction: the most parameters of the four."""
    from zcbench.search import Candidates, Costs, Objective

    space = Networks(f"{mine / 'nets.py'}:MINE")
    domain = Candidates(space).domain(Costs(space, 10, (3, SIDE, SIDE)), {})
    assert set(domain.everything()) == set(ACCURACIES)
    assert Objective.read(["params"]).terms
