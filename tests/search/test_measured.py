"""Latencies measured on this machine, and a search within them. No test rests on how long a pass takes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import zcbench
from zcbench.errors import DataError, ProtocolError
from zcbench.search import Candidates, SearchError, Settings, run_search
from zcbench.search.measured import read_measurements
from zcbench.search.scores import Scoring

from ..command import fails, zcbench_command

SPACE = "nasbench201(channels=4,cells=1)"
ON_DIGITS = ("--space", SPACE, "--dataset", "digits", "--proxies", "macs")
SCORING = Scoring(dataset="digits")
SHAPE = (3, 8, 8)
FAST = zcbench.Clock(warmup=0, repeats=3)


class Sleeps(nn.Module):
    """Two logits for token ids; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 2)
        self.calls = list[tuple[int, ...]]()

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        self.calls.append(tuple(ids.shape))
        assert not self.training and not torch.is_grad_enabled()
        return {"logits": self.embedding(ids).mean(1)}


def archs(count: int) -> list[str]:
    space = zcbench.spaces.get(SPACE)
    return space.sample(np.random.default_rng(0), count, subset="live")


def test_passes_follow_the_protocol() -> None:
    """Closed form: warm-up and repeats are the passes, of the asked batch, with the asked threads; threads go back."""
    seen, before = list[int](), torch.get_num_threads()
    clock = zcbench.Clock(warmup=2, repeats=5, threads=2, batch_size=3)
    times = clock.times(lambda images: seen.append(torch.get_num_threads()), torch.zeros(3, 1))
    assert len(times) == 5 and min(times) >= 0
    assert seen == [2] * 7 and torch.get_num_threads() == before
    for wrong in ({"threads": 0}, {"repeats": 0}, {"device": "tpu"}, {"warmup": -1}):
        with pytest.raises(ProtocolError):
            zcbench.Clock(**wrong)  # type: ignore[arg-type]


def test_the_table_has_sizes_and_quantiles(tmp_path: Path) -> None:
    """Oracle: the space's own sizes; the median lies within its quantiles; the file gives the same table again."""
    space, names = zcbench.spaces.get(SPACE), archs(3)
    found = zcbench.measure(SPACE, tmp_path / "l.parquet", archs=names, image_shape=SHAPE, clock=FAST)
    sizes = space.costs(names, 10, SHAPE)
    assert found.table[list(sizes)].equals(sizes)
    assert (found.table["latency"].between(found.table["latency_p10"], found.table["latency_p90"])).all()
    read = read_measurements(tmp_path / "l.parquet")
    assert read.table.equals(found.table) and read.protocol == found.protocol
    assert found.protocol["clock"] == {"device": "cpu", "threads": 1, "batch_size": 1, "warmup": 0, "repeats": 3}
    assert "3 networks" in repr(found) and "<table" in found._repr_html_()


def test_a_file_goes_on(tmp_path: Path) -> None:
    """Invariance: what a file has is not measured again; another protocol is refused."""
    names, file = archs(4), tmp_path / "l.parquet"
    first = zcbench.measure(SPACE, file, archs=names[:2], image_shape=SHAPE, clock=FAST).table
    both = zcbench.measure(SPACE, file, archs=names[::-1], image_shape=SHAPE, clock=FAST).table
    assert both.set_index("arch").loc[names[:2]].equals(first.set_index("arch"))
    assert list(both["arch"]) == names[::-1] and len(read_measurements(file).table) == 4
    with pytest.raises(ProtocolError, match=r"clock\.repeats: 3 → 4"):
        zcbench.measure(SPACE, file, archs=names, image_shape=SHAPE, clock=zcbench.Clock(warmup=0, repeats=4))
    with pytest.raises(DataError, match="parquet"):
        zcbench.measure(SPACE, tmp_path / "l.txt", archs=names, image_shape=SHAPE, clock=FAST)


def test_what_is_done_is_kept_when_a_network_fails(tmp_path: Path) -> None:
    """By construction: the first network is in the file when the second raises."""

    class Broken(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[0] > 1:
                raise RuntimeError("no room")
            return super().forward(x.flatten(1))

    whole = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    clock = zcbench.Clock(warmup=0, repeats=1, batch_size=2)
    with pytest.raises(zcbench.spaces.SpaceError, match="'b' cannot be timed: RuntimeError: no room"):
        zcbench.measure({"a": whole, "b": Broken(192, 3)}, tmp_path / "l.parquet", image_shape=SHAPE, clock=clock)
    assert list(read_measurements(tmp_path / "l.parquet").table["arch"]) == ["a"]


def test_networks_of_ones_own_take_their_batch() -> None:
    """By construction: token ids are repeated to the batch of the clock; an output with logits is taken."""
    network = Sleeps()
    clock = zcbench.Clock(warmup=1, repeats=2, batch_size=5)
    batch = torch.zeros(2, 7).long(), torch.tensor([0, 1])
    seen = list[tuple[int, ...]]()
    found = zcbench.measure({"tokens": lambda: recording(network, seen)}, batch=batch, clock=clock)
    assert seen[-3:] == [(5, 7)] * 3
    assert found.table.loc[0, "params"] == 18 and "sha256" in found.table
    assert found.protocol["inputs"] == ["int64 (5, 7)"]


def recording(network: Sleeps, seen: list[tuple[int, ...]]) -> nn.Module:
    """A new network that tells the shapes of its inputs."""
    made = Sleeps()
    made.load_state_dict(network.state_dict())
    made.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    return made


def test_search_within_measured_latency(tmp_path: Path) -> None:
    """Slow reference: the best by MACs among the measured ones below the median latency; none other is proposed."""
    names, file = archs(9), tmp_path / "l.parquet"
    made = zcbench.measure(SPACE, file, archs=names, image_shape=SHAPE, clock=FAST)
    limit = float(made.table["latency"].median())
    allowed = made.table[made.table["latency"] <= limit]
    command = ["search", *ON_DIGITS, "--algorithm", "random", "--no-report"]
    done = zcbench_command(*command, "--latency", file, "--max-latency", repr(limit), "--out", tmp_path / "s")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "s" / "search.json").read_text())
    assert {row["arch"] for row in content["history"]} == set(allowed["arch"])
    best = content["best"]
    assert best["arch"] in set(allowed[allowed["macs"] == allowed["macs"].max()]["arch"])
    assert best["costs"]["latency"] == made.table.set_index("arch").loc[best["arch"], "latency"]
    assert made.protocol["machine"] in json.dumps(content["request"])


def test_a_table_of_another_tool(tmp_path: Path) -> None:
    """Closed form: a CSV file with two columns limits a search of networks of one's own."""
    networks = {name: nn.Sequential(nn.Flatten(), nn.Linear(192, width)) for name, width in (("a", 10), ("b", 12))}
    file = tmp_path / "phone.csv"
    pd.DataFrame({"arch": ["a", "b"], "latency": [1.5, 2.5]}).to_csv(file, index=False)
    space = zcbench.spaces.Networks(networks)
    candidates = Candidates(space, limits={"latency": 2.0}, latency_device=str(file))
    found = run_search("params", tmp_path, candidates, Settings.of(algorithm="random"), scores=SCORING)
    assert found.arch == "a" and found.best.costs["latency"] == 1.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("arch,ms\na,1\n", "has the columns arch, ms"),
        ("arch,latency\na,fast\n", "no number above 0"),
        ("arch,latency\na,0\n", "no number above 0"),
        ("arch,latency\na,1\na,2\n", "twice"),
        ("arch,latency\nz,1\n", "has no architecture of"),
    ],
)
def test_tables_that_are_wrong(content: str, message: str, tmp_path: Path) -> None:
    """Closed form: one sentence on the command line."""
    file = tmp_path / "phone.csv"
    file.write_text(content)
    command = ["search", *ON_DIGITS, "--out", tmp_path / "s"]
    assert message in fails(*command, "--latency", file, "--max-latency", 2)


def test_tables_of_something_else(tmp_path: Path) -> None:
    """Closed form: other classes, two sources, another kind of file, a changed network."""
    file = tmp_path / "l.parquet"
    zcbench.measure(SPACE, file, archs=archs(1), image_shape=SHAPE, clock=FAST)
    command = ["search", "--space", SPACE, "--proxies", "macs", "--max-latency", 2, "--out", tmp_path / "s"]
    assert "latencies of image_shape" in fails(*command, "--latency", file)
    assert "one of the two" in fails(*command, "--latency", file, "--latency-device", "here")
    assert "ends in .parquet or .csv" in fails(*command, "--latency", tmp_path)
    assert "can be read from" in fails(*command, "--latency", tmp_path / "none.parquet")
    one, other = (nn.Sequential(nn.Flatten(), nn.Linear(192, 10)) for _ in range(2))
    zcbench.measure({"a": one}, tmp_path / "own.parquet", image_shape=SHAPE, clock=FAST)
    candidates = Candidates(
        zcbench.spaces.Networks({"a": other}), limits={"latency": 9e9}, latency_device=str(tmp_path / "own.parquet")
    )
    with pytest.raises(SearchError, match="not the one"):
        run_search("params", tmp_path / "o", candidates, Settings.of(algorithm="random"), scores=SCORING)


def test_the_command_prints_what_python_returns(tmp_path: Path) -> None:
    """Invariance: the rows of --json are those of the file; the second call measures nothing."""
    (tmp_path / "archs.txt").write_text("\n".join(archs(2)))
    command = ["measure", "--space", SPACE, "--archs", tmp_path / "archs.txt", "--dataset", "digits", "--repeats", 3]
    done = zcbench_command(*command, "--out", tmp_path / "l.parquet", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert rows == read_measurements(tmp_path / "l.parquet").table.to_dict("records")
    assert json.loads(zcbench_command(*command, "--out", tmp_path / "l.parquet", "--json").stdout)["rows"] == rows
    assert "1 threads, batch 1, 3 passes after 10" in zcbench_command(*command, "--out", tmp_path / "l.parquet").stdout
    assert "Expected at least 1" in fails(*command, "--threads", 0)
